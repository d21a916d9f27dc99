//! The shell around libp2p-kad: it validates what comes in, asks under three keys instead of one,
//! and decides who gets into the routing table. Its rules are in the other modules.

mod routing;
mod swarm;

use core::num::NonZeroUsize;
use core::time::Duration;
use std::collections::{BTreeMap, HashMap, VecDeque};

use libp2p::StreamProtocol;
use libp2p::kad::{self, QueryId, Quorum};
use libp2p::swarm::ConnectionId;
use pop_wire::{ContentId, Manifest, MasternodeRecord, PeerId, ProviderRecord, UnixTime, Verified};

use crate::limits::{LOOKUPS_MAX, PACKET_BYTES_MAX, PARALLELISM, QUERY_TIMEOUT_S, REPLICATION};
use crate::lookup::Lookup;
use crate::publish::{PlanStep, PublishPlan};
use crate::record::{ValidRecord, common_content};
use crate::store::{Store, StoreConfig};
use crate::{
    Contact, DhtKey, DiversityConfig, Error, Event, LookupId, NetworkGroup, RecordError, Subject,
};

/// Protocol name of POP's DHT. Never the default of kad: that would join IPFS.
pub const PROTOCOL: StreamProtocol = StreamProtocol::new("/pop/kad/1");

/// Settings of one node.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// Whether to answer others and be in their routing tables: `true` for a node that can be
    /// dialled. Default `true`.
    pub server: bool,
    /// How many peers of one network the routing table takes.
    pub diversity: DiversityConfig,
    /// How many records are kept for others.
    pub store: StoreConfig,
    /// Secret random bytes that decide which records are given out when not all fit.
    pub seed: [u8; 32],
    /// Time limit of one Kademlia query, so of a lookup, and of an announcement under one key.
    pub query_timeout: Duration,
    /// How often the routing table is refreshed by itself; `None`: only by
    /// [`bootstrap`](Behaviour::bootstrap). Default five minutes.
    pub bootstrap_interval: Option<Duration>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            server: true,
            diversity: DiversityConfig::default(),
            store: StoreConfig::default(),
            seed: [0; 32],
            query_timeout: Duration::from_secs(QUERY_TIMEOUT_S),
            bootstrap_interval: Some(Duration::from_secs(5 * 60)),
        }
    }
}

/// Content lookup as a libp2p behaviour.
///
/// Time comes from the caller: call [`sweep`](Self::sweep) about once a second, which also starts
/// whatever publications are due.
pub struct Behaviour {
    kad: kad::Behaviour<Store>,
    local: PeerId,
    now: UnixTime,
    diversity: DiversityConfig,
    plan: PublishPlan,
    lookups: BTreeMap<LookupId, Search>,
    queries: HashMap<QueryId, Purpose>,
    next_lookup: u64,
    connections: HashMap<ConnectionId, NetworkGroup>,
    /// Groups of the peers in the routing table, as they were when they got in.
    table: BTreeMap<libp2p::PeerId, NetworkGroup>,
    /// Groups of connected peers, as seen from here.
    observed: BTreeMap<libp2p::PeerId, NetworkGroup>,
    failed_dials: BTreeMap<libp2p::PeerId, u8>,
    events: VecDeque<Event>,
}

/// What a lookup is after.
enum Search {
    Records(Lookup),
    Closer,
}

/// Why a kad query runs.
#[derive(Debug, Clone, Copy)]
enum Purpose {
    Publish(DhtKey),
    Lookup(LookupId, DhtKey),
    Closer(LookupId),
    Bootstrap,
}

impl Behaviour {
    /// A behaviour for the node `local`.
    pub fn new(local: PeerId, now: UnixTime, config: Config) -> Self {
        let store = Store::new(now, config.seed, config.store, config.diversity);
        let mut kad_config = kad::Config::new(PROTOCOL);
        kad_config
            .set_query_timeout(config.query_timeout)
            .set_replication_factor(at_least_one(REPLICATION))
            .set_parallelism(at_least_one(PARALLELISM))
            .disjoint_query_paths(true)
            .set_kbucket_inserts(kad::BucketInserts::Manual)
            .set_record_filtering(kad::StoreInserts::FilterBoth)
            .set_max_packet_size(PACKET_BYTES_MAX)
            .set_caching(kad::Caching::Disabled)
            .set_periodic_bootstrap_interval(config.bootstrap_interval)
            // The plan republishes, and records carry the end of their life, signed.
            .set_record_ttl(None)
            .set_replication_interval(None)
            .set_publication_interval(None)
            .set_provider_record_ttl(None)
            .set_provider_publication_interval(None);
        let mut kad = kad::Behaviour::with_config(to_libp2p(&local), store, kad_config);
        kad.set_mode(Some(mode(config.server)));
        Self {
            kad,
            local,
            now,
            diversity: config.diversity,
            plan: PublishPlan::default(),
            lookups: BTreeMap::new(),
            queries: HashMap::new(),
            next_lookup: 0,
            connections: HashMap::new(),
            table: BTreeMap::new(),
            observed: BTreeMap::new(),
            failed_dials: BTreeMap::new(),
            events: VecDeque::new(),
        }
    }

