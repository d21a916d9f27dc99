//! Links as they are: bytes that come in any pieces, a handshake first, then frames.

use std::collections::VecDeque;

use bytes::{Buf as _, Bytes, BytesMut};
use pop_signal::handshake::ChannelBinding;
use pop_signal::limits::HANDSHAKE_FRAME_BYTES_MAX;
use pop_signal::{DtlsFingerprint, Handshake};
use pop_wire::limits::FRAME_BYTES_MAX;
use pop_wire::sorted::SortedMap;
use pop_wire::{FrameSplitter, Instant, Keypair, PeerId};

use super::limits::{
    DIAL_FRESH_MS, DIAL_PATIENCE_MS, DIAL_TIMEOUT_MS, DIALS_MAX, LEDGER_ANSWER_BYTES_MAX,
    MESSAGES_BURST, MESSAGES_PER_S,
};
use super::outbox::Outbox;
use super::{FilmId, Fingerprints, LinkId, RtcId};

/// Who is to be told what comes over a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Questions to a masternode.
    Ask,
    /// Shards for a film, from a masternode.
    Fetch(FilmId),
    /// Shards for a film, from another viewer.
    FetchFromViewer(FilmId, RtcId),
    /// Shards for another viewer.
    Serve(RtcId),
    /// A relay.
    Signal,
    /// A ledger.
    Ledger,
}

#[derive(Debug)]
enum Stage {
    /// Not up yet, since.
    Dialing(Instant),
    /// Up, and not begun: nobody could take what comes next.
    Held(ChannelBinding),
    Shaking(Box<Handshake>),
    Open,
}

#[derive(Debug)]
struct Wire {
    purpose: Purpose,
    expected: Option<PeerId>,
    peer: Option<PeerId>,
    /// The other end opened it.
    listens: bool,
    /// What ties it to its connection, where that is known beforehand.
    binding: Option<ChannelBinding>,
    stage: Stage,
    /// Messages that it may still bring, and when that was counted last.
    budget: (u64, Instant),
    splitter: FrameSplitter,
    /// What a ledger sent; its frames have another form.
    raw: BytesMut,
    /// Bytes of each message that was sent and not taken by the transport, if anybody counts.
    unflushed: VecDeque<usize>,
    /// Taken by the transport beyond whole messages.
    flushed_bytes: u64,
}

/// What came over a link.
#[derive(Debug)]
pub(super) enum Incoming {
    /// The other end proved who it is.
    Proven(PeerId),
    /// A frame of the link's protocol.
    Frame(Bytes),
    /// The other end broke a rule: the link is to be closed.
    Broken(String),
}

/// All links.
#[derive(Debug, Default)]
pub(super) struct Wires {
    wires: SortedMap<LinkId, Wire>,
    /// What the slowest dialled link took that came up, in milliseconds; of none if none did.
    slowest_ms: Option<u64>,
}

/// What makes a handshake.
pub(super) struct Shaking<'a> {
    pub(super) now: Instant,
    pub(super) keypair: &'a Keypair,
    pub(super) nonce: [u8; 32],
}

impl Wires {
    /// A link that is being opened.
    pub(super) fn insert(
        &mut self,
        link: LinkId,
        purpose: Purpose,
        expected: Option<PeerId>,
        now: Instant,
    ) {
        let wire = Wire {
            purpose,
            expected,
            peer: None,
            listens: matches!(purpose, Purpose::Serve(_)),
            binding: None,
            stage: Stage::Dialing(now),
            budget: (MESSAGES_BURST, now),
            splitter: FrameSplitter::new(),
            raw: BytesMut::new(),
            unflushed: VecDeque::new(),
            flushed_bytes: 0,
        };
        self.wires.insert(link, wire);
    }

    /// What ties a link to the connection that it is a channel of.
    pub(super) fn bind(&mut self, link: LinkId, binding: ChannelBinding) {
        if let Some(wire) = self.wires.get_mut(&link) {
            wire.binding = Some(binding);
        }
    }

    /// Links to masternodes that are not up yet: those that may be soon, and all.
    pub(super) fn dialing(&self, now: Instant) -> (usize, usize) {
        let dialing = self.wires.values().filter_map(Wire::dialed_at);
        dialing.fold((0, 0), |(fresh, all), at| {
            let is_fresh = now < at.after_ms(DIAL_FRESH_MS);
            (fresh + usize::from(is_fresh), all + 1)
        })
    }

    pub(super) fn purpose(&self, link: LinkId) -> Option<Purpose> {
        self.wires.get(&link).map(|wire| wire.purpose)
    }

    /// Who proved to be at the other end.
    pub(super) fn peer(&self, link: LinkId) -> Option<PeerId> {
        self.wires.get(&link).and_then(|wire| wire.peer)
    }

