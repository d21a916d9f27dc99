//! Each named limit, hit from outside: one above is refused with an error that names the field.

#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

use bytes::{BufMut, Bytes, BytesMut};
use pop_wire::message::{Available, Holders, Message, Peers};
use pop_wire::{
    ColumnSet, ContentId, Digest, EquivocationEvidence, Keypair, Manifest, MasternodeRecord,
    ProviderRecord, RecordBundle, RequestId, SegmentIndex, SegmentRanges, Signed, UnixTime,
    Verified, WalletAddress, WireError, limits,
};

fn key() -> Keypair {
    Keypair::from_secret_bytes(&[1; 32]).unwrap()
}

fn manifest() -> Manifest {
    let roots = [Digest([1; 32]), Digest([2; 32]), Digest([3; 32])];
    Manifest::new(key().peer_id(), 1000, 16_384, (19, 27), roots)
}

fn provider() -> ProviderRecord {
    ProviderRecord {
        peer: key().peer_id(),
        content: ContentId([9; 32]),
        columns: ColumnSet::all(3),
        addresses: vec![Bytes::from_static(b"addr")],
        issued_at: UnixTime(1_000),
        expires_at: UnixTime(2_000),
    }
}

fn field_of(error: &WireError) -> &'static str {
    match error {
        WireError::Length { field, .. }
        | WireError::Range { field, .. }
        | WireError::TooMany { field, .. }
        | WireError::Invalid { field, .. } => field,
        other => panic!("no field in {other}"),
    }
}

/// Protobuf field with a length-delimited value.
fn put_bytes(out: &mut BytesMut, field: u8, value: &[u8]) {
    let mut key = unsigned_varint::encode::u32_buffer();
    out.put_slice(unsigned_varint::encode::u32(u32::from(field) << 3 | 2, &mut key));
    let mut length = unsigned_varint::encode::usize_buffer();
    out.put_slice(unsigned_varint::encode::usize(value.len(), &mut length));
    out.put_slice(value);
}

fn put_number(out: &mut BytesMut, field: u8, value: u64) {
    out.put_u8(field << 3);
    let mut buffer = unsigned_varint::encode::u64_buffer();
    out.put_slice(unsigned_varint::encode::u64(value, &mut buffer));
}

fn message(kind: u8, inner: &BytesMut) -> Bytes {
    let mut out = BytesMut::new();
    put_bytes(&mut out, kind, inner);
    out.freeze()
}

#[test]
fn manifests_out_of_range_are_refused_by_field() {
    type Change = fn(&mut Manifest);
    let cases: [(&str, Change); 8] = [
        ("manifest.length_bytes", |m| m.length_bytes = limits::CONTENT_BYTES_MAX + 1),
        ("manifest.shard_bytes", |m| m.shard_bytes = 300 * 1024),
        ("manifest.shard_bytes", |m| m.shard_bytes = 100),
        ("manifest.shard_bytes", |m| m.shard_bytes = 0),
        ("manifest.total_shards", |m| m.total_shards = 256),
        ("manifest.data_shards", |m| m.data_shards = 28),
        ("manifest.data_shards", |m| m.data_shards = 1),
        ("manifest.media_type", |m| m.media_type = "a".repeat(65)),
    ];
    for (field, change) in cases {
        let mut body = manifest();
        change(&mut body);
        let error = Verified::sign(body, &key()).expect_err(field);
        assert_eq!(field_of(&error), field);
    }
}

#[test]
fn a_content_of_too_many_segments_is_refused() {
    let mut body = manifest();
    body.shard_bytes = 64;
    body.data_shards = 2;
    body.length_bytes = limits::SEGMENTS_MAX * body.segment_bytes() + 1;
    let error = Verified::sign(body, &key()).expect_err("too many segments");
    assert_eq!(field_of(&error), "manifest segments");
}

