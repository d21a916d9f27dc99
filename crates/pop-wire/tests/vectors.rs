//! `spec/vectors/wire.json` against this crate: what it makes is what the vectors say, what the
//! vectors say it reads, and what they say is refused it refuses for that reason.

#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

use bytes::{Bytes, BytesMut};
use data_encoding::HEXLOWER;
use pop_wire::message::{
    Audit, AuditAnswer, Available, Cancel, ColumnReply, ColumnState, Credit, GetHolders,
    GetHoldings, GetManifest, GetPeers, GetShard, Hello, Holders, Holdings, ManifestReply, Message,
    OpenColumn, Payment, Peers, PutShard, Refusal, RefusalReason, SealColumn, Shard,
};
use pop_wire::{
    Amount, ColumnIndex, ColumnSet, ContentId, Digest, EquivocationEvidence, FrameSplitter,
    Keypair, Manifest, MasternodeRecord, PeerId, ProtocolVersion, ProviderRecord, RecordBundle,
    RequestId, SegmentIndex, SegmentRanges, Signed, SignedBody, UnixTime, Verified, VersionRange,
    WalletAddress, WireError,
};
use serde_json::Value;

fn vectors() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec/vectors/wire.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn bytes(value: &Value) -> Bytes {
    HEXLOWER.decode(text(value).as_bytes()).unwrap().into()
}

fn array<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value)[..].try_into().unwrap()
}

fn number<T: TryFrom<u64, Error: std::fmt::Debug>>(value: &Value) -> T {
    T::try_from(value.as_u64().unwrap()).unwrap()
}

fn list<T>(value: &Value, item: impl Fn(&Value) -> T) -> Vec<T> {
    value.as_array().unwrap().iter().map(item).collect()
}

fn path(value: &Value) -> Vec<Digest> {
    bytes(value).as_chunks::<32>().0.iter().copied().map(Digest).collect()
}

fn column(value: &Value) -> ColumnIndex {
    ColumnIndex::new(number(value)).unwrap()
}

fn columns(value: &Value) -> ColumnSet {
    list(value, column).into_iter().collect()
}

fn range(min: &Value, max: &Value) -> VersionRange {
    VersionRange::new(ProtocolVersion(number(min)), ProtocolVersion(number(max))).unwrap()
}

fn peer(value: &Value) -> PeerId {
    PeerId::from_public_key(&bytes(value)).unwrap()
}

fn keypair(vectors: &Value) -> Keypair {
    Keypair::from_secret_bytes(&array(&vectors["identity"]["secret"])).unwrap()
}

#[test]
fn one_secret_gives_peer_id_and_wallet() {
    let vectors = vectors();
    let identity = &vectors["identity"];
    let id = keypair(&vectors).peer_id();
    assert_eq!(id.public_key()[..], bytes(&identity["public_key"])[..]);
    assert_eq!(id.to_libp2p_bytes()[..], bytes(&identity["libp2p_bytes"])[..]);
    assert_eq!(id.to_string(), text(&identity["peer_id"]));
    assert_eq!(id.wallet_address().to_string(), text(&identity["wallet"]));
    let written = &vectors["content_id_text"];
    assert_eq!(ContentId(array(&written["bytes"])).to_string(), text(&written["text"]));
}

fn manifest(fields: &Value) -> Manifest {
    let digests = ["root", "salt", "key_commitment"].map(|name| Digest(array(&fields[name])));
    let mut body = Manifest::new(
        peer(&fields["publisher"]),
        number(&fields["length_bytes"]),
        number(&fields["shard_bytes"]),
        (number(&fields["data_shards"]), number(&fields["total_shards"])),
        digests,
    );
    body.price = Amount::from_base_units(u128::from_be_bytes(array(&fields["price"])));
    body.media_type = text(&fields["media_type"]).to_owned();
    body.duration_ms = number(&fields["duration_ms"]);
    if !text(&fields["key_price"]).is_empty() {
        let key_price = u128::from_be_bytes(array(&fields["key_price"]));
        body.key_price = Amount::from_base_units(key_price);
    }
    body
}

fn provider(fields: &Value) -> ProviderRecord {
    ProviderRecord {
        peer: peer(&fields["peer"]),
        content: ContentId(array(&fields["content"])),
        columns: columns(&fields["columns"]),
        addresses: list(&fields["addresses"], bytes),
        issued_at: UnixTime(number(&fields["issued_at_s"])),
        expires_at: UnixTime(number(&fields["expires_at_s"])),
    }
}

