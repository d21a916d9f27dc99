//! Every message, record and envelope: decode, encode, decode gives the same value and the same
//! bytes, whatever the values.

#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

use bytes::Bytes;
use pop_wire::message::{
    Audit, AuditAnswer, Available, Cancel, ColumnReply, ColumnState, Credit, GetHolders,
    GetHoldings, GetManifest, GetPeers, GetShard, Hello, Holders, Holdings, ManifestReply, Message,
    OpenColumn, Payment, Peers, PutShard, Refusal, RefusalReason, SealColumn, Shard,
};
use pop_wire::{
    Amount, ColumnIndex, ColumnSet, ContentId, Digest, EquivocationEvidence, EvidenceShard,
    FrameSplitter, Keypair, Manifest, MasternodeRecord, ProtocolVersion, ProviderRecord,
    RecordBundle, RecordEntry, RequestId, SegmentIndex, SegmentRanges, Signed, UnixTime, Verified,
    VersionRange, WalletAddress, limits,
};
use proptest::collection::vec;
use proptest::prelude::*;

fn keypair(seed: u8) -> Keypair {
    Keypair::from_secret_bytes(&[seed.max(1); 32]).unwrap()
}

fn digests(max: usize) -> impl Strategy<Value = Vec<Digest>> {
    vec(any::<[u8; 32]>().prop_map(Digest), 0..=max)
}

fn payload() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 1..2_000).prop_map(Bytes::from)
}

fn column() -> impl Strategy<Value = ColumnIndex> {
    (0_u16..255).prop_map(|index| ColumnIndex::new(index).unwrap())
}

fn columns() -> impl Strategy<Value = ColumnSet> {
    vec(column(), 0..60).prop_map(|columns| columns.into_iter().collect())
}

fn segment() -> impl Strategy<Value = SegmentIndex> {
    (0..limits::SEGMENTS_MAX).prop_map(SegmentIndex)
}

fn addresses() -> impl Strategy<Value = Vec<Bytes>> {
    vec(vec(any::<u8>(), 1..=limits::ADDRESS_BYTES_MAX).prop_map(Bytes::from), 0..=8)
}

prop_compose! {
    fn manifest()(
        seed in 1_u8..255,
        length_bytes in 0_u64..1 << 40,
        shard_units in 256_u32..=4096,
        (k, extra) in (2_u16..100, 0_u16..100),
        roots in any::<[[u8; 32]; 3]>(),
        price in any::<u128>(),
        key_price in proptest::option::of(any::<u128>()),
        media_type in "[a-z]{1,10}/[a-z0-9]{1,20}",
        duration_ms in any::<u64>(),
    ) -> Verified<Manifest> {
        let key = keypair(seed);
        let roots = roots.map(Digest);
        let shape = (k, k + extra);
        let mut body = Manifest::new(key.peer_id(), length_bytes, shard_units * 64, shape, roots);
        body.price = Amount::from_base_units(price);
        body.key_price = Amount::from_base_units(key_price.unwrap_or(0));
        body.media_type = media_type;
        body.duration_ms = duration_ms;
        Verified::sign(body, &key).unwrap()
    }
}

prop_compose! {
    fn provider()(
        seed in 1_u8..255,
        content in any::<[u8; 32]>(),
        columns in columns(),
        addresses in addresses(),
        issued in 0_u64..1 << 40,
        life in 1..=limits::RECORD_LIFE_S_MAX,
    ) -> Verified<ProviderRecord> {
        let key = keypair(seed);
        let body = ProviderRecord {
            peer: key.peer_id(),
            content: ContentId(content),
            columns,
            addresses,
            issued_at: UnixTime(issued),
            expires_at: UnixTime(issued + life),
        };
        Verified::sign(body, &key).unwrap()
    }
}

prop_compose! {
    fn masternode()(
        seed in 1_u8..255,
        addresses in addresses(),
        seal_key in any::<Option<[u8; 32]>>(),
        collateral in vec(any::<u8>(), 0..=limits::COLLATERAL_BYTES_MAX),
        operator in any::<[u8; 20]>(),
        capacity_bytes in any::<u64>(),
        issued in 0_u64..1 << 40,
        life in 1..=limits::RECORD_LIFE_S_MAX,
    ) -> Verified<MasternodeRecord> {
        let key = keypair(seed);
        let body = MasternodeRecord {
            peer: key.peer_id(),
            addresses,
            seal_key,
            collateral: collateral.into(),
            operator: WalletAddress(operator),
            capacity_bytes,
            issued_at: UnixTime(issued),
            expires_at: UnixTime(issued + life),
        };
        Verified::sign(body, &key).unwrap()
    }
}

