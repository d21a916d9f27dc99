//! What is asked of a served ledger and what it answers: nothing is lost on the wire, garbage is
//! refused, and every bound holds.

use pop_incentive::ids::{BountyId, LoanId, LockId, OperationId, PoolId, VaultId};
use pop_incentive::ledger::protocol::{Genesis, LedgerReply, LedgerRequest};
use pop_incentive::ledger::{
    Account, DecodeError, LoanNote, OfferedNote, Operation, Refusal, SignedNote, SignedOperation,
};
use pop_incentive::limits::{LEDGER_BATCH_MAX, LEDGER_REQUEST_BYTES_MAX};
use pop_incentive::typed_data::SignatureError;
use pop_wire::{Amount, Digest, UnixTime};
use proptest::prelude::*;

use crate::support::*;

const HEAD: pop_incentive::ledger::Head = pop_incentive::ledger::Head { count: 7, hash: [7; 32] };

/// Every request, about a ledger in which there is something to each.
fn requests() -> Vec<LedgerRequest> {
    let (owner, other) = (wallet(&key(11)), wallet(&key(12)));
    let domain = domain();
    let vault = pop_incentive::ledger::names::vault_id(&domain, owner, 0);
    let pool = pop_incentive::ledger::names::pool_id(&domain, owner, 0);
    let bounty = pop_incentive::ledger::names::bounty_id(&domain, owner, 0);
    let lock = pop_incentive::ledger::names::lock_id(&domain, owner, 0);
    let operator = key(13).peer_id();
    vec![
        LedgerRequest::Info,
        LedgerRequest::Submit { operations: history() },
        LedgerRequest::Balance { account: Account::Wallet(owner) },
        LedgerRequest::Balance { account: Account::Collateral { owner, operator } },
        LedgerRequest::Balance { account: Account::Emission },
        LedgerRequest::Nonce { actor: owner },
        LedgerRequest::Receipt { operation: history()[0].id() },
        LedgerRequest::Receipt { operation: OperationId([0; 32]) },
        LedgerRequest::Vault { vault },
        LedgerRequest::Vault { vault: VaultId([0; 32]) },
        LedgerRequest::Redeemed { vault, payee: other, epoch: 1 },
        LedgerRequest::Record { wallet: owner },
        LedgerRequest::Registration { owner, operator },
        LedgerRequest::Registration { owner: other, operator },
        LedgerRequest::Liens { borrower: owner },
        LedgerRequest::Loan { loan: note().note.id() },
        LedgerRequest::Loan { loan: LoanId([0; 32]) },
        LedgerRequest::Pool { pool },
        LedgerRequest::Pool { pool: PoolId([0; 32]) },
        LedgerRequest::PoolEpoch { pool, epoch: 0 },
        LedgerRequest::Bounty { bounty },
        LedgerRequest::Bounty { bounty: BountyId([0; 32]) },
        LedgerRequest::Claim { bounty, claimant: other },
        LedgerRequest::Lock { lock },
        LedgerRequest::Lock { lock: LockId([0; 32]) },
        LedgerRequest::OpenLocks { payee: other, after: LockId([0; 32]) },
        LedgerRequest::OpenLocks { payee: owner, after: LockId([0; 32]) },
    ]
}

fn note() -> SignedNote {
    let (lender, borrower) = (key(12), key(11));
    let note = LoanNote {
        lender: wallet(&lender),
        borrower: wallet(&borrower),
        principal: units(10),
        bytes: 5,
        interest_bps: 1_000,
        due: UnixTime(900),
        number: 1,
    };
    let offered = OfferedNote { note, borrower: note.sign(&domain(), &borrower) };
    let offered = OfferedNote::decode(&offered.encode()).unwrap();
    offered.verify(&domain()).unwrap();
    offered.countersign(&domain(), &lender)
}

