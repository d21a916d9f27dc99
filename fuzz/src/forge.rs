//! Messages that nobody sent, for the machines of the exchange.

use arbitrary::Arbitrary;
use bytes::Bytes;
use pop_wire::message::{
    Audit, AuditAnswer, Available, Cancel, ColumnReply, ColumnState, Credit, GetHolders,
    GetHoldings, GetManifest, GetPeers, GetShard, Hello, Holders, Holdings, ManifestReply,
    OpenColumn, Payment, PutShard, Refusal, RefusalReason, SealColumn, Shard,
};
use pop_wire::{
    ColumnIndex, ColumnSet, ContentId, MasternodeRecord, Message, ProtocolVersion, ProviderRecord,
    RequestId, SegmentIndex, SegmentRanges, Signed, UnixTime, Verified, VersionRange,
    WalletAddress,
};

use crate::keypair;
use crate::sample::{GEOMETRY, Sample};

/// A message that nobody sent, in the sender's own numbers.
#[derive(Debug, Arbitrary)]
#[expect(missing_docs, reason = "the fields are those of the messages")]
pub enum Forged {
    Hello { min: u16, max: u16, credit_bytes: u32 },
    Credit { bytes: u64 },
    GetShard { id: u8, other_content: bool, segment: u8, column: u8, deadline_ms: u32 },
    Shard { id: u8, segment: u8, column: u8, flip: Option<u8>, pad: u16 },
    Refusal { id: u8, reason: u8, retry_after_ms: u32 },
    Cancel { id: u8 },
    GetManifest { id: u8, other_content: bool },
    ManifestReply { id: u8 },
    GetHoldings { id: u8 },
    Holdings { id: u8, columns: u8 },
    OpenColumn { id: u8, column: u8 },
    PutShard { id: u8, segment: u8, column: u8, flip: Option<u8>, pad: u16 },
    SealColumn { id: u8 },
    ColumnReply { id: u8, stored: bool, next: u8 },
    GetPeers { id: u8 },
    Payment { length: u16, times: u16 },
    GetHolders { id: u8, other_content: bool },
    Holders { id: u8, providers: u8, masternodes: u8 },
    Available { other_content: bool, ranges: [(u8, u8); 2], times: u16 },
    Audit { id: u8, length: u8 },
    AuditAnswer { id: u8, length: u8 },
}

impl Forged {
    /// How often it comes.
    pub fn times(&self) -> u16 {
        match self {
            Self::Payment { times, .. } | Self::Available { times, .. } => times % 512 + 1,
            _ => 1,
        }
    }
}

/// A request's number.
pub fn id(number: u8) -> RequestId {
    RequestId(number.into())
}

/// One of the sample's segments, or one that it doesn't have.
pub fn segment(number: u8) -> SegmentIndex {
    SegmentIndex((number % 8).into())
}

/// One of the sample's columns, or one that it doesn't have.
pub fn column(number: u8) -> ColumnIndex {
    ColumnIndex::new((number % 8).into()).expect("below 255")
}

/// A column for each bit.
pub fn columns(bits: u8) -> ColumnSet {
    (0..8).filter(|bit| bits >> bit & 1 == 1).map(column).collect()
}

/// Why a request is refused.
pub fn reason(code: u8) -> RefusalReason {
    use RefusalReason::{Busy, Damaged, Full, Malformed, NotAccepted, NotFound, Other};
    [NotFound, Busy, Damaged, Full, Malformed, NotAccepted, Other(99)][usize::from(code % 7)]
}

/// The sample's content, or another one.
pub fn content(sample: &Sample, other: bool) -> ContentId {
    if other { ContentId([9; 32]) } else { sample.content.id() }
}

/// An honest shard, perhaps with a flipped byte or more bytes than it should have.
pub fn shard(
    sample: &Sample,
    at: (u8, u8),
    flip: Option<u8>,
    pad: u16,
) -> pop_exchange::ShardWithProof {
    let (segment, column) = (usize::from(at.0 % 4), u16::from(at.1) % GEOMETRY.1);
    let mut shard = sample.shard(segment, column).expect("inside the sample");
    let mut payload = shard.payload.to_vec();
    if let Some(flip) = flip {
        let position = usize::from(flip) % payload.len();
        payload[position] ^= 0x40;
    }
    payload.resize(payload.len() + usize::from(pad), 0);
    shard.payload = Bytes::from(payload);
    shard
}

/// Up to three of the ranges that two pairs of small numbers make.
pub fn ranges(ranges: [(u8, u8); 2]) -> SegmentRanges {
    SegmentRanges::covering(ranges.map(|(from, count)| {
        let from = u64::from(from % 5);
        from..from + u64::from(count % 5)
    }))
}

