//! A masternode as a browser sees it: handshakes, a provider, a store in memory.

use std::collections::BTreeMap;
use std::rc::Rc;

use bytes::Bytes;
use pop_erasure::{ContentKey, EncodedSegment, Encoder, Geometry, Media, Publication};
use pop_exchange::provider::{
    Input, Output, Provider, ProviderConfig, StoreOperation, StoreResult,
};
use pop_exchange::{LinkId, ShardWithProof};
use pop_signal::handshake::ChannelBinding;
use pop_signal::{Handshake, limits::HANDSHAKE_FRAME_BYTES_MAX};
use pop_wire::message::RefusalReason;
use pop_wire::{
    ColumnIndex, ColumnSet, ContentId, FrameSplitter, Instant, Keypair, MasternodeRecord, Message,
    PeerId, ProviderRecord, Signed, UnixTime, Verified, limits::FRAME_BYTES_MAX,
};

pub const WALL: UnixTime = UnixTime(1_800_000_000);

/// A published content, all of it in memory.
pub struct Published {
    pub plaintext: Vec<u8>,
    pub key: [u8; 32],
    pub publication: Publication,
    pub segments: Vec<EncodedSegment>,
}

impl Published {
    pub fn new(seed: u8, bytes: usize, (k, n): (u16, u16), shard_bytes: u32) -> Rc<Self> {
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
        let mut media = Media::default();
        media.media_type = "video/mp4".to_owned();
        // A megabit a second.
        media.duration_ms = u64::try_from(bytes).unwrap() * 8 / 1000;
        let publication = encoder.finish(&publisher, media).unwrap();
        Rc::new(Self { plaintext, key, publication, segments })
    }

    pub fn id(&self) -> ContentId {
        self.publication.manifest().content_id()
    }

    pub fn link(&self) -> String {
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
}

pub struct Masternode {
    pub keypair: Keypair,
    pub address: String,
    pub held: BTreeMap<ContentId, (Rc<Published>, ColumnSet)>,
    /// What it answers when it is asked for holders.
    pub known: Vec<Signed<ProviderRecord>>,
    pub known_masternodes: Vec<Signed<MasternodeRecord>>,
    /// Sends shards with a bit flipped.
    pub lies: bool,
    provider: Provider,
    sessions: BTreeMap<u64, Session>,
}

/// What a masternode does: bytes for a link, or its end.
pub enum Act {
    Send(u64, Bytes),
    Close(u64),
}

impl Masternode {
    pub fn new(number: u8) -> Self {
        let secret = [number + 100; 32];
        Self {
            keypair: Keypair::from_secret_bytes(&secret).unwrap(),
            address: format!("/ip4/10.0.0.{number}/tcp/4782/ws"),
            held: BTreeMap::new(),
            known: Vec::new(),
            known_masternodes: Vec::new(),
            lies: false,
            provider: Provider::new(ProviderConfig::default()).unwrap(),
            sessions: BTreeMap::new(),
        }
    }

    pub fn peer(&self) -> PeerId {
        self.keypair.peer_id()
    }

    fn addresses(&self) -> Vec<Bytes> {
        let number = self.address.split('.').nth(3).unwrap().split('/').next().unwrap();
        let number: u8 = number.parse().unwrap();
        // The same as the text, in the binary form; and one that no browser can dial.
        let tcp = [4, 10, 0, 0, number, 6, 0x12, 0xae];
        vec![Bytes::copy_from_slice(&tcp), [&tcp[..], &[0xdd, 0x03]].concat().into()]
    }

    pub fn provider_record(&self, content: ContentId) -> Signed<ProviderRecord> {
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

    pub fn masternode_record(&self) -> Signed<MasternodeRecord> {
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

    pub fn accept(&mut self, now: Instant, link: u64, nonce: [u8; 32]) {
        let binding = ChannelBinding::none();
        let handshake = Handshake::new_listener(&self.keypair, None, nonce, binding, now);
        let mut splitter = FrameSplitter::new();
        splitter.limit_bodies(HANDSHAKE_FRAME_BYTES_MAX);
        self.sessions.insert(link, Session { handshake: Some(handshake), splitter });
    }

    pub fn bytes(&mut self, now: Instant, link: u64, bytes: &[u8]) -> Vec<Act> {
        let mut acts = Vec::new();
        let Some(session) = self.sessions.get_mut(&link) else { return acts };
        session.splitter.push(bytes);
        while let Some(frame) = session.splitter.next_frame().unwrap() {
            let Some(handshake) = &mut session.handshake else {
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
                let input = Input::LinkUp { link: LinkId(link), peer: proven.peer };
                self.provider.handle(now, input).unwrap();
            }
        }
        acts.extend(self.settle(now));
        acts
    }

    pub fn link_down(&mut self, now: Instant, link: u64) {
        self.sessions.remove(&link);
        self.provider.handle(now, Input::LinkDown { link: LinkId(link) }).unwrap();
    }

    pub fn tick(&mut self, now: Instant) -> Vec<Act> {
        self.provider.handle(now, Input::Tick).unwrap();
        self.settle(now)
    }

    pub fn next_timeout(&self) -> Option<Instant> {
        self.provider.next_timeout()
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
        acts
    }

    fn store(&self, operation: StoreOperation) -> Option<StoreResult> {
        let reason = RefusalReason::NotFound;
        let refused = StoreResult::Refused { reason, retry_after_ms: 0 };
        Some(match operation {
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
