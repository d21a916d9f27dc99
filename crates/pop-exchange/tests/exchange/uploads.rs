//! Columns on their way from an uploader to a provider.

use std::rc::Rc;

use pop_exchange::limits::UPLOADS_PER_LINK_MAX;
use pop_exchange::provider::{self, ProviderConfig};
use pop_exchange::uploader::{Event, Failure, Input, Output, Uploader, UploaderConfig};
use pop_exchange::{Fault, LinkId, ShardWithProof};
use pop_wire::message::{OpenColumn, PutShard, RefusalReason, SealColumn};
use pop_wire::{ColumnSet, Message, RequestId, SegmentIndex};

use crate::film::{Film, column, peer};
use crate::pair::{Host, LINK};

fn film() -> Rc<Film> {
    Rc::new(Film::new(2, 4, 16 * 1024, 20, 1))
}

fn empty_host(film: &Rc<Film>, config: ProviderConfig) -> Host {
    let mut host = Host::new(film, config);
    host.held = ColumnSet::new();
    host
}

struct Upload {
    uploader: Uploader,
    events: Vec<Event>,
    needed: usize,
    /// Shards given before the shell stops giving.
    give: usize,
    tamper: bool,
}

impl Upload {
    fn new(film: &Film, columns: &[u16]) -> Self {
        let columns = columns.iter().map(|c| column(*c)).collect();
        let config = UploaderConfig::default();
        let uploader = Uploader::new(film.content.clone(), columns, config).unwrap();
        Self { uploader, events: Vec::new(), needed: 0, give: usize::MAX, tamper: false }
    }

    fn connect(&mut self, host: &mut Host, link: LinkId) {
        host.handle(provider::Input::LinkUp { link, peer: peer(1) });
        let up = Input::LinkUp { link, peer: peer(9) };
        self.uploader.handle(host.now, up).unwrap();
        self.run(host, link);
    }

    /// Until neither side has anything to say.
    fn run(&mut self, host: &mut Host, link: LinkId) {
        loop {
            let mut quiet = true;
            while let Some(output) = self.uploader.poll() {
                quiet = false;
                match output {
                    Output::Send { message, .. } => host.receive(link, message),
                    Output::NeedShard { column, segment } => {
                        self.needed += 1;
                        if self.needed <= self.give {
                            let mut shard = host.film.shard(segment, column).unwrap().clone();
                            if self.tamper && segment.0 == 3 {
                                shard.payload = vec![0; shard.payload.len()].into();
                            }
                            let input = Input::Shard { column, segment, shard };
                            self.uploader.handle(host.now, input).unwrap();
                        }
                    }
                    Output::Event(event) => self.events.push(event),
                    Output::Close { .. } => host.handle(provider::Input::LinkDown { link }),
                    _ => unreachable!("no other output"),
                }
            }
            for message in host.take_sent(link) {
                quiet = false;
                self.uploader.handle(host.now, Input::Message { link, message }).unwrap();
            }
            if quiet {
                return;
            }
        }
    }

    fn failure(&self) -> Option<Failure> {
        let failure = |event: &Event| match event {
            Event::ColumnFailed { failure, .. } => Some(failure.clone()),
            _ => None,
        };
        self.events.iter().find_map(failure)
    }
}

fn stored_right(host: &Host, film: &Film, columns: &[u16]) {
    for index in columns {
        assert!(host.held.contains(column(*index)));
        let shards: &Vec<ShardWithProof> = &host.incoming[&(film.content.id(), column(*index))];
        for (segment, shard) in (0..).map(SegmentIndex).zip(shards) {
            assert_eq!(Some(shard), film.shard(segment, column(*index)));
        }
        assert_eq!(u64::try_from(shards.len()).unwrap(), film.segments());
    }
}

#[test]
fn several_columns_arrive_whole_over_one_link() {
    let film = film();
    let mut host = empty_host(&film, ProviderConfig::default());
    let mut upload = Upload::new(&film, &[0, 2, 3]);
    upload.connect(&mut host, LINK);
    stored_right(&host, &film, &[0, 2, 3]);
    assert!(upload.uploader.is_finished());
    assert_eq!(upload.uploader.stored().len(), 3);
    assert!(
        matches!(upload.events.last(), Some(Event::Finished { failed, .. }) if failed.is_empty())
    );
    assert_eq!(upload.needed, 3 * usize::try_from(film.segments()).unwrap());
    let stored = host.events.iter().filter(|e| matches!(e, provider::Event::ColumnStored { .. }));
    assert_eq!(stored.count(), 3);
    assert_eq!(host.provider.open_uploads(), 0);
}