/// What makes one of each thing, after the mint.
fn history() -> Vec<SignedOperation> {
    let (bounty, wanted) =
        (pop_incentive::ledger::names::bounty_id(&domain(), wallet(&key(11)), 0), Digest([4; 32]));
    let (salt, commitment, deadline_s) = (Digest([5; 32]), Digest([6; 32]), 1_000);
    let (members, judges) = (vec![wallet(&key(12))], vec![wallet(&key(12))]);
    let (reward, amount) = (units(1), units(1));
    let pool = pop_incentive::ledger::names::pool_id(&domain(), wallet(&key(11)), 0);
    let operator = key(13).peer_id();
    let of_owner = [
        Operation::OpenVault { index: 0, deposit: units(3), penalty: units(2) },
        Operation::RegisterCollateral { operator, amount: units(50) },
        Operation::CreatePool { index: 0, members, quorum: 1, deadline_s },
        Operation::OpenBounty { index: 0, wanted, reward, judges, quorum: 1, deadline_s },
        Operation::OpenLock {
            index: 0,
            payee: wallet(&key(12)),
            amount,
            salt,
            commitment,
            deadline_s,
        },
    ];
    let of_other = [
        Operation::Lend { note: note() },
        Operation::ApproveEpoch { pool, epoch: 0, root: Digest([8; 32]), total: Amount::ZERO },
        Operation::CommitClaim { bounty, commitment },
        Operation::CommitClaim { bounty: BountyId([0; 32]), commitment },
    ];
    let sign = |number: u8, nonce: usize, operation: Operation| {
        let nonce = u64::try_from(nonce).unwrap();
        SignedOperation::sign(operation, nonce, &key(number), &domain())
    };
    let owner = of_owner.into_iter().enumerate().map(|(nonce, it)| sign(11, nonce, it));
    let other = of_other.into_iter().enumerate().map(|(nonce, it)| sign(12, nonce, it));
    owner.chain(other).collect()
}

#[test]
fn every_request_and_reply_survives_the_wire() {
    let mut parameters = pop_incentive::ledger::LedgerParameters::new(wallet(&operator()));
    parameters.collateral_min = units(50);
    let check = pop_incentive::ledger::no_equivocation_check;
    let mut state = pop_incentive::ledger::LedgerState::new(domain(), parameters, check).unwrap();
    let mint = Operation::Mint { to: wallet(&key(11)), amount: units(100) };
    act(&mut state, 0, &operator(), mint).unwrap();
    let results: Vec<_> =
        history().iter().map(|operation| state.apply(UnixTime(5), operation)).collect();
    assert_eq!(results.iter().filter(|result| result.is_err()).count(), 1, "{results:?}");
    let mut there = 0;
    for request in requests() {
        assert_eq!(LedgerRequest::decode(&request.encode()), Ok(request.clone()));
        let reply = match state.answer(&request, HEAD) {
            Some(reply) => reply,
            None => LedgerReply::Submitted(results.clone()),
        };
        there += usize::from(format!("{reply:?}").contains("Some("));
        assert_eq!(LedgerReply::decode(&reply.encode()), Ok(reply));
    }
    assert_eq!(there, 9, "something of each kind is there");
    for reply in [LedgerReply::Busy, LedgerReply::Unavailable, LedgerReply::Malformed] {
        assert_eq!(LedgerReply::decode(&reply.encode()), Ok(reply));
    }
    let genesis = Genesis { domain: domain(), parameters: state.parameters().clone() };
    assert_eq!(Genesis::decode(&genesis.encode()), Ok(genesis));
}

#[test]
fn every_refusal_survives_the_wire() {
    let account = Account::Wallet(wallet(&key(11)));
    let (least, most, got) = (units(1), units(2), units(3));
    let (expected, now) = (wallet(&key(11)), UnixTime(9));
    let signer = SignatureError::OtherSigner { expected, got: wallet(&key(12)) };
    let truncated = DecodeError::Truncated { field: "voucher", expected: 150, got: 7 };
    let refusals = [
        Refusal::Nonce { expected: 1, got: 2 },
        Refusal::Signature(signer),
        Refusal::Signature(SignatureError::RecoveryByte { got: 3 }),
        Refusal::Form(truncated),
        Refusal::Form(DecodeError::Trailing { got: 1 }),
        Refusal::Insufficient { account, available: least, needed: most },
        Refusal::Overflow { what: "vault" },
        Refusal::Actor { expected: "operator of the ledger" },
        Refusal::Unknown { what: "closed epoch" },
        Refusal::Exists { what: "claim to this content" },
        Refusal::State { what: "bounty", expected: "approved for the first time" },
        Refusal::TooEarly { what: "withdrawal", from: now, now },
        Refusal::TooLate { what: "pool's deadline", until: now, now },
        Refusal::Amount { what: "collateral", least, most, got },
        Refusal::Count { what: "open loans", least: 0, most: 16, got: 17 },
        Refusal::Order { what: "payees" },
        Refusal::Unproven,
        Refusal::Hash { what: "share" },
    ];
    for refusal in refusals {
        let reply = LedgerReply::Submitted(vec![Err(refusal)]);
        assert_eq!(LedgerReply::decode(&reply.encode()), Ok(reply));
    }
}

