//! Signed bodies and what carries them.

use bytes::Bytes;
use pop_wire::{
    Amount, ColumnIndex, ColumnSet, ContentId, Digest, EquivocationEvidence, EvidenceShard,
    Keypair, Manifest, MasternodeRecord, ProviderRecord, RecordBundle, RecordEntry, SegmentIndex,
    SignedBody, UnixTime, Verified,
};
use serde_json::{Value, json};

use crate::protobuf::signing_digest;

/// /ip4/192.0.2.1/tcp/4700 and /ip4/192.0.2.1/udp/4700/quic-v1, as multiaddr bytes.
const ADDRESSES: [&str; 2] = ["04c000020106125c", "04c00002019102125ccd03"];

const ISSUED_AT: UnixTime = UnixTime(1_800_000_000);

pub(crate) fn manifest(keypair: &Keypair) -> Verified<Manifest> {
    let digests = [Digest([0x11; 32]), Digest([0x22; 32]), Digest([0x33; 32])];
    let mut body = Manifest::new(keypair.peer_id(), 2_000_000, 32_768, (19, 27), digests);
    body.price = Amount::from_base_units(1_500_000_000_000_000_000);
    body.media_type = "video/mp4".to_owned();
    body.duration_ms = 40_000;
    Verified::sign(body, keypair).expect("in range")
}

/// The same content, whose key is sold.
fn sold(keypair: &Keypair) -> Verified<Manifest> {
    let mut body = manifest(keypair).into_value();
    body.key_price = Amount::from_base_units(12_500_000_000_000_000_000);
    Verified::sign(body, keypair).expect("in range")
}

pub(crate) fn provider(keypair: &Keypair) -> Verified<ProviderRecord> {
    let body = ProviderRecord {
        peer: keypair.peer_id(),
        content: manifest(keypair).content_id(),
        columns: columns(&[0, 9, 26]),
        addresses: addresses(),
        issued_at: ISSUED_AT,
        expires_at: ISSUED_AT.after_s(86_400),
    };
    Verified::sign(body, keypair).expect("in range")
}

pub(crate) fn masternode(keypair: &Keypair) -> Verified<MasternodeRecord> {
    let body = MasternodeRecord {
        peer: keypair.peer_id(),
        addresses: addresses(),
        seal_key: Some([0x55; 32]),
        collateral: Bytes::from_static(b"stake 1"),
        operator: keypair.peer_id().wallet_address(),
        capacity_bytes: 10 << 30,
        issued_at: ISSUED_AT,
        expires_at: ISSUED_AT.after_s(86_400),
    };
    Verified::sign(body, keypair).expect("in range")
}

pub(crate) fn columns(indices: &[u16]) -> ColumnSet {
    indices.iter().filter_map(|index| ColumnIndex::new(*index).ok()).collect()
}

fn addresses() -> Vec<Bytes> {
    ADDRESSES.iter().filter_map(|hex| hex::decode(hex).ok()).map(Bytes::from).collect()
}

/// Each kind of signed body with everything between its fields and its envelope.
pub(crate) fn signed(keypair: &Keypair) -> Value {
    let of_manifest = |manifest: Verified<Manifest>| {
        let mut vector = one(&manifest, manifest_fields(&manifest));
        vector["content_id"] = manifest.content_id().to_string().into();
        vector
    };
    let provider = provider(keypair);
    let masternode = masternode(keypair);
    json!([
        of_manifest(manifest(keypair)),
        one(&provider, provider_fields(&provider)),
        one(&masternode, masternode_fields(&masternode)),
        of_manifest(sold(keypair)),
    ])
}

fn one<T: SignedBody>(record: &Verified<T>, fields: Value) -> Value {
    let body = record.signed().body();
    let envelope = record.signed().encode();
    json!({
        "domain": T::DOMAIN,
        "fields": fields,
        "body": hex::encode(body),
        "digest": hex::encode(signing_digest(T::DOMAIN, body)),
        "signature": hex::encode(&envelope[envelope.len() - 64..]),
        "envelope": hex::encode(&envelope),
    })
}

fn manifest_fields(body: &Manifest) -> Value {
    let is_sold = body.key_price > Amount::ZERO;
    let key_price = is_sold.then(|| format!("{:032x}", body.key_price.base_units()));
    json!({
        "version": 1,
        "publisher": hex::encode(body.publisher.public_key()),
        "length_bytes": body.length_bytes,
        "shard_bytes": body.shard_bytes,
        "data_shards": body.data_shards,
        "total_shards": body.total_shards,
        "root": body.root.to_string(),
        "salt": body.salt.to_string(),
        "key_commitment": body.key_commitment.to_string(),
        "price": format!("{:032x}", body.price.base_units()),
        "media_type": body.media_type,
        "duration_ms": body.duration_ms,
        "key_price": key_price.unwrap_or_default(),
    })
}

fn provider_fields(body: &ProviderRecord) -> Value {
    json!({
        "version": 1,
        "peer": hex::encode(body.peer.public_key()),
        "content": hex::encode(body.content.0),
        "columns": column_list(&body.columns),
        "addresses": ADDRESSES,
        "issued_at_s": body.issued_at.0,
        "expires_at_s": body.expires_at.0,
    })
}

fn masternode_fields(body: &MasternodeRecord) -> Value {
    json!({
        "version": 1,
        "peer": hex::encode(body.peer.public_key()),
        "addresses": ADDRESSES,
        "seal_key": body.seal_key.map(hex::encode),
        "collateral": hex::encode(&body.collateral),
        "operator": hex::encode(body.operator.0),
        "capacity_bytes": body.capacity_bytes,
        "issued_at_s": body.issued_at.0,
        "expires_at_s": body.expires_at.0,
    })
}

pub(crate) fn column_list(columns: &ColumnSet) -> Vec<u16> {
    columns.iter().map(ColumnIndex::get).collect()
}

pub(crate) fn bundle(keypair: &Keypair) -> Value {
    let entries = vec![
        RecordEntry::Manifest(manifest(keypair).signed().clone()),
        RecordEntry::Provider(provider(keypair).signed().clone()),
    ];
    let bytes = RecordBundle { entries }.encode();
    json!({ "entries": ["manifest", "provider"], "bytes": hex::encode(bytes) })
}

pub(crate) fn evidence(keypair: &Keypair) -> Value {
    let shard = EvidenceShard {
        column: ColumnIndex::new(2).expect("below 255"),
        payload: Bytes::from_static(&[0xaa; 64]),
        segment_path: vec![Digest([0x66; 32]); 2],
    };
    let evidence = EquivocationEvidence {
        manifest: manifest(keypair).signed().clone(),
        segment: SegmentIndex(3),
        content_path: vec![Digest([0x77; 32])],
        shards: vec![shard],
    };
    json!({
        "fields": {
            "manifest": hex::encode(evidence.manifest.encode()),
            "segment": 3,
            "content_path": "77".repeat(32),
            "shards": [{ "column": 2, "shard": "aa".repeat(64), "segment_path": "66".repeat(64) }],
        },
        "bytes": hex::encode(evidence.encode()),
    })
}

pub(crate) fn content(keypair: &Keypair) -> ContentId {
    manifest(keypair).content_id()
}
