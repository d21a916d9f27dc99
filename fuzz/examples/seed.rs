//! Writes seeds into `corpus/TARGET/`: every message and record once, and whatever the test
//! vectors of the specification hold.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use bytes::{Bytes, BytesMut};
use pop_fuzz::keypair;
use pop_fuzz::sample::Sample;
use pop_incentive::ledger::SignedOperation;
use pop_incentive::ledger::protocol::{LedgerReply, LedgerRequest};
use pop_incentive::quote::SignedQuote;
use pop_incentive::voucher::SignedVoucher;
use pop_incentive::wallet::{Keystore, Mnemonic, Passphrase, ScryptParameters};
use pop_wire::message::{
    Audit, AuditAnswer, Available, Cancel, ColumnReply, ColumnState, Credit, GetHolders,
    GetHoldings, GetManifest, GetPeers, GetShard, Hello, Holders, Holdings, ManifestReply,
    OpenColumn, Payment, Peers, PutShard, Refusal, RefusalReason, SealColumn, Shard,
};
use pop_wire::{
    ColumnIndex, ColumnSet, EquivocationEvidence, EvidenceShard, Manifest, MasternodeRecord,
    Message, ProviderRecord, RecordBundle, RecordEntry, RequestId, SegmentIndex, SegmentRanges,
    Signed, SignedBody, UnixTime, Verified, VersionRange, WalletAddress,
};
use serde_json::Value;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let sample = Sample::new();
    let messages = messages(&sample)?;
    let mut wire: Vec<(u8, Bytes)> = messages.iter().map(|message| (0, message.encode())).collect();
    wire.extend(records(&sample)?);
    wire.extend(vectors()?);

    for (index, (selector, bytes)) in wire.iter().enumerate() {
        write("wire_decode", index, &[&[*selector], &bytes[..]].concat())?;
    }
    let mut stream = BytesMut::new();
    for (index, message) in messages.iter().enumerate() {
        message.encode_frame(&mut stream)?;
        // The first byte says that no cuts follow: the stream comes in pieces of 256 bytes.
        write("frame_split", index, &[&[0], &stream[..]].concat())?;
    }
    let keystores = keystores()?;
    for (index, text) in keystores.iter().enumerate() {
        write("keystore", index, text.as_bytes())?;
    }
    for (target, seeds) in money()? {
        for (index, bytes) in seeds.iter().enumerate() {
            write(target, index, bytes)?;
        }
        println!("{} seeds for {target}", seeds.len());
    }
    let ledger = ledger_protocol()?;
    for (index, bytes) in ledger.iter().enumerate() {
        write("ledger_protocol", index, bytes)?;
    }
    println!("{} seeds for ledger_protocol", ledger.len());
    println!("{} seeds for keystore", keystores.len());
    println!("{} seeds for wire_decode, {} for frame_split", wire.len(), messages.len());
    Ok(())
}

fn write(target: &str, index: usize, bytes: &[u8]) -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(format!("seed-{index:03}")), bytes)
}

