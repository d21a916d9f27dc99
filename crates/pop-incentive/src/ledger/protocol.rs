//! What is asked of a ledger that somebody else serves, and what it answers
//! (`spec/incentive.md` §12.12). Bytes to values and back; who carries them is another's business.

mod refused;

use pop_wire::{Amount, PeerId, UnixTime, WalletAddress};

use crate::ids::{BountyId, LoanId, LockId, OperationId, PoolId, VaultId};
use crate::ledger::account::Account;
use crate::ledger::books::Record;
use crate::ledger::codec::{DecodeError, Reader};
use crate::ledger::head::Head;
use crate::ledger::layout::{Layout, bytes_of, choice, layout, put_list, take_all, take_list};
use crate::ledger::limits::LOANS_OPEN_MAX;
use crate::ledger::parameters::LedgerParameters;
use crate::ledger::refusal::Refusal;
use crate::ledger::rules::bounty::{Bounty, Claim};
use crate::ledger::rules::collateral::Registration;
use crate::ledger::rules::loan::Loan;
use crate::ledger::rules::lock::Lock;
use crate::ledger::rules::pool::{Pool, PoolEpoch};
use crate::ledger::signed::{Receipt, SignedOperation};
use crate::ledger::state::LedgerState;
use crate::limits::{
    LEDGER_BATCH_MAX, LEDGER_LOCKS_MAX, LEDGER_REPLY_BYTES_MAX, LEDGER_REQUEST_BYTES_MAX,
};
use crate::typed_data::LedgerDomain;

/// What makes a ledger this one and no other, from its first day on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Genesis {
    /// Which ledger its users' signatures are for.
    pub domain: LedgerDomain,
    /// What they agreed on.
    pub parameters: LedgerParameters,
}

impl Genesis {
    /// Its bytes, as they are sent and stored.
    pub fn encode(&self) -> Vec<u8> {
        bytes_of(self)
    }

    /// Read what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// [`DecodeError`]: the fault of who sent or stored the bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        take_all(bytes)
    }

    /// The ledger's name: a hash of all of it.
    pub fn ledger_id(&self) -> [u8; 32] {
        self.parameters.ledger_id(&self.domain)
    }
}

/// What a ledger says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerInfo {
    /// What never changes.
    pub genesis: Genesis,
    /// Where its journal ends.
    pub head: Head,
    /// Time of its last operation.
    pub time: UnixTime,
}

/// A masternode on the ledger, with what it has there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegistrationInfo {
    /// Since when, and whether it is leaving.
    pub registration: Registration,
    /// Base units of collateral: bound, or on their way back if it is leaving.
    pub collateral: Amount,
    /// Whether it has all that a masternode must have, and is not leaving.
    pub is_masternode: bool,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LedgerRequest {
    /// Which ledger is it, and how far?
    Info,
    /// Do this. All in one commit; one that is refused doesn't keep the others.
    Submit {
        /// At most `LEDGER_BATCH_MAX`.
        operations: Vec<SignedOperation>,
    },
    /// What is on an account?
    Balance {
        /// Which.
        account: Account,
    },
    /// Which nonce does an actor's next operation have?
    Nonce {
        /// Whose.
        actor: WalletAddress,
    },
    /// What did an operation do?
    Receipt {
        /// Which.
        operation: OperationId,
    },
    /// What is in a vault?
    Vault {
        /// Which.
        vault: VaultId,
    },
    /// What was paid out of a vault to a payee in an epoch?
    Redeemed {
        /// Of which vault.
        vault: VaultId,
        /// To whom.
        payee: WalletAddress,
        /// In which epoch.
        epoch: u64,
    },
    /// What is known about a wallet?
    Record {
        /// Whose.
        wallet: WalletAddress,
    },
    /// Is a node registered?
    Registration {
        /// Whose collateral.
        owner: WalletAddress,
        /// The node's key.
        operator: PeerId,
    },
    /// What does a wallet owe?
    Liens {
        /// Who borrowed.
        borrower: WalletAddress,
    },
    /// What became of a loan?
    Loan {
        /// Which.
        loan: LoanId,
    },
    /// What is a pool?
    Pool {
        /// Which.
        pool: PoolId,
    },
    /// How was an epoch of a pool closed?
    PoolEpoch {
        /// Of which pool.
        pool: PoolId,
        /// Which epoch.
        epoch: u64,
    },
    /// How far is a bounty?
    Bounty {
        /// Which.
        bounty: BountyId,
    },
    /// What did a wallet claim?
    Claim {
        /// Of which bounty.
        bounty: BountyId,
        /// Who.
        claimant: WalletAddress,
    },
    /// How far is a hash lock?
    Lock {
        /// Which.
        lock: LockId,
    },
    /// Which open locks pay somebody?
    OpenLocks {
        /// Whom.
        payee: WalletAddress,
        /// The name before the first that is wanted; zeros to begin.
        after: LockId,
    },
}

