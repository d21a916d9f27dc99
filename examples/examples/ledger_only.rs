//! The ledger alone, inside your own program: accounts in double entry, operations that can be
//! delivered twice, a journal on the disk that its own hash chain proves. No node, no network.
//!
//! ```sh
//! cargo run -p examples --example ledger_only
//! ```

use std::error::Error;

use pop_incentive::ledger::{
    Account, Ledger, LedgerParameters, LedgerState, LocalLedger, Operation, Refusal,
    SignedOperation, no_equivocation_check,
};
use pop_incentive::typed_data::LedgerDomain;
use pop_wire::{Amount, Keypair, UnixTime, WalletAddress};

fn main() -> Result<(), Box<dyn Error>> {
    // Constants for the example only: a real secret comes from a random source. So do, once, the
    // chain id above 2^32 and the address that name a ledger without a chain.
    let operator = Keypair::from_secret_bytes(&[1; 32])?;
    let [anna, bela] = [[2; 32], [3; 32]].map(|secret| Keypair::from_secret_bytes(&secret));
    let (anna, bela) = (anna?, bela?);
    let domain = LedgerDomain::new(5_000_000_001, WalletAddress([9; 20]));
    let parameters = LedgerParameters::new(operator.peer_id().wallet_address());
    let empty = LedgerState::new(domain, parameters, no_equivocation_check)?;

    let folder = tempfile::tempdir()?;
    let path = folder.path().join("ledger.redb");
    let mut ledger = LocalLedger::open(&path, empty.clone())?;

    // The operator makes money; its owner spends it. Times are the caller's.
    let to = anna.peer_id().wallet_address();
    let mint = Operation::Mint { to, amount: pop(100)? };
    ledger.submit(UnixTime(1_800_000_000), &SignedOperation::sign(mint, 0, &operator, &domain))?;
    let payment = Operation::Transfer { to: bela.peer_id().wallet_address(), amount: pop(30)? };
    let payment = SignedOperation::sign(payment, 0, &anna, &domain);
    let receipt = ledger.submit(UnixTime(1_800_000_001), &payment)?;
    println!("entries: {:?}", receipt.entries);

    // Who doesn't know whether an operation arrived sends it again: same receipt, no second effect.
    let again = ledger.submit(UnixTime(1_800_000_002), &payment)?;
    assert_eq!(again, receipt);

    // A batch is one commit to the disk. What is refused in it keeps nothing else from happening.
    let pay = |nonce, count| -> Result<SignedOperation, Box<dyn Error>> {
        let operation = Operation::Transfer { to, amount: pop(count)? };
        Ok(SignedOperation::sign(operation, nonce, &bela, &domain))
    };
    let batch = [pay(0, 5)?, pay(1, 1_000)?, pay(1, 6)?];
    let results = ledger.submit_batch(UnixTime(1_800_000_003), &batch)?;
    assert!(matches!(results[1], Err(Refusal::Insufficient { .. })), "{:?}", results[1]);
    println!("refused: {:?}", results[1]);

    // The state is the fold of the journal: opened again, it is the same.
    let head = ledger.head();
    let before = ledger.state().clone();
    drop(ledger);
    let ledger = LocalLedger::open(&path, empty)?;
    assert!(*ledger.state() == before && ledger.head() == head);
    // And with every signature in it checked once more.
    ledger.verify()?;

    // Somebody else's program asks through the trait, whatever stands behind it.
    report(&ledger, &[("anna", &anna), ("bela", &bela)])?;
    assert_eq!(ledger.balance(Account::Wallet(to))?, pop(81)?);
    assert_eq!(ledger.balance(Account::Emission)?, pop(100)?);
    println!("{} operations, head {}", head.count, hex::encode(head.hash));
    Ok(())
}

fn report<L: Ledger>(ledger: &L, people: &[(&str, &Keypair)]) -> Result<(), L::Error> {
    for (name, keypair) in people {
        let wallet = keypair.peer_id().wallet_address();
        println!("{name} {wallet}: {}", ledger.balance(Account::Wallet(wallet))?);
    }
    Ok(())
}

fn pop(count: u128) -> Result<Amount, &'static str> {
    Amount::ONE_POP.checked_mul(count).ok_or("more than an amount can be")
}