    /// Announce that this node holds columns of a content, and go on doing so until
    /// [`withdraw`](Self::withdraw) or the end of the record's life.
    ///
    /// # Errors
    /// [`Error`]: not our record, not of this content, not newer than the one it replaces,
    /// expired, or too many announcements.
    pub fn announce_content(
        &mut self,
        manifest: Verified<Manifest>,
        provider: Verified<ProviderRecord>,
    ) -> Result<(), Error> {
        let content = common_content(&manifest, &provider).ok_or(Error::OtherContent)?;
        let records = [ValidRecord::Provider(provider), ValidRecord::Manifest(manifest)];
        self.announce(Subject::Content(content), &records)
    }

    /// Announce this node as a masternode, and go on doing so until
    /// [`withdraw`](Self::withdraw) or the end of the record's life.
    ///
    /// # Errors
    /// As for [`announce_content`](Self::announce_content).
    pub fn announce_masternode(&mut self, record: Verified<MasternodeRecord>) -> Result<(), Error> {
        let subject = Subject::Masternode(record.peer);
        self.announce(subject, &[ValidRecord::Masternode(record)])
    }

    /// Stop announcing; `false` if it was not announced. What other nodes keep lives on until it
    /// expires.
    pub fn withdraw(&mut self, subject: Subject) -> bool {
        let keys = subject.keys();
        self.queries.retain(|_, purpose| match purpose {
            Purpose::Publish(key) => !keys.contains(key),
            _ => true,
        });
        self.store_mut().remove_own(&subject);
        self.plan.withdraw(&subject)
    }

    /// Look for a content's manifest and holders. Results come as
    /// [`Event::ContentFound`] until [`Event::LookupFinished`], or [`cancel`](Self::cancel).
    ///
    /// # Errors
    /// [`Error::TooManyLookups`].
    pub fn find_content(&mut self, content: ContentId) -> Result<LookupId, Error> {
        self.find(Subject::Content(content))
    }

    /// Look for a masternode's record. Results come as [`Event::MasternodeFound`].
    ///
    /// # Errors
    /// [`Error::TooManyLookups`].
    pub fn find_masternode(&mut self, peer: PeerId) -> Result<LookupId, Error> {
        self.find(Subject::Masternode(peer))
    }

    /// Look for the peers closest to `target`, any 32 bytes. The result comes as
    /// [`Event::CloserFound`].
    ///
    /// # Errors
    /// [`Error::TooManyLookups`].
    pub fn find_closer(&mut self, target: [u8; 32]) -> Result<LookupId, Error> {
        let lookup = self.start_lookup(Search::Closer)?;
        let query = self.kad.get_closest_peers(target.to_vec());
        self.queries.insert(query, Purpose::Closer(lookup));
        Ok(lookup)
    }

    /// End a lookup: the caller has what it wanted. `false` if it is over already.
    pub fn cancel(&mut self, lookup: LookupId) -> bool {
        let mut finished = Vec::new();
        self.queries.retain(|query, purpose| {
            let ours = match purpose {
                Purpose::Lookup(id, _) | Purpose::Closer(id) => *id == lookup,
                Purpose::Publish(_) | Purpose::Bootstrap => false,
            };
            finished.extend(ours.then_some(*query));
            !ours
        });
        for query in finished {
            if let Some(mut query) = self.kad.query_mut(&query) {
                query.finish();
            }
        }
        self.lookups.remove(&lookup).is_some()
    }

    /// Fill the routing table by looking up this node's neighbours. [`Event::Bootstrapped`] tells
    /// the end. Runs by itself, too, after the first peers were added and then at intervals.
    ///
    /// # Errors
    /// [`Error::NoPeers`] if the routing table is empty.
    pub fn bootstrap(&mut self) -> Result<(), Error> {
        let query = self.kad.bootstrap().map_err(|_| Error::NoPeers)?;
        self.queries.insert(query, Purpose::Bootstrap);
        Ok(())
    }

    /// Answer others (`true`), or only ask (`false`).
    pub fn set_server(&mut self, server: bool) {
        self.kad.set_mode(Some(mode(server)));
    }