fn masternode(fields: &Value) -> MasternodeRecord {
    MasternodeRecord {
        peer: peer(&fields["peer"]),
        addresses: list(&fields["addresses"], bytes),
        seal_key: Some(array(&fields["seal_key"])),
        collateral: bytes(&fields["collateral"]),
        operator: WalletAddress(array(&fields["operator"])),
        capacity_bytes: number(&fields["capacity_bytes"]),
        issued_at: UnixTime(number(&fields["issued_at_s"])),
        expires_at: UnixTime(number(&fields["expires_at_s"])),
    }
}

/// Signing the fields gives the vector's bytes, and reading the bytes gives the fields.
fn check_signed<T: SignedBody + PartialEq + std::fmt::Debug>(
    vector: &Value,
    value: T,
    keypair: &Keypair,
) -> Verified<T> {
    assert_eq!(text(&vector["domain"]), T::DOMAIN);
    let signed = Verified::sign(value.clone(), keypair).unwrap();
    assert_eq!(signed.signed().body()[..], bytes(&vector["body"])[..]);
    assert_eq!(signed.signed().encode(), bytes(&vector["envelope"]));
    let (digest, signature) = (array(&vector["digest"]), array(&vector["signature"]));
    assert_eq!(keypair.peer_id().verify_digest(&digest, &signature), Ok(()));
    assert_eq!(keypair.sign_digest(&digest), signature);
    let read = Signed::<T>::decode(bytes(&vector["envelope"])).unwrap().verify().unwrap();
    assert_eq!(*read, value);
    read
}

#[test]
fn signed_bodies_have_these_bytes_digests_and_signatures() {
    let vectors = vectors();
    let keypair = keypair(&vectors);
    let [first, second, third, sold] = &vectors["signed"].as_array().unwrap()[..] else {
        panic!("three kinds of body, one of them twice");
    };
    for vector in [first, sold] {
        let read = check_signed(vector, manifest(&vector["fields"]), &keypair);
        assert_eq!(read.content_id().to_string(), text(&vector["content_id"]));
    }
    check_signed(second, provider(&second["fields"]), &keypair);
    check_signed(third, masternode(&third["fields"]), &keypair);
}

#[test]
fn bundles_and_evidence_survive() {
    let vectors = vectors();
    let bundle = bytes(&vectors["bundle"]["bytes"]);
    let read = RecordBundle::decode(bundle.clone()).unwrap();
    assert_eq!(read.entries.len(), vectors["bundle"]["entries"].as_array().unwrap().len());
    assert_eq!(read.encode(), bundle);

    let vector = &vectors["evidence"];
    let read = EquivocationEvidence::decode(bytes(&vector["bytes"])).unwrap();
    assert_eq!(read.encode(), bytes(&vector["bytes"]));
    let fields = &vector["fields"];
    assert_eq!(read.manifest.encode(), bytes(&fields["manifest"]));
    assert_eq!(read.segment, SegmentIndex(number(&fields["segment"])));
    assert_eq!(read.content_path, path(&fields["content_path"]));
    for (shard, fields) in read.shards.iter().zip(fields["shards"].as_array().unwrap()) {
        assert_eq!(shard.column, column(&fields["column"]));
        assert_eq!(shard.payload, bytes(&fields["shard"]));
        assert_eq!(shard.segment_path, path(&fields["segment_path"]));
    }
}

fn transfer(kind: &str, it: &Value) -> Option<Message> {
    let id = || RequestId(number(&it["id"]));
    let segment = || SegmentIndex(number(&it["segment"]));
    Some(match kind {
        "hello" => Message::Hello(Hello {
            versions: range(&it["version_min"], &it["version_max"]),
            credit_bytes: number(&it["credit_bytes"]),
            agent: text(&it["agent"]).to_owned(),
            masternode: Some(Signed::decode(bytes(&it["masternode"])).unwrap()),
        }),
        "credit" => Message::Credit(Credit { bytes: number(&it["bytes"]) }),
        "get_shard" => Message::GetShard(GetShard {
            id: id(),
            content: ContentId(array(&it["content"])),
            segment: segment(),
            column: column(&it["column"]),
            deadline_ms: number(&it["deadline_ms"]),
        }),
        "shard" => Message::Shard(Shard {
            id: id(),
            segment_path: path(&it["segment_path"]),
            content_path: path(&it["content_path"]),
            payload: bytes(&it["payload"]),
        }),
        "refusal" => {
            assert_eq!(it["reason"], 2);
            let retry_after_ms = number(&it["retry_after_ms"]);
            Message::Refusal(Refusal { id: id(), reason: RefusalReason::Busy, retry_after_ms })
        }
        "cancel" => Message::Cancel(Cancel { id: id() }),
        "open_column" => Message::OpenColumn(OpenColumn {
            id: id(),
            manifest: Signed::decode(bytes(&it["manifest"])).unwrap(),
            column: column(&it["column"]),
        }),
        "put_shard" => Message::PutShard(PutShard {
            id: id(),
            segment: segment(),
            segment_path: path(&it["segment_path"]),
            content_path: path(&it["content_path"]),
            payload: bytes(&it["payload"]),
        }),
        "payment" => Message::Payment(Payment { body: bytes(&it["body"]) }),
        "available" => {
            let ends = list(&it["segments"], |range| {
                let [first, last]: [u64; 2] = [number(&range[0]), number(&range[1])];
                first..last + 1
            });
            let segments = SegmentRanges::covering(ends);
            Message::Available(Available { content: ContentId(array(&it["content"])), segments })
        }
        "seal_column" => Message::SealColumn(SealColumn { id: id() }),
        "column_reply" => {
            assert_eq!(it["state"], 2);
            let next_segment = SegmentIndex(number(&it["next_segment"]));
            Message::ColumnReply(ColumnReply { id: id(), state: ColumnState::Stored, next_segment })
        }
        _ => return None,
    })
}

