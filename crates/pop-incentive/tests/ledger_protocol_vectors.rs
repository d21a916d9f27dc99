//! `spec/vectors/ledger_protocol.json` against this crate: what is read of the bytes is what the
//! fields say, and has these bytes again.

#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

use data_encoding::HEXLOWER;
use pop_incentive::ledger::protocol::{LedgerInfo, LedgerReply, LedgerRequest, RegistrationInfo};
use pop_incentive::ledger::{
    Account, Bounty, BountyState, Claim, DecodeError, Entry, Loan, Lock, LockState, Pool,
    PoolEpoch, Receipt, Record, Refusal,
};
use pop_incentive::typed_data::SignatureError;
use pop_incentive::voucher::VaultInfo;
use pop_wire::{Amount, PeerId, UnixTime, WalletAddress};
use serde_json::{Value, json};

fn vectors() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec/vectors/ledger_protocol.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

fn hex(bytes: impl AsRef<[u8]>) -> Value {
    HEXLOWER.encode(bytes.as_ref()).into()
}

fn key(peer: &PeerId) -> Value {
    hex(peer.public_key())
}

fn number(number: impl ToString) -> Value {
    number.to_string().into()
}

fn amount(amount: Amount) -> Value {
    number(amount.base_units())
}

fn time(time: UnixTime) -> Value {
    number(time.0)
}

fn maybe<T>(value: &Option<T>, show: impl Fn(&T) -> Value) -> Value {
    value.as_ref().map_or(Value::Null, show)
}

fn people(wallets: &[WalletAddress]) -> Value {
    wallets.iter().map(|wallet| hex(wallet.0)).collect()
}

fn account(account: &Account) -> Value {
    let of = |kind: &str, id: [u8; 32]| json!({ "kind": kind, "id": hex(id) });
    let collateral = |kind: &str, owner: &WalletAddress, operator: &PeerId| json!({ "kind": kind, "owner": hex(owner.0), "operator": key(operator) });
    match account {
        Account::Wallet(wallet) => json!({ "kind": "wallet", "address": hex(wallet.0) }),
        Account::Vault(id) => of("vault", id.0),
        Account::VaultPenalty(id) => of("penalty", id.0),
        Account::Collateral { owner, operator } => collateral("collateral", owner, operator),
        Account::Unbonding { owner, operator } => collateral("unbonding", owner, operator),
        Account::Pool(id) => of("pool", id.0),
        Account::Bounty(id) => of("bounty", id.0),
        Account::Lock(id) => of("lock", id.0),
        Account::RepairFund => json!({ "kind": "repair_fund" }),
        Account::Emission => json!({ "kind": "emission" }),
        Account::Burned => json!({ "kind": "burned" }),
        other => panic!("no vector of {other:?}"),
    }
}

fn request(request: &LedgerRequest) -> Value {
    use LedgerRequest as Ask;
    match request {
        Ask::Info => json!({ "kind": "info" }),
        Ask::Submit { operations } => {
            let operations = operations.iter().map(|it| hex(it.encode())).collect::<Vec<_>>();
            json!({ "kind": "submit", "operations": operations })
        }
        Ask::Balance { account: it } => json!({ "kind": "balance", "account": account(it) }),
        Ask::Nonce { actor } => json!({ "kind": "nonce", "actor": hex(actor.0) }),
        Ask::Receipt { operation } => json!({ "kind": "receipt", "operation": hex(operation.0) }),
        Ask::Vault { vault } => json!({ "kind": "vault", "vault": hex(vault.0) }),
        Ask::Redeemed { vault, payee, epoch } => json!({ "kind": "redeemed",
            "vault": hex(vault.0), "payee": hex(payee.0), "epoch": number(epoch) }),
        Ask::Record { wallet } => json!({ "kind": "record", "wallet": hex(wallet.0) }),
        Ask::Registration { owner, operator } => {
            json!({ "kind": "registration", "owner": hex(owner.0), "operator": key(operator) })
        }
        Ask::Liens { borrower } => json!({ "kind": "liens", "borrower": hex(borrower.0) }),
        Ask::Loan { loan } => json!({ "kind": "loan", "loan": hex(loan.0) }),
        Ask::Pool { pool } => json!({ "kind": "pool", "pool": hex(pool.0) }),
        Ask::PoolEpoch { pool, epoch } => {
            json!({ "kind": "pool_epoch", "pool": hex(pool.0), "epoch": number(epoch) })
        }
        Ask::Bounty { bounty } => json!({ "kind": "bounty", "bounty": hex(bounty.0) }),
        Ask::Claim { bounty, claimant } => {
            json!({ "kind": "claim", "bounty": hex(bounty.0), "claimant": hex(claimant.0) })
        }
        Ask::Lock { lock } => json!({ "kind": "lock", "lock": hex(lock.0) }),
        Ask::OpenLocks { payee, after } => {
            json!({ "kind": "open_locks", "payee": hex(payee.0), "after": hex(after.0) })
        }
        other => panic!("no vector of {other:?}"),
    }
}

