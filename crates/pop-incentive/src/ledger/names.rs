//! How things on the ledger get their names, and the hashes that bind claims.

use pop_wire::{Amount, ContentId, Digest, WalletAddress};
use sha2::{Digest as _, Sha256};

use crate::ids::{BountyId, LockId, PoolId, VaultId};
use crate::ledger::limits::PATH_LEN_MAX;
use crate::typed_data::{LedgerDomain, StructHash, keccak};

fn named(tag: &[u8], domain: &LedgerDomain, owner: WalletAddress, index: u64) -> [u8; 32] {
    let parts = [tag, &domain.separator(), &owner.0, &index.to_be_bytes()];
    keccak(&parts.concat())
}

/// Name of an owner's vault: Keccak-256 of `POP vault v1`, the domain separator, the owner and
/// the index.
pub fn vault_id(domain: &LedgerDomain, owner: WalletAddress, index: u64) -> VaultId {
    VaultId(named(b"POP vault v1", domain, owner, index))
}

/// Name of a creator's pool, as for a vault with `POP pool v1`.
pub fn pool_id(domain: &LedgerDomain, creator: WalletAddress, index: u64) -> PoolId {
    PoolId(named(b"POP pool v1", domain, creator, index))
}

/// Name of an opener's bounty, as for a vault with `POP bounty v1`.
pub fn bounty_id(domain: &LedgerDomain, opener: WalletAddress, index: u64) -> BountyId {
    BountyId(named(b"POP bounty v1", domain, opener, index))
}

/// Name of a payer's lock, as for a vault with `POP lock v1`.
pub fn lock_id(domain: &LedgerDomain, payer: WalletAddress, index: u64) -> LockId {
    LockId(named(b"POP lock v1", domain, payer, index))
}

/// What a claimant commits to: bound to the bounty and to the claimant, so that a copy of it is
/// of no use to anybody else.
pub fn claim_commitment(
    bounty: BountyId,
    claimant: WalletAddress,
    content: ContentId,
    salt: Digest,
) -> Digest {
    let parts = [&b"POP claim v1"[..], &bounty.0, &claimant.0, &content.0, &salt.0];
    Digest(keccak(&parts.concat()))
}

/// The commitment of a manifest to its content key (`spec/content.md` §3), so that the key that
/// opens a lock opens the content.
pub fn key_commitment(salt: Digest, key: Digest) -> Digest {
    let hash = Sha256::new()
        .chain_update(b"POP key commitment v1")
        .chain_update(salt.0)
        .chain_update(key.0);
    Digest(hash.finalize().into())
}

/// A member's share as it stands in the tree of an epoch. Hashed twice, as OpenZeppelin's
/// `MerkleProof` wants it, so that a node of the tree can't pass for a leaf.
pub fn share_leaf(
    pool: PoolId,
    epoch: u64,
    member: WalletAddress,
    bytes: u64,
    amount: Amount,
) -> Digest {
    let inner = StructHash::new(
        b"Share(bytes32 pool,uint64 epoch,address member,uint64 bytes,uint128 amount)",
    )
    .word(pool.0)
    .uint(epoch.into())
    .address(member)
    .uint(bytes.into())
    .amount(amount)
    .finish();
    Digest(keccak(&inner))
}

/// Root and path of each leaf, in the leaves' order: pairs are hashed in ascending order, a node
/// without a sibling rises. `None` without leaves or with more than a path can reach.
pub fn share_tree(leaves: &[Digest]) -> Option<(Digest, Vec<Vec<Digest>>)> {
    if leaves.is_empty() || leaves.len() > 1 << PATH_LEN_MAX {
        return None;
    }
    let mut paths = vec![Vec::new(); leaves.len()];
    let mut level = leaves.to_vec();
    let mut height = 0;
    while level.len() > 1 {
        for (leaf, path) in paths.iter_mut().enumerate() {
            path.extend(level.get((leaf >> height) ^ 1));
        }
        level = level
            .chunks(2)
            .map(|pair| match pair {
                [left, right] => pair_hash(*left, *right),
                _ => pair[0],
            })
            .collect();
        height += 1;
    }
    Some((level[0], paths))
}

/// Whether `path` leads from the leaf to the root.
pub(crate) fn leads_to(leaf: Digest, path: &[Digest], root: Digest) -> bool {
    path.iter().fold(leaf, |node, sibling| pair_hash(node, *sibling)) == root
}

fn pair_hash(one: Digest, two: Digest) -> Digest {
    let (low, high) = if one.0 <= two.0 { (one, two) } else { (two, one) };
    Digest(keccak(&[low.0, high.0].concat()))
}