    pub(super) fn is_open(&self, link: LinkId) -> bool {
        self.wires.get(&link).is_some_and(|wire| matches!(wire.stage, Stage::Open))
    }

    /// The transport is there: the handshake may begin.
    pub(super) fn up(&mut self, link: LinkId, given: Option<Fingerprints>, now: Instant) {
        let Some(wire) = self.wires.get_mut(&link) else { return };
        if let Some(at) = wire.dialed_at() {
            self.slowest_ms = self.slowest_ms.max(Some(now.since_ms(at)));
        }
        if matches!(wire.stage, Stage::Dialing(_)) {
            let given = given.map_or_else(ChannelBinding::none, |it| {
                let fingerprints = [it.offerer, it.answerer].map(DtlsFingerprint);
                ChannelBinding::webrtc(fingerprints[0], fingerprints[1])
            });
            wire.stage = Stage::Held(wire.binding.take().unwrap_or(given));
        }
    }

    /// Begin the handshake of a link that is up, if it has not begun.
    pub(super) fn shake(&mut self, link: LinkId, with: Shaking<'_>, outbox: &mut Outbox) {
        let Some(wire) = self.wires.get_mut(&link) else { return };
        let Stage::Held(binding) = &wire.stage else { return };
        let binding = binding.clone();
        wire.splitter.limit_bodies(HANDSHAKE_FRAME_BYTES_MAX);
        let Shaking { now, keypair, nonce } = with;
        let handshake = if wire.listens {
            Handshake::new_listener(keypair, wire.expected, nonce, binding, now)
        } else {
            let (handshake, first) =
                Handshake::new_dialer(keypair, wire.expected, nonce, binding, now);
            outbox.frame(link, &first);
            handshake
        };
        wire.stage = Stage::Shaking(Box::new(handshake));
    }

    /// Take bytes; what they were is to be fetched with [`next`](Self::next).
    pub(super) fn feed(&mut self, link: LinkId, bytes: &[u8]) {
        let Some(wire) = self.wires.get_mut(&link) else { return };
        match (wire.purpose, &wire.stage) {
            (Purpose::Ledger, Stage::Open) => wire.raw.extend_from_slice(bytes),
            _ => wire.splitter.push(bytes),
        }
    }

    /// The next thing that came over a link.
    pub(super) fn next(
        &mut self,
        link: LinkId,
        now: Instant,
        outbox: &mut Outbox,
    ) -> Option<Incoming> {
        let wire = self.wires.get_mut(&link)?;
        loop {
            match &mut wire.stage {
                Stage::Dialing(_) => return None,
                // A listener's challenge waits until we begin; a listener says nothing first.
                Stage::Held(_) if wire.splitter.buffered_bytes() <= HANDSHAKE_FRAME_BYTES_MAX => {
                    return None;
                }
                Stage::Held(_) => return Some(Incoming::Broken("it spoke too early".to_owned())),
                Stage::Shaking(handshake) => {
                    let frame = match wire.splitter.next_frame() {
                        Ok(frame) => frame?,
                        Err(error) => return Some(Incoming::Broken(error.to_string())),
                    };
                    let step = match handshake.receive(now, &frame) {
                        Ok(step) => step,
                        Err(error) => return Some(Incoming::Broken(error.to_string())),
                    };
                    if let Some(frame) = step.send {
                        outbox.frame(link, &frame);
                    }
                    if let Some(proven) = step.done {
                        wire.stage = Stage::Open;
                        wire.peer = Some(proven.peer);
                        wire.splitter.limit_bodies(FRAME_BYTES_MAX);
                        return Some(Incoming::Proven(proven.peer));
                    }
                }
                Stage::Open if wire.purpose == Purpose::Ledger => return wire.ledger_frame(),
                Stage::Open => match wire.splitter.next_frame() {
                    Ok(Some(_)) if !wire.charge(now) => {
                        let rule = format!("more than {MESSAGES_PER_S} messages a second");
                        return Some(Incoming::Broken(rule));
                    }
                    Ok(frame) => return frame.map(Incoming::Frame),
                    Err(error) => return Some(Incoming::Broken(error.to_string())),
                },
            }
        }
    }

    /// A message of so many bytes was sent, and somebody wants to know when the transport takes it.
    pub(super) fn sent(&mut self, link: LinkId, bytes: usize) {
        if let Some(wire) = self.wires.get_mut(&link) {
            wire.unflushed.push_back(bytes);
        }
    }

