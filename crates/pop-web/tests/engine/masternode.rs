//! A masternode as a browser sees it: handshakes, a provider, a store in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use bytes::Bytes;
use pop_erasure::{ContentKey, EncodedSegment, Encoder, Geometry, Media, Publication};
use pop_exchange::provider::{
    Input, Output, Provider, ProviderConfig, StoreOperation, StoreResult,
};
use pop_exchange::{LinkId, ShardWithProof};
use pop_incentive::ledger::protocol::{LedgerReply, LedgerRequest};
use pop_incentive::ledger::{Head, LedgerState};
use pop_signal::handshake::ChannelBinding;
use pop_signal::relay::{self, Relay, RelayConfig};
use pop_signal::{Handshake, RelayMessage, limits::HANDSHAKE_FRAME_BYTES_MAX};
use pop_web::engine::Protocol;
use pop_wire::message::RefusalReason;
use pop_wire::{
    ColumnIndex, ColumnSet, ContentId, FrameSplitter, Instant, Keypair, MasternodeRecord, Message,
    PeerId, ProviderRecord, Signed, UnixTime, Verified, limits::FRAME_BYTES_MAX,
};

pub(crate) const WALL: UnixTime = UnixTime(1_800_000_000);

/// A published content, all of it in memory.
pub(crate) struct Published {
    pub(crate) plaintext: Vec<u8>,
    pub(crate) key: [u8; 32],
    pub(crate) publication: Publication,
    pub(crate) segments: Vec<EncodedSegment>,
}

impl Published {
    pub(crate) fn new(seed: u8, bytes: usize, (k, n): (u16, u16), shard_bytes: u32) -> Rc<Self> {
        let plaintext: Vec<u8> = (0..bytes)
            .map(|at| u8::try_from((at * 31 + at / 251 + usize::from(seed)) % 256).unwrap())
            .collect();
        let key = [seed; 32];
        let geometry = Geometry::danger_without_promise(k, n).unwrap();
        let content_key = ContentKey::from_bytes(key);
        let mut encoder = Encoder::new(geometry, shard_bytes, content_key, [9; 32]).unwrap();
        let mut segments = Vec::new();
        let mut rest = &plaintext[..];
        while !rest.is_empty() {
            let taken = encoder.push(rest).unwrap();
            rest = &rest[taken..];
            while let Some(segment) = encoder.poll() {
                segments.push(segment);
            }
        }
        encoder.end();
        while let Some(segment) = encoder.poll() {
            segments.push(segment);
        }
        let publisher = Keypair::from_secret_bytes(&[77; 32]).unwrap();
        let media = Media {
            media_type: "video/mp4".to_owned(),
            // A megabit a second.
            duration_ms: u64::try_from(bytes).unwrap() * 8 / 1000,
            ..Media::default()
        };
        let publication = encoder.finish(&publisher, media).unwrap();
        Rc::new(Self { plaintext, key, publication, segments })
    }

    pub(crate) fn id(&self) -> ContentId {
        self.publication.manifest().content_id()
    }

    pub(crate) fn link(&self) -> String {
        let key = ContentKey::from_bytes(self.key);
        pop_erasure::ContentLink { content: self.id(), key: Some(key) }.to_string()
    }

    fn shard(&self, segment: pop_wire::SegmentIndex, column: ColumnIndex) -> ShardWithProof {
        let encoded = &self.segments[usize::try_from(segment.0).unwrap()];
        ShardWithProof {
            payload: encoded.shard(column).unwrap(),
            segment_path: encoded.segment_path(column).unwrap(),
            content_path: self.publication.content_path(segment).unwrap(),
        }
    }
}

/// One link from a browser.
struct Session {
    handshake: Option<Handshake>,
    splitter: FrameSplitter,
    protocol: Protocol,
    /// What came for the ledger.
    raw: Vec<u8>,
}

pub(crate) struct Masternode {
    pub(crate) keypair: Keypair,
    pub(crate) address: String,
    pub(crate) held: BTreeMap<ContentId, (Rc<Published>, ColumnSet)>,
    /// What it answers when it is asked for holders.
    pub(crate) known: Vec<Signed<ProviderRecord>>,
    pub(crate) known_masternodes: Vec<Signed<MasternodeRecord>>,
    /// Sends shards with a bit flipped.
    pub(crate) lies: bool,
    /// Takes requests and answers none.
    pub(crate) is_mute: bool,
    provider: Provider,
    relay: Relay,
    /// Kept here, if this node keeps it.
    pub(crate) ledger: Option<LedgerState>,
    sessions: BTreeMap<u64, Session>,
}

/// What a masternode does: bytes for a link, or its end.
pub(crate) enum Act {
    Send(u64, Bytes),
    Close(u64),
    /// Link to another relay.
    Dial(PeerId),
    /// A frame for another relay.
    Forward(u64, RelayMessage),
}