#[test]
fn a_column_that_is_held_already_is_stored_at_once() {
    let film = film();
    let mut host = Host::new(&film, ProviderConfig::default());
    let mut upload = Upload::new(&film, &[1]);
    upload.connect(&mut host, LINK);
    assert!(upload.uploader.is_finished());
    assert_eq!(upload.needed, 0);
}

#[test]
fn an_interrupted_upload_goes_on_where_the_holder_has_it() {
    let film = film();
    let mut host = empty_host(&film, ProviderConfig::default());
    let mut upload = Upload::new(&film, &[1]);
    upload.give = 7;
    upload.connect(&mut host, LINK);
    assert!(!upload.uploader.is_finished());
    upload.uploader.handle(host.now, Input::LinkDown { link: LINK }).unwrap();
    host.handle(provider::Input::LinkDown { link: LINK });
    let ended = host.events.iter().any(|event| {
        matches!(event, provider::Event::UploadEnded { next_segment: SegmentIndex(7), .. })
    });
    assert!(ended, "{:?}", host.events);
    upload.give = usize::MAX;
    upload.needed = 0;
    upload.connect(&mut host, LinkId(2));
    stored_right(&host, &film, &[1]);
    assert_eq!(upload.needed, usize::try_from(film.segments()).unwrap() - 7);
}

#[test]
fn a_wrong_shard_is_never_written_and_its_sender_is_dropped() {
    let film = film();
    let mut host = empty_host(&film, ProviderConfig::default());
    let mut upload = Upload::new(&film, &[1]);
    upload.tamper = true;
    upload.connect(&mut host, LINK);
    let fault = Fault::BadShard { segment: SegmentIndex(3), column: column(1) };
    let named = provider::Event::PeerFault { link: LINK, peer: peer(1), fault };
    assert!(host.events.contains(&named), "{:?}", host.events);
    assert_eq!(host.closed, [LINK]);
    assert_eq!(host.incoming[&(film.content.id(), column(1))].len(), 3);
}

#[test]
fn a_refused_column_has_failed_and_a_full_disk_says_so() {
    let film = film();
    let mut host = empty_host(&film, ProviderConfig::default());
    host.refuse_uploads = Some(RefusalReason::NotAccepted);
    let mut upload = Upload::new(&film, &[1]);
    upload.connect(&mut host, LINK);
    let reason = RefusalReason::NotAccepted;
    assert_eq!(upload.failure(), Some(Failure::Refused { reason }));
    let mut host = empty_host(&film, ProviderConfig::default());
    host.fail_write = Some(5);
    let mut upload = Upload::new(&film, &[1]);
    upload.connect(&mut host, LINK);
    let reason = RefusalReason::Full;
    assert_eq!(upload.failure(), Some(Failure::Refused { reason }));
    assert!(upload.uploader.is_finished());
    assert!(host.closed.is_empty(), "the link stays for other things");
}

#[test]
fn a_busy_holder_is_asked_again() {
    let film = film();
    let mut config = ProviderConfig::default();
    config.uploads_max = 1;
    let mut host = empty_host(&film, config);
    let mut first = Upload::new(&film, &[0]);
    first.give = 3;
    first.connect(&mut host, LINK);
    let mut second = Upload::new(&film, &[1]);
    second.connect(&mut host, LinkId(2));
    assert!(second.failure().is_none() && !second.uploader.is_finished());
    host.handle(provider::Input::LinkDown { link: LINK });
    let at = second.uploader.next_timeout().expect("a time to ask again");
    host.now = at;
    second.uploader.handle(at, Input::Tick).unwrap();
    second.run(&mut host, LinkId(2));
    stored_right(&host, &film, &[1]);
}

#[test]
fn two_uploads_of_one_column_do_not_meet() {
    let film = film();
    let mut host = empty_host(&film, ProviderConfig::default());
    let mut first = Upload::new(&film, &[0]);
    first.give = 3;
    first.connect(&mut host, LINK);
    let mut second = Upload::new(&film, &[0]);
    second.connect(&mut host, LinkId(2));
    assert!(!second.uploader.is_finished());
    assert_eq!(host.provider.open_uploads(), 1);
}

#[test]
fn a_holder_that_accepts_and_never_answers_has_failed() {
    let film = film();
    let mut host = empty_host(&film, ProviderConfig::default());
    host.answers = false;
    let mut upload = Upload::new(&film, &[0, 1]);
    upload.connect(&mut host, LINK);
    let at = upload.uploader.next_timeout().expect("a timer");
    upload.uploader.handle(at, Input::Tick).unwrap();
    upload.run(&mut host, LINK);
    assert!(matches!(upload.failure(), Some(Failure::Stalled { .. })));
    assert!(upload.uploader.is_finished());
}

