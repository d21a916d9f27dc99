//! What a relay does, what it refuses, and what it keeps: nothing.

#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use pop_signal::limits::{
    ATTACHMENT_MS, CLIENT_IDLE_MS, DIAL_TIMEOUT_MS, ENVELOPE_LARGE_BYTES, ENVELOPE_SMALL_BYTES,
    FRAME_SMALL_BYTES, JOIN_MS, MEMBERS_PER_REPORT_MAX, REFUSALS_MAX, RELAY_IDLE_MS, REPORT_MS,
    REPORTS_PER_RELAY_MAX, SESSION_BYTES_MAX, SESSION_LETTERS_MAX,
};
use pop_signal::message::{Attachment, Destination, RefusedReason};
use pop_signal::relay::{
    CloseReason, Input, Output, Relay, RelayConfig, RelayError, RelayHoldings,
};
use pop_signal::topic::Topic;
use pop_signal::{Address, Envelope, LinkId, Prefix, RelayMessage, Rendezvous};
use pop_wire::{Instant, Keypair, PeerId};

const ALICE: LinkId = LinkId(1);
const BOB: LinkId = LinkId(2);
const CAROL: LinkId = LinkId(3);
const OTHER: LinkId = LinkId(9);
const R: Rendezvous = Rendezvous([7; 32]);
const T: Topic = Topic([8; 32]);

/// Made once: some tests ask a hundred thousand times.
static PEERS: LazyLock<Vec<PeerId>> = LazyLock::new(|| {
    (1..6).map(|byte| Keypair::from_secret_bytes(&[byte; 32]).unwrap().peer_id()).collect()
});

fn peer(number: usize) -> PeerId {
    PEERS[number - 1]
}

fn prefix(last: u8) -> Prefix {
    Prefix::of([192, 0, 2, last].into())
}

fn envelope() -> Envelope {
    Envelope::from_bytes(Bytes::from(vec![0xca; ENVELOPE_SMALL_BYTES])).unwrap()
}

fn attach(rendezvous: Rendezvous, attachment: Attachment) -> RelayMessage {
    RelayMessage::Attach { rendezvous, attachment }
}

fn letter_to(relay: PeerId) -> RelayMessage {
    RelayMessage::Send { to: Address { relay, rendezvous: R }, envelope: envelope() }
}

fn delivered(to: Destination) -> RelayMessage {
    RelayMessage::Deliver { to, envelope: envelope() }
}

/// One relay, its own id `peer(1)`, with three clients.
struct Stage {
    relay: Relay,
    now: Instant,
}

impl Stage {
    fn new(config: RelayConfig) -> Self {
        let mut stage = Self { relay: Relay::new(peer(1), config, [5; 32]), now: Instant(1_000) };
        for (link, at) in [(ALICE, 1), (BOB, 2), (CAROL, 3)] {
            stage.input(Input::ClientUp { link, prefix: prefix(at) });
        }
        stage
    }

    fn input(&mut self, input: Input) -> Vec<Output> {
        self.relay.handle(self.now, input).unwrap();
        std::iter::from_fn(|| self.relay.poll()).collect()
    }

    /// What the relay sends for one message, and to whom.
    fn says(&mut self, link: LinkId, message: RelayMessage) -> Vec<(LinkId, RelayMessage)> {
        let outputs = self.input(Input::Message { link, message });
        outputs
            .into_iter()
            .map(|output| match output {
                Output::Send { link, message } => (link, message),
                other => panic!("expected a message, got {other:?}"),
            })
            .collect()
    }

    fn quiet(&mut self, link: LinkId, message: RelayMessage) {
        assert_eq!(self.says(link, message), []);
    }

    fn later(&mut self, ms: u64) -> Vec<Output> {
        self.now = self.now.after_ms(ms);
        self.input(Input::Tick)
    }

    fn know(&mut self, masternodes: impl IntoIterator<Item = PeerId>) {
        let masternodes = masternodes.into_iter().collect();
        assert_eq!(self.input(Input::Known { masternodes }), []);
    }

    fn relay_up(&mut self, link: LinkId, peer: PeerId) -> Vec<Output> {
        self.input(Input::RelayUp { link, peer })
    }
}

fn stage() -> Stage {
    Stage::new(RelayConfig::default())
}