/// Records that are signed, for lookups.
pub fn holders(providers: u8, masternodes: u8) -> Records {
    let provider = ProviderRecord {
        peer: keypair().peer_id(),
        content: ContentId([9; 32]),
        columns: columns(3),
        addresses: Vec::new(),
        issued_at: UnixTime(1_000),
        expires_at: UnixTime(2_000),
    };
    let masternode = MasternodeRecord {
        peer: keypair().peer_id(),
        addresses: Vec::new(),
        seal_key: None,
        collateral: Bytes::new(),
        operator: WalletAddress([1; 20]),
        capacity_bytes: 1,
        issued_at: UnixTime(1_000),
        expires_at: UnixTime(2_000),
    };
    let provider = Verified::sign(provider, &keypair()).expect("in range").signed().clone();
    let masternode = Verified::sign(masternode, &keypair()).expect("in range").signed().clone();
    (vec![provider; usize::from(providers % 80)], vec![masternode; usize::from(masternodes % 80)])
}

/// What a lookup finds.
pub type Records = (Vec<Signed<ProviderRecord>>, Vec<Signed<MasternodeRecord>>);

/// The message.
pub fn forge(sample: &Sample, message: &Forged) -> Message {
    let manifest = || sample.content.manifest().signed().clone();
    match *message {
        Forged::Hello { min, max, credit_bytes } => {
            let versions = VersionRange::new(ProtocolVersion(min), ProtocolVersion(max));
            Message::Hello(Hello {
                versions: versions.unwrap_or(VersionRange::SUPPORTED),
                credit_bytes: credit_bytes.into(),
                agent: String::new(),
                masternode: None,
            })
        }
        Forged::Credit { bytes } => Message::Credit(Credit { bytes: bytes % (1 << 30) + 1 }),
        Forged::GetShard { id: number, other_content, segment: s, column: c, deadline_ms } => {
            Message::GetShard(GetShard {
                id: id(number),
                content: content(sample, other_content),
                segment: segment(s),
                column: column(c),
                deadline_ms,
            })
        }
        Forged::Shard { id: number, segment, column, flip, pad } => {
            let shard = shard(sample, (segment, column), flip, pad);
            let (segment_path, content_path) = (shard.segment_path, shard.content_path);
            Message::Shard(Shard {
                id: id(number),
                segment_path,
                content_path,
                payload: shard.payload,
            })
        }
        Forged::Refusal { id: number, reason: code, retry_after_ms } => {
            Message::Refusal(Refusal { id: id(number), reason: reason(code), retry_after_ms })
        }
        Forged::Cancel { id: number } => Message::Cancel(Cancel { id: id(number) }),
        Forged::GetManifest { id: number, other_content } => {
            let content = content(sample, other_content);
            Message::GetManifest(GetManifest { id: id(number), content })
        }
        Forged::ManifestReply { id: number } => {
            Message::ManifestReply(ManifestReply { id: id(number), manifest: manifest() })
        }
        Forged::GetHoldings { id: number } => {
            Message::GetHoldings(GetHoldings { id: id(number), content: sample.content.id() })
        }
        Forged::Holdings { id: number, columns: bits } => {
            Message::Holdings(Holdings { id: id(number), columns: columns(bits) })
        }
        Forged::OpenColumn { id: number, column: c } => {
            let (id, column) = (id(number), column(c));
            Message::OpenColumn(OpenColumn { id, manifest: manifest(), column })
        }
        Forged::PutShard { id: number, segment: s, column, flip, pad } => {
            let shard = shard(sample, (s, column), flip, pad);
            Message::PutShard(PutShard {
                id: id(number),
                segment: segment(s),
                segment_path: shard.segment_path,
                content_path: shard.content_path,
                payload: shard.payload,
            })
        }
        Forged::SealColumn { id: number } => Message::SealColumn(SealColumn { id: id(number) }),
        Forged::ColumnReply { id: number, stored, next } => {
            let state = if stored { ColumnState::Stored } else { ColumnState::Open };
            Message::ColumnReply(ColumnReply { id: id(number), state, next_segment: segment(next) })
        }
        Forged::GetPeers { id: number } => Message::GetPeers(GetPeers { id: id(number) }),
        Forged::Payment { length, .. } => {
            Message::Payment(Payment { body: vec![1; usize::from(length % 1_024) + 1].into() })
        }
        Forged::GetHolders { id: number, other_content } => {
            let content = content(sample, other_content);
            Message::GetHolders(GetHolders { id: id(number), content })
        }
        Forged::Holders { id: number, providers, masternodes } => {
            let (providers, masternodes) = holders(providers, masternodes);
            Message::Holders(Holders::fitting(id(number), providers, masternodes))
        }
        Forged::Available { other_content, ranges: pairs, .. } => {
            let (content, segments) = (content(sample, other_content), ranges(pairs));
            Message::Available(Available { content, segments })
        }
        Forged::Audit { id: number, length } => {
            let challenge = vec![1; usize::from(length % 128) + 1].into();
            Message::Audit(Audit { id: id(number), challenge })
        }
        Forged::AuditAnswer { id: number, length } => {
            let answer = vec![1; usize::from(length) + 1].into();
            Message::AuditAnswer(AuditAnswer { id: id(number), answer })
        }
    }
}
