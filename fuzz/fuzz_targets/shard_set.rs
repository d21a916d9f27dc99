//! An encoder that signs whatever it likes: bytes of its shards changed before the tree over them
//! is built. Whichever k shards a viewer gets, it ends with the same bytes as every other viewer,
//! or with evidence against the publisher; and of an honest encoding every k shards open.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use pop_erasure::merkle::{MerkleTree, segment_leaf, shard_hash};
use pop_erasure::{
    Content, DecodeError, Decoder, EquivocationProof, ReEncodeCheck, Repairer, ShardSet,
    VerifiedShard,
};
use pop_exchange::ShardWithProof;
use pop_fuzz::keypair;
use pop_fuzz::sample::Sample;
use pop_wire::{ColumnIndex, Manifest, SegmentIndex, Verified};

const PLAINTEXT_BYTES_MAX: usize = 1_000;

#[derive(Debug, Arbitrary)]
struct Input {
    plaintext: Vec<u8>,
    k: u8,
    parity: u8,
    shard_grains: u8,
    /// What the encoder changes before it signs.
    lies: Vec<Change>,
    /// What a holder changes afterwards.
    forgery: Change,
    /// Which columns each viewer gets first.
    viewers: [u16; 4],
}

#[derive(Debug, Arbitrary)]
struct Change {
    segment: u8,
    column: u8,
    position: u16,
    difference: u8,
}

/// What the publisher signed, true or not: every shard with its proof, by segment and column.
struct Publication {
    content: Content,
    shards: Vec<Vec<ShardWithProof>>,
}

fn publish(sample: &Sample, lies: &[Change]) -> Publication {
    let honest = sample.content.manifest();
    let mut payloads: Vec<Vec<Vec<u8>>> = (0..sample.segment_count())
        .map(|segment| {
            (0..honest.total_shards)
                .map_while(|column| sample.shard(segment, column))
                .map(|shard| shard.payload.to_vec())
                .collect()
        })
        .collect();
    for lie in lies {
        let count = payloads.len();
        let columns = &mut payloads[usize::from(lie.segment) % count];
        let count = columns.len();
        let payload = &mut columns[usize::from(lie.column) % count];
        let count = payload.len();
        payload[usize::from(lie.position) % count] ^= lie.difference;
    }
    let trees: Vec<MerkleTree> = payloads
        .iter()
        .map(|columns| MerkleTree::new(columns.iter().map(|it| shard_hash(it)).collect()))
        .collect();
    let leaves = trees.iter().zip(0..).map(|(tree, segment)| {
        let segment = SegmentIndex(segment);
        let shard_bytes = sample.content.layout().shard_bytes(segment).expect("it exists");
        segment_leaf(segment, shard_bytes, &tree.root())
    });
    let tree = MerkleTree::new(leaves.collect());
    let manifest = Manifest::new(
        keypair().peer_id(),
        honest.length_bytes,
        honest.shard_bytes,
        (honest.data_shards, honest.total_shards),
        [tree.root(), honest.salt, honest.key_commitment],
    );
    let manifest = Verified::sign(manifest, &keypair()).expect("as valid as the honest one");
    let shards = payloads
        .into_iter()
        .enumerate()
        .map(|(segment, columns)| {
            let content_path = tree.path(segment).expect("a leaf of its own");
            let with_proof = |(column, payload): (usize, Vec<u8>)| ShardWithProof {
                payload: payload.into(),
                segment_path: trees[segment].path(column).expect("a leaf of its own"),
                content_path: content_path.clone(),
            };
            columns.into_iter().enumerate().map(with_proof).collect()
        })
        .collect();
    Publication { content: Content::new(manifest).expect("as possible as the honest one"), shards }
}

impl Publication {
    /// k verified shards of a segment: those of `mask` first.
    fn some(&self, segment: usize, mask: u16) -> Vec<VerifiedShard> {
        let mut set = ShardSet::new(&self.content, index(segment));
        let mut columns: Vec<usize> = (0..self.shards[segment].len()).collect();
        columns.sort_by_key(|column| mask >> column & 1 == 0);
        for column in columns {
            if set.is_complete() {
                break;
            }
            let ShardWithProof { payload, segment_path, content_path } =
                self.shards[segment][column].clone();
            set.insert(column_index(column), payload, segment_path, content_path)
                .expect("the publisher's own shards fit what it signed");
        }
        set.into_shards()
    }
}

