//! How every part of a node asks the ledger: [`LedgerClient`].

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use libp2p::Multiaddr;
use pop_incentive::ids::{BountyId, LoanId, LockId, OperationId, PoolId, VaultId};
use pop_incentive::ledger::protocol::{
    Genesis, LedgerInfo, LedgerReply, LedgerRequest, RegistrationInfo,
};
use pop_incentive::ledger::{
    Account, Bounty, Claim, Loan, Lock, Operation, Pool, PoolEpoch, Receipt, Record, Refusal,
    SignedOperation,
};
use pop_incentive::limits::{LEDGER_BATCH_MAX, LEDGER_REQUEST_BYTES_MAX, LEDGER_STREAMS_MAX};
use pop_incentive::typed_data::LedgerDomain;
use pop_incentive::voucher::VaultInfo;
use pop_wire::{Amount, Keypair, PeerId, WalletAddress};
use tokio::sync::{Mutex, OnceCell, Semaphore};

use super::error::LedgerClientError;
use super::files;
use super::service::LedgerService;
use crate::network::Network;
use crate::stats::Stats;

/// How often a request is sent in all. Sending again is always safe: the same operation has the
/// same receipt.
const ATTEMPTS_MAX: u32 = 4;

/// Wait before the second attempt; twice as long before each further one.
const FIRST_BACKOFF: Duration = Duration::from_millis(200);

/// How often an operation is signed anew because another program of the same wallet took its nonce.
const NONCES_MAX: u32 = 8;

/// The ledger that a node uses: its own, or one that another node serves. Cheap to clone.
///
/// Every call may be dropped and made again. The first one makes sure that it is the ledger of
/// before, which is written down in the data directory.
#[derive(Debug, Clone)]
pub struct LedgerClient {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    way: Way,
    data_dir: PathBuf,
    genesis: OnceCell<Genesis>,
    verified: OnceCell<()>,
    stats: Arc<Stats>,
    /// Requests that may be under way: fewer than one connection may carry.
    room: Semaphore,
    /// Who signs an operation with the next nonce: one at a time, or two that ask for the same
    /// thing would sign the same operation, which takes effect once.
    signing: Mutex<()>,
}

#[derive(Debug)]
pub(crate) enum Way {
    Here(LedgerService),
    There { network: Network, peer: PeerId, address: Multiaddr },
}

