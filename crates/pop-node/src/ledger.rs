//! The ledger in a node: kept and served by one, asked by all (`spec/incentive.md` §12).
//!
//! ```text
//!  LedgerClient --+--> LedgerService --> LocalLedger, on a thread of its own
//!                 |        ^
//!                 |        | requests of peers, each within its budget
//!                 `--> /pop/ledger/1 of the node that the setting `ledger` names
//! ```

mod budget;
mod client;
mod error;
mod files;
mod protocol;
mod service;

use std::path::Path;
use std::sync::Arc;

use libp2p::Multiaddr;
use pop_wire::PeerId;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use budget::Budgets;
pub use client::LedgerClient;
pub use error::{LedgerClientError, LedgerFileError};
pub use files::{LedgerReport, create, verify};
pub(crate) use protocol::{Behaviour, Frame, LedgerCodec, behaviour};
pub(crate) use service::LedgerService;

use self::client::Way;
use crate::network::Network;
use crate::settings::Settings;
use crate::stats::Stats;
use crate::transport::{self, Role};

/// Where a node's ledger is.
#[derive(Debug)]
pub(crate) enum Where {
    /// Here: on this disk, and in this process's hands.
    Here(LedgerService),
    /// With another node, or with another process of this one.
    There { peer: PeerId, address: Multiaddr },
    /// Nowhere that the settings tell.
    Nowhere,
}

impl Where {
    /// Find it as the settings say. A client whose own node is running asks that node.
    pub(crate) async fn find(
        settings: &Settings,
        role: Role,
        running: (&TaskTracker, &CancellationToken),
    ) -> Result<Self, LedgerFileError> {
        if let Some(address) = &settings.ledger {
            let there = transport::split_peer(address);
            return Ok(there.map_or(Self::Nowhere, |(peer, address)| Self::There { peer, address }));
        }
        if !settings.serve_ledger {
            return Ok(Self::Nowhere);
        }
        match LedgerService::open(&settings.data_dir, running).await {
            Err(LedgerFileError::Locked { .. }) if role == Role::Client => {
                let address = files::serving(&settings.data_dir)?;
                let there = transport::split_peer(&address);
                Ok(there.map_or(Self::Nowhere, |(peer, address)| Self::There { peer, address }))
            }
            opened => Ok(Self::Here(opened?)),
        }
    }

    /// Whether it is with that peer.
    pub(crate) fn is_with(&self, other: &PeerId) -> bool {
        matches!(self, Self::There { peer, .. } if peer == other)
    }

    /// How the node asks it.
    pub(crate) fn client(
        self,
        network: &Network,
        data_dir: &Path,
        stats: &Arc<Stats>,
    ) -> Option<LedgerClient> {
        let way = match self {
            Self::Here(service) => Way::Here(service),
            Self::There { peer, address } => Way::There { network: network.clone(), peer, address },
            Self::Nowhere => return None,
        };
        Some(LedgerClient::new(way, data_dir.to_path_buf(), Arc::clone(stats)))
    }

    /// The service, if it is here.
    pub(crate) fn service(&self) -> Option<LedgerService> {
        match self {
            Self::Here(service) => Some(service.clone()),
            _ => None,
        }
    }
}

/// Whether there is a ledger in a data directory.
pub(crate) fn is_here(data_dir: &Path) -> bool {
    files::folder(data_dir).join("genesis").exists()
}

/// Open the ledger in `data_dir` alone, without a network, until `stop`.
pub(crate) async fn open_here(
    data_dir: &Path,
    running: (&TaskTracker, &CancellationToken),
) -> Result<LedgerClient, LedgerFileError> {
    let service = LedgerService::open(data_dir, running).await?;
    Ok(LedgerClient::new(Way::Here(service), data_dir.to_path_buf(), Arc::default()))
}

/// Tell other processes of this node where it listens, so that they can ask it.
pub(crate) fn tell_where(data_dir: &Path, addresses: &[Multiaddr]) {
    if let Err(error) = files::tell_serving(data_dir, addresses) {
        tracing::warn!(%error, "other programs on this machine won't find the served ledger");
    }
}