impl Masternode {
    pub(crate) fn new(number: u8) -> Self {
        let secret = [number + 100; 32];
        Self {
            keypair: Keypair::from_secret_bytes(&secret).unwrap(),
            address: format!("/ip4/10.0.0.{number}/tcp/4782/ws"),
            held: BTreeMap::new(),
            known: Vec::new(),
            known_masternodes: Vec::new(),
            lies: false,
            is_mute: false,
            provider: Provider::new(ProviderConfig::default()).unwrap(),
            relay: Relay::new(
                Keypair::from_secret_bytes(&secret).unwrap().peer_id(),
                RelayConfig::default(),
                [number; 32],
            ),
            ledger: None,
            sessions: BTreeMap::new(),
        }
    }

    pub(crate) fn peer(&self) -> PeerId {
        self.keypair.peer_id()
    }

    fn addresses(&self) -> Vec<Bytes> {
        let number = self.address.split('.').nth(3).unwrap().split('/').next().unwrap();
        let number: u8 = number.parse().unwrap();
        // The same as the text, in the binary form; and one that no browser can dial.
        let tcp = [4, 10, 0, 0, number, 6, 0x12, 0xae];
        vec![Bytes::copy_from_slice(&tcp), [&tcp[..], &[0xdd, 0x03]].concat().into()]
    }

    pub(crate) fn provider_record(&self, content: ContentId) -> Signed<ProviderRecord> {
        let record = ProviderRecord {
            peer: self.peer(),
            content,
            columns: self.held[&content].1,
            addresses: Vec::new(),
            issued_at: WALL,
            expires_at: WALL.after_s(3_600),
        };
        Verified::sign(record, &self.keypair).unwrap().signed().clone()
    }

    pub(crate) fn masternode_record(&self) -> Signed<MasternodeRecord> {
        let record = MasternodeRecord {
            peer: self.peer(),
            addresses: self.addresses(),
            seal_key: Some([1; 32]),
            collateral: Bytes::new(),
            operator: self.peer().wallet_address(),
            capacity_bytes: 0,
            issued_at: WALL,
            expires_at: WALL.after_s(3_600),
        };
        Verified::sign(record, &self.keypair).unwrap().signed().clone()
    }

    pub(crate) fn know(&mut self, now: Instant, masternodes: BTreeSet<PeerId>) {
        self.relay.handle(now, relay::Input::Known { masternodes }).unwrap();
    }

    /// A link to another relay is up, or failed.
    pub(crate) fn relay_up(&mut self, now: Instant, link: u64, peer: PeerId) -> Vec<Act> {
        let link = pop_signal::LinkId(link);
        self.relay.handle(now, relay::Input::RelayUp { link, peer }).unwrap();
        self.settle(now)
    }

    pub(crate) fn dial_failed(&mut self, now: Instant, peer: PeerId) {
        self.relay.handle(now, relay::Input::DialFailed { peer }).unwrap();
    }

    pub(crate) fn forwarded(&mut self, now: Instant, link: u64, message: RelayMessage) -> Vec<Act> {
        let link = pop_signal::LinkId(link);
        self.relay.handle(now, relay::Input::Message { link, message }).unwrap();
        self.settle(now)
    }

    pub(crate) fn accept(&mut self, now: Instant, link: u64, protocol: Protocol, nonce: [u8; 32]) {
        let binding = ChannelBinding::none();
        let handshake = Handshake::new_listener(&self.keypair, None, nonce, binding, now);
        let mut splitter = FrameSplitter::new();
        splitter.limit_bodies(HANDSHAKE_FRAME_BYTES_MAX);
        self.sessions.insert(
            link,
            Session { handshake: Some(handshake), splitter, protocol, raw: Vec::new() },
        );
    }

    pub(crate) fn bytes(&mut self, now: Instant, link: u64, bytes: &[u8]) -> Vec<Act> {
        let mut acts = Vec::new();
        let Some(session) = self.sessions.get_mut(&link) else { return acts };
        if session.protocol == Protocol::Ledger && session.handshake.is_none() {
            session.raw.extend_from_slice(bytes);
            return self.answer(link);
        }
        session.splitter.push(bytes);
        while let Some(frame) = session.splitter.next_frame().unwrap() {
            let Some(handshake) = &mut session.handshake else {
                if session.protocol == Protocol::Signal {
                    let message = RelayMessage::decode(frame).unwrap();
                    let link = pop_signal::LinkId(link);
                    self.relay.handle(now, relay::Input::Message { link, message }).unwrap();
                    continue;
                }
                let message = Message::decode(frame).unwrap();
                let input = Input::Message { link: LinkId(link), message };
                self.provider.handle(now, input).unwrap();
                continue;
            };
            let step = handshake.receive(now, &frame).unwrap();
            acts.extend(step.send.map(|frame| Act::Send(link, frame)));
            if let Some(proven) = step.done {
                session.handshake = None;
                session.splitter.limit_bodies(FRAME_BYTES_MAX);
                if session.protocol == Protocol::Ledger {
                    continue;
                }
                if session.protocol == Protocol::Signal {
                    let (link, prefix) = (pop_signal::LinkId(link), pop_signal::Prefix::Own);
                    self.relay.handle(now, relay::Input::ClientUp { link, prefix }).unwrap();
                    continue;
                }
                let input = Input::LinkUp { link: LinkId(link), peer: proven.peer };
                self.provider.handle(now, input).unwrap();
            }
        }
        acts.extend(self.settle(now));
        acts
    }