fn signature(error: &SignatureError) -> Value {
    match error {
        SignatureError::HighS => json!({ "kind": "high_s" }),
        SignatureError::RecoveryByte { got } => json!({ "kind": "recovery_byte", "got": got }),
        SignatureError::NoSigner => json!({ "kind": "no_signer" }),
        SignatureError::OtherSigner { expected, got } => {
            json!({ "kind": "other_signer", "expected": hex(expected.0), "got": hex(got.0) })
        }
        other => panic!("no vector of {other:?}"),
    }
}

fn form(error: &DecodeError) -> Value {
    match error {
        DecodeError::Truncated { field, expected, got } => json!({ "kind": "truncated",
            "field": field, "expected": number(expected), "got": number(got) }),
        DecodeError::TooLong { field, expected, got } => json!({ "kind": "too_long",
            "field": field, "expected": number(expected), "got": number(got) }),
        DecodeError::Kind { field, got } => json!({ "kind": "kind", "field": field, "got": got }),
        DecodeError::Invalid { field } => json!({ "kind": "invalid", "field": field }),
        DecodeError::Trailing { got } => json!({ "kind": "trailing", "got": number(got) }),
        other => panic!("no vector of {other:?}"),
    }
}

fn refusal(refusal: &Refusal) -> Value {
    let named = |kind: &str, what: &str| json!({ "kind": kind, "what": what });
    match refusal {
        Refusal::Nonce { expected, got } => {
            json!({ "kind": "nonce", "expected": number(expected), "got": number(got) })
        }
        Refusal::Signature(error) => json!({ "kind": "signature", "error": signature(error) }),
        Refusal::Form(error) => json!({ "kind": "form", "error": form(error) }),
        Refusal::Insufficient { account: it, available, needed } => json!({
            "kind": "insufficient", "account": account(it), "available": amount(*available),
            "needed": amount(*needed) }),
        Refusal::Overflow { what } => named("overflow", what),
        Refusal::Actor { expected } => json!({ "kind": "actor", "expected": expected }),
        Refusal::Unknown { what } => named("unknown", what),
        Refusal::Exists { what } => named("exists", what),
        Refusal::State { what, expected } => {
            json!({ "kind": "state", "what": what, "expected": expected })
        }
        Refusal::TooEarly { what, from, now } => {
            json!({ "kind": "too_early", "what": what, "from": time(*from), "now": time(*now) })
        }
        Refusal::TooLate { what, until, now } => {
            json!({ "kind": "too_late", "what": what, "until": time(*until), "now": time(*now) })
        }
        Refusal::Amount { what, least, most, got } => json!({ "kind": "amount", "what": what,
            "least": amount(*least), "most": amount(*most), "got": amount(*got) }),
        Refusal::Count { what, least, most, got } => json!({ "kind": "count", "what": what,
            "least": number(least), "most": number(most), "got": number(got) }),
        Refusal::Order { what } => named("order", what),
        Refusal::Unproven => json!({ "kind": "unproven" }),
        Refusal::Hash { what } => named("hash", what),
        other => panic!("no vector of {other:?}"),
    }
}

fn receipt(receipt: &Receipt) -> Value {
    let entry = |entry: &Entry| {
        json!({ "debit": account(&entry.debit), "credit": account(&entry.credit),
            "amount": amount(entry.amount) })
    };
    json!({ "operation": hex(receipt.operation.0), "sequence": number(receipt.sequence),
        "time": time(receipt.time), "entries": receipt.entries.iter().map(entry).collect::<Vec<_>>() })
}

