//! A publisher that signed shards that are no codeword loses collateral, by pop-erasure's proof.

use bytes::Bytes;
use pop_erasure::{EquivocationProof, merkle};
use pop_incentive::ledger::{Account, Evidence, LedgerParameters, LedgerState, Operation, Refusal};
use pop_wire::{
    ColumnIndex, Digest, EquivocationEvidence, EvidenceShard, Keypair, Manifest, PeerId,
    SegmentIndex, Verified,
};

use crate::support::*;

fn by_erasure_code(bytes: &[u8]) -> Option<(PeerId, [u8; 32])> {
    let (proof, publisher) = EquivocationProof::verify(Bytes::copy_from_slice(bytes)).ok()?;
    Some((publisher, proof.content().0))
}

/// Six shards under a signature, of which three must give the others; `fill` makes each.
fn signed_shards(publisher: &Keypair, fill: impl Fn(u8) -> u8) -> Vec<u8> {
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
    evidence.encode().to_vec()
}

#[test]
fn an_equivocating_publisher_is_slashed_and_an_honest_one_is_not() {
    let (publisher, owner, reporter) = (key(10), key(11), key(12));
    let mut parameters = LedgerParameters::new(wallet(&operator()));
    parameters.collateral_min = units(50);
    let mut state = LedgerState::new(domain(), parameters, by_erasure_code).unwrap();
    let mint = Operation::Mint { to: wallet(&owner), amount: units(50) };
    act(&mut state, 0, &operator(), mint).unwrap();
    let node = publisher.peer_id();
    let register = Operation::RegisterCollateral { operator: node, amount: units(50) };
    act(&mut state, 0, &owner, register).unwrap();

    let mut slash = |bytes| {
        let evidence = Evidence::Equivocation(bytes);
        let slash = Operation::Slash { owner: wallet(&owner), operator: node, evidence };
        act(&mut state, 0, &reporter, slash)
    };
    // Zeros are a codeword: the publisher did nothing wrong.
    assert_eq!(slash(signed_shards(&publisher, |_| 0)), Err(Refusal::Unproven));
    assert_eq!(slash(signed_shards(&key(13), |column| column)), Err(Refusal::Unproven));
    let mut forged = signed_shards(&publisher, |_| 0);
    let last = forged.len() - 1;
    forged[last] ^= 1;
    assert_eq!(slash(forged), Err(Refusal::Unproven));
    slash(signed_shards(&publisher, |column| column)).unwrap();
    let account = Account::Collateral { owner: wallet(&owner), operator: node };
    assert_eq!(state.balance(account), units(40));
}
