//! Money for viewers that come to a demo with a wallet of their own: browsers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use pop_incentive::ledger::Operation;
use pop_wire::{Amount, Keypair, WalletAddress};

use crate::ledger::LedgerClient;

/// POP that a viewer gets: enough for a vault, its penalty, and films for hours.
const GIFT_POP: u128 = 100;

/// Gifts of one demo.
const GIFTS_MAX: u32 = 256;

/// Gives a little to whoever asks. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Faucet {
    ledger: LedgerClient,
    /// Of the ledger, which may mint.
    operator: Arc<Keypair>,
    gifts: Arc<AtomicU32>,
}

/// Why nothing was given.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FaucetError {
    #[error("this demo has given all it gives: expected at most {GIFTS_MAX} wallets")]
    Empty,
    #[error(transparent)]
    Ledger(#[from] crate::ledger::LedgerClientError),
}

impl Faucet {
    pub(crate) fn new(ledger: LedgerClient, operator: Keypair) -> Self {
        Self { ledger, operator: Arc::new(operator), gifts: Arc::default() }
    }

    /// Fund a wallet; how much it got.
    pub(crate) async fn give(&self, to: WalletAddress) -> Result<Amount, FaucetError> {
        if self.gifts.fetch_add(1, Ordering::Relaxed) >= GIFTS_MAX {
            return Err(FaucetError::Empty);
        }
        let amount = Amount::ONE_POP.checked_mul(GIFT_POP).unwrap_or(Amount::ONE_POP);
        self.ledger.perform(&self.operator, Operation::Mint { to, amount }).await?;
        Ok(amount)
    }
}

#[cfg(test)]
mod tests {
    use pop_incentive::ledger::{Account, LedgerParameters};
    use tokio_util::sync::CancellationToken;
    use tokio_util::task::TaskTracker;

    use super::*;
    use crate::ledger;

    #[tokio::test]
    async fn a_viewer_gets_money_and_a_demo_does_not_give_without_end() {
        let home = tempfile::tempdir().unwrap();
        let operator = Keypair::from_secret_bytes(&[7; 32]).unwrap();
        let viewer = Keypair::from_secret_bytes(&[8; 32]).unwrap().peer_id().wallet_address();
        let parameters = LedgerParameters::new(operator.peer_id().wallet_address());
        ledger::create(home.path(), &operator, parameters).unwrap();
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let client = ledger::open_here(home.path(), (&tasks, &stop)).await.unwrap();
        let faucet = Faucet::new(client.clone(), operator);
        let given = faucet.give(viewer).await.unwrap();
        assert_eq!(client.balance(Account::Wallet(viewer)).await.unwrap(), given);
        faucet.gifts.store(GIFTS_MAX, Ordering::Relaxed);
        assert!(matches!(faucet.clone().give(viewer).await, Err(FaucetError::Empty)));
        assert_eq!(client.balance(Account::Wallet(viewer)).await.unwrap(), given);
        stop.cancel();
        tasks.close();
        tasks.wait().await;
    }
}
