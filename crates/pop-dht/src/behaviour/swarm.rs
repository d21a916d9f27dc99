//! The behaviour as the swarm sees it: everything goes through kad, and kad's events come back
//! as ours.

use core::task::{Context, Poll};

use bytes::Bytes;
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::kad::{self, GetRecordOk, InboundRequest, PutRecordError, QueryId, QueryResult};
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, DialError, FromSwarm, NetworkBehaviour, THandler,
    THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};

use super::{Behaviour, Purpose, Search, from_libp2p};
use crate::limits::REPLICATION;
use crate::store::{Origin, Store};
use crate::{Contact, DhtKey, Event, LookupId, NetworkGroup, Refusal};

impl Behaviour {
    fn on_kad_event(&mut self, event: kad::Event) {
        match event {
            kad::Event::OutboundQueryProgressed { id, result, step, .. } => {
                self.on_query(id, result, step.last);
            }
            kad::Event::InboundRequest {
                request: InboundRequest::PutRecord { source, connection, record: Some(record) },
            } => self.on_put(source, connection, record),
            kad::Event::RoutablePeer { peer, address }
            | kad::Event::PendingRoutablePeer { peer, address } => self.on_routable(peer, address),
            kad::Event::RoutingUpdated { peer, is_new_peer, old_peer, .. } => {
                self.on_routing_updated(peer, is_new_peer, old_peer);
            }
            kad::Event::InboundRequest { .. }
            | kad::Event::UnroutablePeer { .. }
            | kad::Event::ModeChanged { .. } => {}
        }
    }

    /// spec/dht.md §4: a put counts against the connection it came on.
    fn on_put(&mut self, source: PeerId, connection: ConnectionId, record: kad::Record) {
        let group = self.connections.get(&connection).copied().unwrap_or(NetworkGroup::Unknown);
        let stored = from_libp2p(&source).and_then(|peer| {
            Ok((DhtKey::from_bytes(record.key.as_ref())?, Origin { peer, group }))
        });
        let stored = stored.map_err(Refusal::from).and_then(|(key, origin)| {
            self.store_mut().put_foreign(key, record.value.into(), origin)
        });
        if let Err(refusal) = stored {
            self.events.push_back(Event::RecordRefused { source, refusal });
        }
    }

    fn on_query(&mut self, query: QueryId, result: QueryResult, last: bool) {
        let Some(purpose) = self.queries.get(&query).copied() else { return };
        if last {
            self.queries.remove(&query);
        }
        match (purpose, result) {
            (Purpose::Publish(key), QueryResult::PutRecord(result)) => {
                let copies = match result {
                    Ok(_) => REPLICATION,
                    Err(
                        PutRecordError::QuorumFailed { success, .. }
                        | PutRecordError::Timeout { success, .. },
                    ) => success.len(),
                };
                if let Some((subject, copies)) = self.plan.finished(key, copies, self.now) {
                    self.events.push_back(Event::Announced { subject, copies });
                }
                self.publish_due();
            }
            (Purpose::Lookup(lookup, key), QueryResult::GetRecord(result)) => {
                let timed_out = matches!(result, Err(kad::GetRecordError::Timeout { .. }));
                if let Ok(GetRecordOk::FoundRecord(found)) = result {
                    self.on_answer(lookup, key, found.peer, found.record.value.into());
                }
                if last {
                    self.on_key_finished(lookup, key, timed_out);
                }
            }
            (Purpose::Closer(lookup), QueryResult::GetClosestPeers(result)) => {
                let (peers, timed_out) = match result {
                    Ok(ok) => (ok.peers, false),
                    Err(kad::GetClosestPeersError::Timeout { peers, .. }) => (peers, true),
                };
                let contact = |it: kad::PeerInfo| Contact { peer: it.peer_id, addresses: it.addrs };
                let peers = peers.into_iter().map(contact).collect();
                self.events.push_back(Event::CloserFound { lookup, peers });
                self.lookups.remove(&lookup);
                self.events.push_back(Event::LookupFinished { lookup, timed_out });
            }
            (Purpose::Bootstrap, QueryResult::Bootstrap(_)) if last => {
                self.events.push_back(Event::Bootstrapped);
            }
            _ => {}
        }
    }

    fn on_answer(&mut self, lookup: LookupId, key: DhtKey, from: Option<PeerId>, bundle: Bytes) {
        let Some(Search::Records(search)) = self.lookups.get_mut(&lookup) else { return };
        let found = search.on_answer(key, bundle, self.now);
        if let Some(fault) = found.fault {
            tracing::debug!(?from, %fault, "a node answered a lookup with something false");
        }
        if found.manifest.is_some() || !found.providers.is_empty() {
            let (manifest, providers) = (found.manifest, found.providers);
            self.events.push_back(Event::ContentFound { lookup, manifest, providers });
        }
        if let Some(record) = found.masternode {
            self.events.push_back(Event::MasternodeFound { lookup, record });
        }
    }

    fn on_key_finished(&mut self, lookup: LookupId, key: DhtKey, timed_out: bool) {
        let Some(Search::Records(search)) = self.lookups.get_mut(&lookup) else { return };
        if let Some(timed_out) = search.on_key_finished(key, timed_out) {
            self.lookups.remove(&lookup);
            self.events.push_back(Event::LookupFinished { lookup, timed_out });
        }
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = <kad::Behaviour<Store> as NetworkBehaviour>::ConnectionHandler;
    type ToSwarm = Event;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.kad.handle_pending_inbound_connection(connection, local, remote)
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.kad.handle_established_inbound_connection(connection, peer, local, remote)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        role: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        self.kad.handle_pending_outbound_connection(connection, peer, addresses, role)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.kad.handle_established_outbound_connection(connection, peer, address, role, port)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match &event {
            FromSwarm::ConnectionEstablished(it) => {
                let group = NetworkGroup::of_address(it.endpoint.get_remote_address());
                self.connections.insert(it.connection_id, group);
                self.on_connected(it.peer_id, group);
            }
            FromSwarm::ConnectionClosed(it) => {
                self.connections.remove(&it.connection_id);
                if it.remaining_established == 0 {
                    self.observed.remove(&it.peer_id);
                }
            }
            FromSwarm::AddressChange(it) => {
                let group = NetworkGroup::of_address(it.new.get_remote_address());
                self.connections.insert(it.connection_id, group);
                self.on_connected(it.peer_id, group);
            }
            _ => {}
        }
        let unreachable = match &event {
            FromSwarm::DialFailure(it) => match it.error {
                DialError::Transport(_) | DialError::WrongPeerId { .. } => it.peer_id,
                _ => None,
            },
            _ => None,
        };
        self.kad.on_swarm_event(event);
        if let Some(peer) = unreachable {
            self.on_dial_failed(peer);
        }
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        self.kad.on_connection_handler_event(peer, connection, event);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Event, THandlerInEvent<Self>>> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Poll::Ready(ToSwarm::GenerateEvent(event));
            }
            match self.kad.poll(cx) {
                Poll::Ready(ToSwarm::GenerateEvent(event)) => self.on_kad_event(event),
                Poll::Ready(other) => {
                    return Poll::Ready(other.map_out(|_| unreachable!("matched just above")));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
