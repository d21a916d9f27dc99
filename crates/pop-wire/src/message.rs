//! The messages of the exchange protocol, one struct a kind. Normative: `spec/exchange.md`.

mod audit;
mod available;
mod column;
mod hello;
mod holders;
mod lookup;
mod payment;
mod shard;

pub use audit::{Audit, AuditAnswer};
pub use available::Available;
pub use column::{ColumnReply, ColumnState, OpenColumn, PutShard, SealColumn};
pub use hello::{Credit, Hello};
pub use holders::{GetHolders, Holders};
pub use lookup::{GetHoldings, GetManifest, GetPeers, Holdings, ManifestReply, Peers};
pub use payment::Payment;
pub use shard::{Cancel, GetShard, Refusal, RefusalReason, Shard};

use bytes::{Bytes, BytesMut};
use prost::Message as _;

use crate::frame::put_prefix;
use crate::limits::FRAME_BYTES_MAX;
use crate::proto::exchange_message::Kind;
use crate::signed::check_length;
use crate::{RequestId, WireError, proto};

/// One message, either way.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message {
    /// First message of each side.
    Hello(Hello),
    /// More room for payload.
    Credit(Credit),
    /// Ask for a shard.
    GetShard(GetShard),
    /// A shard.
    Shard(Shard),
    /// No.
    Refusal(Refusal),
    /// A request is no longer wanted.
    Cancel(Cancel),
    /// Ask for a manifest.
    GetManifest(GetManifest),
    /// A manifest.
    ManifestReply(ManifestReply),
    /// Ask which columns a peer holds.
    GetHoldings(GetHoldings),
    /// The columns.
    Holdings(Holdings),
    /// Ask a peer to keep a column.
    OpenColumn(OpenColumn),
    /// A shard of that column.
    PutShard(PutShard),
    /// That was the whole column.
    SealColumn(SealColumn),
    /// How far the upload got.
    ColumnReply(ColumnReply),
    /// Ask for masternodes.
    GetPeers(GetPeers),
    /// Masternodes.
    Peers(Peers),
    /// Something about money, either way.
    Payment(Payment),
    /// Ask who holds a content.
    GetHolders(GetHolders),
    /// The holders.
    Holders(Holders),
    /// What a viewer can serve.
    Available(Available),
    /// Ask a holder for a proof.
    Audit(Audit),
    /// The proof.
    AuditAnswer(AuditAnswer),
}

impl Message {
    /// Read the body of one frame. The payload of a shard is a slice of `body`, not a copy.
    ///
    /// # Errors
    /// [`WireError`]: the sender's fault.
    pub fn decode(body: Bytes) -> Result<Self, WireError> {
        check_length("frame", body.len(), 0, FRAME_BYTES_MAX)?;
        Peers::check_count(&body)?;
        Holders::check_count(&body)?;
        let message = proto::ExchangeMessage::decode(body)
            .map_err(|_| WireError::Protobuf { message: "exchange message" })?;
        let kind = message.kind.ok_or(WireError::UnknownKind { message: "exchange message" })?;
        Ok(match kind {
            Kind::Hello(m) => Self::Hello(Hello::from_proto(m)?),
            Kind::Credit(m) => Self::Credit(Credit::from_proto(&m)?),
            Kind::GetShard(m) => Self::GetShard(GetShard::from_proto(&m)?),
            Kind::Shard(m) => Self::Shard(Shard::from_proto(m)?),
            Kind::Refusal(m) => Self::Refusal(Refusal::from_proto(&m)?),
            Kind::Cancel(m) => Self::Cancel(Cancel { id: RequestId(m.id) }),
            Kind::GetManifest(m) => Self::GetManifest(GetManifest::from_proto(&m)?),
            Kind::ManifestReply(m) => Self::ManifestReply(ManifestReply::from_proto(m)?),
            Kind::GetHoldings(m) => Self::GetHoldings(GetHoldings::from_proto(&m)?),
            Kind::Holdings(m) => Self::Holdings(Holdings::from_proto(&m)?),
            Kind::OpenColumn(m) => Self::OpenColumn(OpenColumn::from_proto(m)?),
            Kind::PutShard(m) => Self::PutShard(PutShard::from_proto(m)?),
            Kind::SealColumn(m) => Self::SealColumn(SealColumn { id: RequestId(m.id) }),
            Kind::ColumnReply(m) => Self::ColumnReply(ColumnReply::from_proto(&m)?),
            Kind::GetPeers(m) => Self::GetPeers(GetPeers { id: RequestId(m.id) }),
            Kind::Peers(m) => Self::Peers(Peers::from_proto(m)?),
            Kind::Payment(m) => Self::Payment(Payment::from_proto(m)?),
            Kind::GetHolders(m) => Self::GetHolders(GetHolders::from_proto(&m)?),
            Kind::Holders(m) => Self::Holders(Holders::from_proto(m)?),
            Kind::Available(m) => Self::Available(Available::from_proto(&m)?),
            Kind::Audit(m) => Self::Audit(Audit::from_proto(m)?),
            Kind::AuditAnswer(m) => Self::AuditAnswer(AuditAnswer::from_proto(m)?),
        })
    }