#[test]
fn records_out_of_range_are_refused_by_field() {
    type Change = fn(&mut ProviderRecord);
    let cases: [(&str, Change); 4] = [
        ("provider.addresses", |r| r.addresses = vec![Bytes::from_static(b"a"); 9]),
        ("provider.addresses", |r| r.addresses = vec![Bytes::from(vec![1; 129])]),
        ("provider.expires_at_s", |r| r.expires_at = r.issued_at),
        ("provider.expires_at_s", |r| {
            r.expires_at = r.issued_at.after_s(limits::RECORD_LIFE_S_MAX + 1);
        }),
    ];
    for (field, change) in cases {
        let mut body = provider();
        change(&mut body);
        let error = Verified::sign(body, &key()).expect_err(field);
        assert_eq!(field_of(&error), field);
    }
}

#[test]
fn collateral_references_over_the_limit_are_refused() {
    let body = MasternodeRecord {
        peer: key().peer_id(),
        addresses: Vec::new(),
        seal_key: None,
        collateral: Bytes::from(vec![0; limits::COLLATERAL_BYTES_MAX + 1]),
        operator: WalletAddress([0; 20]),
        capacity_bytes: 0,
        issued_at: UnixTime(1),
        expires_at: UnixTime(2),
    };
    let error = Verified::sign(body, &key()).expect_err("collateral");
    assert_eq!(field_of(&error), "masternode.collateral");
}

#[test]
fn signing_in_another_name_is_refused() {
    let other = Keypair::from_secret_bytes(&[2; 32]).unwrap();
    assert!(matches!(Verified::sign(manifest(), &other), Err(WireError::Invalid { .. })));
}

#[test]
fn a_record_of_one_kind_is_not_accepted_as_another() {
    let signed = Verified::sign(provider(), &key()).unwrap().signed().encode();
    assert!(Signed::<MasternodeRecord>::decode(signed).unwrap().verify().is_err());
}

#[test]
fn unknown_fields_in_a_signed_body_are_refused() {
    let honest = Verified::sign(provider(), &key()).unwrap();
    let mut body = BytesMut::from(&honest.signed().body()[..]);
    put_number(&mut body, 15, 7);
    let mut envelope = BytesMut::new();
    put_bytes(&mut envelope, 1, &body);
    put_bytes(&mut envelope, 2, &[1; 64]);
    let signed = Signed::<ProviderRecord>::decode(envelope.freeze()).unwrap();
    assert!(matches!(signed.verify(), Err(WireError::NotCanonical { .. })));
}

#[test]
fn messages_out_of_range_are_refused_by_field() {
    type Fill = fn(&mut BytesMut);
    let cases: [(&str, u8, Fill); 18] = [
        ("hello.agent", 1, |m| {
            put_number(m, 1, 1);
            put_number(m, 2, 1);
            put_bytes(m, 4, &[b'a'; 65]);
        }),
        ("hello.version_max", 1, |m| {
            put_number(m, 1, 1);
            put_number(m, 2, 70_000);
        }),
        ("hello.credit_bytes", 1, |m| put_number(m, 3, limits::CREDIT_BYTES_MAX + 1)),
        ("credit.bytes", 2, |m| put_number(m, 1, 0)),
        ("credit.bytes", 2, |m| put_number(m, 1, limits::CREDIT_BYTES_MAX + 1)),
        ("get_shard.segment", 3, |m| put_number(m, 3, limits::SEGMENTS_MAX)),
        ("get_shard.column", 3, |m| {
            put_bytes(m, 2, &[0; 32]);
            put_number(m, 4, 255);
        }),
        ("get_shard.content", 3, |m| put_bytes(m, 2, &[0; 31])),
        ("shard.segment_path", 4, |m| {
            put_bytes(m, 2, &[0; 9 * 32]);
            put_bytes(m, 4, &[0; 8]);
        }),
        ("shard.content_path", 4, |m| {
            put_bytes(m, 3, &[0; 33 * 32]);
            put_bytes(m, 4, &[0; 8]);
        }),
        ("shard.payload", 4, |m| put_number(m, 1, 5)),
        ("put_shard.payload", 12, |m| put_bytes(m, 5, &vec![0; limits::SHARD_BYTES_MAX + 1])),
        ("payment.body", 17, |_| {}),
        ("payment.body", 17, |m| put_bytes(m, 1, &[0; limits::PAYMENT_BODY_BYTES_MAX + 1])),
        ("audit.challenge", 21, |m| put_number(m, 1, 5)),
        ("audit.challenge", 21, |m| put_bytes(m, 2, &[0; limits::AUDIT_CHALLENGE_BYTES_MAX + 1])),
        ("audit_answer.answer", 22, |m| put_number(m, 1, 5)),
        ("audit_answer.answer", 22, |m| {
            put_bytes(m, 2, &[0; limits::AUDIT_ANSWER_BYTES_MAX + 1]);
        }),
    ];
    for (field, kind, fill) in cases {
        let mut inner = BytesMut::new();
        fill(&mut inner);
        let error = Message::decode(message(kind, &inner)).expect_err(field);
        assert_eq!(field_of(&error), field, "{error}");
    }
}

