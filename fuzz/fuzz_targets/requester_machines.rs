//! An asker and an uploader, told anything in any order by the other side: honest answers, forged
//! ones, silence, links that come and go, shards from a shell that dawdles. Neither panics, no timer
//! fires twice for one moment, every question has exactly one answer, no more is asked at once than
//! a link may have open, an accepted manifest is the one that was asked for, nothing is sent beyond
//! the credit, and shards go out in order.

#![no_main]

use std::cell::LazyCell;
use std::collections::BTreeMap;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use pop_exchange::asker::{self, Answer, Asker, Question};
use pop_exchange::limits::{LOOKUPS_PER_LINK_MAX, QUESTIONS_PER_LINK_MAX};
use pop_exchange::uploader::{self, Uploader, UploaderConfig};
use pop_exchange::{LinkId, ShardWithProof};
use pop_fuzz::forge::{Forged, columns, content, forge, holders, reason, segment, shard};
use pop_fuzz::sample::Sample;
use pop_wire::message::{
    AuditAnswer, ColumnReply, ColumnState, Credit, Hello, Holders, Holdings, ManifestReply, Peers,
    Refusal,
};
use pop_wire::{
    ColumnIndex, Instant, Keypair, Message, PeerId, RequestId, SegmentIndex, VersionRange,
};

/// Outputs that one input can cause, by far.
const OUTPUTS_MAX: usize = 4096;
/// Links that operations choose from.
const SLOTS: usize = 3;
const OPERATIONS_MAX: usize = 512;

thread_local! {
    static SAMPLE: LazyCell<Sample> = LazyCell::new(Sample::new);
    static PEER: LazyCell<PeerId> = LazyCell::new(|| {
        Keypair::from_secret_bytes(&[1; 32]).expect("valid").peer_id()
    });
}

#[derive(Debug, Arbitrary)]
enum Operation {
    LinkUp {
        of_uploader: bool,
        link: u8,
        greet: bool,
    },
    LinkDown {
        of_uploader: bool,
        link: u8,
    },
    /// A message that nobody asked for, or a wrong answer.
    Forge {
        to_uploader: bool,
        link: u8,
        message: Forged,
    },
    Ask {
        link: u8,
        what: u8,
        other_content: bool,
    },
    /// One of the open questions is answered honestly, or refused.
    Answer {
        which: u8,
        refused: Option<u8>,
    },
    /// The holder answers the oldest step of an upload.
    Hold {
        stored: bool,
        refused: Option<u8>,
        next: u8,
        credit_bytes: u16,
    },
    /// The shell gives shards that were asked for.
    Give {
        count: u8,
        wrong: bool,
    },
    Wait {
        ms: u16,
    },
}

/// The asker, what it has asked, and what it owes its shell.
struct Asking {
    asker: Asker,
    /// Sent and not answered.
    asked: BTreeMap<(LinkId, RequestId), Message>,
    /// Questions of the shell without an end, by link.
    open: BTreeMap<LinkId, usize>,
}

/// The uploader, and what it may send.
struct Uploading {
    uploader: Uploader,
    link: Option<LinkId>,
    credit_bytes: u64,
    /// Uploads that are open at the holder, and the next segment of each.
    opened: BTreeMap<RequestId, Option<u64>>,
    /// Shards that it needs.
    needed: Vec<(ColumnIndex, SegmentIndex)>,
    finished: bool,
}

struct World<'a> {
    sample: &'a Sample,
    peer: PeerId,
    now: Instant,
    asking: Asking,
    uploading: Uploading,
    /// Links that each slot had before: a number is never used again.
    generations: [u64; SLOTS],
}

impl<'a> World<'a> {
    fn new(sample: &'a Sample, peer: PeerId) -> Self {
        let asker = Asker::new(Default::default()).expect("a short agent");
        let (content, config) = (sample.content.clone(), UploaderConfig::default());
        let uploader = Uploader::new(content, columns(0x1f), config).expect("in range");
        Self {
            sample,
            peer,
            now: Instant(0),
            asking: Asking { asker, asked: BTreeMap::new(), open: BTreeMap::new() },
            uploading: Uploading {
                uploader,
                link: None,
                credit_bytes: 0,
                opened: BTreeMap::new(),
                needed: Vec::new(),
                finished: false,
            },
            generations: [0; SLOTS],
        }
    }