    /// The body of a frame.
    pub fn encode(&self) -> Bytes {
        self.to_proto().encode_to_vec().into()
    }

    /// Append the message as one frame. A payload is copied once, into `out`.
    ///
    /// # Errors
    /// [`WireError::FrameLength`] if the caller put more into the message than a frame takes.
    pub fn encode_frame(&self, out: &mut BytesMut) -> Result<(), WireError> {
        let message = self.to_proto();
        put_prefix(out, message.encoded_len())?;
        message.encode(out).map_err(|_| WireError::Protobuf { message: "exchange message" })
    }

    /// Bytes of shard payload in it: what counts against credit (`spec/exchange.md` §4).
    pub fn payload_bytes(&self) -> usize {
        match self {
            Self::Shard(shard) => shard.payload.len(),
            Self::PutShard(shard) => shard.payload.len(),
            _ => 0,
        }
    }

    fn to_proto(&self) -> proto::ExchangeMessage {
        let kind = match self {
            Self::Hello(m) => Kind::Hello(m.to_proto()),
            Self::Credit(m) => Kind::Credit(proto::Credit { bytes: m.bytes }),
            Self::GetShard(m) => Kind::GetShard(m.to_proto()),
            Self::Shard(m) => Kind::Shard(m.to_proto()),
            Self::Refusal(m) => Kind::Refusal(m.to_proto()),
            Self::Cancel(m) => Kind::Cancel(proto::Cancel { id: m.id.0 }),
            Self::GetManifest(m) => Kind::GetManifest(m.to_proto()),
            Self::ManifestReply(m) => Kind::ManifestReply(m.to_proto()),
            Self::GetHoldings(m) => Kind::GetHoldings(m.to_proto()),
            Self::Holdings(m) => Kind::Holdings(m.to_proto()),
            Self::OpenColumn(m) => Kind::OpenColumn(m.to_proto()),
            Self::PutShard(m) => Kind::PutShard(m.to_proto()),
            Self::SealColumn(m) => Kind::SealColumn(proto::SealColumn { id: m.id.0 }),
            Self::ColumnReply(m) => Kind::ColumnReply(m.to_proto()),
            Self::GetPeers(m) => Kind::GetPeers(proto::GetPeers { id: m.id.0 }),
            Self::Peers(m) => Kind::Peers(m.to_proto()),
            Self::Payment(m) => Kind::Payment(m.to_proto()),
            Self::GetHolders(m) => Kind::GetHolders(m.to_proto()),
            Self::Holders(m) => Kind::Holders(m.to_proto()),
            Self::Available(m) => Kind::Available(m.to_proto()),
            Self::Audit(m) => Kind::Audit(m.to_proto()),
            Self::AuditAnswer(m) => Kind::AuditAnswer(m.to_proto()),
        };
        proto::ExchangeMessage { kind: Some(kind) }
    }
}