#[test]
fn more_peers_or_entries_than_the_limit_are_refused() {
    let record = MasternodeRecord {
        peer: key().peer_id(),
        addresses: Vec::new(),
        seal_key: None,
        collateral: Bytes::new(),
        operator: WalletAddress([0; 20]),
        capacity_bytes: 0,
        issued_at: UnixTime(1),
        expires_at: UnixTime(2),
    };
    let record = Verified::sign(record, &key()).unwrap().signed().clone();
    let peers = Peers { id: RequestId(1), masternodes: vec![record; limits::PEERS_MAX + 1] };
    let error = Message::decode(Message::Peers(peers).encode()).expect_err("peers");
    assert_eq!(field_of(&error), "peers.masternodes");

    let mut entries = BytesMut::new();
    (0..=limits::BUNDLE_ENTRIES_MAX).for_each(|_| put_bytes(&mut entries, 1, &[]));
    let error = RecordBundle::decode(entries.freeze()).expect_err("entries");
    assert_eq!(field_of(&error), "bundle.entries");

    let mut shards = BytesMut::new();
    (0..=limits::TOTAL_SHARDS_MAX).for_each(|_| put_bytes(&mut shards, 4, &[]));
    let error = EquivocationEvidence::decode(shards.freeze()).expect_err("shards");
    assert_eq!(field_of(&error), "evidence.shards");
}

#[test]
fn oversized_bytes_are_refused_before_they_are_parsed() {
    let over = |max: usize| Bytes::from(vec![0xff; max + 1]);
    assert!(matches!(
        Message::decode(over(limits::FRAME_BYTES_MAX)),
        Err(WireError::Length { .. })
    ));
    let bundle = RecordBundle::decode(over(limits::BUNDLE_BYTES_MAX));
    assert!(matches!(bundle, Err(WireError::Length { .. })));
    let envelope = Signed::<Manifest>::decode(over(limits::ENVELOPE_BYTES_MAX));
    assert!(matches!(envelope, Err(WireError::Length { .. })));
    let evidence = EquivocationEvidence::decode(over(limits::EQUIVOCATION_PROOF_BYTES_MAX));
    assert!(matches!(evidence, Err(WireError::Length { .. })));
}

#[test]
fn messages_without_a_known_kind_are_refused() {
    assert!(matches!(Message::decode(Bytes::new()), Err(WireError::UnknownKind { .. })));
    let mut unknown = BytesMut::new();
    put_bytes(&mut unknown, 15, &[]);
    unknown[0] = 0xfa; // field 31
    unknown.extend_from_slice(&[]);
    assert!(Message::decode(unknown.freeze()).is_err());
}

/// Envelopes of records as long as a record may be; nobody signed them.
fn longest<T: pop_wire::SignedBody>(count: usize) -> Vec<Signed<T>> {
    let mut envelope = BytesMut::new();
    put_bytes(&mut envelope, 1, &vec![7; limits::RECORD_BODY_BYTES_MAX]);
    put_bytes(&mut envelope, 2, &[1; 64]);
    vec![Signed::decode(envelope.freeze()).unwrap(); count]
}

