//! The hash of an operation is the one that Ethereum's own library computes.

use alloy_sol_types::private::{Address, B256};
use alloy_sol_types::{SolStruct, sol};
use pop_incentive::ledger::{Operation, SignedOperation};
use pop_wire::Digest;

use crate::support::*;

sol! {
    struct Transfer {
        address actor;
        uint64 nonce;
        address to;
        uint128 amount;
    }

    struct Emit {
        address actor;
        uint64 nonce;
        uint64 epoch;
        address[] payees;
        uint128[] amounts;
    }

    struct ClaimShare {
        address actor;
        uint64 nonce;
        bytes32 pool;
        uint64 epoch;
        address member;
        uint64 bytes;
        uint128 amount;
        bytes32[] path;
    }

    struct RegisterCollateral {
        address actor;
        uint64 nonce;
        bytes operator;
        uint128 amount;
    }
}

fn id(operation: Operation, nonce: u64) -> [u8; 32] {
    SignedOperation::sign(operation, nonce, &key(3), &domain()).id().0
}

#[test]
fn operations_hash_as_eip_712_structs() {
    let actor = Address::from(wallet(&key(3)).0);
    let (other, address) = (wallet(&key(4)), Address::from(wallet(&key(4)).0));
    let transfer = Transfer { actor, nonce: 7, to: address, amount: u128::MAX };
    let operation = Operation::Transfer { to: other, amount: units(u128::MAX) };
    assert_eq!(operation.encoded_type(), Transfer::eip712_root_type());
    assert_eq!(id(operation, 7), transfer.eip712_hash_struct().0);

    let emit =
        Emit { actor, nonce: 0, epoch: 2, payees: vec![address, actor], amounts: vec![5, 6] };
    let payees = vec![other, wallet(&key(3))];
    let operation = Operation::Emit { epoch: 2, payees, amounts: vec![units(5), units(6)] };
    assert_eq!(id(operation, 0), emit.eip712_hash_struct().0);

    let pool = pop_incentive::ids::PoolId([8; 32]);
    let claim = ClaimShare {
        actor,
        nonce: 1,
        pool: B256::from(pool.0),
        epoch: 3,
        member: address,
        bytes: 4,
        amount: 5,
        path: vec![B256::from([6; 32]), B256::from([7; 32])],
    };
    let path = vec![Digest([6; 32]), Digest([7; 32])];
    let operation =
        Operation::ClaimShare { pool, epoch: 3, member: other, bytes: 4, amount: units(5), path };
    assert_eq!(id(operation, 1), claim.eip712_hash_struct().0);

    let node = key(4).peer_id();
    let operator = node.public_key().to_vec().into();
    let register = RegisterCollateral { actor, nonce: 1, operator, amount: 9 };
    let operation = Operation::RegisterCollateral { operator: node, amount: units(9) };
    assert_eq!(id(operation, 1), register.eip712_hash_struct().0);
}