/// What is answered, in the form that the request asks for; or that it can't be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LedgerReply {
    /// To [`LedgerRequest::Info`].
    Info(LedgerInfo),
    /// To [`LedgerRequest::Submit`]: one result each, in their order.
    Submitted(Vec<Result<Receipt, Refusal>>),
    /// To [`LedgerRequest::Balance`].
    Balance(Amount),
    /// To [`LedgerRequest::Nonce`].
    Nonce(u64),
    /// To [`LedgerRequest::Receipt`].
    Receipt(Option<Receipt>),
    /// To [`LedgerRequest::Vault`].
    Vault(Option<crate::voucher::VaultInfo>),
    /// To [`LedgerRequest::Redeemed`].
    Redeemed(Amount),
    /// To [`LedgerRequest::Record`].
    Record(Record),
    /// To [`LedgerRequest::Registration`].
    Registration(Option<RegistrationInfo>),
    /// To [`LedgerRequest::Liens`]: open loans, in the order in which earnings pay them.
    Liens(Vec<(LoanId, Loan)>),
    /// To [`LedgerRequest::Loan`].
    Loan(Option<Loan>),
    /// To [`LedgerRequest::Pool`].
    Pool(Option<Pool>),
    /// To [`LedgerRequest::PoolEpoch`].
    PoolEpoch(Option<PoolEpoch>),
    /// To [`LedgerRequest::Bounty`].
    Bounty(Option<Bounty>),
    /// To [`LedgerRequest::Claim`].
    Claim(Option<Claim>),
    /// To [`LedgerRequest::Lock`].
    Lock(Option<Lock>),
    /// To [`LedgerRequest::OpenLocks`]: ascending by name; fewer than `LEDGER_LOCKS_MAX` are the
    /// last.
    OpenLocks(Vec<(LockId, Lock)>),
    /// Nothing was done: this peer, or all together, asked too much. Ask again later.
    Busy,
    /// The ledger's disk failed: it is not known what took effect. Ask again later.
    Unavailable,
    /// The request is none.
    Malformed,
}

layout!(Genesis { domain, parameters });
layout!(LedgerInfo { genesis, head, time });
layout!(RegistrationInfo { registration, collateral, is_masternode });
choice!(LedgerRequest, "request", {
    0 => Info,
    1 => Submit { operations },
    2 => Balance { account },
    3 => Nonce { actor },
    4 => Receipt { operation },
    5 => Vault { vault },
    6 => Redeemed { vault, payee, epoch },
    7 => Record { wallet },
    8 => Registration { owner, operator },
    9 => Liens { borrower },
    10 => Loan { loan },
    11 => Pool { pool },
    12 => PoolEpoch { pool, epoch },
    13 => Bounty { bounty },
    14 => Claim { bounty, claimant },
    15 => Lock { lock },
    16 => OpenLocks { payee, after },
});
choice!(LedgerReply, "reply", {
    0 => Info(info),
    1 => Submitted(results),
    2 => Balance(amount),
    3 => Nonce(nonce),
    4 => Receipt(receipt),
    5 => Vault(vault),
    6 => Redeemed(amount),
    7 => Record(record),
    8 => Registration(registration),
    9 => Liens(loans),
    10 => Loan(loan),
    11 => Pool(pool),
    12 => PoolEpoch(epoch),
    13 => Bounty(bounty),
    14 => Claim(claim),
    15 => Lock(lock),
    16 => OpenLocks(locks),
    64 => Busy,
    65 => Unavailable,
    66 => Malformed,
});

