//! What a viewer says that it can serve, and who hears it when.

use std::ops::Range;
use std::rc::Rc;

use pop_exchange::fetcher::{self, Fetcher, FetcherConfig, SourceKind};
use pop_exchange::limits::{
    ANNOUNCED_CONTENTS_MAX, ANNOUNCEMENT_INTERVAL_MS, ANNOUNCEMENTS_BURST, DENIALS_MAX,
};
use pop_exchange::provider::{Input, ProviderConfig};
use pop_exchange::{Error, Fault, LinkId};
use pop_wire::message::{Available, GetShard, Refusal, RefusalReason};
use pop_wire::{ColumnSet, ContentId, Instant, Message, SegmentIndex, SegmentRanges};

use crate::film::{Film, peer};
use crate::pair::{Host, LINK, hello};

const CONTENT: ContentId = ContentId([5; 32]);

fn host() -> Host {
    Host::new(&Rc::new(Film::new(2, 3, 1024, 2, 1)), ProviderConfig::default())
}

fn available(content: ContentId, range: Range<u64>) -> Input {
    Input::Available { content, segments: SegmentRanges::covering([range]) }
}

/// Announcements to a link: content and the end of its last range.
fn heard(host: &mut Host, link: LinkId) -> Vec<(ContentId, u64)> {
    let of = |message| match message {
        Message::Available(Available { content, segments }) => {
            Some((content, segments.last().map_or(0, |last| last.0 + 1)))
        }
        _ => None,
    };
    host.take_sent(link).into_iter().filter_map(of).collect()
}

fn pass(host: &mut Host, ms: u64) {
    host.now = host.now.after_ms(ms);
    host.handle(Input::Tick);
}

#[test]
fn every_link_hears_it_after_its_hello_and_the_latest_word_at_most_once_a_second() {
    let mut host = host();
    host.greeted(LINK, 1);
    host.handle(Input::LinkUp { link: LinkId(2), peer: peer(2) });
    host.handle(available(CONTENT, 0..3));
    assert_eq!(heard(&mut host, LINK), [(CONTENT, 3)]);
    assert_eq!(heard(&mut host, LinkId(2)), [], "nothing before its hello");
    host.receive(LinkId(2), hello());
    assert_eq!(heard(&mut host, LinkId(2)), [(CONTENT, 3)]);
    // A change for every segment that comes, and one announcement of them all.
    (4..60).for_each(|end| host.handle(available(CONTENT, 0..end)));
    pass(&mut host, ANNOUNCEMENT_INTERVAL_MS - 1);
    assert_eq!(heard(&mut host, LINK), []);
    assert_eq!(host.provider.next_timeout(), Some(host.now.after_ms(1)));
    pass(&mut host, 1);
    assert_eq!(heard(&mut host, LINK), [(CONTENT, 59)]);
    // Saying it again is no news.
    host.handle(available(CONTENT, 0..59));
    pass(&mut host, 10 * ANNOUNCEMENT_INTERVAL_MS);
    assert_eq!(heard(&mut host, LINK), []);
    host.handle(available(CONTENT, 0..0));
    assert_eq!(heard(&mut host, LINK), [(CONTENT, 0)], "taken back");
    host.greeted(LinkId(3), 3);
    assert_eq!(heard(&mut host, LinkId(3)), []);
}

#[test]
fn who_does_not_read_is_told_nothing_more() {
    let mut host = host();
    host.flushes = false;
    host.greeted(LINK, 1);
    for end in 1..20 {
        host.handle(available(CONTENT, 0..end));
        pass(&mut host, ANNOUNCEMENT_INTERVAL_MS);
    }
    assert_eq!(heard(&mut host, LINK), [(CONTENT, 1)]);
    host.flush(LINK);
    host.drain();
    assert_eq!(heard(&mut host, LINK), [(CONTENT, 19)]);
}

#[test]
fn contents_beyond_the_limit_are_misuse_and_replaced_ones_are_not() {
    let mut host = host();
    host.greeted(LINK, 1);
    let content = |i: usize| ContentId([u8::try_from(i % 256).unwrap(); 32]);
    (0..ANNOUNCED_CONTENTS_MAX).for_each(|i| host.handle(available(content(i), 0..1)));
    let one_more = available(content(ANNOUNCED_CONTENTS_MAX), 0..1);
    let max = ANNOUNCED_CONTENTS_MAX;
    assert_eq!(host.provider.handle(host.now, one_more), Err(Error::TooManyContents { max }));
    pass(&mut host, ANNOUNCEMENT_INTERVAL_MS);
    assert_eq!(heard(&mut host, LINK).len(), ANNOUNCED_CONTENTS_MAX);
    // Many contents come and go in one second: the batches stay small, and nobody faints.
    for i in 0..200 {
        host.handle(available(content(i), 0..0));
        host.handle(available(content(i + ANNOUNCED_CONTENTS_MAX), 0..2));
    }
    let mut last = Vec::new();
    for _ in 0..4 {
        pass(&mut host, ANNOUNCEMENT_INTERVAL_MS);
        let batch = heard(&mut host, LINK);
        assert!(batch.len() <= ANNOUNCED_CONTENTS_MAX, "{}", batch.len());
        last.extend(batch);
    }
    (200..208).for_each(|i| assert!(last.contains(&(content(i), 2)), "{i}"));
}

/// A fetcher of a film of 300 segments, 2 of 4, that wants all of it from one viewer.
struct Listener {
    film: Film,
    fetcher: Fetcher,
    now: Instant,
}