#[test]
fn a_one_time_rendezvous_takes_one_letter() {
    let mut stage = stage();
    stage.quiet(BOB, attach(R, Attachment::Once));
    let to = Destination::Rendezvous(R);
    assert_eq!(stage.says(ALICE, letter_to(peer(1))), [(BOB, delivered(to))]);
    stage.quiet(ALICE, letter_to(peer(1)));
    assert_eq!(stage.relay.holdings().rendezvous, 0);
    assert_eq!(stage.relay.stats().dropped, 1);
}

#[test]
fn a_rendezvous_of_a_session_takes_64_letters_or_128_kib() {
    let mut stage = stage();
    stage.quiet(BOB, attach(R, Attachment::Session));
    for _ in 0..SESSION_LETTERS_MAX {
        assert_eq!(stage.says(ALICE, letter_to(peer(1))).len(), 1);
    }
    stage.quiet(ALICE, letter_to(peer(1)));

    stage.quiet(BOB, attach(R, Attachment::Session));
    let large = Envelope::from_bytes(Bytes::from(vec![1; ENVELOPE_LARGE_BYTES])).unwrap();
    let to = Address { relay: peer(1), rendezvous: R };
    let taken = (0..20)
        .filter(|_| {
            !stage.says(ALICE, RelayMessage::Send { to, envelope: large.clone() }).is_empty()
        })
        .count();
    assert_eq!(taken, SESSION_BYTES_MAX / (16 * 1024));
}

#[test]
fn a_rendezvous_that_nobody_renews_is_forgotten() {
    let mut stage = stage();
    stage.quiet(BOB, attach(R, Attachment::Session));
    stage.later(ATTACHMENT_MS - 1_000);
    stage.quiet(BOB, attach(R, Attachment::Session));
    stage.later(ATTACHMENT_MS - 1_000);
    assert_eq!(stage.says(BOB, letter_to(peer(1))).len(), 1);
    stage.later(1_000);
    stage.quiet(BOB, letter_to(peer(1)));
    assert_eq!(stage.relay.holdings().rendezvous, 0);
}

#[test]
fn who_knows_a_rendezvous_cannot_take_it_over_nor_ask_whether_it_is_there() {
    let mut stage = stage();
    stage.quiet(BOB, attach(R, Attachment::Session));
    stage.quiet(CAROL, attach(R, Attachment::Session));
    stage.quiet(CAROL, RelayMessage::Detach { rendezvous: R });
    assert_eq!(stage.says(ALICE, letter_to(peer(1)))[0].0, BOB);
    stage.quiet(BOB, RelayMessage::Detach { rendezvous: R });
    stage.quiet(ALICE, letter_to(peer(1)));
}

#[test]
fn a_relay_has_an_address_of_its_own_that_nobody_else_gets() {
    let mut stage = stage();
    let to = Address::of_relay(peer(1));
    let message = RelayMessage::Send { to, envelope: envelope() };
    stage.quiet(BOB, attach(to.rendezvous, Attachment::Session));
    stage.quiet(ALICE, message.clone());
    stage.input(Input::ClientUp { link: OTHER, prefix: Prefix::Own });
    stage.quiet(OTHER, attach(to.rendezvous, Attachment::Session));
    stage.later(10 * ATTACHMENT_MS);
    stage.input(Input::ClientUp { link: LinkId(10), prefix: prefix(1) });
    for _ in 0..2 * SESSION_LETTERS_MAX {
        assert_eq!(stage.says(LinkId(10), message.clone())[0].0, OTHER);
    }
}

#[test]
fn a_client_that_is_gone_leaves_nothing_behind() {
    let mut stage = stage();
    stage.quiet(BOB, attach(R, Attachment::Session));
    stage.quiet(BOB, RelayMessage::Join { topic: T });
    stage.input(Input::LinkDown { link: BOB });
    stage.quiet(ALICE, letter_to(peer(1)));
    let RelayHoldings { clients, rendezvous, topics, members, .. } = stage.relay.holdings();
    assert_eq!((clients, rendezvous, topics, members), (2, 0, 0, 0));
}

