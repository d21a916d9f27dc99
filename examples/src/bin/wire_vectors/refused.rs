//! Bytes that a receiver must refuse, each with the reason that this implementation gives.

use bytes::Bytes;
use pop_wire::{
    EquivocationEvidence, FrameSplitter, Keypair, Manifest, MasternodeRecord, Message, PeerId,
    ProviderRecord, RecordBundle, Signed, WireError, limits,
};
use serde_json::{Value, json};

use crate::protobuf::{Fields, envelope, put_varint};
use crate::records::{manifest, provider};

/// What decodes the bytes, why they must be refused, and the bytes.
type Case = (&'static str, &'static str, Vec<u8>);

pub(crate) fn refused(keypair: &Keypair) -> Value {
    let cases = [frames(), messages(), signatures(keypair), manifests(keypair), records(keypair)];
    cases.into_iter().flatten().map(describe).collect()
}

fn describe((what, why, bytes): Case) -> Value {
    let error = refuse(what, bytes.clone()).expect_err(why);
    let (reason, field) = reason(&error);
    json!({ "what": what, "why": why, "bytes": hex::encode(bytes), "reason": reason,
        "field": field })
}

/// Run the bytes through everything that checks them.
fn refuse(what: &str, bytes: Vec<u8>) -> Result<(), WireError> {
    let bytes = Bytes::from(bytes);
    match what {
        "frame" => {
            let mut splitter = FrameSplitter::new();
            splitter.push(&bytes);
            splitter.next_frame().map(drop)
        }
        "message" => Message::decode(bytes).map(drop),
        "manifest" => Signed::<Manifest>::decode(bytes)?.verify().map(drop),
        "provider" => Signed::<ProviderRecord>::decode(bytes)?.verify().map(drop),
        "masternode" => Signed::<MasternodeRecord>::decode(bytes)?.verify().map(drop),
        "bundle" => RecordBundle::decode(bytes).map(drop),
        "evidence" => EquivocationEvidence::decode(bytes).map(drop),
        "libp2p peer id" => PeerId::from_libp2p_bytes(&bytes).map(drop),
        other => panic!("nothing decodes a {other}"),
    }
}

fn reason(error: &WireError) -> (&'static str, Option<&'static str>) {
    match error {
        WireError::FrameLength { .. } => ("frame_length", None),
        WireError::Protobuf { .. } => ("protobuf", None),
        WireError::UnknownKind { .. } => ("unknown_kind", None),
        WireError::Length { field, .. } => ("length", Some(field)),
        WireError::Range { field, .. } => ("range", Some(field)),
        WireError::TooMany { field, .. } => ("too_many", Some(field)),
        WireError::Invalid { field, .. } => ("invalid", Some(field)),
        WireError::NotCanonical { .. } => ("not_canonical", None),
        WireError::Signature => ("signature", None),
        other => panic!("no name for {other}"),
    }
}

fn frames() -> Vec<Case> {
    let mut too_long = Vec::new();
    put_varint(&mut too_long, u64::try_from(limits::FRAME_BYTES_MAX + 1).unwrap_or(u64::MAX));
    vec![
        ("frame", "one byte over the limit, refused at its prefix", too_long),
        ("frame", "a length that is not minimal", vec![0x80, 0x00]),
        ("frame", "a length of more than ten bytes", vec![0xff; 11]),
    ]
}

