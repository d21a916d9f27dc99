use pop_wire::{ColumnIndex, PeerId, UnixTime, WireError};

use crate::limits::{LOOKUPS_MAX, OWN_SUBJECTS_MAX, PUT_BYTES_MAX, PUT_ENTRIES_MAX};

/// Why a record, or a bundle of them, is not believed. Always the sender's fault, but for
/// [`Expired`](Self::Expired), which an honest node with a slow clock can cause as well.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The key is no key of ours.
    #[error("key: expected 32 bytes, got {got}")]
    KeyLength {
        /// Bytes found.
        got: usize,
    },
    /// The bytes are not a bundle, or a signature is wrong.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The record is true, but about something that has other keys.
    #[error("the record does not belong under the key it was put under")]
    WrongKey,
    /// The record's life is over.
    #[error("record expired at {expires_at}, now is {now}")]
    Expired {
        /// End of its life.
        expires_at: UnixTime,
        /// Time at the receiver.
        now: UnixTime,
    },
    /// The record was signed further in the future than clocks may differ.
    #[error("record issued at {issued_at}, now is {now}")]
    NotYetValid {
        /// When its signer says it was signed.
        issued_at: UnixTime,
        /// Time at the receiver.
        now: UnixTime,
    },
}

/// Why the store did not take what was put. The variants say whose fault it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Sender's fault: a record that is not believed.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Sender's fault: more bytes than a put may have.
    #[error("put: expected at most {PUT_BYTES_MAX} bytes, got {got}")]
    PutBytes {
        /// Bytes found.
        got: usize,
    },
    /// Sender's fault: no entry, or more than a put may have.
    #[error("put: expected 1 to {PUT_ENTRIES_MAX} entries, got {got}")]
    PutEntries {
        /// Entries found.
        got: usize,
    },
    /// Sender's fault: a record of somebody else. Only its signer may put it, so that quotas
    /// can't be charged to others.
    #[error("put: expected a record signed by its sender, got one of {signer}")]
    NotItsSigner {
        /// Who signed it.
        signer: PeerId,
    },
    /// Sender's fault: a manifest alone, which nothing would ever make expire.
    #[error("put: expected a provider record with the manifest, got none")]
    ManifestAlone,
    /// Sender's fault, or a network that reorders: a newer record of the same peer is here.
    #[error("stale record: expected one issued after {newest}, got one of {got}")]
    Stale {
        /// Issue time of the one that is here.
        newest: UnixTime,
        /// Issue time of the one refused.
        got: UnixTime,
    },
    /// Resource limit: this peer has its share of the store.
    #[error("expected at most {max} records of one peer")]
    PeerFull {
        /// The limit.
        max: usize,
    },
    /// Resource limit: this network group has its share of the store.
    #[error("expected at most {max} records of one network group")]
    GroupFull {
        /// The limit.
        max: usize,
    },
    /// Resource limit: this network group has its share of this key.
    #[error("expected at most {max} records of one network group under one key")]
    KeyGroupFull {
        /// The limit.
        max: usize,
    },
    /// Resource limit: the key is full, and no group has more of it than the sender's.
    #[error("expected at most {max} records under one key")]
    KeyFull {
        /// The limit.
        max: usize,
    },
    /// Resource limit: the store is full, and no group has more of it than the sender's.
    #[error("the store is full: {records} records, {bytes} bytes")]
    StoreFull {
        /// Foreign records in the store.
        records: usize,
        /// Their bytes.
        bytes: usize,
    },
}

impl Refusal {
    /// Whether the sender broke a rule, as against us being short of room.
    pub fn is_peer_fault(&self) -> bool {
        match self {
            Self::Record(_)
            | Self::PutBytes { .. }
            | Self::PutEntries { .. }
            | Self::NotItsSigner { .. }
            | Self::ManifestAlone => true,
            Self::Stale { .. }
            | Self::PeerFull { .. }
            | Self::GroupFull { .. }
            | Self::KeyGroupFull { .. }
            | Self::KeyFull { .. }
            | Self::StoreFull { .. } => false,
        }
    }
}

/// Why a call on the behaviour did nothing. The caller's fault, or a resource limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Caller's fault: the record names another peer than this node.
    #[error("expected a record of this node, got one of {got}")]
    NotOurs {
        /// Peer that the record names.
        got: PeerId,
    },
    /// Caller's fault: manifest and provider record speak of different contents.
    #[error("the manifest is of another content than the provider record")]
    OtherContent,
    /// Caller's fault: the record is expired, or from the future.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Caller's fault: a record must be issued later than the one it replaces.
    #[error("expected a record issued after {newest}, got one of {got}")]
    Stale {
        /// Issue time of the one that stands.
        newest: UnixTime,
        /// Issue time of the one refused.
        got: UnixTime,
    },
    /// Resource limit: too many announcements of our own.
    #[error("expected at most {OWN_SUBJECTS_MAX} announced subjects")]
    TooManyAnnouncements,
    /// Resource limit: too many lookups at once.
    #[error("expected at most {LOOKUPS_MAX} lookups at once")]
    TooManyLookups,
    /// The routing table is empty: add a peer first.
    #[error("no peer is known")]
    NoPeers,
    /// The peer was not added to the routing table.
    #[error(transparent)]
    Routing(#[from] RoutingRefusal),
}

/// Why a peer did not get into the routing table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RoutingRefusal {
    /// The id is not that of a secp256k1 key: no peer of this network.
    #[error("peer id: expected one of a secp256k1 key")]
    PeerId,
    /// The address can't belong to that peer, or the peer is this node.
    #[error("the address does not lead to that peer")]
    Address,
    /// Its network group has its share of the bucket.
    #[error("expected at most {max} peers of one network group in a bucket")]
    BucketGroupFull {
        /// The limit.
        max: usize,
    },
    /// Its network group has its share of the table.
    #[error("expected at most {max} peers of one network group in the routing table")]
    TableGroupFull {
        /// The limit.
        max: usize,
    },
    /// The bucket is full of live peers.
    #[error("the bucket is full")]
    BucketFull,
    /// The peer has as many addresses as we keep.
    #[error("expected at most {max} addresses of one peer")]
    TooManyAddresses {
        /// The limit.
        max: usize,
    },
}

/// Why columns could not be placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlacementError {
    /// Caller's fault: with fewer than two data shards a single column is the whole content.
    #[error("data shards: expected at least 2, got {got}")]
    DataShards {
        /// The k asked for.
        got: u16,
    },
    /// Caller's fault: a candidate is listed twice.
    #[error("candidate {peer} is listed twice")]
    Duplicate {
        /// Who.
        peer: PeerId,
    },
    /// The nodes together can't take the columns without one of them getting k, or running out
    /// of space.
    #[error(
        "not enough nodes: expected room for {columns} columns, got room for {room} on {nodes} nodes"
    )]
    NotEnoughRoom {
        /// Columns to place.
        columns: usize,
        /// Columns that fit.
        room: usize,
        /// Nodes that may take at least one.
        nodes: usize,
    },
    /// Every node with room left already holds this column.
    #[error("{column}: every node with room holds it already")]
    HeldEverywhere {
        /// Which column.
        column: ColumnIndex,
    },
}
