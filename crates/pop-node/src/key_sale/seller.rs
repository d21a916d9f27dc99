//! Selling keys: a publisher's node looks after the locks that pay its wallet, and claims those that
//! pay for a key that it sells. A claim shows the key to everybody, whatever comes of it, so all is
//! checked before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use pop_incentive::ids::LockId;
use pop_incentive::ledger::{Lock, LockState, Operation, Refusal};
use pop_incentive::limits::LEDGER_LOCKS_MAX;
use pop_wire::{Amount, ContentId, Digest, UnixTime, WalletAddress};

use super::shelf::{KeptKey, Shelf};
use crate::clock::unix_now;
use crate::error::NodeError;
use crate::ledger::{LedgerClient, LedgerClientError};
use crate::node::Inner;

/// Seconds that a lock must have left: for the claim to arrive, twice and with waits, and for clocks
/// that differ.
const CLAIM_MARGIN_S: u64 = 60;

/// Pages of open locks that are read at once; the rest waits for the next time.
const PAGES_MAX: usize = 64;

/// Locks that don't qualify and are remembered as told; of more nothing is said.
const TOLD_MAX: usize = 4_096;

/// The name before all others.
const BEGINNING: LockId = LockId([0; 32]);

/// Look after open locks again and again, as the settings say how often.
pub(crate) async fn sell_now_and_then(inner: Arc<Inner>) {
    let every = Duration::from_secs(inner.settings.key_sale_interval_s);
    let mut seller = Seller::new(Arc::clone(&inner));
    loop {
        if let Err(error) = seller.round().await {
            tracing::warn!(%error, "locks for keys are looked after later");
        }
        tokio::time::sleep(every).await;
    }
}

/// Why a lock is not claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Unfit {
    #[error("it is not open")]
    NotOpen,
    #[error("it pays another wallet")]
    OtherPayee,
    #[error("it is for a key that is not sold here")]
    UnknownKey,
    #[error("too little: expected at least {price}, got {locked}")]
    TooLittle { price: Amount, locked: Amount },
    #[error("expected {CLAIM_MARGIN_S} s or more to its deadline, got {left_s}")]
    TooLate { left_s: u64 },
}

/// The keys that a publisher sells.
struct Seller {
    inner: Arc<Inner>,
    shelf: Shelf,
    /// By salt and commitment, which is what a lock names.
    on_sale: BTreeMap<(Digest, Digest), KeptKey>,
    /// Contents whose files were read, whether they can be sold or not.
    read: BTreeSet<ContentId>,
    told: Told,
    /// How far the list of open locks was read.
    after: LockId,
}

/// Locks that were said not to qualify.
#[derive(Default)]
struct Told(BTreeSet<LockId>);

impl Told {
    /// Whether to say it of this one: once, and of no more than the limit.
    fn is_news(&mut self, id: LockId) -> bool {
        self.0.len() < TOLD_MAX && self.0.insert(id)
    }
}

impl Seller {
    fn new(inner: Arc<Inner>) -> Self {
        Self {
            shelf: Shelf::of(&inner.settings.data_dir),
            inner,
            on_sale: BTreeMap::new(),
            read: BTreeSet::new(),
            told: Told::default(),
            after: BEGINNING,
        }
    }

    /// Read on in the list of open locks, and claim what pays.
    async fn round(&mut self) -> Result<(), NodeError> {
        self.read_new_sales()?;
        if self.on_sale.is_empty() {
            return Ok(());
        }
        let Some(ledger) = self.inner.ledger.clone() else { return Ok(()) };
        let own = self.inner.keypair.peer_id().wallet_address();
        for _ in 0..PAGES_MAX {
            let page = ledger.open_locks(own, self.after).await?;
            for (id, lock) in &page {
                self.look_at(&ledger, *id, lock).await;
            }
            match page.last() {
                Some((last, _)) if page.len() >= LEDGER_LOCKS_MAX => self.after = *last,
                _ => {
                    self.after = BEGINNING;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Read the files of keys that were put on sale since the last time.
    fn read_new_sales(&mut self) -> Result<(), NodeError> {
        let own = self.inner.keypair.peer_id();
        for content in self.shelf.on_sale()? {
            if !self.read.insert(content) {
                continue;
            }
            match self.shelf.sale(content) {
                Ok(Some(kept)) if kept.manifest.publisher == own => {
                    if self.inner.ledger.is_none() {
                        tracing::warn!(%content, "its key is on sale, but no ledger is configured");
                    }
                    let price = kept.manifest.key_price;
                    tracing::info!(%content, %price, "the key is on sale");
                    let names = (kept.manifest.salt, kept.manifest.key_commitment);
                    self.on_sale.insert(names, kept);
                }
                Ok(Some(_)) => {
                    tracing::warn!(%content, "not sold: another wallet published it");
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(%content, %error, "not sold"),
            }
        }
        Ok(())
    }

    async fn look_at(&mut self, ledger: &LedgerClient, id: LockId, lock: &Lock) {
        let own = self.inner.keypair.peer_id().wallet_address();
        let kept = self.on_sale.get(&(lock.salt, lock.commitment));
        match judge(lock, kept, own, unix_now()) {
            Ok(kept) => self.claim(ledger, id, lock, kept).await,
            Err(unfit) if self.told.is_news(id) => {
                tracing::warn!(lock = %id, payer = %lock.payer, %unfit, "no key for this lock");
            }
            Err(_) => {}
        }
    }

    async fn claim(&self, ledger: &LedgerClient, id: LockId, lock: &Lock, kept: &KeptKey) {
        let content = kept.manifest.content_id();
        let key = Digest(*kept.key.expose_secret());
        let claim = Operation::ClaimLock { lock: id, key };
        match ledger.perform(&self.inner.keypair, claim).await {
            Ok(_) => {
                let (amount, payer) = (lock.amount, lock.payer);
                tracing::info!(%content, %amount, %payer, "a key is sold");
            }
            // A claim of before this process was killed, or of another one: it is paid.
            Err(LedgerClientError::Refused(Refusal::State { .. })) => {
                tracing::debug!(lock = %id, "claimed already");
            }
            Err(error) => tracing::warn!(lock = %id, %error, "not claimed; tried again later"),
        }
    }
}

/// Whether a lock pays for the key that it names: spec/incentive.md §12.8, payee, salt, commitment,
/// amount and deadline MUST be checked before the key is shown.
fn judge<'a>(
    lock: &Lock,
    kept: Option<&'a KeptKey>,
    own: WalletAddress,
    now: UnixTime,
) -> Result<&'a KeptKey, Unfit> {
    if lock.state != LockState::Open {
        return Err(Unfit::NotOpen);
    }
    if lock.payee != own {
        return Err(Unfit::OtherPayee);
    }
    let kept = kept.filter(|kept| lock.is_for_key_of(&kept.manifest)).ok_or(Unfit::UnknownKey)?;
    let (price, locked) = (kept.manifest.key_price, lock.amount);
    if price == Amount::ZERO || locked < price {
        return Err(Unfit::TooLittle { price, locked });
    }
    let left_s = lock.deadline.0.saturating_sub(now.0);
    if left_s < CLAIM_MARGIN_S {
        return Err(Unfit::TooLate { left_s });
    }
    Ok(kept)
}

#[cfg(test)]
mod tests;
