//! Buying a key: money is locked once for a content, whatever crashes, and is either paid for the
//! key or had back.

use std::time::Duration;

use pop_erasure::ContentKey;
use pop_incentive::ledger::names::lock_id;
use pop_incentive::ledger::{Lock, LockState, Operation, Refusal};
use pop_wire::{Amount, ContentId, Keypair, Manifest, Verified};

use super::KeySaleError;
use super::shelf::{KeptKey, PendingLock, Shelf};
use crate::clock::{self, unix_now};
use crate::error::NodeError;
use crate::ledger::{LedgerClient, LedgerClientError};
use crate::node::Node;

/// Seconds for which money waits for a key unless the buyer says otherwise.
pub const KEY_LOCK_S: u64 = 3_600;

/// Between two looks at the ledger while money waits.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How often a wallet locks money for one content, if it comes back each time.
const LOCKS_MAX: u64 = 64;

/// Context of the hash that an index is taken from.
const INDEX_CONTEXT: &str = "POP 2026 key lock index v1";

/// What a buyer is ready to do for a key.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct KeyOrder {
    /// What it may cost at most; with nothing, only money that is locked already is looked after.
    pub max: Option<Amount>,
    /// Seconds after which the money comes back. A seller leaves locks alone that have less than a
    /// minute left.
    pub lock_s: u64,
}

impl Default for KeyOrder {
    fn default() -> Self {
        Self { max: None, lock_s: KEY_LOCK_S }
    }
}

/// A key that opens its content.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BoughtKey {
    /// The key.
    pub key: ContentKey,
    /// What was locked for it, in this run or an earlier one; zero if the key was kept here.
    pub paid: Amount,
}

impl Node {
    /// The key of `content`: as it is kept in the data directory, or bought from its publisher by
    /// `wallet`. Money that was locked for it before is looked after first, so that a call after a
    /// crash goes on where the last one was. Waits until the key is there or the money is back;
    /// `waiting` hears how much is locked, and until when.
    ///
    /// # Errors
    /// [`KeySaleError`]; [`NodeError::NoLedger`]; the ledger refuses, as without enough money; the
    /// content is not found.
    pub async fn buy_key(
        &self,
        wallet: &Keypair,
        content: ContentId,
        order: KeyOrder,
        waiting: impl Fn(Amount, pop_wire::UnixTime),
    ) -> Result<BoughtKey, NodeError> {
        let data_dir = &self.inner.settings.data_dir;
        if let Some(key) = super::kept_key(data_dir, content)? {
            return Ok(BoughtKey { key, paid: Amount::ZERO });
        }
        let shelf = Shelf::of(data_dir);
        let pending = shelf.pending(content)?;
        let manifest = match &pending {
            Some(pending) => pending.manifest.clone(),
            None => self.inner.find(content).await?.manifest().clone(),
        };
        if pending.is_none() {
            order.accepts(&manifest)?;
        }
        let ledger = self.inner.ledger.clone().ok_or(NodeError::NoLedger)?;
        let buyer = Buyer { ledger, wallet, shelf, manifest, order };
        buyer.buy(pending, waiting).await
    }

    /// What the key of `content` costs; nothing where it isn't sold.
    ///
    /// # Errors
    /// [`NodeError::UnknownContent`].
    pub async fn key_price(&self, content: ContentId) -> Result<Option<Amount>, NodeError> {
        let price = self.inner.find(content).await?.manifest().key_price;
        Ok((price > Amount::ZERO).then_some(price))
    }
}

impl KeyOrder {
    /// Whether a key may be bought at what its publisher asks.
    fn accepts(self, manifest: &Verified<Manifest>) -> Result<(), KeySaleError> {
        let (content, price) = (manifest.content_id(), manifest.key_price);
        match self.max {
            _ if price == Amount::ZERO => Err(KeySaleError::NotForSale { content }),
            None => Err(KeySaleError::ForSale { content, price }),
            Some(max) if price > max => Err(KeySaleError::TooDear { content, price, max }),
            Some(_) => Ok(()),
        }
    }
}

/// One wallet that wants the key of one content.
struct Buyer<'a> {
    ledger: LedgerClient,
    wallet: &'a Keypair,
    shelf: Shelf,
    manifest: Verified<Manifest>,
    order: KeyOrder,
}

/// What became of a lock.
enum Outcome {
    Key(ContentKey, Amount),
    Refunded(Amount),
    /// The ledger has none of this name: what was written down never left, or never arrived.
    Unknown,
}

