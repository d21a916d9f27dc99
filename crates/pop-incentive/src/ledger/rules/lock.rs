//! Hash locks: money against the key of a content, both or neither.

use pop_wire::{Amount, Digest, Manifest, UnixTime, Verified, WalletAddress};

use crate::ids::LockId;
use crate::ledger::account::Account;
use crate::ledger::names::{key_commitment, lock_id};
use crate::ledger::operation::Operation;
use crate::ledger::refusal::Refusal;
use crate::ledger::state::{Call, LedgerState};
use crate::limits::LEDGER_LOCKS_MAX;

/// An amount that waits for the key of a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lock {
    /// Who put it there.
    pub payer: WalletAddress,
    /// Who gets it for the key.
    pub payee: WalletAddress,
    /// How much.
    pub amount: Amount,
    /// The manifest's salt.
    pub salt: Digest,
    /// The manifest's key commitment.
    pub commitment: Digest,
    /// From when on it goes back.
    pub deadline: UnixTime,
    /// How far it is.
    pub state: LockState,
}

/// How far a lock is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockState {
    /// Waits.
    Open,
    /// Paid, for this key, which the payer reads here.
    Claimed {
        /// The content key.
        key: Digest,
    },
    /// Gone back.
    Refunded,
}

impl Operation {
    /// Lock money for whoever published a content, against the key that its manifest commits to.
    /// `index` tells the payer's locks apart; from `deadline` on the money goes back.
    ///
    /// Made of a verified manifest, so that a buyer can't lock against the key of anything else.
    pub fn lock_for_key(
        manifest: &Verified<Manifest>,
        index: u64,
        amount: Amount,
        deadline: UnixTime,
    ) -> Self {
        Self::OpenLock {
            index,
            payee: manifest.publisher.wallet_address(),
            amount,
            salt: manifest.salt,
            commitment: manifest.key_commitment,
            deadline_s: deadline.0,
        }
    }
}

impl Lock {
    /// Whether it pays the publisher of this content for the content's key. A publisher looks
    /// before it claims: a claim shows the key to everybody, whatever the lock pays.
    pub fn is_for_key_of(&self, manifest: &Verified<Manifest>) -> bool {
        self.payee == manifest.publisher.wallet_address()
            && (self.salt, self.commitment) == (manifest.salt, manifest.key_commitment)
    }

    /// The content key, once the money was claimed with it.
    pub fn key(&self) -> Option<Digest> {
        match self.state {
            LockState::Claimed { key } => Some(key),
            LockState::Open | LockState::Refunded => None,
        }
    }
}

impl LedgerState {
    /// Locks that wait for a key and pay `payee`, ascending by name from the one after `after` on,
    /// at most [`LEDGER_LOCKS_MAX`]; the name of zeros begins. How a publisher learns who pays for
    /// the keys that it keeps.
    pub fn open_locks(&self, payee: WalletAddress, after: LockId) -> Vec<(LockId, Lock)> {
        let before = (payee, after);
        let open = self.books.locks_open.above(&before).map(|(key, ())| *key);
        let of_payee = open.take_while(|(of, _)| *of == payee).take(LEDGER_LOCKS_MAX);
        of_payee.filter_map(|(_, id)| self.lock(id).map(|lock| (id, lock))).collect()
    }

    pub(super) fn open_lock(
        &mut self,
        call: Call,
        (index, deadline_s): (u64, u64),
        (payee, amount): (WalletAddress, Amount),
        [salt, commitment]: [Digest; 2],
    ) -> Result<(), Refusal> {
        let id = lock_id(&self.domain, call.actor, index);
        if self.books.locks.contains(&id) {
            return Err(Refusal::Exists { what: "lock" });
        }
        let deadline = UnixTime(deadline_s);
        if call.now >= deadline {
            return Err(Refusal::TooLate { what: "lock", until: deadline, now: call.now });
        }
        let (payer, state) = (call.actor, LockState::Open);
        let lock = Lock { payer, payee, amount, salt, commitment, deadline, state };
        self.books.locks.set(id, lock);
        self.books.locks_open.set((payee, id), ());
        self.post(Account::Wallet(payer), Account::Lock(id), amount)
    }

    pub(super) fn claim_lock(
        &mut self,
        call: Call,
        id: LockId,
        key: Digest,
    ) -> Result<(), Refusal> {
        let mut lock = self.open_lock_of(id)?;
        if call.now >= lock.deadline {
            let (until, now) = (lock.deadline, call.now);
            return Err(Refusal::TooLate { what: "lock", until, now });
        }
        if key_commitment(lock.salt, key) != lock.commitment {
            return Err(Refusal::Hash { what: "key" });
        }
        lock.state = LockState::Claimed { key };
        self.books.locks.set(id, lock);
        self.books.locks_open.remove(&(lock.payee, id));
        self.pay_earnings(Account::Lock(id), lock.payee, lock.amount)
    }

    pub(super) fn refund_lock(&mut self, call: Call, id: LockId) -> Result<(), Refusal> {
        let mut lock = self.open_lock_of(id)?;
        if call.now < lock.deadline {
            let (from, now) = (lock.deadline, call.now);
            return Err(Refusal::TooEarly { what: "refund", from, now });
        }
        lock.state = LockState::Refunded;
        self.books.locks.set(id, lock);
        self.books.locks_open.remove(&(lock.payee, id));
        self.post(Account::Lock(id), Account::Wallet(lock.payer), lock.amount)
    }

    fn open_lock_of(&self, id: LockId) -> Result<Lock, Refusal> {
        let lock = self.lock(id).ok_or(Refusal::Unknown { what: "lock" })?;
        if lock.state != LockState::Open {
            return Err(Refusal::State { what: "lock", expected: "open" });
        }
        Ok(lock)
    }
}