    fn link(&self, slot: u8) -> LinkId {
        let slot = usize::from(slot) % SLOTS;
        LinkId(self.generations[slot] * 4 + u64::try_from(slot).expect("below 4"))
    }

    fn apply(&mut self, operation: &Operation) {
        let peer = self.peer;
        match *operation {
            Operation::LinkUp { of_uploader: true, link, greet } => {
                let link = self.next_link(link);
                self.uploading.connected(link);
                self.upload(uploader::Input::LinkUp { link, peer });
                if greet {
                    self.upload(uploader::Input::Message { link, message: hello() });
                }
            }
            Operation::LinkUp { of_uploader: false, link, greet } => {
                let link = self.link(link);
                self.ask(asker::Input::LinkUp { link, peer });
                if greet {
                    self.ask(asker::Input::Message { link, message: hello() });
                }
            }
            Operation::LinkDown { of_uploader: true, link } => {
                let link = self.uploading.link.unwrap_or(self.link(link));
                self.uploading.link = self.uploading.link.filter(|up| *up != link);
                self.upload(uploader::Input::LinkDown { link });
            }
            Operation::LinkDown { of_uploader: false, link } => {
                let link = self.next_link(link);
                self.ask(asker::Input::LinkDown { link });
                assert_eq!(self.asking.open.get(&link).copied().unwrap_or(0), 0, "no answer");
            }
            Operation::Forge { to_uploader, link, ref message } => {
                let (times, forged) = (message.times(), forge(self.sample, message));
                let link = match self.uploading.link {
                    Some(up) if to_uploader => up,
                    _ => self.link(link),
                };
                for message in std::iter::repeat_n(forged, times.into()) {
                    if to_uploader {
                        self.hear(link, message);
                    } else {
                        self.ask(asker::Input::Message { link, message });
                    }
                }
            }
            Operation::Ask { link, what, other_content } => {
                let (link, content) = (self.link(link), content(self.sample, other_content));
                let question = match what % 5 {
                    0 => Question::Manifest(content),
                    1 => Question::Holdings(content),
                    2 => Question::Peers,
                    3 => Question::Audit(content.0.to_vec().into()),
                    _ => Question::Holders(content),
                };
                *self.asking.open.entry(link).or_default() += 1;
                self.ask(asker::Input::Ask { link, question });
            }
            Operation::Answer { which, refused } => self.answer(which, refused),
            Operation::Hold { stored, refused, next, credit_bytes } => {
                self.hold(stored, refused, next, credit_bytes);
            }
            Operation::Give { count, wrong } => self.give(count, wrong),
            Operation::Wait { ms } => self.wait(ms.into()),
        }
        self.asking.check();
    }

    /// A number for the slot that was never used.
    fn next_link(&mut self, slot: u8) -> LinkId {
        let link = self.link(slot);
        self.generations[usize::from(slot) % SLOTS] += 1;
        link
    }

    fn answer(&mut self, which: u8, refused: Option<u8>) {
        let count = self.asking.asked.len().max(1);
        let chosen = self.asking.asked.iter().nth(usize::from(which) % count);
        let Some((&(link, id), question)) = chosen else { return };
        let message = match (refused, question) {
            (Some(code), _) => {
                Message::Refusal(Refusal { id, reason: reason(code), retry_after_ms: 0 })
            }
            (None, Message::GetManifest(_)) => {
                let manifest = self.sample.content.manifest().signed().clone();
                Message::ManifestReply(ManifestReply { id, manifest })
            }
            (None, Message::GetHoldings(_)) => {
                Message::Holdings(Holdings { id, columns: columns(which) })
            }
            (None, Message::GetHolders(_)) => {
                let (providers, masternodes) = holders(which, which / 2);
                Message::Holders(Holders::fitting(id, providers, masternodes))
            }
            (None, Message::Audit(_)) => {
                Message::AuditAnswer(AuditAnswer { id, answer: vec![which; 200].into() })
            }
            (None, _) => Message::Peers(Peers { id, masternodes: holders(0, which % 60).1 }),
        };
        self.ask(asker::Input::Message { link, message });
    }