macro_rules! list {
    ($($item:ty, $what:literal, $max:expr;)*) => {$(
        impl Layout for Vec<$item> {
            fn put(&self, out: &mut Vec<u8>) {
                put_list(self, out);
            }
            fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                take_list(reader, $what, $max)
            }
        }
    )*};
}

list! {
    SignedOperation, "operations", LEDGER_BATCH_MAX;
    Result<Receipt, Refusal>, "results", LEDGER_BATCH_MAX;
    (LoanId, Loan), "loans", LOANS_OPEN_MAX;
    (LockId, Lock), "locks", LEDGER_LOCKS_MAX;
}

impl LedgerRequest {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        bytes_of(self)
    }

    /// Read what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// [`DecodeError`]: the asker's fault.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        bounded("request", bytes, LEDGER_REQUEST_BYTES_MAX)?;
        take_all(bytes)
    }
}

impl LedgerReply {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        bytes_of(self)
    }

    /// Read what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// [`DecodeError`]: the ledger's fault.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        bounded("reply", bytes, LEDGER_REPLY_BYTES_MAX)?;
        take_all(bytes)
    }
}

fn bounded(field: &'static str, bytes: &[u8], expected: usize) -> Result<(), DecodeError> {
    match bytes.len() {
        got if got > expected => Err(DecodeError::TooLong { field, expected, got }),
        _ => Ok(()),
    }
}

impl LedgerState {
    /// Answer a question. `head` is where the journal ends, which the state doesn't know. `None`
    /// for operations, which are not for answering but for doing.
    pub fn answer(&self, request: &LedgerRequest, head: Head) -> Option<LedgerReply> {
        use LedgerReply as Reply;
        use LedgerRequest as Ask;
        Some(match request {
            Ask::Info => {
                let (domain, parameters) = (*self.domain(), self.parameters().clone());
                let genesis = Genesis { domain, parameters };
                Reply::Info(LedgerInfo { genesis, head, time: self.time() })
            }
            Ask::Submit { .. } => return None,
            Ask::Balance { account } => Reply::Balance(self.balance(*account)),
            Ask::Nonce { actor } => Reply::Nonce(self.nonce(*actor)),
            Ask::Receipt { operation } => Reply::Receipt(self.receipt(*operation).cloned()),
            Ask::Vault { vault } => Reply::Vault(self.vault(*vault)),
            Ask::Redeemed { vault, payee, epoch } => {
                Reply::Redeemed(self.redeemed(*vault, *payee, *epoch))
            }
            Ask::Record { wallet } => Reply::Record(self.record(*wallet)),
            Ask::Registration { owner, operator } => {
                Reply::Registration(self.registration_info(*owner, *operator))
            }
            Ask::Liens { borrower } => {
                let loan = |id: &LoanId| self.loan(*id).map(|loan| (*id, loan));
                Reply::Liens(self.liens(*borrower).iter().filter_map(loan).collect())
            }
            Ask::Loan { loan } => Reply::Loan(self.loan(*loan)),
            Ask::Pool { pool } => Reply::Pool(self.pool(*pool).cloned()),
            Ask::PoolEpoch { pool, epoch } => Reply::PoolEpoch(self.pool_epoch(*pool, *epoch)),
            Ask::Bounty { bounty } => Reply::Bounty(self.bounty(*bounty).cloned()),
            Ask::Claim { bounty, claimant } => Reply::Claim(self.claim(*bounty, *claimant)),
            Ask::Lock { lock } => Reply::Lock(self.lock(*lock)),
            Ask::OpenLocks { payee, after } => Reply::OpenLocks(self.open_locks(*payee, *after)),
        })
    }

    /// A masternode's registration and what it has.
    pub fn registration_info(
        &self,
        owner: WalletAddress,
        operator: PeerId,
    ) -> Option<RegistrationInfo> {
        let registration = self.registration(owner, operator)?;
        let account = match registration.withdrawable {
            None => Account::Collateral { owner, operator },
            Some(_) => Account::Unbonding { owner, operator },
        };
        let collateral = self.balance(account);
        let is_masternode = self.is_masternode(owner, operator);
        Some(RegistrationInfo { registration, collateral, is_masternode })
    }
}