fn result(result: &Result<Receipt, Refusal>) -> Value {
    match result {
        Ok(done) => json!({ "kind": "done", "receipt": receipt(done) }),
        Err(refused) => json!({ "kind": "refused", "refusal": refusal(refused) }),
    }
}

fn info(info: &LedgerInfo) -> Value {
    let (domain, it) = (&info.genesis.domain, &info.genesis.parameters);
    json!({
        "kind": "info",
        "chain_id": number(domain.chain_id()),
        "contract": hex(domain.contract().0),
        "operator": hex(it.operator.0),
        "genesis_supply": amount(it.genesis_supply),
        "genesis": time(it.genesis),
        "epoch_s": number(it.epoch_s),
        "emission_per_epoch": amount(it.emission_per_epoch),
        "collateral_min": amount(it.collateral_min),
        "unbonding_s": number(it.unbonding_s),
        "vault_unlock_s": number(it.vault_unlock_s),
        "slash_bps": number(it.slash_bps),
        "reporter_bps": number(it.reporter_bps),
        "burn_bps": number(it.burn_bps),
        "interest_max_bps": number(it.interest_max_bps),
        "reveal_s": number(it.reveal_s),
        "dispute_s": number(it.dispute_s),
        "count": number(info.head.count),
        "hash": hex(info.head.hash),
        "time": time(info.time),
    })
}

fn vault(it: &VaultInfo) -> Value {
    json!({ "vault": hex(it.vault.0), "owner": hex(it.owner.0), "epoch": number(it.epoch),
        "funded": amount(it.funded), "redeemed": amount(it.redeemed),
        "penalty": amount(it.penalty), "closes": maybe(&it.closes, |it| time(*it)) })
}

fn record(it: &Record) -> Value {
    json!({ "kind": "record", "since": time(it.since), "slashes": number(it.slashes),
        "slashed": amount(it.slashed), "overspends": number(it.overspends),
        "defaults": number(it.defaults), "loans_repaid": number(it.loans_repaid) })
}

fn registration(it: &RegistrationInfo) -> Value {
    json!({ "since": time(it.registration.since),
        "withdrawable": maybe(&it.registration.withdrawable, |it| time(*it)),
        "collateral": amount(it.collateral), "is_masternode": it.is_masternode })
}

fn loan(it: &Loan) -> Value {
    let note = &it.note;
    json!({ "lender": hex(note.lender.0), "borrower": hex(note.borrower.0),
        "principal": amount(note.principal), "bytes": number(note.bytes),
        "interest_bps": number(note.interest_bps), "due": time(note.due),
        "number": number(note.number), "outstanding": amount(it.outstanding),
        "defaulted": it.defaulted })
}

fn pool(it: &Pool) -> Value {
    json!({ "members": people(&it.members), "quorum": number(it.quorum),
        "deadline": time(it.deadline), "deposited": amount(it.deposited),
        "reserved": amount(it.reserved), "returned": maybe(&it.returned, |it| amount(*it)) })
}

fn pool_epoch(it: &PoolEpoch) -> Value {
    json!({ "root": hex(it.root.0), "total": amount(it.total), "claimed": amount(it.claimed) })
}

fn bounty(it: &Bounty) -> Value {
    let state = match &it.state {
        BountyState::Open => json!({ "kind": "open" }),
        BountyState::Approved { claimant, payable } => {
            json!({ "kind": "approved", "claimant": hex(claimant.0), "payable": time(*payable) })
        }
        BountyState::Paid { claimant } => json!({ "kind": "paid", "claimant": hex(claimant.0) }),
        BountyState::Refunded => json!({ "kind": "refunded" }),
        other => panic!("no vector of {other:?}"),
    };
    json!({ "opener": hex(it.opener.0), "wanted": hex(it.wanted.0), "reward": amount(it.reward),
        "judges": people(&it.judges), "quorum": number(it.quorum), "deadline": time(it.deadline),
        "disputed": it.disputed, "state": state })
}

fn claim(it: &Claim) -> Value {
    json!({ "commitment": hex(it.commitment.0), "committed": time(it.committed),
        "order": number(it.order), "content": maybe(&it.content, |it| hex(it.0)) })
}

