//! What every verb about money needs: the ledger, a key to sign with, and a node that carries the
//! questions.

use pop_incentive::ledger::{Operation, Receipt};
use pop_wire::{Amount, Keypair, UnixTime, WalletAddress};

use crate::clock;
use crate::disk::{self, StoreError};
use crate::error::NodeError;
use crate::ledger::{self, LedgerClient};
use crate::node::Node;
use crate::settings::Settings;

/// The ledger that the settings name, and the key of this node.
pub(super) struct Purse {
    pub(super) settings: Settings,
    pub(super) ledger: LedgerClient,
    pub(super) keypair: Keypair,
    node: Node,
}

impl Purse {
    /// Reach the ledger; nothing is asked yet. The node that does it is nobody in particular: this
    /// one may be running, and a ledger serves whoever asks.
    pub(super) async fn open(mut settings: Settings) -> Result<Self, NodeError> {
        let keypair = disk::load_identity(&settings.data_dir)?;
        if settings.ledger.is_none() && ledger::is_here(&settings.data_dir) {
            settings.serve_ledger = true;
        }
        settings.http_listen = None;
        settings.bootstrap = Vec::new();
        // It fetches nothing: the records of payments stay with the node that may be running.
        settings.price_max = Amount::ZERO;
        let nobody = clock::random_bytes().map_err(StoreError::from)?;
        let node = Node::client(Keypair::from_secret_bytes(&nobody)?, settings.clone()).await?;
        match node.ledger() {
            Some(ledger) => Ok(Self { settings, ledger, keypair, node }),
            None => {
                node.shutdown().await;
                Err(NodeError::NoLedger)
            }
        }
    }

    /// Do something with the ledger, and let go of it whatever comes of that.
    pub(super) async fn with<T>(
        settings: Settings,
        work: impl AsyncFnOnce(&Self) -> Result<T, NodeError>,
    ) -> Result<T, NodeError> {
        let purse = Self::open(settings).await?;
        let done = work(&purse).await;
        purse.node.shutdown().await;
        done
    }

    /// The wallet of this node's key.
    pub(super) fn wallet(&self) -> WalletAddress {
        self.keypair.peer_id().wallet_address()
    }

    /// Whose collateral this node runs on.
    pub(super) fn owner(&self) -> WalletAddress {
        self.settings.operator.unwrap_or_else(|| self.wallet())
    }

    /// Sign with this node's key and submit.
    pub(super) async fn perform(&self, operation: Operation) -> Result<Receipt, NodeError> {
        Ok(self.ledger.perform(&self.keypair, operation).await?)
    }
}

/// So many days from now.
pub(super) fn in_days(days: u64) -> UnixTime {
    clock::unix_now().after_s(days.saturating_mul(86_400))
}