fn messages() -> Vec<Case> {
    let new = Fields::new;
    let hash = [0; 32];
    let shard = || new().bytes(4, &[0; 64]);
    let get_shard = || new().bytes(2, &hash);
    let mut peers = new();
    for _ in 0..=limits::PEERS_MAX {
        peers = peers.bytes(2, &[]);
    }
    let mut holders = [new(), new()];
    for _ in 0..=limits::HOLDERS_MAX {
        let [providers, masternodes] = holders;
        holders = [providers.bytes(2, &[]), masternodes.bytes(3, &[])];
    }
    let [providers, masternodes] = holders;
    let available = |ranges: &[u8]| new().bytes(1, &hash).bytes(2, ranges).message(20);
    let unsigned = new().bytes(1, &[1]).bytes(2, &[1; 63]).0;
    vec![
        ("message", "no kind", Vec::new()),
        ("message", "only a kind that does not exist", new().message(23)),
        ("message", "cut off", vec![0x12, 0x04, 0x08, 0x80]),
        ("message", "version 0", new().number(2, 1).message(1)),
        ("message", "versions upside down", new().number(1, 2).number(2, 1).message(1)),
        ("message", "version over 65535", new().number(1, 1).number(2, 65_536).message(1)),
        ("message", "credit over the limit in a hello", {
            new().number(1, 1).number(2, 1).number(3, limits::CREDIT_BYTES_MAX + 1).message(1)
        }),
        ("message", "agent too long", {
            new().number(1, 1).number(2, 1).bytes(4, &[b'a'; 65]).message(1)
        }),
        ("message", "agent is not UTF-8", {
            new().number(1, 1).number(2, 1).bytes(4, &[0xff]).message(1)
        }),
        ("message", "credit of nothing", new().message(2)),
        ("message", "credit over the limit", {
            new().number(1, limits::CREDIT_BYTES_MAX + 1).message(2)
        }),
        ("message", "content of 31 bytes", new().bytes(2, &[0; 31]).message(3)),
        ("message", "segment 2^32", get_shard().number(3, limits::SEGMENTS_MAX).message(3)),
        ("message", "column 255", get_shard().number(4, 255).message(3)),
        ("message", "shard without payload", new().number(1, 1).message(4)),
        ("message", "segment path of 9 hashes", shard().bytes(2, &[0; 9 * 32]).message(4)),
        ("message", "content path of 33 hashes", shard().bytes(3, &[0; 33 * 32]).message(4)),
        ("message", "path of 33 bytes", shard().bytes(2, &[0; 33]).message(4)),
        ("message", "empty manifest", new().number(1, 1).message(8)),
        ("message", "signature of 63 bytes", new().bytes(2, &unsigned).message(8)),
        ("message", "column set with a zero at its end", new().bytes(2, &[1, 0]).message(10)),
        ("message", "column set of 33 bytes", new().bytes(2, &[1; 33]).message(10)),
        ("message", "column set with column 255", new().bytes(2, &[0xff; 32]).message(10)),
        ("message", "state 0", new().number(1, 1).message(14)),
        ("message", "state 3", new().number(2, 3).message(14)),
        ("message", "next segment over 2^32", {
            new().number(2, 1).number(3, limits::SEGMENTS_MAX + 1).message(14)
        }),
        ("message", "65 masternodes", peers.message(16)),
        ("message", "65 providers of a content", providers.message(19)),
        ("message", "65 masternodes that hold it", masternodes.message(19)),
        ("message", "content of 31 bytes in an announcement", {
            new().bytes(1, &[0; 31]).message(20)
        }),
        ("message", "a range of 7 bytes", available(&[0; 7])),
        ("message", "a range that ends before it begins", available(&[0, 0, 0, 2, 0, 0, 0, 1])),
        ("message", "ranges that touch", {
            available(&[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3])
        }),
        ("message", "ranges that descend", {
            available(&[0, 0, 0, 7, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 2])
        }),
        ("message", "513 ranges", {
            let range = |i: u16| [[0, 0].as_slice(), &(2 * i).to_be_bytes()].concat().repeat(2);
            available(&(0..=512).flat_map(range).collect::<Vec<u8>>())
        }),
        ("message", "payment of nothing", new().message(17)),
        ("message", "payment of 1025 bytes", {
            new().bytes(1, &[0; limits::PAYMENT_BODY_BYTES_MAX + 1]).message(17)
        }),
        ("message", "challenge of nothing", new().number(1, 1).message(21)),
        ("message", "challenge of 129 bytes", {
            new().bytes(2, &[0; limits::AUDIT_CHALLENGE_BYTES_MAX + 1]).message(21)
        }),
        ("message", "answer of nothing", new().number(1, 1).message(22)),
        ("message", "answer of 257 bytes", {
            new().bytes(2, &[0; limits::AUDIT_ANSWER_BYTES_MAX + 1]).message(22)
        }),
    ]
}

