//! An epoch of a seed pool: from the receipts that viewers signed to Merkle claims that pay.
//!
//! Three people seed together. Their viewers' vouchers say who delivered how much; each member
//! computes the same shares from the same receipts, a majority signs their root, and everybody
//! claims with a path. Nobody holds the money meanwhile, and nobody can run with it.
//!
//! ```sh
//! cargo run -p examples --example seed_pool_epoch
//! ```

use std::collections::BTreeMap;
use std::error::Error;

use pop_incentive::ids::PoolId;
use pop_incentive::ledger::{
    Account, LedgerParameters, LedgerState, Operation, Receipt, Refusal, SignedOperation, names,
    no_equivocation_check, shares,
};
use pop_incentive::typed_data::LedgerDomain;
use pop_incentive::voucher::{SignedVoucher, Voucher};
use pop_wire::{Amount, Digest, Keypair, UnixTime, WalletAddress};

type Failure = Box<dyn Error>;

const EPOCH: u64 = 1;
const START: UnixTime = UnixTime(1_800_000_000);
const DAY_S: u64 = 86_400;

fn main() -> Result<(), Failure> {
    // Constants for the example only: a real secret comes from a random source.
    let key = |byte| Keypair::from_secret_bytes(&[byte; 32]);
    let (operator, founder) = (key(1)?, key(2)?);
    let mut members = [key(3)?, key(4)?, key(5)?];
    members.sort_by_key(wallet);
    let viewers = [key(6)?, key(7)?];
    let mut ledger = Market::new(&operator)?;
    for person in viewers.iter().chain([&founder]) {
        ledger.act(&operator, Operation::Mint { to: wallet(person), amount: pop(100)? })?;
    }

    // The founder puts in what an epoch pays; the viewers have vaults.
    let pool = names::pool_id(&ledger.domain, wallet(&founder), 0);
    let create = Operation::CreatePool {
        index: 0,
        members: members.iter().map(wallet).collect(),
        quorum: 2,
        deadline_s: START.after_s(30 * DAY_S).0,
    };
    ledger.act(&founder, create)?;
    ledger.act(&founder, Operation::DepositPool { pool, amount: pop(10)? })?;
    for viewer in &viewers {
        let (deposit, penalty) = (pop(50)?, pop(10)?);
        ledger.act(viewer, Operation::OpenVault { index: 0, deposit, penalty })?;
    }

    // A week passes. A viewer's last voucher to a member says what it verified in all.
    let delivered = [[700_000_000, 120_000_000, 0], [300_000_000, 30_000_000, 50_000_000]];
    let mut receipts = Vec::new();
    for (viewer, bytes) in viewers.iter().zip(delivered) {
        for (member, bytes) in members.iter().zip(bytes) {
            receipts.push(ledger.receipt(viewer, member, bytes)?);
        }
    }

    // Each member computes the shares for itself, and signs what it computed.
    let total = pop(10)?;
    let epoch = Epoch::compute(&ledger, pool, total, &receipts)?;
    for member in &members[..2] {
        let same = Epoch::compute(&ledger, pool, total, &receipts)?;
        let root = same.root;
        assert_eq!(root, epoch.root, "the same receipts give the same root");
        ledger.act(member, Operation::ApproveEpoch { pool, epoch: EPOCH, root, total })?;
    }

    // Anybody can deliver a claim; a forged one, or a second one, gets nothing.
    let greedy = epoch.claim(1, Some(total));
    assert!(matches!(ledger.act(&members[1], greedy), Err(Refusal::Hash { .. })));
    let mut paid = Amount::ZERO;
    for index in 0..members.len() {
        ledger.act(&founder, epoch.claim(index, None))?;
        let twice = ledger.act(&founder, epoch.claim(index, None));
        assert!(matches!(twice, Err(Refusal::Exists { .. })));
        let share = &epoch.shares[index];
        paid = paid.checked_add(share.amount).ok_or("fits")?;
        println!("{} delivered {} bytes: {}", share.member, share.bytes, share.amount);
        assert_eq!(ledger.state.balance(Account::Wallet(share.member)), share.amount);
    }
    let left = ledger.state.balance(Account::Pool(pool));
    println!("paid {paid} of {total}; {left} is left, which no share could have");
    assert_eq!(paid.checked_add(left), Some(total));
    assert!(left.base_units() < 3, "less than a base unit for each member");
    Ok(ledger.state.audit()?)
}