impl Buyer<'_> {
    async fn buy(
        &self,
        pending: Option<PendingLock>,
        waiting: impl Fn(Amount, pop_wire::UnixTime),
    ) -> Result<BoughtKey, NodeError> {
        let content = self.manifest.content_id();
        let mut pending = pending;
        loop {
            // Of a lock that the ledger doesn't know, only a second try can say for sure.
            let from_before = pending.is_some();
            let lock = match pending.take() {
                Some(lock) => lock,
                None => {
                    self.order.accepts(&self.manifest)?;
                    self.lock().await?
                }
            };
            match self.wait(&lock, &waiting).await? {
                Outcome::Key(key, paid) => {
                    let kept = KeptKey { key, manifest: self.manifest.clone() };
                    self.shelf.put_bought(&kept)?;
                    self.shelf.forget_pending(content)?;
                    return Ok(BoughtKey { key: kept.key, paid });
                }
                Outcome::Refunded(amount) => {
                    self.shelf.forget_pending(content)?;
                    return Err(KeySaleError::NotDelivered { content, amount }.into());
                }
                Outcome::Unknown if from_before => {}
                Outcome::Unknown => {
                    let problem = "it does not know a lock that it has opened".to_owned();
                    return Err(LedgerClientError::Protocol { problem }.into());
                }
            }
        }
    }

    /// Lock the price. The index follows from the content, so that two who do this for one wallet,
    /// at once or one after the other, lock once: the ledger takes an index once.
    async fn lock(&self) -> Result<PendingLock, NodeError> {
        let (content, amount) = (self.manifest.content_id(), self.manifest.key_price);
        let payer = self.wallet.peer_id().wallet_address();
        let domain = self.ledger.domain().await?;
        for attempt in 0..LOCKS_MAX {
            let index = index(content, attempt);
            let lock = lock_id(&domain, payer, index);
            let manifest = self.manifest.clone();
            match self.ledger.lock(lock).await? {
                Some(it) if it.state == LockState::Refunded => {}
                Some(it) if !it.is_for_key_of(&manifest) => {}
                Some(Lock { amount, deadline, .. }) => {
                    let earlier = PendingLock { index, lock, amount, deadline, manifest };
                    self.shelf.put_pending(&earlier)?;
                    return Ok(earlier);
                }
                None => {
                    let deadline = unix_now().after_s(self.order.lock_s);
                    let new = PendingLock { index, lock, amount, deadline, manifest };
                    self.submit(&new).await?;
                    return Ok(new);
                }
            }
        }
        Err(KeySaleError::TooOften { content, count: LOCKS_MAX }.into())
    }

    /// Write the lock down, then have it opened.
    async fn submit(&self, new: &PendingLock) -> Result<(), NodeError> {
        let PendingLock { index, amount, deadline, manifest, .. } = new;
        self.shelf.put_pending(new)?;
        // spec/incentive.md §12.8: salt and commitment MUST be those of the signed manifest, and
        // are taken from it here.
        let open = Operation::lock_for_key(manifest, *index, *amount, *deadline);
        match self.ledger.perform(self.wallet, open).await {
            Ok(_) => Ok(()),
            // Another run of this wallet was faster: its lock counts.
            Err(LedgerClientError::Refused(Refusal::Exists { .. })) => Ok(()),
            Err(refused @ LedgerClientError::Refused(_)) => {
                self.shelf.forget_pending(manifest.content_id())?;
                Err(refused.into())
            }
            Err(source) => Err(in_doubt(new, source).into()),
        }
    }

    /// Look at the ledger until the money is gone, for the key or back.
    async fn wait(
        &self,
        pending: &PendingLock,
        waiting: &impl Fn(Amount, pop_wire::UnixTime),
    ) -> Result<Outcome, NodeError> {
        let mut is_told = false;
        loop {
            let found = match self.ledger.lock(pending.lock).await {
                Ok(found) => found,
                Err(error) if error.is_passing() && unix_now() < pending.deadline => {
                    tracing::warn!(%error, "asking again whether the key is there");
                    tokio::time::sleep(LOOK_INTERVAL).await;
                    continue;
                }
                Err(source) => return Err(in_doubt(pending, source).into()),
            };
            let Some(lock) = found else { return Ok(Outcome::Unknown) };
            match lock.state {
                LockState::Claimed { key } => return self.check(pending, &lock, key),
                LockState::Refunded => return Ok(Outcome::Refunded(lock.amount)),
                _ if unix_now() >= lock.deadline => self.refund(pending).await?,
                _ if !is_told => {
                    waiting(lock.amount, lock.deadline);
                    is_told = true;
                }
                _ => {}
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    /// The key as the ledger has it, if it is the one that was paid for.
    fn check(
        &self,
        pending: &PendingLock,
        lock: &Lock,
        key: pop_wire::Digest,
    ) -> Result<Outcome, NodeError> {
        let key = ContentKey::from_bytes(key.0);
        if key.commitment(&self.manifest.salt) == self.manifest.key_commitment {
            return Ok(Outcome::Key(key, lock.amount));
        }
        let (content, lock) = (self.manifest.content_id(), pending.lock);
        Err(KeySaleError::FalseKey { content, lock }.into())
    }

    /// Ask for the money. What came of it is looked up afterwards, whoever asked first.
    async fn refund(&self, pending: &PendingLock) -> Result<(), NodeError> {
        let refund = Operation::RefundLock { lock: pending.lock };
        match self.ledger.perform(self.wallet, refund).await {
            Ok(_) => tracing::info!(lock = %pending.lock, "the money is back"),
            // The ledger's clock is behind ours, or somebody was faster.
            Err(LedgerClientError::Refused(refusal)) => tracing::debug!(%refusal, "no refund yet"),
            Err(source) => return Err(in_doubt(pending, source).into()),
        }
        Ok(())
    }
}

fn in_doubt(pending: &PendingLock, source: LedgerClientError) -> KeySaleError {
    let (amount, until) = (pending.amount, pending.deadline);
    KeySaleError::InDoubt { amount, until, source: Box::new(source) }
}

/// Which of its locks a wallet takes for a content: eight bytes of a hash, so that it never needs
/// to remember them.
fn index(content: ContentId, attempt: u64) -> u64 {
    let mut input = content.0.to_vec();
    input.extend_from_slice(&attempt.to_be_bytes());
    let hash = blake3::derive_key(INDEX_CONTEXT, &input);
    let mut first = [0; 8];
    first.copy_from_slice(&hash[..8]);
    u64::from_be_bytes(first)
}

/// For people: how much waits, and until when.
pub(crate) fn waiting_line(amount: Amount, until: pop_wire::UnixTime) -> String {
    format!(
        "{amount} are locked for the key until {}; waiting for the seller. Stopping is safe: the \
         same command goes on, and has the money back after that time if no key came",
        clock::utc(until)
    )
}
