//! The ledger as a pure function of its operations: [`LedgerState`].

use pop_wire::{Amount, PeerId, UnixTime, WalletAddress};

use crate::ids::{BountyId, LoanId, LockId, OperationId, PoolId, VaultId};
use crate::ledger::account::{Account, Entry};
use crate::ledger::books::{Books, Record};
use crate::ledger::evidence::EquivocationCheck;
use crate::ledger::parameters::LedgerParameters;
use crate::ledger::refusal::Refusal;
use crate::ledger::rules::bounty::{Bounty, Claim};
use crate::ledger::rules::collateral::Registration;
use crate::ledger::rules::loan::Loan;
use crate::ledger::rules::lock::Lock;
use crate::ledger::rules::pool::{Pool, PoolEpoch};
use crate::ledger::signed::{Receipt, SignedOperation};
use crate::typed_data::LedgerDomain;
use crate::voucher::VaultInfo;

/// Balances, vaults, registrations, loans, pools, bounties and locks, and the rules that change
/// them. No clock, no randomness, no disk: the same operations at the same times make the same
/// state everywhere.
#[derive(Debug, Clone)]
pub struct LedgerState {
    pub(crate) domain: LedgerDomain,
    pub(crate) parameters: LedgerParameters,
    pub(crate) equivocation_check: EquivocationCheck,
    pub(crate) books: Books,
    entries: Vec<Entry>,
    sequence: u64,
    time: UnixTime,
}

/// Who asks, and when.
#[derive(Clone, Copy)]
pub(crate) struct Call {
    pub(crate) actor: WalletAddress,
    pub(crate) now: UnixTime,
    /// False for what the journal holds: it was checked before it was written.
    pub(crate) authenticate: bool,
}

impl LedgerState {
    /// An empty ledger.
    ///
    /// # Errors
    /// [`Refusal::State`] if the parameters' shares don't leave a slash something to burn or
    /// repair with: the caller's fault.
    pub fn new(
        domain: LedgerDomain,
        parameters: LedgerParameters,
        equivocation_check: EquivocationCheck,
    ) -> Result<Self, Refusal> {
        if !parameters.are_sound() {
            return Err(Refusal::State { what: "parameters", expected: "with sound shares" });
        }
        Ok(Self {
            domain,
            parameters,
            equivocation_check,
            books: Books::default(),
            entries: Vec::new(),
            sequence: 0,
            time: UnixTime(0),
        })
    }

    /// Do what an operation asks. The same operation again gives the same receipt and does
    /// nothing. Time never goes back: an earlier `now` than that of the operation before counts
    /// as that.
    ///
    /// # Errors
    /// [`Refusal`]; nothing has changed.
    ///
    /// # Panics
    /// If money came into being or vanished: a bug, after which no balance can be trusted.
    pub fn apply(&mut self, now: UnixTime, signed: &SignedOperation) -> Result<Receipt, Refusal> {
        self.run(now, signed, true)
    }

    /// [`apply`](Self::apply) without looking at signatures, for operations of which it is known
    /// that they were applied: those of a journal whose chain was checked.
    ///
    /// # Errors
    /// As for [`apply`](Self::apply).
    ///
    /// # Panics
    /// As for [`apply`](Self::apply).
    pub fn replay(&mut self, now: UnixTime, signed: &SignedOperation) -> Result<Receipt, Refusal> {
        self.run(now, signed, false)
    }

    fn run(
        &mut self,
        now: UnixTime,
        signed: &SignedOperation,
        authenticate: bool,
    ) -> Result<Receipt, Refusal> {
        let id = signed.id();
        // spec/incentive.md §12.2: an operation whose id is known MUST get the receipt that it got
        // the first time; another one under a used nonce MUST be refused.
        if let Some(receipt) = self.books.receipts.get(&id) {
            return Ok(receipt.clone());
        }
        let expected = self.nonce(signed.actor);
        if signed.nonce != expected {
            return Err(Refusal::Nonce { expected, got: signed.nonce });
        }
        if authenticate {
            // What is taken in is what the journal can give back.
            SignedOperation::decode(&signed.encode())?;
            signed.signature.verify_address(&self.domain.digest(&id.0), signed.actor)?;
        }
        let call = Call { actor: signed.actor, now: now.max(self.time), authenticate };
        self.entries.clear();
        match self.take_effect(call, signed, id) {
            Ok(receipt) => {
                self.assert_conserved();
                self.books.commit();
                self.sequence = receipt.sequence + 1;
                self.time = receipt.time;
                Ok(receipt)
            }
            Err(refusal) => {
                self.books.roll_back();
                Err(refusal)
            }
        }
    }

    fn take_effect(
        &mut self,
        call: Call,
        signed: &SignedOperation,
        id: OperationId,
    ) -> Result<Receipt, Refusal> {
        let overflow = |what| Refusal::Overflow { what };
        self.sequence.checked_add(1).ok_or(overflow("sequence"))?;
        self.perform(call, &signed.operation)?;
        let nonce = signed.nonce.checked_add(1).ok_or(overflow("nonce"))?;
        if nonce == 1 {
            self.change_record(call.actor, |record| record.since = call.now);
        }
        self.books.nonces.set(call.actor, nonce);
        let entries = std::mem::take(&mut self.entries);
        let receipt = Receipt { operation: id, sequence: self.sequence, time: call.now, entries };
        self.books.receipts.set(id, receipt.clone());
        Ok(receipt)
    }