#[test]
fn a_letter_for_another_relay_is_forwarded_when_that_is_connected() {
    let mut stage = stage();
    stage.know([peer(1), peer(2)]);
    let to = Destination::Rendezvous(R);
    let forwarded = RelayMessage::Forward { to, last: true, envelope: envelope() };
    let outputs = stage.input(Input::Message { link: ALICE, message: letter_to(peer(2)) });
    assert_eq!(outputs, [Output::Dial { peer: peer(2) }]);
    stage.quiet(ALICE, letter_to(peer(2)));
    assert_eq!(stage.relay.holdings().waiting, 2);
    let sent = Output::Send { link: OTHER, message: forwarded.clone() };
    let outputs = stage.relay_up(OTHER, peer(2));
    assert_eq!(outputs, [sent, Output::Send { link: OTHER, message: forwarded.clone() }]);
    assert_eq!(stage.says(ALICE, letter_to(peer(2))), [(OTHER, forwarded.clone())]);
    assert_eq!(stage.relay.holdings().waiting_bytes, 0);

    // And at the other end.
    stage.quiet(BOB, attach(R, Attachment::Once));
    assert_eq!(stage.says(OTHER, forwarded), [(BOB, delivered(to))]);
}

#[test]
fn what_waits_for_a_relay_that_cannot_be_reached_is_dropped() {
    for by_failure in [true, false] {
        let mut stage = stage();
        stage.know([peer(2)]);
        stage.input(Input::Message { link: ALICE, message: letter_to(peer(2)) });
        if by_failure {
            stage.input(Input::DialFailed { peer: peer(2) });
        } else {
            stage.later(DIAL_TIMEOUT_MS);
        }
        assert_eq!(stage.relay.holdings().waiting, 0);
        assert_eq!(stage.relay.holdings().waiting_bytes, 0);
        assert_eq!(stage.relay.stats().dropped, 1);
        let outputs = stage.input(Input::Message { link: ALICE, message: letter_to(peer(2)) });
        assert_eq!(outputs, [Output::Dial { peer: peer(2) }], "it is tried again");
    }
}

#[test]
fn nobody_makes_a_relay_dial_who_is_no_masternode() {
    let mut stage = stage();
    stage.know([peer(2)]);
    let refused = RelayMessage::Refused { reason: RefusedReason::UnknownRelay, retry_after_ms: 0 };
    assert_eq!(stage.says(ALICE, letter_to(peer(3))), [(ALICE, refused)]);
    let closed = Output::Close { link: OTHER, reason: CloseReason::UnknownRelay };
    assert_eq!(stage.relay_up(OTHER, peer(3)), [closed]);
}

#[test]
fn messages_of_the_other_side_close_the_link() {
    let to = Destination::Rendezvous(R);
    let from_relays = [
        delivered(to),
        RelayMessage::Refused { reason: RefusedReason::Rate, retry_after_ms: 0 },
        RelayMessage::Forward { to, last: true, envelope: envelope() },
        RelayMessage::Members { topic: T, count: 1 },
        RelayMessage::Elsewhere { topic: T, count: 1 },
    ];
    for message in from_relays {
        let closed = Output::Close { link: ALICE, reason: CloseReason::Unexpected };
        let mut stage = stage();
        assert_eq!(stage.input(Input::Message { link: ALICE, message }), [closed]);
        assert_eq!(stage.relay.holdings().clients, 2);
        stage.quiet(ALICE, letter_to(peer(1)));
    }
    let from_clients = [
        attach(R, Attachment::Once),
        RelayMessage::Detach { rendezvous: R },
        RelayMessage::Join { topic: T },
        RelayMessage::Leave { topic: T },
        letter_to(peer(1)),
        RelayMessage::Announce { topic: T, envelope: envelope() },
        delivered(to),
        RelayMessage::Refused { reason: RefusedReason::Rate, retry_after_ms: 0 },
    ];
    for message in from_clients {
        let mut stage = stage();
        stage.know([peer(2)]);
        stage.relay_up(OTHER, peer(2));
        let closed = Output::Close { link: OTHER, reason: CloseReason::Unexpected };
        assert_eq!(stage.input(Input::Message { link: OTHER, message }), [closed]);
        assert_eq!(stage.relay.holdings().relays, 0);
    }
}