#[test]
fn a_list_of_holders_over_the_limit_is_refused_before_it_is_parsed() {
    for (field, name) in [(2, "holders.providers"), (3, "holders.masternodes")] {
        let mut inner = BytesMut::new();
        put_number(&mut inner, 1, 1);
        // Not even envelopes: the count alone is looked at.
        (0..=limits::HOLDERS_MAX).for_each(|_| put_bytes(&mut inner, field, b""));
        let mut body = BytesMut::new();
        put_bytes(&mut body, 19, &inner);
        let error = Message::decode(body.freeze()).expect_err(name);
        assert_eq!(field_of(&error), name);
    }
}

#[test]
fn the_longest_lists_of_holders_fit_a_frame() {
    let id = RequestId(u64::MAX);
    let holders = Holders::fitting(id, longest::<ProviderRecord>(200), longest(200));
    let lengths = (holders.providers.len(), holders.masternodes.len());
    assert_eq!(lengths, (limits::HOLDERS_MAX, limits::HOLDERS_MAX));
    let message = Message::Holders(holders);
    let mut frame = BytesMut::new();
    message.encode_frame(&mut frame).unwrap();
    assert!(frame.len() > limits::FRAME_BYTES_MAX / 10 * 9, "the longest there are");
    assert_eq!(Message::decode(message.encode()).unwrap(), message);
}

fn available(segments: &[u8]) -> Result<Message, WireError> {
    let mut inner = BytesMut::new();
    put_bytes(&mut inner, 1, &[9; 32]);
    put_bytes(&mut inner, 2, segments);
    Message::decode(message(20, &inner))
}

#[test]
fn announcements_have_one_form_and_an_end() {
    let pair = |first: u32, last: u32| [first.to_be_bytes(), last.to_be_bytes()].concat();
    let apart = |count: u32| (0..count).flat_map(|i| pair(2 * i, 2 * i)).collect::<Vec<u8>>();
    let most = u32::try_from(limits::AVAILABLE_RANGES_MAX).unwrap();
    assert!(available(&apart(most)).is_ok());
    let refused = [
        apart(most + 1),
        pair(0, 1)[..7].to_vec(),
        pair(2, 1),
        // Touching, overlapping, out of order.
        [pair(0, 1), pair(2, 3)].concat(),
        [pair(0, 5), pair(3, 9)].concat(),
        [pair(7, 9), pair(1, 2)].concat(),
    ];
    for bytes in refused {
        assert_eq!(field_of(&available(&bytes).expect_err("refused")), "available.segments");
    }
    let last = SegmentIndex(limits::SEGMENTS_MAX - 1);
    let Message::Available(Available { segments, .. }) = available(&pair(5, u32::MAX)).unwrap()
    else {
        panic!("another kind")
    };
    assert_eq!((segments.last(), segments.len()), (Some(last), limits::SEGMENTS_MAX - 5));
}

#[test]
fn of_too_many_ranges_the_longest_are_kept() {
    let most = u64::try_from(limits::AVAILABLE_RANGES_MAX).unwrap();
    // Single segments with gaps, then one long range, which must not be the one that is lost.
    let single = (0..most + 10).map(|i| 2 * i..2 * i + 1);
    let long = 10_000..10_100;
    let kept = SegmentRanges::covering(single.chain([long.clone()]));
    assert_eq!(kept.iter().count(), limits::AVAILABLE_RANGES_MAX);
    assert_eq!(kept.iter().last(), Some(long));
    assert_eq!(kept.iter().next(), Some(0..1));
    let upside_down = std::ops::Range { start: 9, end: 2 };
    let past = limits::SEGMENTS_MAX - 1..u64::MAX;
    let past = SegmentRanges::covering([past, 3..3, upside_down]);
    assert_eq!(past.len(), 1);
    assert_eq!(past.first_from(SegmentIndex(7)), past.last());
}