    fn hold(&mut self, stored: bool, refused: Option<u8>, next: u8, credit_bytes: u16) {
        let Some(link) = self.uploading.link else { return };
        if credit_bytes > 0 {
            self.hear(link, Message::Credit(Credit { bytes: credit_bytes.into() }));
        }
        let Some((&id, _)) = self.uploading.opened.first_key_value() else { return };
        let message = match refused {
            Some(code) => Message::Refusal(Refusal { id, reason: reason(code), retry_after_ms: 0 }),
            None => {
                let state = if stored { ColumnState::Stored } else { ColumnState::Open };
                Message::ColumnReply(ColumnReply { id, state, next_segment: segment(next % 6) })
            }
        };
        self.hear(link, message);
    }

    /// What the holder says. Only what it grants before anything is wrong counts.
    fn hear(&mut self, link: LinkId, message: Message) {
        if self.uploading.link == Some(link) {
            let uploading = &mut self.uploading;
            match &message {
                Message::Hello(hello) => uploading.credit_bytes += hello.credit_bytes,
                Message::Credit(credit) => uploading.credit_bytes += credit.bytes,
                Message::ColumnReply(reply) => {
                    if let Some(next @ None) = uploading.opened.get_mut(&reply.id) {
                        *next = Some(reply.next_segment.0);
                    }
                }
                _ => {}
            }
        }
        self.upload(uploader::Input::Message { link, message });
    }

    fn give(&mut self, count: u8, wrong: bool) {
        for _ in 0..count % 8 {
            let Some((column, at)) = self.uploading.needed.pop() else { return };
            let (segment, index) = (if wrong { SegmentIndex(at.0 + 1) } else { at }, at.0);
            let (index, of) = (u8::try_from(index % 4).unwrap_or(0), u8::try_from(column.get()));
            let shard: ShardWithProof = shard(self.sample, (index, of.unwrap_or(0)), None, 0);
            self.upload(uploader::Input::Shard { column, segment, shard });
        }
    }

    /// Time passes; timers that are due fire once.
    fn wait(&mut self, ms: u64) {
        self.now = self.now.after_ms(ms);
        self.ask(asker::Input::Tick);
        self.upload(uploader::Input::Tick);
        let now = self.now;
        let later = |at: Option<Instant>| at.is_none_or(|at| at > now);
        assert!(later(self.asking.asker.next_timeout()), "the asker's timer fires for ever");
        assert!(later(self.uploading.uploader.next_timeout()), "the uploader's fires for ever");
    }

    fn ask(&mut self, input: asker::Input) {
        let _ = self.asking.asker.handle(self.now, input);
        let sample = self.sample.content.id();
        for _ in 0..OUTPUTS_MAX {
            let Some(output) = self.asking.asker.poll() else { return };
            self.asking.take(output, sample);
        }
        panic!("one input caused endless output");
    }

    fn upload(&mut self, input: uploader::Input) {
        let _ = self.uploading.uploader.handle(self.now, input);
        for _ in 0..OUTPUTS_MAX {
            let Some(output) = self.uploading.uploader.poll() else { return };
            self.uploading.take(output);
        }
        panic!("one input caused endless output");
    }
}