#[test]
fn an_announcement_goes_to_one_other() {
    let mut stage = stage();
    for link in [ALICE, BOB, CAROL] {
        stage.quiet(link, RelayMessage::Join { topic: T });
    }
    let mut met = BTreeSet::new();
    for _ in 0..40 {
        let announce = RelayMessage::Announce { topic: T, envelope: envelope() };
        let sent = stage.says(ALICE, announce);
        assert_eq!(sent.len(), 1);
        assert_eq!(sent[0].1, delivered(Destination::Topic(T)));
        met.insert(sent[0].0);
    }
    assert_eq!(met, [BOB, CAROL].into());
}

#[test]
fn who_has_not_joined_announces_nothing() {
    let mut stage = stage();
    stage.quiet(BOB, RelayMessage::Join { topic: T });
    let announce = RelayMessage::Announce { topic: T, envelope: envelope() };
    let refused = RelayMessage::Refused { reason: RefusedReason::Topics, retry_after_ms: 0 };
    assert_eq!(stage.says(ALICE, announce.clone()), [(ALICE, refused)]);
    stage.quiet(BOB, announce);
    assert_eq!(stage.relay.stats().dropped, 1, "there is nobody but himself");
}

#[test]
fn a_join_that_nobody_renews_is_forgotten() {
    let mut stage = stage();
    stage.quiet(ALICE, RelayMessage::Join { topic: T });
    stage.quiet(BOB, RelayMessage::Join { topic: T });
    stage.later(JOIN_MS - 1_000);
    stage.quiet(ALICE, RelayMessage::Join { topic: T });
    stage.later(1_000);
    let announce = RelayMessage::Announce { topic: T, envelope: envelope() };
    stage.quiet(ALICE, announce);
    assert_eq!(stage.relay.holdings().members, 1);
    stage.later(JOIN_MS);
    assert_eq!(stage.relay.holdings().topics, 0);
}

#[test]
fn a_home_is_told_how_many_there_are_and_says_how_many_are_elsewhere() {
    let mut stage = stage();
    // Of three masternodes two are homes; of one, both it and we are.
    stage.know([peer(1), peer(2)]);
    stage.relay_up(OTHER, peer(2));
    let members = |count| RelayMessage::Members { topic: T, count };
    assert_eq!(stage.says(ALICE, RelayMessage::Join { topic: T }), [(OTHER, members(1))]);
    stage.quiet(BOB, RelayMessage::Join { topic: T });
    let elsewhere = |count| RelayMessage::Elsewhere { topic: T, count };
    assert_eq!(stage.says(OTHER, members(u32::MAX)), [(OTHER, elsewhere(2))]);
    assert_eq!(stage.says(OTHER, members(2)), [(OTHER, elsewhere(2))], "not counting its own");
    assert_eq!(stage.relay.holdings().members, 3);
    assert_eq!(stage.says(OTHER, members(0)), [(OTHER, elsewhere(2))]);
    assert_eq!(stage.relay.holdings().members, 2);
    stage.quiet(BOB, RelayMessage::Leave { topic: T });
    assert_eq!(stage.says(ALICE, RelayMessage::Leave { topic: T }), [(OTHER, members(0))]);
    assert_eq!(stage.relay.holdings().topics, 0);
}

#[test]
fn announcements_go_to_members_of_other_relays_and_never_back() {
    let mut stage = stage();
    stage.know([peer(1), peer(2)]);
    stage.relay_up(OTHER, peer(2));
    stage.says(ALICE, RelayMessage::Join { topic: T });
    stage.says(OTHER, RelayMessage::Members { topic: T, count: MEMBERS_PER_REPORT_MAX });
    let to = Destination::Topic(T);
    let announce = RelayMessage::Announce { topic: T, envelope: envelope() };
    let last = RelayMessage::Forward { to, last: true, envelope: envelope() };
    assert_eq!(stage.says(ALICE, announce), [(OTHER, last.clone())]);
    let first = RelayMessage::Forward { to, last: false, envelope: envelope() };
    for forwarded in [first.clone(), last.clone()] {
        assert_eq!(stage.says(OTHER, forwarded), [(ALICE, delivered(to))]);
    }
    // Nobody of ours is left: what came from there doesn't go back there.
    stage.says(ALICE, RelayMessage::Leave { topic: T });
    for forwarded in [first, last] {
        stage.quiet(OTHER, forwarded);
    }
    stage.later(REPORT_MS);
    assert_eq!(stage.relay.holdings().topics, 0);
}