fn lock(it: &Lock) -> Value {
    let state = match &it.state {
        LockState::Open => json!({ "kind": "open" }),
        LockState::Claimed { key } => json!({ "kind": "claimed", "key": hex(key.0) }),
        LockState::Refunded => json!({ "kind": "refunded" }),
        other => panic!("no vector of {other:?}"),
    };
    json!({ "payer": hex(it.payer.0), "payee": hex(it.payee.0), "amount": amount(it.amount),
        "salt": hex(it.salt.0), "commitment": hex(it.commitment.0), "deadline": time(it.deadline),
        "state": state })
}

fn reply(reply: &LedgerReply) -> Value {
    use LedgerReply as Reply;
    match reply {
        Reply::Info(it) => info(it),
        Reply::Submitted(results) => {
            let results = results.iter().map(result).collect::<Vec<_>>();
            json!({ "kind": "submitted", "results": results })
        }
        Reply::Balance(it) => json!({ "kind": "balance", "amount": amount(*it) }),
        Reply::Nonce(it) => json!({ "kind": "nonce", "nonce": number(it) }),
        Reply::Receipt(it) => json!({ "kind": "receipt", "receipt": maybe(it, receipt) }),
        Reply::Vault(it) => json!({ "kind": "vault", "vault": maybe(it, vault) }),
        Reply::Redeemed(it) => json!({ "kind": "redeemed", "amount": amount(*it) }),
        Reply::Record(it) => record(it),
        Reply::Registration(it) => {
            json!({ "kind": "registration", "registration": maybe(it, registration) })
        }
        Reply::Liens(loans) => {
            let loans = loans.iter().map(|(id, it)| json!({ "id": hex(id.0), "loan": loan(it) }));
            json!({ "kind": "liens", "loans": loans.collect::<Vec<_>>() })
        }
        Reply::Loan(it) => json!({ "kind": "loan", "loan": maybe(it, loan) }),
        Reply::Pool(it) => json!({ "kind": "pool", "pool": maybe(it, pool) }),
        Reply::PoolEpoch(it) => json!({ "kind": "pool_epoch", "epoch": maybe(it, pool_epoch) }),
        Reply::Bounty(it) => json!({ "kind": "bounty", "bounty": maybe(it, bounty) }),
        Reply::Claim(it) => json!({ "kind": "claim", "claim": maybe(it, claim) }),
        Reply::Lock(it) => json!({ "kind": "lock", "lock": maybe(it, lock) }),
        Reply::OpenLocks(locks) => {
            let locks = locks.iter().map(|(id, it)| json!({ "id": hex(id.0), "lock": lock(it) }));
            json!({ "kind": "open_locks", "locks": locks.collect::<Vec<_>>() })
        }
        Reply::Busy => json!({ "kind": "busy" }),
        Reply::Unavailable => json!({ "kind": "unavailable" }),
        Reply::Malformed => json!({ "kind": "malformed" }),
        other => panic!("no vector of {other:?}"),
    }
}

#[test]
fn requests_and_replies_have_these_fields_and_bytes() {
    let vectors = vectors();
    for vector in vectors["request"].as_array().unwrap() {
        let encoded = bytes(&vector["bytes"]);
        let read =
            LedgerRequest::decode(&encoded).unwrap_or_else(|error| panic!("{error} {vector}"));
        assert_eq!(request(&read), vector["fields"]);
        assert_eq!(read.encode(), encoded, "{vector}");
    }
    for vector in vectors["reply"].as_array().unwrap() {
        let encoded = bytes(&vector["bytes"]);
        let read = LedgerReply::decode(&encoded).unwrap_or_else(|error| panic!("{error} {vector}"));
        assert_eq!(reply(&read), vector["fields"]);
        assert_eq!(read.encode(), encoded, "{vector}");
    }
}

#[test]
fn what_must_be_refused_is_refused_for_this_reason() {
    for case in vectors()["refused"].as_array().unwrap() {
        let encoded = bytes(&case["bytes"]);
        let error = match case["what"].as_str().unwrap() {
            "request" => LedgerRequest::decode(&encoded).err(),
            _ => LedgerReply::decode(&encoded).err(),
        };
        let name = match error.unwrap_or_else(|| panic!("{case}")) {
            DecodeError::Truncated { .. } => "Truncated",
            DecodeError::TooLong { .. } => "TooLong",
            DecodeError::Kind { .. } => "Kind",
            DecodeError::Invalid { .. } => "Invalid",
            DecodeError::Trailing { .. } => "Trailing",
            other => panic!("no name for {other}"),
        };
        assert_eq!(name, case["reason"], "{case}");
    }
}