fn question(kind: &str, it: &Value) -> Message {
    let id = RequestId(number(&it["id"]));
    let content = || ContentId(array(&it["content"]));
    match kind {
        "get_manifest" => Message::GetManifest(GetManifest { id, content: content() }),
        "manifest_reply" => {
            let manifest = Signed::decode(bytes(&it["manifest"])).unwrap();
            Message::ManifestReply(ManifestReply { id, manifest })
        }
        "get_holdings" => Message::GetHoldings(GetHoldings { id, content: content() }),
        "holdings" => Message::Holdings(Holdings { id, columns: columns(&it["columns"]) }),
        "get_peers" => Message::GetPeers(GetPeers { id }),
        "peers" => {
            let masternodes = list(&it["masternodes"], |one| Signed::decode(bytes(one)).unwrap());
            Message::Peers(Peers { id, masternodes })
        }
        "get_holders" => Message::GetHolders(GetHolders { id, content: content() }),
        "holders" => Message::Holders(Holders {
            id,
            providers: list(&it["providers"], |one| Signed::decode(bytes(one)).unwrap()),
            masternodes: list(&it["masternodes"], |one| Signed::decode(bytes(one)).unwrap()),
        }),
        "audit" => Message::Audit(Audit { id, challenge: bytes(&it["challenge"]) }),
        "audit_answer" => Message::AuditAnswer(AuditAnswer { id, answer: bytes(&it["answer"]) }),
        other => panic!("no message is a {other}"),
    }
}

#[test]
fn every_message_has_this_frame() {
    let vectors = vectors();
    let frames = vectors["frames"].as_array().unwrap();
    for vector in frames {
        let kind = text(&vector["kind"]);
        let fields = &vector["fields"];
        let message = transfer(kind, fields).unwrap_or_else(|| question(kind, fields));
        let mut frame = BytesMut::new();
        message.encode_frame(&mut frame).unwrap();
        assert_eq!(frame[..], bytes(&vector["frame"])[..], "{kind}");
        let mut splitter = FrameSplitter::new();
        splitter.push(&frame);
        let body = splitter.next_frame().unwrap().unwrap();
        assert_eq!(Message::decode(body).unwrap(), message, "{kind}");
    }
    let mut numbers: Vec<u64> = frames.iter().map(|it| number(&it["number"])).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=22).collect::<Vec<_>>());
}

#[test]
fn versions_are_negotiated_like_this() {
    for case in vectors()["versions"].as_array().unwrap() {
        let [ours, theirs] = ["ours", "theirs"].map(|side| range(&case[side][0], &case[side][1]));
        let agreed = ours.negotiate(&theirs).ok().map(|version| u64::from(version.0));
        assert_eq!(agreed, case["agreed"].as_u64(), "{case}");
    }
}

fn refuse(what: &str, bytes: Bytes) -> Result<(), WireError> {
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

#[test]
fn these_bytes_are_refused_for_this_reason() {
    for case in vectors()["refused"].as_array().unwrap() {
        let error = refuse(text(&case["what"]), bytes(&case["bytes"])).expect_err("refused");
        let (reason, field) = match &error {
            WireError::FrameLength { .. } => ("frame_length", None),
            WireError::Protobuf { .. } => ("protobuf", None),
            WireError::UnknownKind { .. } => ("unknown_kind", None),
            WireError::Length { field, .. } => ("length", Some(*field)),
            WireError::Range { field, .. } => ("range", Some(*field)),
            WireError::TooMany { field, .. } => ("too_many", Some(*field)),
            WireError::Invalid { field, .. } => ("invalid", Some(*field)),
            WireError::NotCanonical { .. } => ("not_canonical", None),
            WireError::Signature => ("signature", None),
            other => panic!("{case}: {other}"),
        };
        assert_eq!((reason, field), (text(&case["reason"]), case["field"].as_str()), "{case}");
    }
}
