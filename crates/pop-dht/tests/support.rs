//! What the tests of this crate share: keys, signed records, origins.
#![allow(
    clippy::unwrap_used,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "each test uses its own part"
)]

use bytes::Bytes;
use pop_dht::record::ValidRecord;
use pop_dht::store::{Origin, Store, StoreConfig};
use pop_dht::{DiversityConfig, NetworkGroup, Subject};
use pop_wire::{
    ColumnIndex, ColumnSet, ContentId, Digest, Keypair, Manifest, MasternodeRecord, PeerId,
    ProviderRecord, RecordBundle, RecordEntry, UnixTime, Verified, WalletAddress,
};

/// A time to start at.
pub const NOW: UnixTime = UnixTime(1_800_000_000);

/// A life for records, in seconds.
pub const LIFE_S: u64 = 24 * 60 * 60;

pub fn keypair(number: u32) -> Keypair {
    let mut secret = [1; 32];
    secret[..4].copy_from_slice(&number.to_be_bytes());
    Keypair::from_secret_bytes(&secret).unwrap()
}

pub fn peer(number: u32) -> PeerId {
    keypair(number).peer_id()
}

pub fn content(number: u32) -> ContentId {
    ContentId(blake3::derive_key("test content", &number.to_be_bytes()))
}

pub fn columns(of: impl IntoIterator<Item = u16>) -> ColumnSet {
    of.into_iter().map(|column| ColumnIndex::new(column).unwrap()).collect()
}

/// A manifest by key `publisher`, another one for each `salt`.
pub fn manifest(publisher: u32, salt: u8) -> Verified<Manifest> {
    let keypair = keypair(publisher);
    let digests = [Digest([1; 32]), Digest([salt; 32]), Digest([3; 32])];
    Verified::sign(Manifest::new(keypair.peer_id(), 1000, 1024, (2, 4), digests), &keypair).unwrap()
}

/// "Key `number` provides `content`", from `issued_at` on.
pub fn provider(number: u32, content: ContentId, issued_at: UnixTime) -> Verified<ProviderRecord> {
    let keypair = keypair(number);
    let record = ProviderRecord {
        peer: keypair.peer_id(),
        content,
        columns: columns([3]),
        addresses: vec![Bytes::from_static(&[4, 127, 0, 0, 1, 6, 0x10, 0x10])],
        issued_at,
        expires_at: issued_at.after_s(LIFE_S),
    };
    Verified::sign(record, &keypair).unwrap()
}

pub fn masternode(number: u32, issued_at: UnixTime) -> Verified<MasternodeRecord> {
    let keypair = keypair(number);
    let record = MasternodeRecord {
        peer: keypair.peer_id(),
        addresses: Vec::new(),
        seal_key: None,
        collateral: Bytes::new(),
        operator: WalletAddress([7; 20]),
        capacity_bytes: 1 << 30,
        issued_at,
        expires_at: issued_at.after_s(LIFE_S),
    };
    Verified::sign(record, &keypair).unwrap()
}

pub fn entry(record: &ValidRecord) -> RecordEntry {
    match record {
        ValidRecord::Manifest(it) => RecordEntry::Manifest(it.signed().clone()),
        ValidRecord::Provider(it) => RecordEntry::Provider(it.signed().clone()),
        ValidRecord::Masternode(it) => RecordEntry::Masternode(it.signed().clone()),
        other => panic!("a kind of record these tests don't know: {other:?}"),
    }
}

/// What a put of these records carries.
pub fn bundle(records: &[ValidRecord]) -> Bytes {
    RecordBundle { entries: records.iter().map(entry).collect() }.encode()
}

/// A put of one provider record.
pub fn provider_bundle(number: u32, content: ContentId, issued_at: UnixTime) -> Bytes {
    bundle(&[ValidRecord::Provider(provider(number, content, issued_at))])
}

/// Key `number`, connected from the /24 number `network`.
pub fn origin(number: u32, network: u16) -> Origin {
    let [high, low] = network.to_be_bytes();
    Origin { peer: peer(number), group: NetworkGroup::V4([80, high, low]) }
}

pub fn store(config: StoreConfig) -> Store {
    Store::new(NOW, [9; 32], config, DiversityConfig::default())
}

/// Who provides `content`, according to one bundle under its first key.
pub fn providers_in(store: &Store, content: ContentId) -> Vec<PeerId> {
    let Some(bytes) = store.bundle(&Subject::Content(content).keys()[0]) else { return Vec::new() };
    let entries = RecordBundle::decode(bytes).unwrap().entries;
    let provider = |entry| match entry {
        RecordEntry::Provider(signed) => Some(signed.verify().unwrap().peer),
        _ => None,
    };
    entries.into_iter().filter_map(provider).collect()
}