impl Listener {
    fn new(kind: SourceKind) -> Self {
        let film = Film::new(2, 4, 1024, 300, 1);
        let config = FetcherConfig::default();
        let mut fetcher = Fetcher::new(film.content.clone(), config, [1; 32]).unwrap();
        let now = Instant(1_000);
        // What the shell says of a viewer's columns is not looked at.
        let columns = ColumnSet::new();
        fetcher
            .handle(now, fetcher::Input::LinkUp { link: LINK, peer: peer(1), columns, kind })
            .unwrap();
        let segments = 0..film.segments();
        let want = fetcher::Input::Want { segments, first_deadline: None, segment_duration_ms: 0 };
        fetcher.handle(now, want).unwrap();
        let mut listener = Self { film, fetcher, now };
        listener.hear(hello());
        listener
    }

    fn hear(&mut self, message: Message) {
        let message = fetcher::Input::Message { link: LINK, message };
        self.fetcher.handle(self.now, message).unwrap();
    }

    fn announce(&mut self, range: Range<u64>) {
        let (content, segments) = (self.film.content.id(), SegmentRanges::covering([range]));
        self.hear(Message::Available(Available { content, segments }));
    }

    /// What it asks, and its verdict on the viewer if it comes to one.
    fn drain(&mut self) -> (Vec<GetShard>, Option<Fault>) {
        let (mut asked, mut verdict) = (Vec::new(), None);
        while let Some(output) = self.fetcher.poll() {
            match output {
                fetcher::Output::Send { message: Message::GetShard(get), .. } => asked.push(get),
                fetcher::Output::Event(fetcher::Event::PeerFault { fault, .. }) => {
                    verdict = Some(fault);
                }
                _ => {}
            }
        }
        (asked, verdict)
    }

    fn segments_asked(&mut self) -> Vec<u64> {
        let (asked, verdict) = self.drain();
        assert_eq!(verdict, None);
        let mut segments: Vec<u64> = asked.iter().map(|get| get.segment.0).collect();
        segments.dedup();
        segments
    }
}

#[test]
fn a_viewer_is_asked_for_what_it_announced_and_nothing_else() {
    let mut listener = Listener::new(SourceKind::Viewer);
    assert_eq!(listener.segments_asked(), [0_u64; 0]);
    let other = SegmentRanges::covering([0..4]);
    listener.hear(Message::Available(Available { content: CONTENT, segments: other }));
    assert_eq!(listener.segments_asked(), [0_u64; 0], "another content's");
    listener.announce(7..8);
    assert_eq!(listener.segments_asked(), [7]);
    listener.announce(3..4);
    assert_eq!(listener.segments_asked(), [3], "the later one counts");
}

#[test]
fn a_masternode_that_announces_is_not_listened_to() {
    let mut listener = Listener::new(SourceKind::Masternode);
    listener.announce(0..4);
    assert_eq!(listener.segments_asked(), [0_u64; 0]);
}

#[test]
fn who_announces_and_refuses_is_no_liar_but_a_wrong_guess() {
    let mut listener = Listener::new(SourceKind::Viewer);
    listener.announce(0..2);
    let (asked, _) = listener.drain();
    let refuse = |id| {
        let (reason, retry_after_ms) = (RefusalReason::NotFound, 0);
        Message::Refusal(Refusal { id, reason, retry_after_ms })
    };
    asked.iter().filter(|get| get.segment.0 == 0).for_each(|get| listener.hear(refuse(get.id)));
    assert_eq!(listener.segments_asked(), [0_u64; 0], "not this one again");
    // To announce it again does not help: it costs one request a segment, whatever it says.
    listener.announce(0..1);
    assert_eq!(listener.segments_asked(), [0_u64; 0]);
    listener.announce(0..4);
    assert!(!listener.segments_asked().contains(&0));
}

#[test]
fn who_announces_on_and_on_what_it_has_not_is_asked_nothing_more() {
    let mut listener = Listener::new(SourceKind::Viewer);
    listener.announce(0..listener.film.segments());
    let mut refused = std::collections::BTreeSet::new();
    loop {
        let (asked, verdict) = listener.drain();
        assert_eq!(verdict, None);
        if asked.is_empty() {
            break;
        }
        for get in asked {
            refused.insert(get.segment.0);
            let (reason, retry_after_ms) = (RefusalReason::NotFound, 0);
            listener.hear(Message::Refusal(Refusal { id: get.id, reason, retry_after_ms }));
        }
    }
    assert!((DENIALS_MAX..DENIALS_MAX + 10).contains(&refused.len()), "{}", refused.len());
    listener.announce(290..300);
    assert_eq!(listener.segments_asked(), [0_u64; 0]);
}

#[test]
fn an_announcement_of_segments_that_are_not_there_is_a_fault() {
    let mut listener = Listener::new(SourceKind::Viewer);
    let count = listener.film.segments();
    listener.announce(0..count + 1);
    let fault = Fault::NoSuchSegment { segment: SegmentIndex(count), count };
    assert_eq!(listener.drain().1, Some(fault));
}

#[test]
fn announcements_without_end_are_a_fault_of_any_source() {
    for kind in [SourceKind::Viewer, SourceKind::Masternode] {
        let mut listener = Listener::new(kind);
        // As fast as they come back, for as long as you like.
        for _ in 0..1_000 {
            listener.now = listener.now.after_ms(125);
            listener.announce(0..1);
        }
        assert_eq!(listener.drain().1, None);
        listener.now = listener.now.after_ms(125);
        (0..ANNOUNCEMENTS_BURST).for_each(|_| listener.announce(0..1));
        assert_eq!(listener.drain().1, None);
        listener.announce(0..1);
        let fault = Fault::AnnouncementFlood { burst: ANNOUNCEMENTS_BURST };
        assert_eq!(listener.drain().1, Some(fault));
    }
}