#[test]
fn limits_hold_and_are_told() {
    let mut config = RelayConfig::default();
    config.rendezvous_per_client_max = 2;
    config.rendezvous_max = 3;
    config.topics_per_client_max = 2;
    config.topics_max = 3;
    let mut stage = Stage::new(config);
    let refused = |reason| RelayMessage::Refused { reason, retry_after_ms: 0 };
    let at = |byte| attach(Rendezvous([byte; 32]), Attachment::Once);
    let join = |byte| RelayMessage::Join { topic: Topic([byte; 32]) };
    for byte in [1, 2] {
        stage.quiet(ALICE, at(byte));
        stage.quiet(ALICE, join(byte));
    }
    assert_eq!(stage.says(ALICE, at(3)), [(ALICE, refused(RefusedReason::Rendezvous))]);
    assert_eq!(stage.says(ALICE, join(3)), [(ALICE, refused(RefusedReason::Topics))]);
    stage.quiet(ALICE, at(2));
    stage.quiet(ALICE, join(2));
    stage.quiet(BOB, at(3));
    stage.quiet(BOB, join(3));
    assert_eq!(stage.says(BOB, at(4)), [(BOB, refused(RefusedReason::Full))]);
    assert_eq!(stage.says(BOB, join(4)), [(BOB, refused(RefusedReason::Full))]);
    stage.quiet(BOB, join(2));
}

#[test]
fn links_are_limited_in_all_and_by_prefix() {
    let mut config = RelayConfig::default();
    config.clients_max = 5;
    config.clients_per_prefix_max = 2;
    config.prefixes_max = 4;
    config.relays_max = 2;
    let mut stage = Stage::new(config);
    let closed = |link| [Output::Close { link, reason: CloseReason::TooManyLinks }];
    let mut up = |link, at| stage.input(Input::ClientUp { link: LinkId(link), prefix: prefix(at) });
    assert_eq!(up(11, 1), []);
    assert_eq!(up(12, 1), closed(LinkId(12)));
    assert_eq!(up(13, 4), []);
    assert_eq!(up(14, 2), closed(LinkId(14)));
    stage.input(Input::LinkDown { link: ALICE });
    // A prefix that has sent lately is remembered, so that coming again doesn't pay.
    assert_eq!(
        stage.input(Input::ClientUp { link: LinkId(15), prefix: prefix(5) }),
        closed(LinkId(15))
    );
    stage.know([peer(2), peer(3)]);
    assert_eq!(stage.relay_up(LinkId(21), peer(2)), []);
    assert_eq!(stage.relay_up(LinkId(22), peer(2)), []);
    assert_eq!(stage.relay_up(LinkId(23), peer(3)), closed(LinkId(23)));
    let again = stage.relay.handle(stage.now, Input::RelayUp { link: LinkId(21), peer: peer(2) });
    assert_eq!(again, Err(RelayError::LinkInUse { link: LinkId(21) }));
}

#[test]
fn counts_of_one_relay_are_limited() {
    let mut stage = stage();
    stage.know([peer(2), peer(3)]);
    stage.relay_up(OTHER, peer(2));
    stage.relay_up(LinkId(10), peer(3));
    let members = |n: usize| {
        let mut topic = [0; 32];
        topic[..8].copy_from_slice(&n.to_be_bytes());
        RelayMessage::Members { topic: Topic(topic), count: 1 }
    };
    for n in 0..REPORTS_PER_RELAY_MAX {
        assert_eq!(stage.says(OTHER, members(n)).len(), 1);
    }
    stage.quiet(OTHER, members(REPORTS_PER_RELAY_MAX));
    assert_eq!(stage.says(OTHER, members(0)).len(), 1, "what is known is renewed");
    assert_eq!(stage.says(LinkId(10), members(REPORTS_PER_RELAY_MAX)).len(), 1);
}

#[test]
fn what_waits_is_limited_in_bytes_and_in_dials() {
    let mut config = RelayConfig::default();
    config.dials_max = 2;
    config.waiting_bytes_max = 5 * FRAME_SMALL_BYTES;
    let mut stage = Stage::new(config);
    stage.know([peer(2), peer(3), peer(4)]);
    for to in [2, 3, 4, 2, 2, 3, 3, 3, 2] {
        stage.input(Input::Message { link: ALICE, message: letter_to(peer(to)) });
    }
    let RelayHoldings { waiting, waiting_bytes, .. } = stage.relay.holdings();
    assert_eq!((waiting, waiting_bytes), (5, 5 * FRAME_SMALL_BYTES));
    assert_eq!(stage.relay.stats().dropped, 4);
}