fn signatures(keypair: &Keypair) -> Vec<Case> {
    let body = manifest(keypair).signed().body().to_vec();
    let mut flipped = envelope(keypair, "manifest", &body);
    let position = flipped.len() - 100;
    flipped[position] ^= 1;
    let good = envelope(keypair, "manifest", &body);
    let mut high = good.clone();
    let s_at = high.len() - 32;
    negate(&mut high[s_at..]);
    let other = Keypair::from_secret_bytes(&[7; 32]).expect("a scalar");
    let unsigned = Fields::new().bytes(1, &body).bytes(2, &[0; 64]).0;
    let long = Fields::new().bytes(1, &[0; 2049]).bytes(2, &[1; 64]).0;
    vec![
        ("manifest", "one bit of the body flipped", flipped),
        ("manifest", "signature with s replaced by n - s", high),
        ("manifest", "signed by another key than the publisher's", {
            envelope(&other, "manifest", &body)
        }),
        ("manifest", "signed in the domain of another kind", envelope(keypair, "provider", &body)),
        ("manifest", "signature of zeros", unsigned),
        ("manifest", "no body", Fields::new().bytes(2, &[1; 64]).0),
        ("manifest", "body of 2049 bytes", long),
        ("manifest", "envelope of 2177 bytes", vec![0; limits::ENVELOPE_BYTES_MAX + 1]),
        ("manifest", "envelope cut off", good[..40].to_vec()),
        ("libp2p peer id", "an Ed25519 key", {
            hex::decode(
                "0024080112205866666666666666666666666666666666666666666666666666666666666666",
            )
            .expect("hex")
        }),
        ("libp2p peer id", "not a point of the curve", {
            [vec![0x00, 0x25, 0x08, 0x02, 0x12, 0x21, 0x02], vec![0xff; 32]].concat()
        }),
    ]
}

/// n - s for the order n of secp256k1, big endian.
fn negate(s: &mut [u8]) {
    let order = hex::decode("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141")
        .expect("hex");
    let mut borrow = 0;
    for (digit, most) in s.iter_mut().zip(order).rev() {
        let difference = i16::from(most) - i16::from(*digit) - borrow;
        borrow = i16::from(difference < 0);
        *digit = (difference & 255) as u8;
    }
}

/// Fields 1 to 9 of a manifest, one of them replaced.
struct Body<'a> {
    keypair: &'a Keypair,
    publisher: Vec<u8>,
    numbers: [u64; 5],
    root: Vec<u8>,
    price: Vec<u8>,
    media_type: String,
}

impl<'a> Body<'a> {
    fn new(keypair: &'a Keypair) -> Self {
        Self {
            keypair,
            publisher: keypair.peer_id().public_key().to_vec(),
            // version, length_bytes, shard_bytes, data_shards, total_shards
            numbers: [1, 2_000_000, 32_768, 19, 27],
            root: vec![0x11; 32],
            price: vec![0; 16],
            media_type: String::new(),
        }
    }

    fn number(mut self, index: usize, value: u64) -> Self {
        self.numbers[index] = value;
        self
    }

    fn fields(&self) -> Fields {
        let [version, length, shard, k, n] = self.numbers;
        let fields = Fields::new().number(1, version).bytes(2, &self.publisher).number(3, length);
        let fields = fields.number(4, shard).number(5, k).number(6, n).bytes(7, &self.root);
        let fields = fields.bytes(8, &[0x22; 32]).bytes(9, &[0x33; 32]).bytes(10, &self.price);
        if self.media_type.is_empty() {
            return fields;
        }
        fields.bytes(11, self.media_type.as_bytes())
    }

    fn signed(&self) -> Vec<u8> {
        envelope(self.keypair, "manifest", &self.fields().0)
    }
}

