//! The task that owns the swarm, and the handle by which everything else talks to it.

mod desk;
mod driver;

use libp2p::Multiaddr;
use pop_dht::Subject;
use pop_exchange::libp2p::ExchangeStream;
use pop_wire::{ContentId, Keypair, Manifest, MasternodeRecord, PeerId, ProviderRecord, Verified};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::error::NodeError;
use crate::ledger::LedgerService;
use crate::settings::Settings;
use crate::transport::{self, Role};
use crate::web;

/// Commands that wait for the swarm's task.
const COMMANDS_MAX: usize = 256;

/// Findings of one lookup that wait for their reader.
const FINDINGS_MAX: usize = 64;

/// Streams and renewals that wait for the node.
const EVENTS_MAX: usize = 256;

/// Handle on the swarm; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    commands: mpsc::Sender<Command>,
    listening: watch::Receiver<Vec<Multiaddr>>,
}

/// What the swarm tells the node unasked.
#[derive(Debug)]
pub(crate) enum NetworkEvent {
    /// A peer opened a stream to be served.
    Inbound { peer: PeerId, address: Option<Multiaddr>, stream: ExchangeStream },
    /// Another relay opened a stream.
    InboundRelay { peer: PeerId, stream: ExchangeStream },
    /// An announcement needs a fresh signature.
    RenewalDue(Subject),
}

/// What a content lookup found since the last time.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) manifest: Option<Verified<Manifest>>,
    pub(crate) providers: Vec<Verified<ProviderRecord>>,
}

/// A peer could not be reached.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{peer} is not reachable: {reason}")]
pub(crate) struct Unreachable {
    pub(crate) peer: PeerId,
    pub(crate) reason: String,
}

enum Command {
    Open {
        peer: PeerId,
        addresses: Vec<Multiaddr>,
        reply: oneshot::Sender<Result<ExchangeStream, Unreachable>>,
    },
    OpenRelay {
        peer: PeerId,
        addresses: Vec<Multiaddr>,
        reply: oneshot::Sender<Result<ExchangeStream, Unreachable>>,
    },
    AddPeer {
        peer: PeerId,
        address: Multiaddr,
    },
    FindContent {
        content: ContentId,
        findings: mpsc::Sender<Finding>,
    },
    AnnounceContent {
        manifest: Box<Verified<Manifest>>,
        provider: Box<Verified<ProviderRecord>>,
    },
    AnnounceMasternode(Box<Verified<MasternodeRecord>>),
    AskLedger {
        peer: PeerId,
        address: Multiaddr,
        request: Vec<u8>,
        reply: oneshot::Sender<Result<Vec<u8>, Unreachable>>,
    },
}

impl Network {
    /// Build the swarm, listen, and run it until `stop`. Peers ask `ledger`, if there is one.
    pub(crate) fn start(
        keypair: &Keypair,
        role: Role,
        settings: &Settings,
        ledger: Option<LedgerService>,
        (tasks, stop): (&TaskTracker, &CancellationToken),
    ) -> Result<(Self, mpsc::Receiver<NetworkEvent>), NodeError> {
        let mut swarm = transport::build(keypair, role, settings, ledger.is_some())?;
        if role == Role::Masternode {
            for address in &settings.listen {
                swarm.listen_on(address.clone()).map_err(|error| NodeError::Listen {
                    address: address.to_string(),
                    reason: error.to_string(),
                })?;
            }
        }
        let for_peers = settings.external.iter().filter(|address| !web::is_for_browsers(address));
        for_peers.for_each(|address| swarm.add_external_address(address.clone()));
        let (commands, command_queue) = mpsc::channel(COMMANDS_MAX);
        let (events, event_queue) = mpsc::channel(EVENTS_MAX);
        let (listening_sender, listening) = watch::channel(Vec::new());
        let driver = driver::Driver::new(swarm, events, listening_sender, ledger);
        let (stop, running) = (stop.clone(), driver.run(command_queue));
        tasks.spawn(async move { stop.run_until_cancelled(running).await });
        Ok((Self { commands, listening }, event_queue))
    }

    /// Addresses that the node listens on, as they become known.
    pub(crate) fn listening(&self) -> watch::Receiver<Vec<Multiaddr>> {
        self.listening.clone()
    }

    /// Open an exchange stream, dialling if need be.
    pub(crate) async fn open(
        &self,
        peer: PeerId,
        addresses: Vec<Multiaddr>,
    ) -> Result<ExchangeStream, Unreachable> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Open { peer, addresses, reply }).await;
        let gone = || Unreachable { peer, reason: "the node is shutting down".to_owned() };
        answer.await.map_err(|_| gone())?
    }

    /// Open a stream to another relay, dialling if need be.
    pub(crate) async fn open_relay(
        &self,
        peer: PeerId,
        addresses: Vec<Multiaddr>,
    ) -> Result<ExchangeStream, Unreachable> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::OpenRelay { peer, addresses, reply }).await;
        let gone = || Unreachable { peer, reason: "the node is shutting down".to_owned() };
        answer.await.map_err(|_| gone())?
    }

    /// Tell the DHT of a peer.
    pub(crate) async fn add_peer(&self, peer: PeerId, address: Multiaddr) {
        self.send(Command::AddPeer { peer, address }).await;
    }

    /// Look for a content. Findings come until the lookup is done; drop the receiver to cancel.
    pub(crate) async fn find_content(&self, content: ContentId) -> mpsc::Receiver<Finding> {
        let (findings, receiver) = mpsc::channel(FINDINGS_MAX);
        self.send(Command::FindContent { content, findings }).await;
        receiver
    }

    /// Announce that this node holds columns, until the record's life ends.
    pub(crate) async fn announce_content(
        &self,
        manifest: Verified<Manifest>,
        provider: Verified<ProviderRecord>,
    ) {
        let (manifest, provider) = (Box::new(manifest), Box::new(provider));
        self.send(Command::AnnounceContent { manifest, provider }).await;
    }

    /// Announce that this node is a masternode.
    pub(crate) async fn announce_masternode(&self, record: Verified<MasternodeRecord>) {
        self.send(Command::AnnounceMasternode(Box::new(record))).await;
    }

    /// Send a request to the node that serves the ledger, dialling if need be; the bytes of its
    /// reply.
    pub(crate) async fn ask_ledger(
        &self,
        peer: PeerId,
        address: Multiaddr,
        request: Vec<u8>,
    ) -> Result<Vec<u8>, Unreachable> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::AskLedger { peer, address, request, reply }).await;
        let gone = || Unreachable { peer, reason: "the node is shutting down".to_owned() };
        answer.await.map_err(|_| gone())?
    }

    /// A command after the swarm's end is void: the node is going down anyway.
    async fn send(&self, command: Command) {
        if self.commands.send(command).await.is_err() {
            tracing::debug!("command after shutdown");
        }
    }
}
