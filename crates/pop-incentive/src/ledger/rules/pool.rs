//! Seed pools: money that leaves by shares of verified bytes, or goes back.
//!
//! Nobody holds a pool. Before the deadline a majority of the members can give it to members;
//! after it, what they gave stays for them and the rest is the depositors'.

use pop_wire::{Amount, Digest, UnixTime, WalletAddress};

use crate::ids::PoolId;
use crate::ledger::account::Account;
use crate::ledger::arithmetic::portion;
use crate::ledger::limits::PATH_LEN_MAX;
use crate::ledger::names::{leads_to, pool_id, share_leaf};
use crate::ledger::refusal::Refusal;
use crate::ledger::rules::check_panel;
use crate::ledger::state::{Call, LedgerState};

const OVERFLOW: Refusal = Refusal::Overflow { what: "pool" };

/// A seed pool.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pool {
    /// Who earns from it and approves its epochs, ascending.
    pub members: Vec<WalletAddress>,
    /// How many of them close an epoch.
    pub quorum: u64,
    /// From when on no epoch is closed and depositors can have the rest back.
    pub deadline: UnixTime,
    /// All that was ever put in.
    pub deposited: Amount,
    /// What closed epochs promised and did not yet pay.
    pub reserved: Amount,
    /// What goes back to the depositors, once the first asked for it.
    pub returned: Option<Amount>,
}

/// A closed epoch of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolEpoch {
    /// Merkle root of the shares.
    pub root: Digest,
    /// What they may add up to.
    pub total: Amount,
    /// What was paid.
    pub claimed: Amount,
}

/// What each member's share of `total` is, in proportion to its verified bytes. Rounded down: the
/// remainder stays in the pool. `None` if nobody has bytes.
pub fn shares(total: Amount, bytes: &[u64]) -> Option<Vec<Amount>> {
    let all: u128 = bytes.iter().map(|bytes| u128::from(*bytes)).sum();
    bytes.iter().map(|bytes| portion(total, (*bytes).into(), all)).collect()
}

impl LedgerState {
    pub(super) fn create_pool(
        &mut self,
        call: Call,
        index: u64,
        members: &[WalletAddress],
        (quorum, deadline_s): (u64, u64),
    ) -> Result<(), Refusal> {
        let id = pool_id(&self.domain, call.actor, index);
        if self.books.pools.contains(&id) {
            return Err(Refusal::Exists { what: "pool" });
        }
        // Two majorities have a member in common: one epoch can't be closed in two ways.
        let count = u64::try_from(members.len()).unwrap_or(u64::MAX);
        check_panel("members", members, (quorum, count / 2 + 1))?;
        let deadline = UnixTime(deadline_s);
        before("pool's deadline", deadline, call.now)?;
        let pool = Pool {
            members: members.to_vec(),
            quorum,
            deadline,
            deposited: Amount::ZERO,
            reserved: Amount::ZERO,
            returned: None,
        };
        self.books.pools.set(id, pool);
        Ok(())
    }

    pub(super) fn deposit_pool(
        &mut self,
        call: Call,
        id: PoolId,
        amount: Amount,
    ) -> Result<(), Refusal> {
        let mut pool = self.known_pool(id)?;
        before("deposit", pool.deadline, call.now)?;
        self.post(Account::Wallet(call.actor), Account::Pool(id), amount)?;
        let mine = self.books.deposits.get(&(id, call.actor)).copied().unwrap_or(Amount::ZERO);
        let mine = mine.checked_add(amount).ok_or(OVERFLOW)?;
        self.books.deposits.set((id, call.actor), mine);
        pool.deposited = pool.deposited.checked_add(amount).ok_or(OVERFLOW)?;
        self.books.pools.set(id, pool);
        Ok(())
    }