/// A keystore of each kind, and a mnemonic.
fn keystores() -> Result<Vec<String>, Failure> {
    let (passphrase, parameters) = (Passphrase::default(), ScryptParameters::new(2, 8, 1)?);
    let scrypt = Keystore::encrypt(&keypair(), &passphrase, parameters, &[7; 64]).to_json();
    let pbkdf2 = scrypt
        .replace("scrypt", "pbkdf2")
        .replace(r#""n":2,"p":1,"r":8"#, r#""c":2,"prf":"hmac-sha256""#);
    Keystore::from_json(pbkdf2.as_bytes())?;
    let words: Vec<&str> = Mnemonic::of_12_words(&[7; 16]).words().collect();
    Ok(vec![scrypt, pbkdf2, words.join(" ")])
}

/// One message of each kind.
fn messages(sample: &Sample) -> Result<Vec<Message>, Failure> {
    let (id, segment) = (RequestId(1), SegmentIndex(0));
    let content = sample.content.id();
    let manifest = sample.content.manifest().signed();
    let column = ColumnIndex::new(1)?;
    let shard = sample.shard(0, 1).ok_or("the sample has a segment and two columns")?;
    let masternode = masternode()?;
    let hello = |masternode| Hello {
        versions: VersionRange::SUPPORTED,
        credit_bytes: 1 << 20,
        agent: "seed".to_owned(),
        masternode,
    };
    let state = ColumnState::Stored;
    Ok(vec![
        Message::Hello(hello(None)),
        Message::Hello(hello(Some(masternode.clone()))),
        Message::Credit(Credit { bytes: 65_536 }),
        Message::GetShard(GetShard { id, content, segment, column, deadline_ms: 2_000 }),
        Message::Shard(Shard {
            id,
            segment_path: shard.segment_path.clone(),
            content_path: shard.content_path.clone(),
            payload: shard.payload.clone(),
        }),
        Message::Refusal(Refusal { id, reason: RefusalReason::Busy, retry_after_ms: 500 }),
        Message::Cancel(Cancel { id }),
        Message::GetManifest(GetManifest { id, content }),
        Message::ManifestReply(ManifestReply { id, manifest: manifest.clone() }),
        Message::GetHoldings(GetHoldings { id, content }),
        Message::Holdings(Holdings { id, columns: ColumnSet::all(5) }),
        Message::OpenColumn(OpenColumn { id, manifest: manifest.clone(), column }),
        Message::PutShard(PutShard {
            id,
            segment,
            segment_path: shard.segment_path,
            content_path: shard.content_path,
            payload: shard.payload,
        }),
        Message::SealColumn(SealColumn { id }),
        Message::ColumnReply(ColumnReply { id, state, next_segment: SegmentIndex(4) }),
        Message::GetPeers(GetPeers { id }),
        Message::Peers(Peers { id, masternodes: vec![masternode.clone()] }),
        Message::GetHolders(GetHolders { id, content }),
        Message::Holders(Holders { id, providers: Vec::new(), masternodes: vec![masternode] }),
        Message::Available(Available { content, segments: SegmentRanges::covering([0..2, 3..4]) }),
        Message::Payment(Payment { body: Bytes::from_static(b"a voucher") }),
        Message::Audit(Audit { id, challenge: Bytes::from_static(b"a challenge") }),
        Message::AuditAnswer(AuditAnswer { id, answer: Bytes::from_static(b"an answer") }),
    ])
}

fn masternode() -> Result<Signed<MasternodeRecord>, Failure> {
    let record = MasternodeRecord {
        peer: keypair().peer_id(),
        addresses: vec![Bytes::from_static(&[4, 127, 0, 0, 1, 6, 0x1f, 0x90])],
        seal_key: Some([3; 32]),
        collateral: Bytes::from_static(b"reference"),
        operator: WalletAddress([1; 20]),
        capacity_bytes: 1 << 40,
        issued_at: UnixTime(1_800_000_000),
        expires_at: UnixTime(1_800_003_600),
    };
    Ok(Verified::sign(record, &keypair())?.signed().clone())
}

/// Every signed record, alone, bare and in a bundle, and evidence; each with its decoder's number.
fn records(sample: &Sample) -> Result<Vec<(u8, Bytes)>, Failure> {
    let manifest = sample.content.manifest().signed().clone();
    let masternode = masternode()?;
    let provider = ProviderRecord {
        peer: keypair().peer_id(),
        content: sample.content.id(),
        columns: ColumnSet::all(5),
        addresses: vec![Bytes::from_static(&[4, 127, 0, 0, 1, 6, 0x1f, 0x90])],
        issued_at: UnixTime(1_800_000_000),
        expires_at: UnixTime(1_800_003_600),
    };
    let provider = Verified::sign(provider, &keypair())?.signed().clone();
    let mut shards = Vec::new();
    for column in ColumnIndex::first(4) {
        let shard = sample.shard(0, column.get()).ok_or("the sample has five columns")?;
        let (payload, segment_path) = (shard.payload, shard.segment_path);
        shards.push(EvidenceShard { column, payload, segment_path });
    }
    let content_path = sample.shard(0, 0).ok_or("the sample has a shard")?.content_path;
    let evidence = EquivocationEvidence {
        manifest: manifest.clone(),
        segment: SegmentIndex(0),
        content_path,
        shards,
    };
    let bundle = RecordBundle {
        entries: vec![
            RecordEntry::Manifest(manifest.clone()),
            RecordEntry::Provider(provider.clone()),
            RecordEntry::Masternode(masternode.clone()),
        ],
    };
    Ok(vec![
        (1, bundle.encode()),
        (2, manifest.encode()),
        (3, provider.encode()),
        (4, masternode.encode()),
        (5, manifest.body().clone()),
        (6, provider.body().clone()),
        (7, masternode.body().clone()),
        (8, evidence.encode()),
    ])
}

/// The vectors that hold messages and records.
const VECTORS_OF_THE_WIRE: [&str; 2] = ["content.json", "wire.json"];

/// Every string of these vectors that is a message or a record in hex.
fn vectors() -> Result<Vec<(u8, Bytes)>, Failure> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/vectors");
    let mut found = BTreeSet::new();
    for name in VECTORS_OF_THE_WIRE {
        let path = folder.join(name);
        let mut strings = Vec::new();
        let text = fs::read_to_string(&path)?;
        let value =
            serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        collect_strings(&value, &mut strings);
        let before = found.len();
        for bytes in strings.iter().filter_map(|text| from_hex(text)).filter(|it| !it.is_empty()) {
            found.extend((0..9).filter(|it| decodes(*it, &bytes)).map(|it| (it, bytes.clone())));
        }
        if found.len() == before {
            return Err(format!("{}: holds nothing that decodes", path.display()).into());
        }
    }
    Ok(found.into_iter().collect())
}