    /// Move money. Nothing is moved, and nothing written, if the amount is zero.
    pub(crate) fn post(
        &mut self,
        debit: Account,
        credit: Account,
        amount: Amount,
    ) -> Result<(), Refusal> {
        if amount == Amount::ZERO || debit == credit {
            return self.require(debit, amount);
        }
        self.require(debit, amount)?;
        let overflow = Refusal::Overflow { what: "balance" };
        let held = self.balance(debit);
        let left = if debit == Account::Emission {
            held.checked_add(amount)
        } else {
            held.checked_sub(amount)
        };
        self.books.balances.set(debit, left.ok_or(overflow)?);
        let got = self.balance(credit).checked_add(amount).ok_or(overflow)?;
        self.books.balances.set(credit, got);
        self.entries.push(Entry { debit, credit, amount });
        Ok(())
    }

    fn require(&self, account: Account, needed: Amount) -> Result<(), Refusal> {
        let available = self.balance(account);
        if account != Account::Emission && available < needed {
            return Err(Refusal::Insufficient { account, available, needed });
        }
        Ok(())
    }

    /// spec/incentive.md §12.1: the sum of all balances MUST be checked after every operation.
    /// Double entry, checked from the balances and not from the entries: what the touched
    /// accounts hold more in all is exactly what emission is lower.
    fn assert_conserved(&self) {
        let (mut more, mut less) = (Amount::ZERO, Amount::ZERO);
        for (account, before) in self.books.balances.touched() {
            let before = before.copied().unwrap_or(Amount::ZERO);
            let after = self.balance(*account);
            let (up, down) =
                if *account == Account::Emission { (before, after) } else { (after, before) };
            more = more.checked_add(up).expect("all money fits an amount");
            less = less.checked_add(down).expect("all money fits an amount");
        }
        assert_eq!(more, less, "sum of all balances after an operation");
    }

    pub(crate) fn change_record(&mut self, wallet: WalletAddress, change: impl Fn(&mut Record)) {
        let mut record = self.record(wallet);
        change(&mut record);
        self.books.records.set(wallet, record);
    }

    /// The name of the ledger's words.
    pub fn domain(&self) -> &LedgerDomain {
        &self.domain
    }

    /// What its users agreed on.
    pub fn parameters(&self) -> &LedgerParameters {
        &self.parameters
    }

    /// Operations applied so far; the next receipt's sequence.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Time of the last operation.
    pub fn time(&self) -> UnixTime {
        self.time
    }

    /// Base units on an account; on [`Account::Emission`], how far it is below zero.
    pub fn balance(&self, account: Account) -> Amount {
        self.books.balances.get(&account).copied().unwrap_or(Amount::ZERO)
    }

    /// All accounts that ever held money, in their order.
    pub fn balances(&self) -> impl Iterator<Item = (Account, Amount)> {
        self.books.balances.iter().map(|(account, amount)| (*account, *amount))
    }

    /// The nonce of an actor's next operation.
    pub fn nonce(&self, actor: WalletAddress) -> u64 {
        self.books.nonces.get(&actor).copied().unwrap_or(0)
    }

    /// What an operation did, if it was applied.
    pub fn receipt(&self, operation: OperationId) -> Option<&Receipt> {
        self.books.receipts.get(&operation)
    }

    /// What is known about a wallet.
    pub fn record(&self, wallet: WalletAddress) -> Record {
        self.books.records.get(&wallet).copied().unwrap_or_default()
    }

    /// A vault.
    pub fn vault(&self, vault: VaultId) -> Option<VaultInfo> {
        self.books.vaults.get(&vault).copied()
    }

    /// Base units paid out of a vault to a payee in an epoch.
    pub fn redeemed(&self, vault: VaultId, payee: WalletAddress, epoch: u64) -> Amount {
        self.books.redeemed.get(&(vault, payee, epoch)).copied().unwrap_or(Amount::ZERO)
    }

    /// A masternode's registration.
    pub fn registration(&self, owner: WalletAddress, operator: PeerId) -> Option<Registration> {
        self.books.registrations.get(&(owner, operator)).copied()
    }

    /// Whether a node has all the collateral that it must have, and is not leaving.
    pub fn is_masternode(&self, owner: WalletAddress, operator: PeerId) -> bool {
        self.registration(owner, operator).is_some_and(|node| node.withdrawable.is_none())
            && self.balance(Account::Collateral { owner, operator })
                >= self.parameters.collateral_min
    }

    /// A loan, paid back or not.
    pub fn loan(&self, loan: LoanId) -> Option<Loan> {
        self.books.loans.get(&loan).copied()
    }

    /// A borrower's open loans in the order in which its earnings pay them: to be looked at
    /// before lending.
    pub fn liens(&self, borrower: WalletAddress) -> &[LoanId] {
        self.books.liens.get(&borrower).map_or(&[], Vec::as_slice)
    }

    /// A seed pool.
    pub fn pool(&self, pool: PoolId) -> Option<&Pool> {
        self.books.pools.get(&pool)
    }

    /// A closed epoch of a pool.
    pub fn pool_epoch(&self, pool: PoolId, epoch: u64) -> Option<PoolEpoch> {
        self.books.pool_epochs.get(&(pool, epoch)).copied()
    }

    /// A bounty.
    pub fn bounty(&self, bounty: BountyId) -> Option<&Bounty> {
        self.books.bounties.get(&bounty)
    }

    /// A wallet's claim to a bounty.
    pub fn claim(&self, bounty: BountyId, claimant: WalletAddress) -> Option<Claim> {
        self.books.claims.get(&(bounty, claimant)).copied()
    }

    /// A hash lock, with the key once it is revealed.
    pub fn lock(&self, lock: LockId) -> Option<Lock> {
        self.books.locks.get(&lock).copied()
    }
}

/// Two states are equal if everything that anybody can ask of them is.
impl PartialEq for LedgerState {
    fn eq(&self, other: &Self) -> bool {
        (self.domain, self.sequence, self.time) == (other.domain, other.sequence, other.time)
            && self.parameters == other.parameters
            && self.books == other.books
    }
}