impl Asking {
    fn take(&mut self, output: asker::Output, sample: pop_wire::ContentId) {
        match output {
            asker::Output::Send { link, message } => {
                let id = match &message {
                    Message::GetManifest(get) => get.id,
                    Message::GetHoldings(get) => get.id,
                    Message::GetPeers(get) => get.id,
                    Message::GetHolders(get) => get.id,
                    Message::Audit(audit) => audit.id,
                    _ => return,
                };
                assert!(self.asked.insert((link, id), message).is_none(), "a number used twice");
            }
            asker::Output::Answer { link, question, result } => {
                let open = self.open.get_mut(&link).expect("a link that was asked on");
                *open = open.checked_sub(1).expect("as many answers as questions");
                // Which of several equal questions it was makes no difference.
                let same = |((at, _), message): &(&(LinkId, RequestId), &Message)| {
                    *at == link && is_of(message, &question)
                };
                let key = self.asked.iter().find(same).map(|(key, _)| *key);
                key.map(|key| self.asked.remove(&key));
                if let Ok(Answer::Manifest(manifest)) = result {
                    assert_eq!(question, Question::Manifest(manifest.content_id()));
                    assert_eq!(manifest.content_id(), sample);
                }
            }
            _ => {}
        }
    }

    fn check(&self) {
        let mut by_link: BTreeMap<LinkId, (usize, usize)> = BTreeMap::new();
        for ((link, _), message) in &self.asked {
            let (questions, lookups) = by_link.entry(*link).or_default();
            *questions += 1;
            *lookups += usize::from(matches!(message, Message::GetHolders(_)));
        }
        for (questions, lookups) in by_link.into_values() {
            assert!(questions <= QUESTIONS_PER_LINK_MAX && lookups <= LOOKUPS_PER_LINK_MAX);
        }
    }
}

fn is_of(message: &Message, question: &Question) -> bool {
    match (message, question) {
        (Message::GetManifest(get), Question::Manifest(content)) => get.content == *content,
        (Message::GetHoldings(get), Question::Holdings(content)) => get.content == *content,
        (Message::GetHolders(get), Question::Holders(content)) => get.content == *content,
        (Message::GetPeers(_), Question::Peers) => true,
        (Message::Audit(audit), Question::Audit(challenge)) => audit.challenge == *challenge,
        _ => false,
    }
}

impl Uploading {
    fn connected(&mut self, link: LinkId) {
        self.link = Some(link);
        self.credit_bytes = 0;
        self.opened.clear();
        self.needed.clear();
    }

    fn take(&mut self, output: uploader::Output) {
        match output {
            uploader::Output::Send { link, message } => {
                assert_eq!(Some(link), self.link, "sent on a link that is gone");
                match message {
                    Message::OpenColumn(open) => {
                        assert!(self.opened.insert(open.id, None).is_none(), "opened twice");
                    }
                    Message::PutShard(put) => {
                        let bytes = u64::try_from(put.payload.len()).expect("fits");
                        let left = self.credit_bytes.checked_sub(bytes);
                        self.credit_bytes = left.expect("within the credit");
                        let next = self.opened.get_mut(&put.id).expect("an open upload");
                        let next = next.as_mut().expect("the holder said where to begin");
                        assert_eq!(put.segment.0, *next, "in order");
                        *next += 1;
                    }
                    _ => {}
                }
            }
            uploader::Output::Close { .. } => self.link = None,
            uploader::Output::NeedShard { column, segment } => {
                self.needed.insert(0, (column, segment));
            }
            uploader::Output::Event(uploader::Event::Finished { .. }) => {
                assert!(!self.finished, "finished twice");
                self.finished = true;
            }
            uploader::Output::Event(_) => {}
            _ => {}
        }
    }
}

fn hello() -> Message {
    Message::Hello(Hello {
        versions: VersionRange::SUPPORTED,
        credit_bytes: 0,
        agent: String::new(),
        masternode: None,
    })
}

fuzz_target!(|operations: Vec<Operation>| {
    SAMPLE.with(|sample| {
        PEER.with(|peer| {
            let mut world = World::new(sample, **peer);
            for operation in operations.iter().take(OPERATIONS_MAX) {
                world.apply(operation);
            }
            let links: Vec<LinkId> = world.asking.open.keys().copied().collect();
            links.into_iter().for_each(|link| world.ask(asker::Input::LinkDown { link }));
            assert!(world.asking.open.values().all(|open| *open == 0), "a question has no answer");
        });
    });
});
