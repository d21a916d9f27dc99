use crate::limits::PEERS_MAX;
use crate::repeated::{check_count, entries};
use crate::{
    ColumnSet, ContentId, Manifest, MasternodeRecord, RequestId, Signed, WireError, proto,
};

/// Number of the field `peers` in `ExchangeMessage`.
const PEERS_TAG: u32 = 16;
/// Number of the field `masternodes` in `Peers`.
const MASTERNODES_TAG: u32 = 2;

/// Ask for a content's manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetManifest {
    /// Number of the request.
    pub id: RequestId,
    /// Of which content.
    pub content: ContentId,
}

impl GetManifest {
    pub(super) fn from_proto(get: &proto::GetManifest) -> Result<Self, WireError> {
        let content = ContentId::from_wire("get_manifest.content", &get.content)?;
        Ok(Self { id: RequestId(get.id), content })
    }

    pub(super) fn to_proto(self) -> proto::GetManifest {
        proto::GetManifest { id: self.id.0, content: self.content.to_wire() }
    }
}

/// A manifest. Its receiver verifies it and compares its content id with the one it asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestReply {
    /// Number of the request.
    pub id: RequestId,
    /// The manifest, not yet verified.
    pub manifest: Signed<Manifest>,
}

impl ManifestReply {
    pub(super) fn from_proto(reply: proto::ManifestReply) -> Result<Self, WireError> {
        Ok(Self { id: RequestId(reply.id), manifest: Signed::decode(reply.manifest)? })
    }

    pub(super) fn to_proto(&self) -> proto::ManifestReply {
        proto::ManifestReply { id: self.id.0, manifest: self.manifest.encode() }
    }
}

/// Ask which columns of a content a peer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetHoldings {
    /// Number of the request.
    pub id: RequestId,
    /// Of which content.
    pub content: ContentId,
}

impl GetHoldings {
    pub(super) fn from_proto(get: &proto::GetHoldings) -> Result<Self, WireError> {
        let content = ContentId::from_wire("get_holdings.content", &get.content)?;
        Ok(Self { id: RequestId(get.id), content })
    }

    pub(super) fn to_proto(self) -> proto::GetHoldings {
        proto::GetHoldings { id: self.id.0, content: self.content.to_wire() }
    }
}

/// The columns that the sender holds, whole and durable; none if it doesn't know the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holdings {
    /// Number of the request.
    pub id: RequestId,
    /// The columns.
    pub columns: ColumnSet,
}

impl Holdings {
    pub(super) fn from_proto(holdings: &proto::Holdings) -> Result<Self, WireError> {
        let columns = ColumnSet::from_wire("holdings.columns", &holdings.columns)?;
        Ok(Self { id: RequestId(holdings.id), columns })
    }

    pub(super) fn to_proto(self) -> proto::Holdings {
        proto::Holdings { id: self.id.0, columns: self.columns.to_wire() }
    }
}

/// Ask for masternodes: the second way to find peers, beside the DHT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetPeers {
    /// Number of the request.
    pub id: RequestId,
}

/// Masternodes that the sender knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peers {
    /// Number of the request.
    pub id: RequestId,
    /// Their own signed words, not yet verified.
    pub masternodes: Vec<Signed<MasternodeRecord>>,
}

impl Peers {
    /// Refuse too many entries in the body of a frame, whatever kind it is of.
    pub(super) fn check_count(frame: &[u8]) -> Result<(), WireError> {
        let masternodes = entries(frame, PEERS_TAG).flat_map(|it| entries(it, MASTERNODES_TAG));
        check_count("peers.masternodes", masternodes, PEERS_MAX)
    }

    pub(super) fn from_proto(peers: proto::Peers) -> Result<Self, WireError> {
        let masternodes = peers.masternodes.into_iter().map(Signed::decode);
        Ok(Self { id: RequestId(peers.id), masternodes: masternodes.collect::<Result<_, _>>()? })
    }

    pub(super) fn to_proto(&self) -> proto::Peers {
        let masternodes = self.masternodes.iter().map(Signed::encode).collect();
        proto::Peers { id: self.id.0, masternodes }
    }
}