    /// Set the time by which records live and die, and nothing else.
    pub fn set_time(&mut self, now: UnixTime) {
        self.now = now;
        self.store_mut().set_time(now);
    }

    /// Set the time, drop what expired, and start the publications that are due. Call it about
    /// once a second.
    pub fn sweep(&mut self, now: UnixTime) {
        self.set_time(now);
        self.store_mut().sweep();
        self.forget_unplaced();
        for step in self.plan.sweep(now) {
            let event = match step {
                PlanStep::RenewalDue(subject) => Event::RenewalDue { subject },
                PlanStep::Expired(subject) => {
                    self.withdraw(subject);
                    Event::AnnouncementExpired { subject }
                }
            };
            self.events.push_back(event);
        }
        self.publish_due();
    }

    /// Peers in the routing table, closest to `target` first, at most `max`.
    pub fn closest_known_peers(&mut self, target: [u8; 32], max: usize) -> Vec<Contact> {
        let target = kad::KBucketKey::new(target.to_vec());
        let peers: Vec<libp2p::PeerId> = self
            .kad
            .get_closest_local_peers(&target)
            .take(max)
            .map(|key| *key.preimage())
            .collect();
        let contact = |peer| Contact { peer, addresses: self.known_addresses(&peer) };
        peers.into_iter().map(contact).collect()
    }

    /// Peers in the routing table.
    pub fn known_peer_count(&self) -> usize {
        self.table.len()
    }

    /// Foreign records that this node keeps, and their bytes.
    pub fn stored(&mut self) -> (usize, usize) {
        let store = self.store_mut();
        (store.foreign_len(), store.foreign_bytes())
    }

    fn announce(&mut self, subject: Subject, records: &[ValidRecord]) -> Result<(), Error> {
        let life = records.iter().find_map(ValidRecord::life);
        let (peer, issued_at, expires_at) = life.ok_or(Error::OtherContent)?;
        if peer != self.local {
            return Err(Error::NotOurs { got: peer });
        }
        records.iter().try_for_each(|record| record.check_life(self.now))?;
        self.plan.check(&subject, issued_at)?;
        self.store_mut().put_own(records, subject)?;
        self.plan.announce(subject, (issued_at, expires_at), self.now)?;
        self.publish_due();
        Ok(())
    }

    fn find(&mut self, subject: Subject) -> Result<LookupId, Error> {
        let lookup = self.start_lookup(Search::Records(Lookup::new(subject)))?;
        for key in subject.keys() {
            let query = self.kad.get_record(kad::RecordKey::new(&key.0));
            self.queries.insert(query, Purpose::Lookup(lookup, key));
        }
        Ok(lookup)
    }

    fn start_lookup(&mut self, search: Search) -> Result<LookupId, Error> {
        if self.lookups.len() >= LOOKUPS_MAX {
            return Err(Error::TooManyLookups);
        }
        let lookup = LookupId(self.next_lookup);
        self.next_lookup += 1;
        self.lookups.insert(lookup, search);
        Ok(lookup)
    }

    /// Hand the publications that are due to kad.
    fn publish_due(&mut self) {
        while let Some(key) = self.plan.start_due(self.now) {
            let Some(bundle) = self.store_mut().own_bundle(&key) else {
                self.plan.finished(key, 0, self.now);
                continue;
            };
            let record = kad::Record::new(kad::RecordKey::new(&key.0), bundle.into());
            // All, because any smaller quorum ends the query before the other nodes are dialled.
            match self.kad.put_record(record, Quorum::All) {
                Ok(query) => {
                    self.queries.insert(query, Purpose::Publish(key));
                }
                Err(error) => {
                    tracing::debug!(%key, %error, "own record was not put");
                    self.plan.finished(key, 0, self.now);
                }
            }
        }
    }

    fn store_mut(&mut self) -> &mut Store {
        self.kad.store_mut()
    }
}

fn mode(server: bool) -> kad::Mode {
    match server {
        true => kad::Mode::Server,
        false => kad::Mode::Client,
    }
}

fn at_least_one(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).unwrap_or(NonZeroUsize::MIN)
}

/// The id by which libp2p knows a peer.
fn to_libp2p(peer: &PeerId) -> libp2p::PeerId {
    libp2p::PeerId::from_bytes(&peer.to_libp2p_bytes())
        .expect("an identity multihash of 37 bytes is a peer id")
}

/// The peer behind a libp2p id, if it is one of this network.
fn from_libp2p(peer: &libp2p::PeerId) -> Result<PeerId, RecordError> {
    Ok(PeerId::from_libp2p_bytes(&peer.to_bytes())?)
}