#[test]
fn a_shell_that_takes_nothing_gets_no_more_than_the_limit() {
    let mut config = RelayConfig::default();
    config.output_bytes_max = 4 * FRAME_SMALL_BYTES;
    let mut stage = Stage::new(config);
    stage.quiet(BOB, attach(R, Attachment::Session));
    for _ in 0..10 {
        let message = letter_to(peer(1));
        stage.relay.handle(stage.now, Input::Message { link: ALICE, message }).unwrap();
    }
    let RelayHoldings { outputs, output_bytes, .. } = stage.relay.holdings();
    assert_eq!((outputs, output_bytes), (4, 4 * FRAME_SMALL_BYTES));
    assert_eq!(stage.relay.stats().dropped, 6);
}

#[test]
fn links_that_are_of_no_use_are_closed() {
    let mut stage = stage();
    stage.quiet(ALICE, attach(R, Attachment::Session));
    let idle = |link| Output::Close { link, reason: CloseReason::Idle };
    assert_eq!(stage.later(CLIENT_IDLE_MS), [idle(BOB), idle(CAROL)]);
    assert_eq!(stage.later(ATTACHMENT_MS - CLIENT_IDLE_MS), [idle(ALICE)]);
    stage.know([peer(2)]);
    stage.relay_up(OTHER, peer(2));
    assert_eq!(stage.later(RELAY_IDLE_MS), [idle(OTHER)]);
    assert_eq!(stage.relay.holdings(), RelayHoldings::default());
    assert_eq!(stage.relay.next_timeout(), None);
}

#[test]
fn a_flood_from_one_prefix_does_not_hurt_an_honest_client() {
    let mut stage = stage();
    let config = RelayConfig::default();
    stage.quiet(BOB, attach(R, Attachment::Session));
    let mut flooders: Vec<LinkId> = Vec::new();
    let mut next_link = 100;
    let mut arrived = 0;
    let (seconds, hundredfold) = (20, 100 * config.prefix_rate.messages_per_s);
    for _ in 0..seconds {
        // Whoever is closed for it comes back at once.
        while flooders.len() < config.clients_per_prefix_max {
            next_link += 1;
            let link = LinkId(next_link);
            let outputs = stage.input(Input::ClientUp { link, prefix: prefix(66) });
            assert_eq!(outputs, []);
            flooders.push(link);
        }
        for n in 0..hundredfold {
            let link = flooders[usize::try_from(n).unwrap() % flooders.len()];
            for output in stage.input(Input::Message { link, message: letter_to(peer(1)) }) {
                match output {
                    Output::Close { link, reason: CloseReason::Flood } => {
                        flooders.retain(|flooder| *flooder != link);
                    }
                    Output::Send { link, .. } => assert_ne!(link, ALICE),
                    other => panic!("{other:?}"),
                }
                if flooders.is_empty() {
                    break;
                }
            }
            if flooders.is_empty() {
                break;
            }
        }
        stage.quiet(CAROL, attach(Rendezvous([9; 32]), Attachment::Once));
        let to = Address { relay: peer(1), rendezvous: Rendezvous([9; 32]) };
        let honest = RelayMessage::Send { to, envelope: envelope() };
        arrived += stage.says(ALICE, honest).iter().filter(|(link, _)| *link == CAROL).count();
        stage.later(1_000);
    }
    assert_eq!(arrived, seconds, "of the honest client's letters");
    let passed = stage.relay.stats().received - stage.relay.stats().refused.total();
    let allowed = config.prefix_rate.messages_burst + 20 * config.prefix_rate.messages_per_s;
    assert!(passed <= allowed + 2 * 20 + 1, "{passed} of the flood passed, {allowed} allowed");
    println!(
        "{} refused, {passed} passed, {arrived} of {seconds} arrived",
        stage.relay.stats().refused.total()
    );
}