fn manifests(keypair: &Keypair) -> Vec<Case> {
    let body = || Body::new(keypair);
    let sign = |fields: Fields| envelope(keypair, "manifest", &fields.0);
    let mut off_curve = body();
    off_curve.publisher = [vec![2], vec![0xff; 32]].concat();
    let mut short_publisher = body();
    short_publisher.publisher.pop();
    let mut short_root = body();
    short_root.root.pop();
    let mut short_price = body();
    short_price.price.pop();
    let mut long_type = body();
    long_type.media_type = "a".repeat(65);
    let honest = body().fields().0;
    let swapped = Fields::new().raw(&honest[2..37]).raw(&honest[..2]).raw(&honest[37..]);
    let padded = Fields::new().raw(&[0x08, 0x81, 0x00]).raw(&honest[2..]);
    let too_many = (1 << 32) * (2 * 64 - 16) + 1;
    vec![
        ("manifest", "version 2", body().number(0, 2).signed()),
        ("manifest", "version 0, left out", sign(Fields::new().raw(&honest[2..]))),
        ("manifest", "length over 2^50", body().number(1, (1 << 50) + 1).signed()),
        ("manifest", "shards of no bytes", body().number(2, 0).signed()),
        ("manifest", "shards of 100 bytes", body().number(2, 100).signed()),
        ("manifest", "shards of 262208 bytes", body().number(2, 262_208).signed()),
        ("manifest", "k of 1", body().number(3, 1).signed()),
        ("manifest", "k over n", body().number(3, 28).signed()),
        ("manifest", "n of 256", body().number(4, 256).signed()),
        ("manifest", "more than 2^32 segments", {
            body().number(1, too_many).number(2, 64).number(3, 2).signed()
        }),
        ("manifest", "publisher off the curve", off_curve.signed()),
        ("manifest", "publisher of 32 bytes", short_publisher.signed()),
        ("manifest", "root of 31 bytes", short_root.signed()),
        ("manifest", "price of 15 bytes", short_price.signed()),
        ("manifest", "media type of 65 bytes", long_type.signed()),
        ("manifest", "a field that version 1 does not know", sign(body().fields().number(14, 1))),
        ("manifest", "key price of 15 bytes", sign(body().fields().bytes(13, &[1; 15]))),
        ("manifest", "a key price of zeros", sign(body().fields().bytes(13, &[0; 16]))),
        ("manifest", "a zero that is spelled out", sign(body().fields().number(12, 0))),
        ("manifest", "a field that comes twice", sign(body().fields().number(6, 27))),
        ("manifest", "fields out of order", sign(swapped)),
        ("manifest", "a number that is not minimal", sign(padded)),
    ]
}

fn records(keypair: &Keypair) -> Vec<Case> {
    let peer = keypair.peer_id();
    let times = |fields: Fields, from: u64, to: u64| fields.number(from, 1_000).number(to, 2_000);
    let provider_start =
        || Fields::new().number(1, 1).bytes(2, peer.public_key()).bytes(3, &[9; 32]);
    let sign_provider = |fields: Fields| envelope(keypair, "provider", &fields.0);
    let mut crowded = provider_start();
    for _ in 0..=limits::ADDRESSES_MAX {
        crowded = crowded.bytes(5, &[1]);
    }
    let masternode = |seal_key: usize, collateral: usize, operator: usize| {
        let mut fields = Fields::new().number(1, 1).bytes(2, peer.public_key());
        if seal_key > 0 {
            fields = fields.bytes(4, &vec![1; seal_key]);
        }
        if collateral > 0 {
            fields = fields.bytes(5, &vec![1; collateral]);
        }
        let fields = times(fields.bytes(6, &vec![1; operator]), 8, 9);
        envelope(keypair, "masternode", &fields.0)
    };
    let life = |expires_at: u64| provider_start().number(6, 1_000).number(7, expires_at);
    let good = provider(keypair).signed().encode();
    vec![
        ("provider", "nine addresses", sign_provider(times(crowded, 6, 7))),
        ("provider", "an address of no bytes", {
            sign_provider(times(provider_start().bytes(5, &[]), 6, 7))
        }),
        ("provider", "an address of 129 bytes", {
            sign_provider(times(provider_start().bytes(5, &[1; 129]), 6, 7))
        }),
        ("provider", "a column set with a zero at its end", {
            sign_provider(times(provider_start().bytes(4, &[1, 0]), 6, 7))
        }),
        ("provider", "expires as it is issued", sign_provider(life(1_000))),
        ("provider", "lives longer than 48 hours", sign_provider(life(1_000 + 172_801))),
        ("masternode", "a provider's record", good.to_vec()),
        ("masternode", "seal key of 31 bytes", masternode(31, 0, 20)),
        ("masternode", "collateral of 65 bytes", masternode(0, 65, 20)),
        ("masternode", "operator of 19 bytes", masternode(0, 0, 19)),
        ("bundle", "an entry without a kind", Fields::new().bytes(1, &[]).0),
        ("bundle", "257 entries", [0x0a, 0x00].repeat(257)),
        ("evidence", "no manifest", Fields::new().number(2, 1).0),
        ("evidence", "256 shards", [0x22, 0x00].repeat(256)),
    ]
}