    /// The transport took so many bytes more: how many whole messages that makes. What no
    /// counted message was, the handshake, goes first.
    pub(super) fn flushed(&mut self, link: LinkId, bytes: u64) -> usize {
        let Some(wire) = self.wires.get_mut(&link) else { return 0 };
        wire.flushed_bytes = wire.flushed_bytes.saturating_add(bytes);
        let mut messages = 0;
        while let Some(first) = wire.unflushed.front() {
            let first = u64::try_from(*first).unwrap_or(u64::MAX);
            let Some(rest) = wire.flushed_bytes.checked_sub(first) else { break };
            wire.flushed_bytes = rest;
            wire.unflushed.pop_front();
            messages += 1;
        }
        if wire.unflushed.is_empty() {
            wire.flushed_bytes = 0;
        }
        messages
    }

    /// Forget a link; its purpose, if there was one, and who proved to be there.
    pub(super) fn remove(&mut self, link: LinkId) -> Option<(Purpose, Option<PeerId>)> {
        self.wires.remove(&link).map(|wire| (wire.purpose, wire.peer))
    }

    /// Links that didn't come up, or didn't prove who is there, in time.
    pub(super) fn late(&self, now: Instant) -> Vec<LinkId> {
        let patience_ms = self.patience_ms();
        let is_late =
            |(_, wire): &(&LinkId, &Wire)| wire.deadline(patience_ms).is_some_and(|at| now >= at);
        self.wires.iter().filter(is_late).map(|(link, _)| *link).collect()
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let patience_ms = self.patience_ms();
        self.wires.values().filter_map(|wire| wire.deadline(patience_ms)).min()
    }

    /// How long a dialled link is waited for.
    fn patience_ms(&self) -> u64 {
        let dialing = self.wires.values().filter_map(Wire::dialed_at).count();
        let enough =
            self.slowest_ms.map(|ms| ms.saturating_mul(2).saturating_add(DIAL_PATIENCE_MS));
        // Where there is room nobody is given up for another.
        enough.filter(|_| dialing >= DIALS_MAX).unwrap_or(DIAL_TIMEOUT_MS).min(DIAL_TIMEOUT_MS)
    }
}

impl Wire {
    /// Count a message; `false` if it is one too many.
    fn charge(&mut self, now: Instant) -> bool {
        let (left, at) = self.budget;
        let back = now.since_ms(at).saturating_mul(MESSAGES_PER_S) / 1000;
        let at = if back > 0 { now } else { at };
        let left = left.saturating_add(back).min(MESSAGES_BURST);
        self.budget = (left.saturating_sub(1), at);
        left > 0
    }

    /// spec/incentive.md §12.12: the length in four bytes, then so many bytes.
    fn ledger_frame(&mut self) -> Option<Incoming> {
        let length = u32::from_be_bytes(*self.raw.first_chunk()?);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > LEDGER_ANSWER_BYTES_MAX {
            return Some(Incoming::Broken("its answer is too long".to_owned()));
        }
        if self.raw.len() - 4 < length {
            return None;
        }
        self.raw.advance(4);
        Some(Incoming::Frame(self.raw.split_to(length).freeze()))
    }

    /// When it was dialled, if it is not up yet. A channel of a viewer's connection isn't dialled.
    fn dialed_at(&self) -> Option<Instant> {
        match (&self.stage, self.purpose) {
            (_, Purpose::FetchFromViewer(..) | Purpose::Serve(_)) => None,
            (Stage::Dialing(at), _) => Some(*at),
            _ => None,
        }
    }