#[test]
fn the_operator_sees_what_passed_and_which_limit_refused_the_rest() {
    let mut config = RelayConfig::default();
    config.rendezvous_per_client_max = 1;
    let mut stage = Stage::new(config);
    stage.know([peer(2)]);
    stage.relay_up(OTHER, peer(2));
    stage.quiet(BOB, attach(R, Attachment::Session));
    stage.quiet(BOB, attach(R, Attachment::Session));
    stage.says(BOB, attach(Rendezvous([9; 32]), Attachment::Session));
    stage.says(ALICE, letter_to(peer(1)));
    stage.says(ALICE, letter_to(peer(2)));
    stage.says(ALICE, letter_to(peer(3)));
    let to = Destination::Rendezvous(R);
    stage.says(OTHER, RelayMessage::Forward { to, last: true, envelope: envelope() });
    stage.says(ALICE, RelayMessage::Announce { topic: T, envelope: envelope() });
    let stats = stage.relay.stats();
    assert_eq!((stats.letters_in, stats.letters_out), (4, 2));
    assert_eq!((stats.handed_over, stats.taken_over), (1, 1));
    assert_eq!(stats.sessions, 1, "attached again is the same session");
    let refused: Vec<_> = stats.refused.by_rule().into_iter().filter(|(_, it)| *it > 0).collect();
    assert_eq!(refused, [("rendezvous", 1), ("topics", 1), ("unknown_relay", 1)]);
    assert_eq!(stats.refused.total(), 3);
}

#[test]
fn who_is_refused_is_told_once_a_second_and_closed_in_the_end() {
    let mut stage = stage();
    let burst = RelayConfig::default().prefix_rate.messages_burst;
    for _ in 0..burst {
        stage.quiet(ALICE, letter_to(peer(1)));
    }
    let sent = stage.says(ALICE, letter_to(peer(1)));
    let [(ALICE, RelayMessage::Refused { reason: RefusedReason::Rate, retry_after_ms })] = sent[..]
    else {
        panic!("{sent:?}");
    };
    assert!(retry_after_ms > 0);
    for _ in 1..REFUSALS_MAX {
        stage.quiet(ALICE, letter_to(peer(1)));
    }
    let closed = Output::Close { link: ALICE, reason: CloseReason::Flood };
    let message = letter_to(peer(1));
    assert_eq!(stage.input(Input::Message { link: ALICE, message }), [closed]);
}

/// Counts how many of them are still in memory.
struct Canary {
    bytes: Vec<u8>,
    alive: Arc<AtomicUsize>,
}

impl AsRef<[u8]> for Canary {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

#[test]
fn of_ten_thousand_messages_none_is_kept() {
    let mut stage = stage();
    stage.know([peer(1), peer(2), peer(3)]);
    stage.relay_up(OTHER, peer(2));
    let alive = Arc::new(AtomicUsize::new(0));
    let mut delivered = 0;
    for n in 0..10_000_u64 {
        if n % 512 == 0 {
            for link in [ALICE, BOB, CAROL] {
                stage.input(Input::Message { link, message: RelayMessage::Join { topic: T } });
            }
        }
        alive.fetch_add(1, Ordering::Relaxed);
        let canary = Canary { bytes: vec![0xca; ENVELOPE_SMALL_BYTES], alive: Arc::clone(&alive) };
        let envelope = Envelope::from_bytes(Bytes::from_owner(canary)).unwrap();
        let at = |relay| Address { relay, rendezvous: R };
        let message = match n % 4 {
            0 => RelayMessage::Send { to: at(peer(1)), envelope },
            1 => RelayMessage::Send { to: at(peer(2)), envelope },
            // This one is never reached: it waits, and is dropped.
            2 => RelayMessage::Send { to: at(peer(3)), envelope },
            _ => RelayMessage::Announce { topic: T, envelope },
        };
        if n % 16 == 0 {
            stage.quiet(BOB, attach(R, Attachment::Once));
        }
        delivered += stage.input(Input::Message { link: ALICE, message }).len();
        stage.later(50);
    }
    assert!(delivered > 5_000, "{delivered} of 10,000 went somewhere");
    stage.later(DIAL_TIMEOUT_MS);
    assert_eq!(alive.load(Ordering::Relaxed), 0, "canaries in memory, the relay alive");
    let RelayHoldings { waiting, waiting_bytes, outputs, output_bytes, .. } =
        stage.relay.holdings();
    assert_eq!([waiting, waiting_bytes, outputs, output_bytes], [0; 4]);
    assert!(!format!("{:?}", stage.relay).contains("202, 202"), "nor printed");
}