    pub(crate) fn link_down(&mut self, now: Instant, link: u64) {
        let session = self.sessions.remove(&link);
        let protocol = session.map(|session| session.protocol);
        if protocol == Some(Protocol::Ledger) {
            return;
        }
        if protocol == Some(Protocol::Signal) {
            let link = pop_signal::LinkId(link);
            return self.relay.handle(now, relay::Input::LinkDown { link }).unwrap();
        }
        self.provider.handle(now, Input::LinkDown { link: LinkId(link) }).unwrap();
    }

    pub(crate) fn tick(&mut self, now: Instant) -> Vec<Act> {
        self.provider.handle(now, Input::Tick).unwrap();
        self.relay.handle(now, relay::Input::Tick).unwrap();
        self.settle(now)
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.provider.next_timeout().into_iter().chain(self.relay.next_timeout()).min()
    }

    /// Answer what is asked of the ledger.
    fn answer(&mut self, link: u64) -> Vec<Act> {
        let mut acts = Vec::new();
        let Some(session) = self.sessions.get_mut(&link) else { return acts };
        let ledger = self.ledger.as_mut().expect("the node that keeps the ledger");
        while let Some((length, rest)) = session.raw.split_first_chunk() {
            let length = usize::try_from(u32::from_be_bytes(*length)).unwrap();
            let Some((request, rest)) = rest.split_at_checked(length) else { break };
            let (request, rest) = (LedgerRequest::decode(request).unwrap(), rest.to_vec());
            let reply = match request {
                LedgerRequest::Submit { operations } => LedgerReply::Submitted(
                    operations.iter().map(|operation| ledger.apply(WALL, operation)).collect(),
                ),
                other => {
                    let head = Head { count: ledger.sequence(), hash: [0; 32] };
                    ledger.answer(&other, head).unwrap()
                }
            };
            let reply = reply.encode();
            let mut frame = u32::try_from(reply.len()).unwrap().to_be_bytes().to_vec();
            frame.extend_from_slice(&reply);
            acts.push(Act::Send(link, frame.into()));
            session.raw = rest;
        }
        acts
    }

    fn settle(&mut self, now: Instant) -> Vec<Act> {
        let mut acts = Vec::new();
        while let Some(output) = self.provider.poll() {
            match output {
                Output::Send { link, message } => {
                    let mut frame = bytes::BytesMut::new();
                    message.encode_frame(&mut frame).unwrap();
                    acts.push(Act::Send(link.0, frame.freeze()));
                    self.provider.handle(now, Input::Flushed { link, messages: 1 }).unwrap();
                }
                Output::Close { link } => {
                    self.sessions.remove(&link.0);
                    acts.push(Act::Close(link.0));
                }
                Output::Store { token, operation } => {
                    if let Some(result) = self.store(operation) {
                        self.provider.handle(now, Input::Store { token, result }).unwrap();
                    }
                }
                _ => {}
            }
        }
        while let Some(output) = self.relay.poll() {
            acts.push(match output {
                relay::Output::Send { link, message } if self.sessions.contains_key(&link.0) => {
                    let mut frame = bytes::BytesMut::new();
                    message.encode_frame(&mut frame);
                    Act::Send(link.0, frame.freeze())
                }
                relay::Output::Send { link, message } => Act::Forward(link.0, message),
                relay::Output::Close { link, .. } => Act::Close(link.0),
                relay::Output::Dial { peer } => Act::Dial(peer),
                other => panic!("{other:?}"),
            });
        }
        acts
    }

    fn store(&self, operation: StoreOperation) -> Option<StoreResult> {
        let reason = RefusalReason::NotFound;
        let refused = StoreResult::Refused { reason, retry_after_ms: 0 };
        Some(match operation {
            StoreOperation::ReadShard { .. } if self.is_mute => return None,
            StoreOperation::ReadShard { content, segment, column } => {
                match self.held.get(&content) {
                    Some((published, columns)) if columns.contains(column) => {
                        let mut shard = published.shard(segment, column);
                        if self.lies {
                            let mut bytes = shard.payload.to_vec();
                            bytes[7] ^= 1;
                            shard.payload = bytes.into();
                        }
                        StoreResult::Shard(shard)
                    }
                    _ => refused,
                }
            }
            StoreOperation::ReadManifest { content } => match self.held.get(&content) {
                Some((published, _)) => {
                    StoreResult::Manifest(published.publication.manifest().signed().clone())
                }
                None => refused,
            },
            StoreOperation::ReadHoldings { content } => {
                let held = self.held.get(&content).map(|(_, columns)| *columns);
                StoreResult::Holdings(held.unwrap_or_default())
            }
            StoreOperation::FindHolders { content, .. } => {
                let known = self
                    .known
                    .iter()
                    .filter(|signed| (*signed).clone().verify().unwrap().content == content);
                StoreResult::Holders {
                    providers: known.cloned().collect(),
                    masternodes: self.known_masternodes.clone(),
                }
            }
            StoreOperation::LeaveColumn { .. } => return None,
            _ => refused,
        })
    }
}