/// The vectors of money, each with the byte that its target tells kinds by. Those that are refused
/// are there too: they are nearly right.
fn money() -> Result<[(&'static str, Vec<Vec<u8>>); 2], Failure> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/vectors/incentive.json");
    let vectors: Value = serde_json::from_str(&fs::read_to_string(path)?)?;
    let encoded = |kind: u8, list: &Value| -> Result<Vec<Vec<u8>>, Failure> {
        let list = list.as_array().ok_or("incentive.json: expected a list")?;
        let seed = |vector: &Value| {
            let bytes = vector["encoded"].as_str().and_then(from_hex);
            Ok([&[kind], &bytes.ok_or("incentive.json: expected bytes in hex")?[..]].concat())
        };
        list.iter().map(seed).collect()
    };
    let quotes = encoded(0, &vectors["quotes"])?;
    let vouchers = encoded(1, &vectors["vouchers"])?;
    let operations = encoded(0, &vectors["ledger"]["operations"])?;
    let reads = quotes.iter().all(|it| SignedQuote::decode(&it[1..]).is_ok())
        && vouchers.iter().all(|it| SignedVoucher::decode(&it[1..]).is_ok())
        && operations.iter().all(|it| SignedOperation::decode(&it[1..]).is_ok());
    if !reads || [&quotes, &vouchers, &operations].iter().any(|it| it.is_empty()) {
        return Err("incentive.json: does not decode".into());
    }
    let refused = [
        encoded(0, &vectors["refused_quotes"]["refused"])?,
        encoded(1, &vectors["refused_vouchers"]["refused"])?,
    ];
    let refused_operations = encoded(0, &vectors["ledger"]["refused"])?;
    Ok([
        ("quotes", [quotes, vouchers].into_iter().chain(refused).flatten().collect()),
        ("ledger_machine", [operations, refused_operations].concat()),
    ])
}

/// Requests to a served ledger and its replies, each with the byte that the target tells them apart
/// by, and those that are refused.
fn ledger_protocol() -> Result<Vec<Vec<u8>>, Failure> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/vectors/ledger_protocol.json");
    let vectors: Value = serde_json::from_str(&fs::read_to_string(path)?)?;
    let wrong = "ledger_protocol.json: does not decode";
    let mut seeds = Vec::new();
    for (kind, name) in [(0, "request"), (1, "reply"), (0, "refused"), (1, "refused")] {
        for vector in vectors[name].as_array().ok_or(wrong)? {
            let text = vector["bytes"].as_str().ok_or(wrong)?;
            let bytes = from_hex(text).ok_or(wrong)?;
            let reads = match kind {
                0 => LedgerRequest::decode(&bytes).is_ok(),
                _ => LedgerReply::decode(&bytes).is_ok(),
            };
            if !reads && name != "refused" {
                return Err(wrong.into());
            }
            seeds.push([&[kind], &bytes[..]].concat());
        }
    }
    Ok(seeds)
}

/// Whether the decoder with this number in the target `wire_decode` takes `bytes`.
fn decodes(decoder: u8, bytes: &Bytes) -> bool {
    match decoder {
        0 => Message::decode(bytes.clone()).is_ok(),
        1 => RecordBundle::decode(bytes.clone()).is_ok(),
        2 => Signed::<Manifest>::decode(bytes.clone()).is_ok(),
        3 => Signed::<ProviderRecord>::decode(bytes.clone()).is_ok(),
        4 => Signed::<MasternodeRecord>::decode(bytes.clone()).is_ok(),
        5 => Manifest::decode_body(bytes).is_ok(),
        6 => ProviderRecord::decode_body(bytes).is_ok(),
        7 => MasternodeRecord::decode_body(bytes).is_ok(),
        _ => EquivocationEvidence::decode(bytes.clone()).is_ok(),
    }
}

fn collect_strings(value: &Value, strings: &mut Vec<String>) {
    match value {
        Value::String(text) => strings.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|one| collect_strings(one, strings)),
        Value::Object(fields) => fields.values().for_each(|one| collect_strings(one, strings)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn from_hex(text: &str) -> Option<Bytes> {
    if !text.is_ascii() || text.len() % 2 == 1 {
        return None;
    }
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).ok();
    (0..text.len()).step_by(2).map(byte).collect()
}
