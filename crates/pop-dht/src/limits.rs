//! Every bound of this crate, in one place. Normative table: `spec/dht.md` §8.

use pop_wire::limits::ENVELOPE_BYTES_MAX;

/// Salted keys under which each subject is published: r (`spec/dht.md` §2). All nodes must agree.
pub const KEYS_PER_SUBJECT: usize = 3;

/// Nodes that a record is put on under each key, and closest nodes that a lookup asks
/// (`spec/dht.md` §5). Kademlia's k; all nodes must agree.
pub const REPLICATION: usize = 20;

/// Disjoint paths of an iterative query, and requests it keeps in flight (`spec/dht.md` §6).
pub const PARALLELISM: usize = 8;

/// Longest life of one Kademlia query, in seconds (`spec/dht.md` §6).
pub const QUERY_TIMEOUT_S: u64 = 30;

/// Bytes of one Kademlia packet (`spec/dht.md` §1): a full bundle of 60 KiB, and 20 closer peers
/// with 8 addresses of 167 bytes each.
pub const PACKET_BYTES_MAX: usize = 96 * 1024;

/// Entries of a put: a manifest and a provider record, or one masternode record
/// (`spec/dht.md` §4). Bounds the signatures that one packet makes us check.
pub const PUT_ENTRIES_MAX: usize = 2;

/// Bytes of a put's bundle (`spec/dht.md` §4).
pub const PUT_BYTES_MAX: usize = PUT_ENTRIES_MAX * (ENVELOPE_BYTES_MAX + 16);

/// Provider records kept under one key (`spec/dht.md` §4).
pub const PROVIDERS_PER_KEY_MAX: usize = 256;

/// Provider records under one key that came out of one network group (`spec/dht.md` §4).
pub const PROVIDERS_PER_KEY_AND_GROUP_MAX: usize = 64;

/// Foreign records in the whole store (`spec/dht.md` §4).
pub const RECORDS_MAX: usize = 65_536;

/// Bytes of all foreign records and manifests in the store (`spec/dht.md` §4).
pub const RECORD_BYTES_TOTAL_MAX: usize = 64 * 1024 * 1024;

/// Foreign records of one peer: 2,048 contents under three keys (`spec/dht.md` §4).
pub const RECORDS_PER_PEER_MAX: usize = 6_144;

/// Foreign records out of one network group: a quarter of the store (`spec/dht.md` §4).
pub const RECORDS_PER_GROUP_MAX: usize = 16_384;

/// Subjects that this node announces itself (`spec/dht.md` §4). Room of its own, apart from all
/// foreign records.
pub const OWN_SUBJECTS_MAX: usize = 65_536;

/// Peers of one network group in one bucket of the routing table (`spec/dht.md` §7), as in
/// go-ethereum's `p2p/discover` table.
pub const GROUP_PER_BUCKET_MAX: usize = 2;

/// Peers of one network group in the whole routing table (`spec/dht.md` §7), as in go-ethereum.
pub const GROUP_PER_TABLE_MAX: usize = 10;

/// Addresses kept for one peer of the routing table (`spec/dht.md` §7).
pub const ADDRESSES_PER_PEER_MAX: usize = 8;

/// Failed dials in a row after which a peer leaves the routing table (`spec/dht.md` §7).
pub const DIAL_FAILURES_MAX: u8 = 2;

/// Lookups that run at once; a further one is refused (`spec/dht.md` §6).
pub const LOOKUPS_MAX: usize = 256;

/// Different signed records that one lookup checks and remembers (`spec/dht.md` §6).
pub const LOOKUP_RECORDS_MAX: usize = 16_384;

/// Puts that run at once; further ones wait their turn (`spec/dht.md` §5).
pub const PUBLICATIONS_IN_FLIGHT_MAX: usize = 16;

/// Seconds between two publications of a record that reached [`REPLICATION`] nodes
/// (`spec/dht.md` §5).
pub const REPUBLISH_INTERVAL_S: u64 = 3_600;

/// Seconds until a publication that reached fewer nodes is tried again; doubles each time up to
/// [`REPUBLISH_INTERVAL_S`] (`spec/dht.md` §5).
pub const RETRY_INTERVAL_S: u64 = 5;
