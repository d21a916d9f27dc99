use bytes::Bytes;
use pop_erasure::{
    Content, ContentKey, DecodeError, Decoder, EquivocationProof, ProofError, ReEncodeCheck,
    Repairer, VerifiedShard,
};
use pop_wire::limits::EQUIVOCATION_PROOF_BYTES_MAX;
use pop_wire::{ColumnSet, Digest, EquivocationEvidence, EvidenceShard, SegmentIndex};

use crate::support::{
    Film, KEY, SALT, publisher, raw_shards, sign_anything, sign_segments, subsets,
};

const FIRST: SegmentIndex = SegmentIndex(0);

/// A publisher that signed one column that belongs to no codeword with the others.
fn liar(film: &Film, column: usize) -> (Content, Vec<VerifiedShard>) {
    let mut shards = raw_shards(film);
    shards[column][17] ^= 1;
    sign_anything(film, &shards, ContentKey::from_bytes(KEY).commitment(&Digest(SALT)))
}

fn proof_in<T: std::fmt::Debug>(result: Result<T, DecodeError>) -> EquivocationProof {
    match result.unwrap_err() {
        DecodeError::Equivocation(proof) => *proof,
        other => panic!("expected a proof, got {other}"),
    }
}

#[test]
fn an_inconsistent_column_is_caught_from_every_subset() {
    let film = Film::new((3, 6), 64, 150);
    for column in 0..6 {
        let (content, shards) = liar(&film, column);
        let mut decoder = Decoder::new(content.clone(), ContentKey::from_bytes(KEY)).unwrap();
        let mut auditor = decoder.clone().with_check(ReEncodeCheck::Always);
        let mut repairer = Repairer::new(content.clone());
        for subset in subsets(3, 6) {
            let chosen: Vec<_> =
                subset.iter().map(|column| shards[column.as_usize()].clone()).collect();
            let audited = proof_in(auditor.decode(FIRST, &chosen));
            let repaired = proof_in(repairer.rebuild(FIRST, &chosen, ColumnSet::all(6)));
            assert_eq!(audited, repaired);
            let (again, guilty) = EquivocationProof::verify(audited.encode()).unwrap();
            assert_eq!((&again, guilty), (&audited, publisher().peer_id()));
            assert_eq!((again.content(), again.segment()), (content.id(), FIRST));

            let data_only = subset.iter().all(|column| column.get() < 3);
            let read = decoder.decode(FIRST, &chosen);
            if data_only && column >= 3 {
                // The film is in the data shards, and these are what the publisher sealed.
                assert_eq!(read.unwrap(), film.plaintext);
            } else {
                assert_eq!(proof_in(read), audited);
            }
        }
    }
}

#[test]
fn an_honest_segment_decoded_before_excuses_nothing() {
    // Same shape, so that a decoder that compared what it computed before would be deceived.
    let (segment_bytes, second) = (3 * 64 - 16, SegmentIndex(1));
    let film = Film::new((3, 6), 64, 2 * segment_bytes);
    let columns = || film.content.layout().columns();
    let mut shards: Vec<Vec<Vec<u8>>> = (film.encoded.iter())
        .map(|segment| columns().map(|it| segment.shard(it).unwrap().to_vec()).collect())
        .collect();
    shards[1][5][3] ^= 1;
    let commitment = ContentKey::from_bytes(KEY).commitment(&Digest(SALT));
    let (content, shards) = sign_segments(&film, &shards, commitment);
    let mut decoder = Decoder::new(content, ContentKey::from_bytes(KEY)).unwrap();
    for subset in subsets(3, 6) {
        let of = |index: usize| -> Vec<VerifiedShard> {
            subset.iter().map(|column| shards[index][column.as_usize()].clone()).collect()
        };
        let read = decoder.decode(FIRST, &of(0)).unwrap();
        assert_eq!(read, film.plaintext[..segment_bytes]);
        let rebuilds = subset.iter().any(|column| column.get() >= 3);
        let read = decoder.decode(second, &of(1));
        assert_eq!(read.is_err(), rebuilds, "{subset:?}");
    }
}

#[test]
fn the_proof_is_no_longer_than_k_shards_and_their_paths() {
    for shape in [(3, 6), (19, 27), (30, 80)] {
        let film = Film::new(shape, 64, 150);
        let (content, shards) = liar(&film, usize::from(shape.1) - 1);
        let proof =
            proof_in(Repairer::new(content.clone()).rebuild(FIRST, &shards, ColumnSet::new()));
        let shard_bytes = usize::try_from(content.layout().shard_bytes(FIRST).unwrap()).unwrap();
        let bound = usize::from(shape.0) * (shard_bytes + 8 * 32 + 16) + 1024;
        assert!(proof.encode().len() <= bound && bound < EQUIVOCATION_PROOF_BYTES_MAX);
    }
}

#[test]
fn an_honest_publisher_cannot_be_framed() {
    let film = Film::new((3, 6), 64, 400);
    for segment in film.content.layout().segments() {
        for subset in subsets(3, 6) {
            let evidence = evidence(&film, &film.shards(segment, subset));
            let refused = EquivocationProof::verify(evidence.encode()).unwrap_err();
            assert_eq!(refused, ProofError::Consistent);
        }
    }
    let shards = film.worst(FIRST);
    let honest = evidence(&film, &shards);

    let mut short = honest.clone();
    short.shards.pop();
    let refused = EquivocationProof::verify(short.encode()).unwrap_err();
    assert_eq!(refused, ProofError::ShardCount { needed: 3, got: 2 });

    let mut twice = honest.clone();
    twice.shards[1] = twice.shards[0].clone();
    let refused = EquivocationProof::verify(twice.encode()).unwrap_err();
    assert_eq!(refused, ProofError::ShardCount { needed: 3, got: 2 });

    let mut altered = honest.clone();
    altered.shards[1].payload = vec![0; altered.shards[1].payload.len()].into();
    let refused = EquivocationProof::verify(altered.encode()).unwrap_err();
    assert!(matches!(refused, ProofError::Shard(_)), "{refused}");

    let mut foreign = honest;
    foreign.manifest = Film::new((3, 6), 64, 401).content.manifest().signed().clone();
    let refused = EquivocationProof::verify(foreign.encode()).unwrap_err();
    assert!(matches!(refused, ProofError::Shard(_)), "{refused}");
}

#[test]
fn no_flipped_bit_turns_honest_shards_into_a_proof() {
    let film = Film::new((2, 3), 64, 100);
    let bytes = evidence(&film, &film.worst(FIRST)).encode();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        EquivocationProof::verify(flipped.into()).unwrap_err();
    }
    for length in 0..bytes.len() {
        EquivocationProof::verify(bytes.slice(..length)).unwrap_err();
    }
    EquivocationProof::verify(Bytes::from(vec![0; EQUIVOCATION_PROOF_BYTES_MAX + 1])).unwrap_err();
}

fn evidence(film: &Film, shards: &[VerifiedShard]) -> EquivocationEvidence {
    let shard = |shard: &VerifiedShard| EvidenceShard {
        column: shard.column(),
        payload: shard.payload().clone(),
        segment_path: shard.segment_path().to_vec(),
    };
    EquivocationEvidence {
        manifest: film.content.manifest().signed().clone(),
        segment: shards[0].segment(),
        content_path: shards[0].content_path().to_vec(),
        shards: shards.iter().map(shard).collect(),
    }
}