macro_rules! questions {
    ($($(#[$doc:meta])* $name:ident($($field:ident: $type:ty),*) = $variant:ident -> $answer:ty;)*)
    => {$(
        $(#[$doc])*
        ///
        /// # Errors
        /// [`LedgerClientError`]: the ledger can't be reached, or doesn't answer as it should.
        pub async fn $name(&self, $($field: $type),*) -> Result<$answer, LedgerClientError> {
            match self.ask(LedgerRequest::$variant { $($field),* }).await? {
                LedgerReply::$variant(answer) => Ok(answer),
                other => Err(unasked(&other)),
            }
        }
    )*};
}

impl LedgerClient {
    pub(crate) fn new(way: Way, data_dir: PathBuf, stats: Arc<Stats>) -> Self {
        let (genesis, verified) = (OnceCell::new(), OnceCell::new());
        let (room, signing) = (Semaphore::new(LEDGER_STREAMS_MAX / 2), Mutex::new(()));
        Self { inner: Arc::new(Inner { way, data_dir, genesis, verified, stats, room, signing }) }
    }

    questions! {
        /// Base units on an account.
        balance(account: Account) = Balance -> Amount;
        /// The nonce of an actor's next operation.
        nonce(actor: WalletAddress) = Nonce -> u64;
        /// What an operation did, if it took effect.
        receipt(operation: OperationId) = Receipt -> Option<Receipt>;
        /// A vault, which a payee looks at before it serves.
        vault(vault: VaultId) = Vault -> Option<VaultInfo>;
        /// Base units paid out of a vault to a payee in an epoch.
        redeemed(vault: VaultId, payee: WalletAddress, epoch: u64) = Redeemed -> Amount;
        /// What is known about a wallet, which a lender looks at before it lends.
        record(wallet: WalletAddress) = Record -> Record;
        /// A masternode's registration, and the collateral that it has now.
        registration(owner: WalletAddress, operator: PeerId)
            = Registration -> Option<RegistrationInfo>;
        /// A borrower's open loans, in the order in which its earnings pay them.
        liens(borrower: WalletAddress) = Liens -> Vec<(LoanId, Loan)>;
        /// A loan, paid back or not.
        loan(loan: LoanId) = Loan -> Option<Loan>;
        /// A seed pool.
        pool(pool: PoolId) = Pool -> Option<Pool>;
        /// A closed epoch of a pool.
        pool_epoch(pool: PoolId, epoch: u64) = PoolEpoch -> Option<PoolEpoch>;
        /// A bounty.
        bounty(bounty: BountyId) = Bounty -> Option<Bounty>;
        /// A wallet's claim to a bounty.
        claim(bounty: BountyId, claimant: WalletAddress) = Claim -> Option<Claim>;
        /// A hash lock, with the key once it is shown.
        lock(lock: LockId) = Lock -> Option<Lock>;
        /// Open locks that pay a wallet, at most 64, ascending by name from the one after `after`
        /// on; zeros to begin.
        open_locks(payee: WalletAddress, after: LockId) = OpenLocks -> Vec<(LockId, Lock)>;
    }

    /// What makes the ledger this one. Known without a trip to it if this node used it before.
    ///
    /// # Errors
    /// [`LedgerClientError`]: the pin can't be read; or there is none, and the ledger can't be
    /// reached.
    pub async fn genesis(&self) -> Result<Genesis, LedgerClientError> {
        let known = self.inner.genesis.get_or_try_init(|| async {
            match self.pinned()? {
                Some(genesis) => Ok(genesis),
                None => Ok(self.info().await?.genesis),
            }
        });
        known.await.cloned()
    }

    /// Which ledger signatures are for: [`genesis`](Self::genesis), in short.
    ///
    /// # Errors
    /// As for [`genesis`](Self::genesis).
    pub async fn domain(&self) -> Result<LedgerDomain, LedgerClientError> {
        self.genesis().await.map(|genesis| genesis.domain)
    }

    /// Ask the ledger what it is and how far.
    ///
    /// # Errors
    /// [`LedgerClientError`], above all [`OtherLedger`](LedgerClientError::OtherLedger).
    pub async fn info(&self) -> Result<LedgerInfo, LedgerClientError> {
        let info = match self.send(LedgerRequest::Info).await? {
            LedgerReply::Info(info) => info,
            other => return Err(unasked(&other)),
        };
        match self.pinned()? {
            None => files::pin(&self.inner.data_dir, &info.genesis)?,
            Some(pinned) if pinned == info.genesis => {}
            Some(pinned) => {
                return Err(LedgerClientError::OtherLedger {
                    expected: hex::encode(pinned.ledger_id()),
                    got: hex::encode(info.genesis.ledger_id()),
                    pin: files::pin_path(&self.inner.data_dir),
                });
            }
        }
        let _known_already = self.inner.verified.set(());
        Ok(info)
    }

    /// Have an operation done. When this returns, its effect is there to stay.
    ///
    /// # Errors
    /// [`LedgerClientError::Refused`], with nothing changed; or that it is not known whether it
    /// took effect, and submitting it again is safe.
    pub async fn submit(&self, operation: SignedOperation) -> Result<Receipt, LedgerClientError> {
        let mut results = self.submit_batch(vec![operation]).await?;
        let result = results.pop().ok_or_else(|| protocol("no result"))?;
        Ok(result?)
    }

    /// Have many operations done, in their order; a result for each. One that is refused doesn't
    /// keep the others. They go in as few requests as their number and length allow.
    ///
    /// # Errors
    /// [`LedgerClientError`]: it is not known which took effect; submitting all again is safe.
    pub async fn submit_batch(
        &self,
        operations: Vec<SignedOperation>,
    ) -> Result<Vec<Result<Receipt, Refusal>>, LedgerClientError> {
        let mut results = Vec::with_capacity(operations.len());
        for operations in batches(operations) {
            let count = operations.len();
            match self.ask(LedgerRequest::Submit { operations }).await? {
                LedgerReply::Submitted(more) if more.len() == count => results.extend(more),
                other => return Err(unasked(&other)),
            }
        }
        Ok(results)
    }

    /// Look up the nonce of a wallet, sign an operation with it and submit it; anew if another
    /// program of the same wallet was faster with another operation. If it was faster with the
    /// same one, that counts as this one.
    ///
    /// # Errors
    /// As for [`submit`](Self::submit). Signing the operation anew after an error that leaves open
    /// whether it took effect may do it twice: look first.
    pub async fn perform(
        &self,
        keypair: &Keypair,
        operation: Operation,
    ) -> Result<Receipt, LedgerClientError> {
        let domain = self.domain().await?;
        let actor = keypair.peer_id().wallet_address();
        let _turn = self.inner.signing.lock().await;
        let mut nonce = self.nonce(actor).await?;
        let mut nonces = 1;
        loop {
            let signed = SignedOperation::sign(operation.clone(), nonce, keypair, &domain);
            match self.submit(signed).await {
                // This one never takes effect any more: its nonce is another operation's.
                Err(LedgerClientError::Refused(Refusal::Nonce { expected, got }))
                    if expected > got && nonces < NONCES_MAX =>
                {
                    (nonce, nonces) = (expected, nonces + 1);
                }
                done => return done,
            }
        }
    }

    fn pinned(&self) -> Result<Option<Genesis>, LedgerClientError> {
        files::pinned(&self.inner.data_dir)
    }

    /// Ask, once it is clear that it is the right ledger.
    async fn ask(&self, request: LedgerRequest) -> Result<LedgerReply, LedgerClientError> {
        if !self.inner.verified.initialized() {
            self.info().await?;
        }
        self.send(request).await
    }

    async fn send(&self, request: LedgerRequest) -> Result<LedgerReply, LedgerClientError> {
        let mut backoff = FIRST_BACKOFF;
        let mut attempt = 1;
        loop {
            let error = match self.send_once(&request).await {
                Err(error) if error.is_passing() && attempt < ATTEMPTS_MAX => error,
                done => return done,
            };
            tracing::debug!(%error, attempt, "asking the ledger again");
            tokio::time::sleep(backoff).await;
            backoff = backoff.saturating_mul(2);
            attempt += 1;
        }
    }

    async fn send_once(&self, request: &LedgerRequest) -> Result<LedgerReply, LedgerClientError> {
        // Never closed; and without a permit it would still be right, only less polite.
        let _permit = self.inner.room.acquire().await;
        self.inner.stats.asked_ledger();
        let reply = match &self.inner.way {
            Way::Here(service) => service.ask(request.clone()).await,
            Way::There { network, peer, address } => {
                let asked = network.ask_ledger(*peer, address.clone(), request.encode()).await;
                let bytes = asked.map_err(|unreachable| LedgerClientError::Unreachable {
                    peer: unreachable.peer,
                    reason: unreachable.reason,
                })?;
                LedgerReply::decode(&bytes).map_err(protocol)?
            }
        };
        match reply {
            LedgerReply::Busy => Err(LedgerClientError::Busy),
            LedgerReply::Unavailable => Err(LedgerClientError::Unavailable),
            LedgerReply::Malformed => Err(protocol("it can't read the question")),
            reply => Ok(reply),
        }
    }
}

/// Cut into what one request may hold.
fn batches(operations: Vec<SignedOperation>) -> Vec<Vec<SignedOperation>> {
    /// Kind and count of the request, and the length before each operation.
    const HEAD_BYTES: usize = 5;
    const LENGTH_BYTES: usize = 4;
    let mut batches: Vec<Vec<SignedOperation>> = Vec::new();
    let mut bytes = LEDGER_REQUEST_BYTES_MAX;
    for operation in operations {
        let more = operation.encode().len() + LENGTH_BYTES;
        let room = batches.last().is_some_and(|batch| batch.len() < LEDGER_BATCH_MAX);
        match batches.last_mut() {
            Some(batch) if room && bytes + more <= LEDGER_REQUEST_BYTES_MAX => {
                batch.push(operation);
                bytes += more;
            }
            _ => {
                batches.push(vec![operation]);
                bytes = HEAD_BYTES + more;
            }
        }
    }
    batches
}

fn unasked(reply: &LedgerReply) -> LedgerClientError {
    let name = format!("{reply:?}");
    let name = name.split(['(', ' ']).next().unwrap_or_default();
    protocol(format!("a reply of another kind, {name}"))
}

fn protocol(problem: impl ToString) -> LedgerClientError {
    LedgerClientError::Protocol { problem: problem.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_operations_go_in_few_requests() {
        let key = Keypair::from_secret_bytes(&[7; 32]).unwrap();
        let domain = LedgerDomain::new(1 << 33, WalletAddress([1; 20]));
        let sign = |nonce| {
            let to = WalletAddress([2; 20]);
            let transfer = Operation::Transfer { to, amount: Amount::ONE_POP };
            SignedOperation::sign(transfer, nonce, &key, &domain)
        };
        let operations: Vec<_> = (0..130).map(sign).collect();
        let cut = batches(operations.clone());
        assert_eq!(cut.iter().map(Vec::len).collect::<Vec<_>>(), [64, 64, 2]);
        assert_eq!(cut.concat(), operations);
        assert!(batches(Vec::new()).is_empty());
    }
}