fn index(segment: usize) -> SegmentIndex {
    SegmentIndex(u64::try_from(segment).expect("few segments"))
}

fn column_index(column: usize) -> ColumnIndex {
    u16::try_from(column).ok().and_then(|it| ColumnIndex::new(it).ok()).expect("few columns")
}

/// Evidence must convince somebody who has nothing but its bytes.
fn convinces(proof: &EquivocationProof) {
    let (received, publisher) = EquivocationProof::verify(proof.encode()).expect("it is true");
    assert_eq!(publisher, keypair().peer_id());
    assert_eq!(received.segment(), proof.segment());
}

/// What a repairer makes of the same shards is what the publisher signed, or evidence.
fn repair(
    repairer: &mut Repairer,
    publication: &Publication,
    segment: usize,
    shards: &[VerifiedShard],
) -> bool {
    let columns = ColumnIndex::first(publication.content.manifest().total_shards).collect();
    match repairer.rebuild(index(segment), shards, columns) {
        Ok(rebuilt) => {
            for (shard, signed) in rebuilt.iter().zip(&publication.shards[segment]) {
                assert_eq!(*shard.payload(), signed.payload);
                assert_eq!(shard.segment_path(), signed.segment_path);
                assert_eq!(shard.content_path(), signed.content_path);
            }
            true
        }
        Err(DecodeError::Equivocation(proof)) => {
            convinces(&proof);
            false
        }
        Err(error) => panic!("k shards of one segment: {error}"),
    }
}

/// A shard that the publisher did not sign never gets in.
fn forgery_is_refused(publication: &Publication, change: &Change) {
    let segment = usize::from(change.segment) % publication.shards.len();
    let column = usize::from(change.column) % publication.shards[segment].len();
    let mut shard = publication.shards[segment][column].clone();
    let mut payload = shard.payload.to_vec();
    let position = usize::from(change.position) % payload.len();
    payload[position] ^= change.difference.max(1);
    shard.payload = payload.into();
    let ShardWithProof { payload, segment_path, content_path } = shard;
    let mut set = ShardSet::new(&publication.content, index(segment));
    assert!(set.insert(column_index(column), payload, segment_path, content_path).is_err());
}

fuzz_target!(|input: Input| {
    let Input { mut plaintext, k, parity, shard_grains, lies, forgery, viewers } = input;
    plaintext.truncate(PLAINTEXT_BYTES_MAX);
    let k = u16::from(k % 7) + 2;
    let n = k + u16::from(parity % 6) + 1;
    let sample = Sample::encode(plaintext, k, n, (u32::from(shard_grains % 2) + 1) * 64);
    let publication = publish(&sample, &lies);
    let content = &publication.content;
    let honest = content.manifest().root == sample.content.manifest().root;
    forgery_is_refused(&publication, &forgery);

    let mut decoder = Decoder::new(content.clone(), sample.key.clone()).expect("its own key");
    let mut auditor = decoder.clone().with_check(ReEncodeCheck::Always);
    let mut repairer = Repairer::new(content.clone());
    for segment in 0..publication.shards.len() {
        let range = content.layout().plaintext_range(index(segment)).expect("it exists");
        let range = usize::try_from(range.start).expect("short")
            ..usize::try_from(range.end).expect("short");
        let mut seen = None;
        let mut sealed = true;
        for mask in viewers {
            let shards = publication.some(segment, mask);
            let codeword = repair(&mut repairer, &publication, segment, &shards);
            assert!(codeword || !honest, "an honest publisher is accused");
            match decoder.decode(index(segment), &shards) {
                Ok(bytes) => {
                    assert!(!honest || bytes == sample.plaintext[range.clone()]);
                    let first = seen.get_or_insert_with(|| bytes.clone());
                    assert_eq!(*first, bytes, "two viewers saw different films");
                }
                Err(DecodeError::Equivocation(proof)) => {
                    assert!(!codeword, "what re-encodes to the root is accused");
                    convinces(&proof);
                }
                Err(DecodeError::Unsealable(_)) => {
                    assert!(codeword && !honest);
                    sealed = false;
                }
                Err(error) => panic!("k shards of one segment: {error}"),
            }
            let audit = auditor.decode(index(segment), &shards);
            assert_eq!(codeword, !matches!(audit, Err(DecodeError::Equivocation(_))));
        }
        assert!(sealed || seen.is_none(), "some viewers see a film and others do not");
    }
});
