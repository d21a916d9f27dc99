use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt as _;
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, Swarm, identify};
use pop_dht::LookupId;
use pop_exchange::libp2p::{ExchangeStream, OpenId};
use tokio::sync::{mpsc, oneshot, watch};

use super::desk::LedgerDesk;
use super::{Command, Finding, NetworkEvent, Unreachable};
use crate::clock;
use crate::ledger::LedgerService;
use crate::transport::{Behaviours, BehavioursEvent, from_libp2p, to_libp2p};

/// How often the DHT is told the time and sweeps.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Where the stream of an opening goes.
type StreamReply = oneshot::Sender<Result<ExchangeStream, Unreachable>>;

/// Runs the swarm.
pub(super) struct Driver {
    swarm: Swarm<Behaviours>,
    events: mpsc::Sender<NetworkEvent>,
    listening: watch::Sender<Vec<Multiaddr>>,
    /// Where connected peers are.
    remote: BTreeMap<libp2p::PeerId, Multiaddr>,
    openings: BTreeMap<OpenId, StreamReply>,
    relay_openings: BTreeMap<OpenId, StreamReply>,
    lookups: BTreeMap<LookupId, mpsc::Sender<Finding>>,
    ledger: LedgerDesk,
}

impl Driver {
    pub(super) fn new(
        swarm: Swarm<Behaviours>,
        events: mpsc::Sender<NetworkEvent>,
        listening: watch::Sender<Vec<Multiaddr>>,
        ledger: Option<LedgerService>,
    ) -> Self {
        let (openings, lookups) = (BTreeMap::new(), BTreeMap::new());
        let ledger = LedgerDesk::new(ledger);
        let (remote, relay_openings) = (BTreeMap::new(), BTreeMap::new());
        Self { swarm, events, listening, remote, openings, relay_openings, lookups, ledger }
    }

    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut sweep = tokio::time::interval(SWEEP_INTERVAL);
        loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_event(event),
                command = commands.recv() => match command {
                    Some(command) => self.on_command(command),
                    None => return,
                },
                Some(answer) = self.ledger.next_answer() => {
                    answer.send(&mut self.swarm.behaviour_mut().ledger);
                }
                _ = sweep.tick() => self.sweep(),
            }
        }
    }

    fn sweep(&mut self) {
        self.swarm.behaviour_mut().dht.sweep(clock::unix_now());
        let gone: Vec<LookupId> =
            self.lookups.iter().filter(|(_, to)| to.is_closed()).map(|(id, _)| *id).collect();
        for lookup in gone {
            self.lookups.remove(&lookup);
            self.swarm.behaviour_mut().dht.cancel(lookup);
        }
    }

    fn on_command(&mut self, command: Command) {
        let Behaviours { dht, exchange, relays, ledger, .. } = self.swarm.behaviour_mut();
        match command {
            Command::Open { peer, addresses, reply } => {
                let opening = exchange.open(to_libp2p(&peer), addresses);
                self.openings.insert(opening, reply);
            }
            Command::OpenRelay { peer, addresses, reply } => {
                let opening = relays.open(to_libp2p(&peer), addresses);
                self.relay_openings.insert(opening, reply);
            }
            Command::AddPeer { peer, address } => {
                if let Err(refusal) = dht.add_peer(to_libp2p(&peer), address) {
                    tracing::debug!(%peer, %refusal, "not in the routing table");
                }
            }
            Command::FindContent { content, findings } => match dht.find_content(content) {
                Ok(lookup) => drop(self.lookups.insert(lookup, findings)),
                Err(error) => tracing::warn!(%content, %error, "lookup not started"),
            },
            Command::AnnounceContent { manifest, provider } => {
                if let Err(error) = dht.announce_content(*manifest, *provider) {
                    tracing::warn!(%error, "content not announced");
                }
            }
            Command::AnnounceMasternode(record) => {
                if let Err(error) = dht.announce_masternode(*record) {
                    tracing::warn!(%error, "masternode not announced");
                }
            }
            Command::AskLedger { peer, address, request, reply } => {
                self.ledger.ask(ledger, (peer, address), request, reply);
            }
        }
    }

    fn on_event(&mut self, event: SwarmEvent<BehavioursEvent>) {
        match event {
            SwarmEvent::Behaviour(BehavioursEvent::Exchange(event)) => self.on_exchange(event),
            SwarmEvent::Behaviour(BehavioursEvent::Relays(event)) => self.on_relay(event),
            SwarmEvent::Behaviour(BehavioursEvent::Dht(event)) => self.on_dht(event),
            SwarmEvent::Behaviour(BehavioursEvent::Ledger(event)) => {
                self.ledger.on_event(&mut self.swarm.behaviour_mut().ledger, event);
            }
            SwarmEvent::Behaviour(BehavioursEvent::Identify(event)) => self.on_identify(event),
            SwarmEvent::NewListenAddr { .. } | SwarmEvent::ExpiredListenAddr { .. } => {
                let addresses = self.swarm.listeners().cloned().collect();
                self.listening.send_replace(addresses);
            }
            SwarmEvent::ConnectionEstablished { peer_id, endpoint, .. } => {
                self.remote.insert(peer_id, endpoint.get_remote_address().clone());
            }
            SwarmEvent::ConnectionClosed { peer_id, num_established: 0, .. } => {
                self.remote.remove(&peer_id);
            }
            SwarmEvent::ListenerError { error, .. } => tracing::warn!(%error, "listener"),
            other => tracing::trace!(?other, "swarm"),
        }
    }

    fn on_exchange(&mut self, event: pop_exchange::libp2p::Event) {
        use pop_exchange::libp2p::Event;
        match event {
            Event::Inbound { peer, stream } => {
                let Some(peer) = from_libp2p(&peer) else { return };
                // A stream that nobody takes in time is closed, and its opener sees that.
                let address = self.remote.get(&to_libp2p(&peer)).cloned();
                let inbound = NetworkEvent::Inbound { peer, address, stream };
                if self.events.try_send(inbound).is_err() {
                    tracing::warn!(%peer, "too busy to take a stream");
                }
            }
            event => opened(event, &mut self.openings),
        }
    }

    fn on_relay(&mut self, event: pop_exchange::libp2p::Event) {
        use pop_exchange::libp2p::Event;
        match event {
            Event::Inbound { peer, stream } => {
                let Some(peer) = from_libp2p(&peer) else { return };
                let inbound = NetworkEvent::InboundRelay { peer, stream };
                if self.events.try_send(inbound).is_err() {
                    tracing::debug!(%peer, "too busy to take a relay's stream");
                }
            }
            event => opened(event, &mut self.relay_openings),
        }
    }

    fn on_dht(&mut self, event: pop_dht::Event) {
        use pop_dht::Event;
        match event {
            Event::ContentFound { lookup, manifest, providers } => {
                let Some(findings) = self.lookups.get(&lookup) else { return };
                if findings.try_send(Finding { manifest, providers }).is_err() {
                    tracing::debug!(%lookup, "finding not taken");
                }
            }
            Event::LookupFinished { lookup, .. } => drop(self.lookups.remove(&lookup)),
            Event::RenewalDue { subject } => {
                if self.events.try_send(NetworkEvent::RenewalDue(subject)).is_err() {
                    tracing::warn!("renewal missed");
                }
            }
            other => tracing::debug!(?other, "dht"),
        }
    }

    /// A peer told where it listens; the DHT decides whether to believe and keep it.
    fn on_identify(&mut self, event: identify::Event) {
        let identify::Event::Received { peer_id, info, .. } = event else { return };
        if !info.protocols.contains(&pop_dht::PROTOCOL) {
            return;
        }
        for address in info.listen_addrs {
            if let Err(refusal) = self.swarm.behaviour_mut().dht.add_peer(peer_id, address) {
                tracing::debug!(%peer_id, %refusal, "not in the routing table");
            }
        }
    }
}

/// Tell whoever waits for a stream what came of it.
fn opened(event: pop_exchange::libp2p::Event, openings: &mut BTreeMap<OpenId, StreamReply>) {
    use pop_exchange::libp2p::Event;
    match event {
        Event::Opened { id, stream, .. } => {
            if let Some(reply) = openings.remove(&id) {
                let _asker_gone = reply.send(Ok(stream));
            }
        }
        Event::OpenFailed { id, peer, error } => {
            let (Some(reply), Some(peer)) = (openings.remove(&id), from_libp2p(&peer)) else {
                return;
            };
            let _asker_gone = reply.send(Err(Unreachable { peer, reason: error.to_string() }));
        }
        other => tracing::debug!(?other, "streams"),
    }
}
