use bytes::Bytes;
use prost::Message as _;

use crate::limits::{BUNDLE_BYTES_MAX, BUNDLE_ENTRIES_MAX};
use crate::repeated::{check_count, entries};
use crate::signed::check_length;
use crate::{Manifest, MasternodeRecord, ProviderRecord, Signed, WireError, proto};

/// Number of the field `entries` in `RecordBundle`.
const ENTRIES_TAG: u32 = 1;

/// One record of a bundle, its signature not yet checked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordEntry {
    /// A content's manifest.
    Manifest(Signed<Manifest>),
    /// A holder of columns.
    Provider(Signed<ProviderRecord>),
    /// A masternode.
    Masternode(Signed<MasternodeRecord>),
}

/// All that one DHT key holds, in one value (`spec/dht.md` §3).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordBundle {
    /// The records, in no particular order.
    pub entries: Vec<RecordEntry>,
}

impl RecordBundle {
    /// Read a bundle. Checks form and sizes; signatures are the caller's next step.
    ///
    /// # Errors
    /// [`WireError`]: the sender's fault.
    pub fn decode(bytes: Bytes) -> Result<Self, WireError> {
        check_length("bundle", bytes.len(), 0, BUNDLE_BYTES_MAX)?;
        check_count("bundle.entries", entries(&bytes, ENTRIES_TAG), BUNDLE_ENTRIES_MAX)?;
        let bundle = proto::RecordBundle::decode(bytes)
            .map_err(|_| WireError::Protobuf { message: "record bundle" })?;
        let entries = bundle.entries.into_iter().map(RecordEntry::from_proto);
        Ok(Self { entries: entries.collect::<Result<_, _>>()? })
    }

    /// The bundle's bytes.
    pub fn encode(&self) -> Bytes {
        let entries = self.entries.iter().map(RecordEntry::to_proto).collect();
        proto::RecordBundle { entries }.encode_to_vec().into()
    }
}

impl RecordEntry {
    fn from_proto(entry: proto::RecordEntry) -> Result<Self, WireError> {
        use proto::record_entry::Kind;
        match entry.kind.ok_or(WireError::UnknownKind { message: "record entry" })? {
            Kind::Manifest(bytes) => Signed::decode(bytes).map(Self::Manifest),
            Kind::Provider(bytes) => Signed::decode(bytes).map(Self::Provider),
            Kind::Masternode(bytes) => Signed::decode(bytes).map(Self::Masternode),
        }
    }

    fn to_proto(&self) -> proto::RecordEntry {
        use proto::record_entry::Kind;
        let kind = match self {
            Self::Manifest(signed) => Kind::Manifest(signed.encode()),
            Self::Provider(signed) => Kind::Provider(signed.encode()),
            Self::Masternode(signed) => Kind::Masternode(signed.encode()),
        };
        proto::RecordEntry { kind: Some(kind) }
    }
}
