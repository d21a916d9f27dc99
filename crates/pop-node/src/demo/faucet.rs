//! Money for viewers that come to a demo with a wallet of their own: browsers.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pop_incentive::ledger::Operation;
use pop_wire::{Amount, Keypair, WalletAddress};

use crate::ledger::LedgerClient;

/// POP that a viewer gets: enough for a vault, its penalty, and films for hours.
const GIFT_POP: u128 = 100;

/// Wallets that one demo funds.
const GIFTS_MAX: usize = 256;

/// Bytes of a request for money: an address, and room to spare.
pub(crate) const REQUEST_BYTES_MAX: usize = 1024;

/// Gives a little to whoever asks. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Faucet {
    ledger: LedgerClient,
    /// Of the ledger, which may mint.
    operator: Arc<Keypair>,
    funded: Arc<Mutex<BTreeSet<WalletAddress>>>,
}

/// Why nothing was given.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FaucetError {
    #[error("this demo has given all it gives: expected at most {GIFTS_MAX} wallets")]
    Empty,
    #[error("this wallet was funded before: expected one that was not")]
    Funded,
    #[error(transparent)]
    Ledger(#[from] crate::ledger::LedgerClientError),
}

impl Faucet {
    pub(crate) fn new(ledger: LedgerClient, operator: Keypair) -> Self {
        Self { ledger, operator: Arc::new(operator), funded: Arc::default() }
    }

    /// Fund a wallet, once; how much it got.
    pub(crate) async fn give(&self, to: WalletAddress) -> Result<Amount, FaucetError> {
        self.reserve(to)?;
        let minted =
            self.ledger.perform(&self.operator, Operation::Mint { to, amount: gift() }).await;
        match minted {
            Ok(_) => Ok(gift()),
            Err(error) => {
                self.wallets().remove(&to);
                Err(error.into())
            }
        }
    }

    /// The wallets that were funded, each with [`gift`].
    pub(crate) fn funded(&self) -> Vec<WalletAddress> {
        self.wallets().iter().copied().collect()
    }

    fn reserve(&self, to: WalletAddress) -> Result<(), FaucetError> {
        let mut wallets = self.wallets();
        if wallets.contains(&to) {
            return Err(FaucetError::Funded);
        }
        if wallets.len() >= GIFTS_MAX {
            return Err(FaucetError::Empty);
        }
        wallets.insert(to);
        Ok(())
    }

    fn wallets(&self) -> MutexGuard<'_, BTreeSet<WalletAddress>> {
        self.funded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What each wallet gets.
pub(super) fn gift() -> Amount {
    Amount::ONE_POP.checked_mul(GIFT_POP).unwrap_or(Amount::ONE_POP)
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
        assert!(matches!(faucet.give(viewer).await, Err(FaucetError::Funded)));
        let others = (0..).map(|number: u16| {
            let mut address = [0; 20];
            address[..2].copy_from_slice(&number.to_be_bytes());
            WalletAddress(address)
        });
        faucet.wallets().extend(others.take(GIFTS_MAX - 1));
        let late = WalletAddress([255; 20]);
        assert!(matches!(faucet.clone().give(late).await, Err(FaucetError::Empty)));
        assert_eq!(client.balance(Account::Wallet(viewer)).await.unwrap(), given);
        assert_eq!(client.balance(Account::Wallet(late)).await.unwrap(), Amount::ZERO);
        stop.cancel();
        tasks.close();
        tasks.wait().await;
    }
}