/// The ledger, and the nonces of who acts on it.
struct Market {
    state: LedgerState,
    domain: LedgerDomain,
}

impl Market {
    fn new(operator: &Keypair) -> Result<Self, Failure> {
        let domain = LedgerDomain::new(5_000_000_001, WalletAddress([9; 20]));
        let parameters = LedgerParameters::new(wallet(operator));
        let state = LedgerState::new(domain, parameters, no_equivocation_check)?;
        Ok(Self { state, domain })
    }

    fn act(&mut self, actor: &Keypair, operation: Operation) -> Result<Receipt, Refusal> {
        let nonce = self.state.nonce(wallet(actor));
        let signed = SignedOperation::sign(operation, nonce, actor, &self.domain);
        self.state.apply(START, &signed)
    }

    /// What a viewer signed for a member in the end.
    fn receipt(
        &self,
        viewer: &Keypair,
        member: &Keypair,
        bytes: u64,
    ) -> Result<SignedVoucher, Failure> {
        let vault = names::vault_id(&self.domain, wallet(viewer), 0);
        let epoch = self.state.vault(vault).ok_or("it was opened")?.epoch;
        let amount = Amount::from_base_units(u128::from(bytes) * 1_000_000_000);
        let voucher = Voucher { vault, payee: wallet(member), epoch, amount, bytes };
        Ok(voucher.sign(&self.domain, viewer))
    }
}

/// What one member earned.
struct Share {
    member: WalletAddress,
    bytes: u64,
    amount: Amount,
    path: Vec<Digest>,
}

/// An epoch as everybody computes it from the receipts.
struct Epoch {
    pool: PoolId,
    root: Digest,
    shares: Vec<Share>,
}

impl Epoch {
    /// One receipt per vault and member counts, if the vault's owner signed it.
    fn compute(
        ledger: &Market,
        pool: PoolId,
        total: Amount,
        receipts: &[SignedVoucher],
    ) -> Result<Self, Failure> {
        let members = &ledger.state.pool(pool).ok_or("it was created")?.members;
        let mut greatest = BTreeMap::new();
        for receipt in receipts {
            let voucher = &receipt.voucher;
            let vault = ledger.state.vault(voucher.vault).ok_or("a vault of this ledger")?;
            receipt.verify(&ledger.domain, vault.owner)?;
            let slot = greatest.entry((voucher.payee, voucher.vault)).or_insert(0);
            *slot = voucher.bytes.max(*slot);
        }
        let bytes: Vec<u64> = members
            .iter()
            .map(|member| {
                greatest.iter().filter(|((payee, _), _)| payee == member).map(|(_, it)| it).sum()
            })
            .collect();
        let amounts = shares(total, &bytes).ok_or("somebody delivered")?;
        let rows = || members.iter().zip(&bytes).zip(&amounts);
        let leaves: Vec<Digest> = rows()
            .map(|((member, bytes), amount)| {
                names::share_leaf(pool, EPOCH, *member, *bytes, *amount)
            })
            .collect();
        let (root, paths) = names::share_tree(&leaves).ok_or("at most 64 members")?;
        let shares = rows().zip(paths).map(|(((member, bytes), amount), path)| Share {
            member: *member,
            bytes: *bytes,
            amount: *amount,
            path,
        });
        Ok(Self { pool, root, shares: shares.collect() })
    }

    fn claim(&self, index: usize, amount: Option<Amount>) -> Operation {
        let share = &self.shares[index];
        Operation::ClaimShare {
            pool: self.pool,
            epoch: EPOCH,
            member: share.member,
            bytes: share.bytes,
            amount: amount.unwrap_or(share.amount),
            path: share.path.clone(),
        }
    }
}

fn wallet(keypair: &Keypair) -> WalletAddress {
    keypair.peer_id().wallet_address()
}

fn pop(count: u128) -> Result<Amount, &'static str> {
    Amount::ONE_POP.checked_mul(count).ok_or("more than an amount can be")
}
