//! Cheating costs collateral: a proof on a stranger's disk is all it takes.

use bytes::Bytes;
use pop_erasure::merkle;
use pop_wire::{
    ColumnIndex, Digest, EquivocationEvidence, EvidenceShard, Keypair, Manifest, SegmentIndex,
    Verified,
};

use crate::support::{Home, founder, mint};

/// Six shards under a publisher's signature, of which three must give the others; `fill` makes each.
fn signed_shards(publisher: &Keypair, fill: impl Fn(u8) -> u8) -> Bytes {
    let shards: Vec<Bytes> = (0..6).map(|column| vec![fill(column); 64].into()).collect();
    let leaves = shards.iter().map(|shard| merkle::shard_hash(shard)).collect();
    let tree = merkle::MerkleTree::new(leaves);
    let root = merkle::segment_leaf(SegmentIndex(0), 64, &tree.root());
    let digests = [root, Digest([1; 32]), Digest([2; 32])];
    let manifest = Manifest::new(publisher.peer_id(), 150, 64, (3, 6), digests);
    let manifest = Verified::sign(manifest, publisher).unwrap();
    let shard = |column: u16| EvidenceShard {
        column: ColumnIndex::new(column).unwrap(),
        payload: shards[usize::from(column)].clone(),
        segment_path: tree.path(column.into()).unwrap(),
    };
    let evidence = EquivocationEvidence {
        manifest: manifest.signed().clone(),
        segment: SegmentIndex(0),
        content_path: Vec::new(),
        shards: (0..3).map(shard).collect(),
    };
    evidence.encode()
}

#[test]
fn a_publisher_that_cheated_loses_collateral_to_whoever_proves_it() {
    let (bank, _) = founder();
    let serving = bank.serve(&["--serve-ledger", "--no-stake"]).ok().unwrap();
    let (cheat, wallet) = Home::at(&serving.address);
    mint(&bank, &wallet, "100");
    cheat.run(&["stake"]).report();
    let publisher = pop_node::disk::load_identity(&cheat.data()).unwrap();

    let (reporter, _) = Home::at(&serving.address);
    let proof = reporter.path("cheat.pop-proof");
    let report = ["report", proof.to_str().unwrap()];
    std::fs::write(&proof, signed_shards(&publisher, |_| 0)).unwrap();
    let honest = reporter.run(&report).refused(65, "bad_input");
    assert!(honest.contains("proof"), "{honest}");
    std::fs::write(&proof, b"nonsense").unwrap();
    reporter.run(&report).refused(65, "bad_input");

    std::fs::write(&proof, signed_shards(&publisher, |column| column)).unwrap();
    let done = reporter.run(&report).report();
    // A fifth of the least collateral, and a tenth of that for the proof.
    assert_eq!((&done["slashed"], &done["reward"]), (&"20".into(), &"2".into()), "{done}");
    let again = reporter.run(&report).refused(77, "ledger_refused");
    assert!(!again.is_empty());
    let gone = cheat.serve(&[]).err().unwrap().refused(77, "not_staked");
    assert!(gone.contains("80 POP of 100 POP"), "{gone}");
}