/// A link with an open upload of column 0, driven by hand.
fn open_upload(film: &Rc<Film>, config: ProviderConfig) -> Host {
    let mut host = empty_host(film, config);
    host.greeted(LINK, 1);
    host.receive(LINK, open(film, 1, 0));
    host
}

fn open(film: &Film, id: u64, index: u16) -> Message {
    let manifest = film.content.manifest().signed().clone();
    Message::OpenColumn(OpenColumn { id: RequestId(id), manifest, column: column(index) })
}

fn put(film: &Film, id: u64, segment: u64) -> Message {
    let segment = SegmentIndex(segment);
    let ShardWithProof { payload, segment_path, content_path } =
        film.shard(segment, column(0)).unwrap().clone();
    let id = RequestId(id);
    Message::PutShard(PutShard { id, segment, segment_path, content_path, payload })
}

fn fault(host: &Host) -> Option<Fault> {
    let fault = |event: &provider::Event| match event {
        provider::Event::PeerFault { fault, .. } => Some(fault.clone()),
        _ => None,
    };
    host.events.iter().find_map(fault)
}

#[test]
fn payload_beyond_the_granted_window_is_a_fault() {
    let film = film();
    let mut config = ProviderConfig::default();
    config.upload_window_bytes = 256 * 1024;
    let mut host = open_upload(&film, config);
    // Nothing is written, so nothing more is granted.
    host.answers = false;
    (0..16).for_each(|segment| host.receive(LINK, put(&film, 1, segment)));
    assert_eq!(fault(&host), None);
    host.receive(LINK, put(&film, 1, 16));
    let exceeded = Fault::CreditExceeded { credit_bytes: 0, got: 16 * 1024 };
    assert_eq!(fault(&host), Some(exceeded));
}

#[test]
fn shards_out_of_order_are_a_fault_and_an_incomplete_column_cannot_be_sealed() {
    let film = film();
    let mut host = open_upload(&film, ProviderConfig::default());
    host.receive(LINK, put(&film, 1, 0));
    host.receive(LINK, put(&film, 1, 2));
    let (expected, got) = (SegmentIndex(1), SegmentIndex(2));
    assert_eq!(fault(&host), Some(Fault::OutOfOrder { expected, got }));
    let mut host = open_upload(&film, ProviderConfig::default());
    host.receive(LINK, put(&film, 1, 0));
    host.receive(LINK, Message::SealColumn(SealColumn { id: RequestId(1) }));
    assert!(host.take_sent(LINK).iter().any(|message| {
        matches!(message, Message::Refusal(r) if r.reason == RefusalReason::Malformed)
    }));
    assert!(host.held.is_empty());
}

#[test]
fn uploads_beyond_a_links_limit_are_refused_as_busy() {
    let film = Rc::new(Film::new(2, 40, 1024, 2, 1));
    let mut host = empty_host(&film, ProviderConfig::default());
    host.greeted(LINK, 1);
    let limit = u16::try_from(UPLOADS_PER_LINK_MAX).unwrap();
    (0..=limit).for_each(|index| host.receive(LINK, open(&film, u64::from(index), index)));
    let busy = host.take_sent(LINK).into_iter().filter(
        |message| matches!(message, Message::Refusal(r) if r.reason == RefusalReason::Busy),
    );
    assert_eq!(busy.count(), 1);
    assert_eq!(host.provider.open_uploads(), UPLOADS_PER_LINK_MAX);
}

#[test]
fn an_idle_upload_is_closed_and_can_be_resumed() {
    let film = film();
    let mut host = open_upload(&film, ProviderConfig::default());
    host.receive(LINK, put(&film, 1, 0));
    host.now = host.now.after_ms(pop_exchange::limits::UPLOAD_IDLE_TIMEOUT_MS);
    host.handle(provider::Input::Tick);
    assert_eq!(host.provider.open_uploads(), 0);
    host.take_sent(LINK);
    host.receive(LINK, open(&film, 2, 0));
    assert!(host.take_sent(LINK).iter().any(|message| {
        matches!(message, Message::ColumnReply(r) if r.next_segment == SegmentIndex(1))
    }));
}

#[test]
fn a_forged_manifest_is_a_fault() {
    let film = film();
    let mut host = empty_host(&film, ProviderConfig::default());
    host.greeted(LINK, 1);
    let manifest = film.content.manifest().signed().encode();
    let mut forged = manifest.to_vec();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    let manifest = pop_wire::Signed::decode(forged.into()).unwrap();
    let open = OpenColumn { id: RequestId(1), manifest, column: column(0) };
    host.receive(LINK, Message::OpenColumn(open));
    assert_eq!(fault(&host), Some(Fault::BadManifest { id: RequestId(1) }));
}
