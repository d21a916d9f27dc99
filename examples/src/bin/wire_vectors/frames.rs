//! One frame of every message.

use bytes::{Bytes, BytesMut};
use pop_wire::message::{
    Audit, AuditAnswer, Available, Cancel, ColumnReply, ColumnState, Credit, GetHolders,
    GetHoldings, GetManifest, GetPeers, GetShard, Hello, Holders, Holdings, ManifestReply,
    OpenColumn, Payment, Peers, PutShard, Refusal, RefusalReason, SealColumn, Shard,
};
use pop_wire::{
    ColumnIndex, Digest, Keypair, Message, ProtocolVersion, RequestId, SegmentIndex, SegmentRanges,
    VersionRange,
};
use serde_json::{Value, json};

use crate::records::{column_list, columns, content, manifest, masternode, provider};

pub(crate) fn frames(keypair: &Keypair) -> Value {
    transfer(keypair).into_iter().chain(questions(keypair)).map(frame).collect()
}

/// Kind and number of the field in `ExchangeMessage`, the fields as they stand in the protobuf
/// message, and the bytes.
fn frame((number, kind, message, fields): (u32, &str, Message, Value)) -> Value {
    let mut frame = BytesMut::new();
    message.encode_frame(&mut frame).expect("small");
    json!({ "kind": kind, "number": number, "fields": fields, "frame": hex::encode(frame) })
}

type Described = (u32, &'static str, Message, Value);

fn transfer(keypair: &Keypair) -> Vec<Described> {
    let (id, segment) = (RequestId(300), SegmentIndex(7));
    let column = ColumnIndex::new(26).expect("below 255");
    let segment_path = vec![Digest([0xa1; 32]), Digest([0xa2; 32])];
    let content_path = vec![Digest([0xb1; 32])];
    let (segment_hex, content_hex) =
        (format!("{}{}", "a1".repeat(32), "a2".repeat(32)), "b1".repeat(32));
    let payload = Bytes::from_static(&[0xcc; 64]);
    let content = content(keypair);
    let manifest = manifest(keypair).signed().clone();
    let record = masternode(keypair).signed().clone();
    let versions = VersionRange::new(ProtocolVersion(1), ProtocolVersion(1)).expect("a range");
    let agent = "example/1.0";
    let masternode = hex::encode(record.encode());
    vec![
        (
            1,
            "hello",
            Message::Hello(Hello {
                versions,
                credit_bytes: 1 << 20,
                agent: agent.to_owned(),
                masternode: Some(record),
            }),
            json!({ "version_min": 1, "version_max": 1, "credit_bytes": 1 << 20, "agent": agent,
                "masternode": masternode }),
        ),
        (2, "credit", Message::Credit(Credit { bytes: 65_536 }), json!({ "bytes": 65_536 })),
        (
            3,
            "get_shard",
            Message::GetShard(GetShard { id, content, segment, column, deadline_ms: 1500 }),
            json!({ "id": 300, "content": hex::encode(content.0), "segment": 7, "column": 26,
                "deadline_ms": 1500 }),
        ),
        (
            4,
            "shard",
            Message::Shard(Shard {
                id,
                segment_path: segment_path.clone(),
                content_path: content_path.clone(),
                payload: payload.clone(),
            }),
            json!({ "id": 300, "segment_path": segment_hex, "content_path": content_hex,
                "payload": hex::encode(&payload) }),
        ),
        (
            5,
            "refusal",
            Message::Refusal(Refusal { id, reason: RefusalReason::Busy, retry_after_ms: 500 }),
            json!({ "id": 300, "reason": 2, "retry_after_ms": 500 }),
        ),
        (6, "cancel", Message::Cancel(Cancel { id }), json!({ "id": 300 })),
        (
            11,
            "open_column",
            Message::OpenColumn(OpenColumn { id, manifest: manifest.clone(), column }),
            json!({ "id": 300, "manifest": hex::encode(manifest.encode()), "column": 26 }),
        ),
        (
            12,
            "put_shard",
            Message::PutShard(PutShard {
                id,
                segment,
                segment_path,
                content_path,
                payload: payload.clone(),
            }),
            json!({ "id": 300, "segment": 7, "segment_path": segment_hex,
                "content_path": content_hex, "payload": hex::encode(&payload) }),
        ),
        (13, "seal_column", Message::SealColumn(SealColumn { id }), json!({ "id": 300 })),
        (
            14,
            "column_reply",
            Message::ColumnReply(ColumnReply {
                id,
                state: ColumnState::Stored,
                next_segment: SegmentIndex(8),
            }),
            json!({ "id": 300, "state": 2, "next_segment": 8 }),
        ),
    ]
}

fn questions(keypair: &Keypair) -> Vec<Described> {
    let id = RequestId(1);
    let content = content(keypair);
    let manifest = manifest(keypair).signed().clone();
    let record = masternode(keypair).signed().clone();
    let columns = columns(&[0, 9, 26]);
    let holder = provider(keypair).signed().clone();
    vec![
        (
            7,
            "get_manifest",
            Message::GetManifest(GetManifest { id, content }),
            json!({ "id": 1, "content": hex::encode(content.0) }),
        ),
        (
            8,
            "manifest_reply",
            Message::ManifestReply(ManifestReply { id, manifest: manifest.clone() }),
            json!({ "id": 1, "manifest": hex::encode(manifest.encode()) }),
        ),
        (
            9,
            "get_holdings",
            Message::GetHoldings(GetHoldings { id, content }),
            json!({ "id": 1, "content": hex::encode(content.0) }),
        ),
        (
            10,
            "holdings",
            Message::Holdings(Holdings { id, columns }),
            json!({ "id": 1, "columns": column_list(&columns) }),
        ),
        (15, "get_peers", Message::GetPeers(GetPeers { id }), json!({ "id": 1 })),
        (
            16,
            "peers",
            Message::Peers(Peers { id, masternodes: vec![record.clone()] }),
            json!({ "id": 1, "masternodes": [hex::encode(record.encode())] }),
        ),
        (
            17,
            "payment",
            Message::Payment(Payment { body: Bytes::from_static(&[1, 2, 3]) }),
            json!({ "body": "010203" }),
        ),
        (
            18,
            "get_holders",
            Message::GetHolders(GetHolders { id, content }),
            json!({ "id": 1, "content": hex::encode(content.0) }),
        ),
        (
            19,
            "holders",
            Message::Holders(Holders {
                id,
                providers: vec![holder.clone()],
                masternodes: vec![record.clone()],
            }),
            json!({ "id": 1, "providers": [hex::encode(holder.encode())],
                "masternodes": [hex::encode(record.encode())] }),
        ),
        (
            20,
            "available",
            Message::Available(Available {
                content,
                segments: SegmentRanges::covering([0..4, 9..10, 300..1 << 32]),
            }),
            json!({ "content": hex::encode(content.0),
                "segments": [[0, 3], [9, 9], [300, u32::MAX]] }),
        ),
        (
            21,
            "audit",
            Message::Audit(Audit { id, challenge: Bytes::from_static(&[4, 5, 6]) }),
            json!({ "id": 1, "challenge": "040506" }),
        ),
        (
            22,
            "audit_answer",
            Message::AuditAnswer(AuditAnswer { id, answer: Bytes::from_static(&[7, 8, 9]) }),
            json!({ "id": 1, "answer": "070809" }),
        ),
    ]
}