fn hello() -> impl Strategy<Value = Message> {
    let range = (1_u16..50, 0_u16..50).prop_map(|(min, more)| {
        VersionRange::new(ProtocolVersion(min), ProtocolVersion(min + more)).unwrap()
    });
    let masternode = proptest::option::of(masternode().prop_map(|m| m.signed().clone()));
    (range, 0..=limits::CREDIT_BYTES_MAX, "[ -~]{0,64}", masternode).prop_map(
        |(versions, credit_bytes, agent, masternode)| {
            Message::Hello(Hello { versions, credit_bytes, agent, masternode })
        },
    )
}

fn transfer() -> impl Strategy<Value = Message> {
    let id = any::<u64>().prop_map(RequestId);
    let content = any::<[u8; 32]>().prop_map(ContentId);
    let shard = || (digests(8), digests(32), payload());
    prop_oneof![
        (1..=limits::CREDIT_BYTES_MAX).prop_map(|bytes| Message::Credit(Credit { bytes })),
        (id.clone(), content, segment(), column(), any::<u32>()).prop_map(
            |(id, content, segment, column, deadline_ms)| Message::GetShard(GetShard {
                id,
                content,
                segment,
                column,
                deadline_ms
            })
        ),
        (id.clone(), shard()).prop_map(|(id, (segment_path, content_path, payload))| {
            Message::Shard(Shard { id, segment_path, content_path, payload })
        }),
        (id.clone(), segment(), shard()).prop_map(
            |(id, segment, (segment_path, content_path, payload))| Message::PutShard(PutShard {
                id,
                segment,
                segment_path,
                content_path,
                payload
            })
        ),
        id.clone().prop_map(|id| Message::Cancel(Cancel { id })),
        vec(any::<u8>(), 1..=limits::PAYMENT_BODY_BYTES_MAX)
            .prop_map(|body| Message::Payment(Payment { body: body.into() })),
        (id.clone(), vec(any::<u8>(), 1..=limits::AUDIT_CHALLENGE_BYTES_MAX))
            .prop_map(|(id, bytes)| Message::Audit(Audit { id, challenge: bytes.into() })),
        (id.clone(), vec(any::<u8>(), 1..=limits::AUDIT_ANSWER_BYTES_MAX))
            .prop_map(|(id, bytes)| Message::AuditAnswer(AuditAnswer { id, answer: bytes.into() })),
        (id, refusal_reason(), any::<u32>()).prop_map(|(id, reason, retry_after_ms)| {
            Message::Refusal(Refusal { id, reason, retry_after_ms })
        }),
    ]
}

fn refusal_reason() -> impl Strategy<Value = RefusalReason> {
    prop_oneof![
        Just(RefusalReason::NotFound),
        Just(RefusalReason::Busy),
        Just(RefusalReason::Damaged),
        Just(RefusalReason::Full),
        Just(RefusalReason::Malformed),
        Just(RefusalReason::NotAccepted),
        Just(RefusalReason::PaymentDue),
        Just(RefusalReason::ShuttingDown),
        (9_u32..).prop_map(RefusalReason::Other),
    ]
}