    pub(super) fn approve_epoch(
        &mut self,
        call: Call,
        (id, epoch): (PoolId, u64),
        root: Digest,
        total: Amount,
    ) -> Result<(), Refusal> {
        let mut pool = self.known_pool(id)?;
        before("approval", pool.deadline, call.now)?;
        if pool.members.binary_search(&call.actor).is_err() {
            return Err(Refusal::Actor { expected: "pool's member" });
        }
        if self.books.pool_epochs.contains(&(id, epoch)) {
            return Err(Refusal::Exists { what: "closed epoch" });
        }
        self.books.approvals.set((id, epoch, call.actor), (root, total));
        let agrees = |member: &&WalletAddress| {
            self.books.approvals.get(&(id, epoch, **member)) == Some(&(root, total))
        };
        let votes = pool.members.iter().filter(agrees).count();
        if u64::try_from(votes).unwrap_or(u64::MAX) < pool.quorum {
            return Ok(());
        }
        let account = Account::Pool(id);
        let available = self.balance(account).checked_sub(pool.reserved).ok_or(OVERFLOW)?;
        // spec/incentive.md §12.6: the total of an epoch MUST be covered by what is not reserved.
        if total > available {
            return Err(Refusal::Insufficient { account, available, needed: total });
        }
        pool.reserved = pool.reserved.checked_add(total).ok_or(OVERFLOW)?;
        self.books.pools.set(id, pool);
        let closed = PoolEpoch { root, total, claimed: Amount::ZERO };
        self.books.pool_epochs.set((id, epoch), closed);
        Ok(())
    }

    pub(super) fn claim_share(
        &mut self,
        (id, epoch, member): (PoolId, u64, WalletAddress),
        (bytes, amount): (u64, Amount),
        path: &[Digest],
    ) -> Result<(), Refusal> {
        let mut pool = self.known_pool(id)?;
        let mut closed =
            self.pool_epoch(id, epoch).ok_or(Refusal::Unknown { what: "closed epoch" })?;
        if pool.members.binary_search(&member).is_err() {
            return Err(Refusal::Actor { expected: "pool's member" });
        }
        let leaf = share_leaf(id, epoch, member, bytes, amount);
        if path.len() > PATH_LEN_MAX || !leads_to(leaf, path, closed.root) {
            return Err(Refusal::Hash { what: "share" });
        }
        if self.books.shares_claimed.contains(&(id, epoch, member)) {
            return Err(Refusal::Exists { what: "claim" });
        }
        self.books.shares_claimed.set((id, epoch, member), ());
        let most = closed.total.checked_sub(closed.claimed).ok_or(OVERFLOW)?;
        // spec/incentive.md §12.6: claims of an epoch MUST NOT pass its total.
        if amount > most {
            let least = Amount::ZERO;
            return Err(Refusal::Amount { what: "share", least, most, got: amount });
        }
        closed.claimed = closed.claimed.checked_add(amount).ok_or(OVERFLOW)?;
        pool.reserved = pool.reserved.checked_sub(amount).ok_or(OVERFLOW)?;
        self.books.pool_epochs.set((id, epoch), closed);
        self.books.pools.set(id, pool);
        self.pay_earnings(Account::Pool(id), member, amount)
    }

    pub(super) fn reclaim_deposit(&mut self, call: Call, id: PoolId) -> Result<(), Refusal> {
        let mut pool = self.known_pool(id)?;
        if call.now < pool.deadline {
            let (from, now) = (pool.deadline, call.now);
            return Err(Refusal::TooEarly { what: "deposits", from, now });
        }
        let mine = self.books.deposits.get(&(id, call.actor)).copied();
        let mine = mine.ok_or(Refusal::Unknown { what: "deposit" })?;
        let account = Account::Pool(id);
        let free = self.balance(account).checked_sub(pool.reserved).ok_or(OVERFLOW)?;
        let returned = *pool.returned.get_or_insert(free);
        let part = portion(returned, mine.base_units(), pool.deposited.base_units());
        self.books.deposits.remove(&(id, call.actor));
        self.books.pools.set(id, pool);
        self.post(account, Account::Wallet(call.actor), part.unwrap_or(Amount::ZERO))
    }

    fn known_pool(&self, id: PoolId) -> Result<Pool, Refusal> {
        self.pool(id).cloned().ok_or(Refusal::Unknown { what: "pool" })
    }
}

fn before(what: &'static str, until: UnixTime, now: UnixTime) -> Result<(), Refusal> {
    if now < until { Ok(()) } else { Err(Refusal::TooLate { what, until, now }) }
}