    /// When it is late; of one that is dialled after so long.
    fn deadline(&self, patience_ms: u64) -> Option<Instant> {
        match &self.stage {
            Stage::Dialing(since) if self.dialed_at().is_some() => {
                Some(since.after_ms(patience_ms))
            }
            Stage::Dialing(since) => Some(since.after_ms(DIAL_TIMEOUT_MS)),
            Stage::Shaking(handshake) => Some(handshake.deadline()),
            Stage::Held(_) | Stage::Open => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Output;
    use crate::engine::limits::LEDGER_ANSWER_BYTES_MAX;

    const LINK: LinkId = LinkId(1);

    struct Side {
        wires: Wires,
        outbox: Outbox,
        keypair: Keypair,
    }

    impl Side {
        fn new(secret: u8, purpose: Purpose) -> Self {
            let keypair = Keypair::from_secret_bytes(&[secret; 32]).unwrap();
            let (mut wires, outbox) = (Wires::default(), Outbox::default());
            wires.insert(LINK, purpose, None, Instant(0));
            Self { wires, outbox, keypair }
        }

        fn begin(&mut self) {
            self.wires.up(LINK, None, Instant(0));
            let nonce = *self.keypair.secret_bytes();
            let with = Shaking { now: Instant(0), keypair: &self.keypair, nonce };
            self.wires.shake(LINK, with, &mut self.outbox);
        }

        fn said(&mut self) -> Vec<Bytes> {
            let send = |output| match output {
                Output::Send { bytes, .. } => Some(bytes),
                _ => None,
            };
            core::iter::from_fn(|| self.outbox.pop()).filter_map(send).collect()
        }

        fn next(&mut self, now: u64) -> Option<Incoming> {
            self.wires.next(LINK, Instant(now), &mut self.outbox)
        }
    }

    /// A viewer that asks, and the one that it asks.
    fn linked() -> (Side, Side) {
        let mut asks = Side::new(1, Purpose::FetchFromViewer(FilmId(1), RtcId(1)));
        let mut serves = Side::new(2, Purpose::Serve(RtcId(1)));
        asks.begin();
        serves.begin();
        let proven = |incoming: &Option<Incoming>| matches!(incoming, Some(Incoming::Proven(_)));
        for bytes in asks.said() {
            serves.wires.feed(LINK, &bytes);
        }
        assert!(serves.next(0).is_none());
        for bytes in serves.said() {
            asks.wires.feed(LINK, &bytes);
        }
        assert!(proven(&asks.next(0)));
        for bytes in asks.said() {
            serves.wires.feed(LINK, &bytes);
        }
        assert!(proven(&serves.next(0)));
        assert_eq!(serves.wires.peer(LINK), Some(asks.keypair.peer_id()));
        (asks, serves)
    }

    #[test]
    fn ten_thousand_messages_a_second_are_too_many() {
        let (_, mut serves) = linked();
        let frames = |count| [1, 7].repeat(count);
        // A burst, then as many as come back with time.
        let burst = usize::try_from(MESSAGES_BURST).unwrap();
        serves.wires.feed(LINK, &frames(burst));
        (0..burst).for_each(|_| assert!(matches!(serves.next(5), Some(Incoming::Frame(_)))));
        serves.wires.feed(LINK, &frames(4_097));
        (0..4_096).for_each(|_| assert!(matches!(serves.next(1_005), Some(Incoming::Frame(_)))));
        assert!(matches!(serves.next(1_005), Some(Incoming::Broken(_))));
    }

    #[test]
    fn who_speaks_before_the_handshake_or_too_much_of_it_is_broken() {
        let mut waits = Side::new(1, Purpose::Ask);
        waits.wires.up(LINK, None, Instant(0));
        waits.wires.feed(LINK, &[0; HANDSHAKE_FRAME_BYTES_MAX]);
        assert!(waits.next(0).is_none());
        waits.wires.feed(LINK, &[0]);
        assert!(matches!(waits.next(0), Some(Incoming::Broken(_))));
        let mut listens = Side::new(1, Purpose::Serve(RtcId(1)));
        listens.begin();
        listens.wires.feed(LINK, &[0xff, 0x03]);
        assert!(matches!(listens.next(0), Some(Incoming::Broken(_))));
    }

    #[test]
    fn a_link_that_does_not_come_up_or_prove_itself_is_late() {
        let mut side = Side::new(1, Purpose::Ask);
        assert_eq!(side.wires.dialing(Instant(DIAL_FRESH_MS - 1)), (1, 1));
        assert_eq!(side.wires.dialing(Instant(DIAL_FRESH_MS)), (0, 1));
        assert_eq!(side.wires.late(Instant(DIAL_TIMEOUT_MS - 1)), []);
        assert_eq!(side.wires.late(Instant(DIAL_TIMEOUT_MS)), [LINK]);
        side.begin();
        assert_eq!(side.wires.dialing(Instant(0)), (0, 0));
        assert_eq!(side.wires.late(Instant(60_000)), [LINK]);
    }

    #[test]
    fn flushed_bytes_make_whole_messages() {
        let (_, mut serves) = linked();
        [10, 20, 30].into_iter().for_each(|bytes| serves.wires.sent(LINK, bytes));
        assert_eq!(serves.wires.flushed(LINK, 9), 0);
        assert_eq!(serves.wires.flushed(LINK, 22), 2);
        assert_eq!(serves.wires.flushed(LINK, 29), 1);
        assert_eq!(serves.wires.flushed(LINK, 1_000), 0);
    }

    #[test]
    fn an_answer_of_a_ledger_over_the_limit_is_refused_at_its_length() {
        let (_, mut side) = linked();
        side.wires.wires.get_mut(&LINK).unwrap().purpose = Purpose::Ledger;
        side.wires.feed(LINK, &[0, 0, 0, 2, 7]);
        assert!(side.next(0).is_none());
        side.wires.feed(LINK, &[8]);
        assert!(matches!(side.next(0), Some(Incoming::Frame(frame)) if frame[..] == [7, 8]));
        let over = u32::try_from(LEDGER_ANSWER_BYTES_MAX + 1).unwrap();
        side.wires.feed(LINK, &over.to_be_bytes());
        assert!(matches!(side.next(0), Some(Incoming::Broken(_))));
    }
}