/// The examples of spec/incentive.md §12.13.
#[test]
fn the_examples_of_the_specification_are_these_bytes() {
    let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let actor = pop_wire::WalletAddress([0x11; 20]);
    let question = LedgerRequest::Nonce { actor };
    assert_eq!(hex(question.encode()), format!("03{}", "11".repeat(20)));
    assert_eq!(hex(LedgerReply::Nonce(7).encode()), "030000000000000007");
    let refusal = Refusal::Unknown { what: "vault" };
    let reply = LedgerReply::Submitted(vec![Err(refusal)]);
    assert_eq!(hex(reply.encode()), "01000000010106057661756c74");
    assert_eq!(hex(LedgerReply::Busy.encode()), "40");
}

#[test]
fn lengths_over_their_limits_are_refused() {
    let transfer = Operation::Transfer { to: wallet(&key(12)), amount: units(1) };
    let operation = SignedOperation::sign(transfer, 0, &key(11), &domain());
    let full = LedgerRequest::Submit { operations: vec![operation.clone(); LEDGER_BATCH_MAX] };
    LedgerRequest::decode(&full.encode()).unwrap();
    let over = LedgerRequest::Submit { operations: vec![operation; LEDGER_BATCH_MAX + 1] };
    let refused = LedgerRequest::decode(&over.encode());
    assert!(matches!(refused, Err(DecodeError::TooLong { field: "operations", .. })));
    // A count that nothing follows reserves nothing.
    let many = [&[1][..], &64_u32.to_be_bytes()].concat();
    assert!(matches!(LedgerRequest::decode(&many), Err(DecodeError::Truncated { .. })));
    let long = vec![0; LEDGER_REQUEST_BYTES_MAX + 1];
    let refused = LedgerRequest::decode(&long);
    assert!(matches!(refused, Err(DecodeError::TooLong { field: "request", .. })));
    let trailing = [LedgerRequest::Info.encode(), vec![0]].concat();
    assert_eq!(LedgerRequest::decode(&trailing), Err(DecodeError::Trailing { got: 1 }));
    assert!(matches!(LedgerRequest::decode(&[17]), Err(DecodeError::Kind { got: 17, .. })));
    let flag = [LedgerReply::Lock(None).encode()[0], 2];
    assert!(matches!(LedgerReply::decode(&flag), Err(DecodeError::Kind { got: 2, .. })));
}

proptest! {
    #[test]
    fn garbage_is_refused_and_what_is_read_has_one_form(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        request in 0..27_usize,
        at in any::<prop::sample::Index>(),
        flip in 1..=255_u8,
    ) {
        // Nothing panics, and nothing has two forms.
        let mut near = requests()[request].encode();
        let index = at.index(near.len());
        near[index] ^= flip;
        for bytes in [bytes, near] {
            if let Ok(request) = LedgerRequest::decode(&bytes) {
                prop_assert_eq!(request.encode(), &bytes[..]);
            }
            if let Ok(reply) = LedgerReply::decode(&bytes) {
                let again = reply.encode();
                // A word of another version is read as one that says so.
                prop_assert!(again == bytes || matches!(reply, LedgerReply::Submitted(_)));
            }
            let _no_panic = (OfferedNote::decode(&bytes), Genesis::decode(&bytes));
        }
    }
}

#[test]
fn a_note_is_the_borrowers_word_and_nobody_elses() {
    let note = note().note;
    let forged = OfferedNote { note, borrower: note.sign(&domain(), &key(9)) };
    assert!(forged.verify(&domain()).is_err());
    let bytes = forged.encode();
    assert_eq!(bytes.len(), 154);
    assert!(OfferedNote::decode(&bytes[..153]).is_err());
    assert!(OfferedNote::decode(&[&[2], &bytes[1..]].concat()).is_err());
}