fn lookup() -> impl Strategy<Value = Message> {
    let id = any::<u64>().prop_map(RequestId);
    let content = any::<[u8; 32]>().prop_map(ContentId);
    let state = prop_oneof![Just(ColumnState::Open), Just(ColumnState::Stored)];
    prop_oneof![
        (id.clone(), content.clone())
            .prop_map(|(id, content)| Message::GetManifest(GetManifest { id, content })),
        (id.clone(), manifest()).prop_map(|(id, m)| {
            Message::ManifestReply(ManifestReply { id, manifest: m.signed().clone() })
        }),
        (id.clone(), content)
            .prop_map(|(id, content)| Message::GetHoldings(GetHoldings { id, content })),
        (id.clone(), columns())
            .prop_map(|(id, columns)| Message::Holdings(Holdings { id, columns })),
        (id.clone(), manifest(), column()).prop_map(|(id, m, column)| {
            Message::OpenColumn(OpenColumn { id, manifest: m.signed().clone(), column })
        }),
        id.clone().prop_map(|id| Message::SealColumn(SealColumn { id })),
        (id.clone(), state, segment()).prop_map(|(id, state, next_segment)| {
            Message::ColumnReply(ColumnReply { id, state, next_segment })
        }),
        id.clone().prop_map(|id| Message::GetPeers(GetPeers { id })),
        (id.clone(), vec(masternode(), 0..4)).prop_map(|(id, records)| {
            let masternodes = records.iter().map(|record| record.signed().clone()).collect();
            Message::Peers(Peers { id, masternodes })
        }),
        (id.clone(), any::<[u8; 32]>()).prop_map(|(id, content)| {
            Message::GetHolders(GetHolders { id, content: ContentId(content) })
        }),
        (id, vec(provider(), 0..3), vec(masternode(), 0..3)).prop_map(|(id, holders, nodes)| {
            let providers = holders.iter().map(|record| record.signed().clone()).collect();
            let masternodes = nodes.iter().map(|record| record.signed().clone()).collect();
            Message::Holders(Holders { id, providers, masternodes })
        }),
        (any::<[u8; 32]>(), vec((0..limits::SEGMENTS_MAX, 1_u64..1 << 30), 0..40)).prop_map(
            |(content, ranges)| {
                let ranges = ranges.into_iter().map(|(start, length)| start..start + length);
                let segments = SegmentRanges::covering(ranges);
                Message::Available(Available { content: ContentId(content), segments })
            }
        ),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_message_survives_framing(message in prop_oneof![hello(), transfer(), lookup()]) {
        let mut stream = bytes::BytesMut::new();
        message.encode_frame(&mut stream).unwrap();
        let mut splitter = FrameSplitter::new();
        splitter.push(&stream);
        let body = splitter.next_frame().unwrap().unwrap();
        prop_assert_eq!(&body, &message.encode());
        prop_assert_eq!(Message::decode(body).unwrap(), message);
    }

    #[test]
    fn records_keep_their_signature_through_a_bundle(
        manifest in manifest(),
        provider in provider(),
        masternode in masternode(),
    ) {
        let bundle = RecordBundle {
            entries: vec![
                RecordEntry::Manifest(manifest.signed().clone()),
                RecordEntry::Provider(provider.signed().clone()),
                RecordEntry::Masternode(masternode.signed().clone()),
            ],
        };
        let read = RecordBundle::decode(bundle.encode()).unwrap();
        prop_assert_eq!(&read, &bundle);
        for entry in read.entries {
            match entry {
                RecordEntry::Manifest(signed) => prop_assert_eq!(&signed.verify().unwrap(), &manifest),
                RecordEntry::Provider(signed) => prop_assert_eq!(&signed.verify().unwrap(), &provider),
                RecordEntry::Masternode(signed) => {
                    prop_assert_eq!(&signed.verify().unwrap(), &masternode);
                }
                other => prop_assert!(false, "unexpected entry {other:?}"),
            }
        }
    }

    #[test]
    fn one_flipped_bit_of_a_signed_body_or_signature_is_refused(
        manifest in manifest(),
        position in any::<prop::sample::Index>(),
        bit in 0_u8..8,
    ) {
        let mut bytes = manifest.signed().encode().to_vec();
        let position = position.index(bytes.len());
        bytes[position] ^= 1 << bit;
        let accepted = Signed::<Manifest>::decode(bytes.into()).and_then(Signed::verify);
        prop_assert!(accepted.is_err());
    }

    #[test]
    fn garbage_never_panics(bytes in vec(any::<u8>(), 0..600)) {
        let bytes = Bytes::from(bytes);
        let _ = Message::decode(bytes.clone());
        let _ = RecordBundle::decode(bytes.clone());
        let _ = EquivocationEvidence::decode(bytes.clone());
        let _ = Signed::<Manifest>::decode(bytes).and_then(Signed::verify);
    }
}

#[test]
fn evidence_survives_the_wire() {
    let key = keypair(3);
    let roots = [Digest([1; 32]), Digest([2; 32]), Digest([3; 32])];
    let body = Manifest::new(key.peer_id(), 10, 64, (2, 3), roots);
    let evidence = EquivocationEvidence {
        manifest: Verified::sign(body, &key).unwrap().signed().clone(),
        segment: SegmentIndex(0),
        content_path: vec![Digest([4; 32])],
        shards: vec![EvidenceShard {
            column: ColumnIndex::new(2).unwrap(),
            payload: Bytes::from_static(&[5; 64]),
            segment_path: vec![Digest([6; 32]); 2],
        }],
    };
    assert_eq!(EquivocationEvidence::decode(evidence.encode()).unwrap(), evidence);
}
