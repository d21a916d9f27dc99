use std::collections::{BTreeMap, BTreeSet};

use pop_wire::Instant;

use super::bucket::Bucket;
use super::{CloseReason, RelayConfig};
use crate::limits::{CLIENT_IDLE_MS, REFUSAL_PAUSE_MS, REFUSALS_MAX};
use crate::topic::Topic;
use crate::{LinkId, Prefix, Rendezvous};

/// One client.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) prefix: Prefix,
    pub(super) rendezvous: BTreeSet<Rendezvous>,
    pub(super) topics: BTreeSet<Topic>,
    heard_at: Instant,
    told_at: Option<Instant>,
    /// Messages that were refused, less those that were not.
    refusals: u32,
}

/// What clients behind one prefix have in common.
#[derive(Debug)]
pub(super) struct Household {
    bucket: Bucket,
    clients: usize,
}

/// What became of a message that was over a rate.
pub(super) enum Refusal {
    /// Say so.
    Tell {
        /// When it may be worth trying again.
        wait_ms: u64,
    },
    /// It was told a moment ago.
    Silent,
    /// It doesn't listen.
    Close,
}

/// The clients and how much they may send.
#[derive(Debug)]
pub(super) struct Clients {
    by_link: BTreeMap<LinkId, Client>,
    households: BTreeMap<Prefix, Household>,
    total: Option<Bucket>,
}

impl Clients {
    pub(super) fn new() -> Self {
        Self { by_link: BTreeMap::new(), households: BTreeMap::new(), total: None }
    }

    pub(super) fn len(&self) -> usize {
        self.by_link.len()
    }

    pub(super) fn prefixes(&self) -> usize {
        self.households.len()
    }

    pub(super) fn contains(&self, link: LinkId) -> bool {
        self.by_link.contains_key(&link)
    }

    pub(super) fn get(&self, link: LinkId) -> Option<&Client> {
        self.by_link.get(&link)
    }

    pub(super) fn get_mut(&mut self, link: LinkId) -> Option<&mut Client> {
        self.by_link.get_mut(&link)
    }

    pub(super) fn add(
        &mut self,
        config: &RelayConfig,
        now: Instant,
        link: LinkId,
        prefix: Prefix,
    ) -> Result<(), CloseReason> {
        if prefix != Prefix::Own {
            if self.by_link.len() >= config.clients_max {
                return Err(CloseReason::TooManyLinks);
            }
            let room = self.households.len() < config.prefixes_max;
            if !room && !self.households.contains_key(&prefix) {
                return Err(CloseReason::TooManyLinks);
            }
            let household = self.households.entry(prefix).or_insert_with(|| Household {
                bucket: Bucket::full(&config.prefix_rate, now),
                clients: 0,
            });
            if household.clients >= config.clients_per_prefix_max {
                return Err(CloseReason::TooManyLinks);
            }
            household.clients += 1;
        }
        let client = Client {
            prefix,
            rendezvous: BTreeSet::new(),
            topics: BTreeSet::new(),
            heard_at: now,
            told_at: None,
            refusals: 0,
        };
        self.by_link.insert(link, client);
        Ok(())
    }

    pub(super) fn remove(&mut self, link: LinkId) -> Option<Client> {
        let client = self.by_link.remove(&link)?;
        if let Some(household) = self.households.get_mut(&client.prefix) {
            household.clients -= 1;
        }
        Some(client)
    }

    /// Charge a message of `bytes`. First to the household, so that one that is over its rate
    /// takes nothing from the others.
    pub(super) fn charge(
        &mut self,
        config: &RelayConfig,
        now: Instant,
        link: LinkId,
        bytes: u64,
    ) -> Result<(), Refusal> {
        let Some(client) = self.by_link.get_mut(&link) else { return Err(Refusal::Silent) };
        client.heard_at = now;
        let Some(household) = self.households.get_mut(&client.prefix) else { return Ok(()) };
        let total = self.total.get_or_insert_with(|| Bucket::full(&config.total_rate, now));
        let charged = household.bucket.take(&config.prefix_rate, now, bytes).and_then(|()| {
            total
                .take(&config.total_rate, now, bytes)
                .inspect_err(|_| household.bucket.give_back(bytes))
        });
        match charged {
            Ok(()) => {
                client.refusals = client.refusals.saturating_sub(1);
                Ok(())
            }
            Err(wait_ms) => Err(client.refused(now, wait_ms)),
        }
    }

    /// Forget households that say nothing a new one wouldn't; the clients that are idle.
    pub(super) fn sweep(&mut self, config: &RelayConfig, now: Instant) -> Vec<LinkId> {
        self.households.retain(|_, household| {
            household.clients > 0 || !household.bucket.is_full(&config.prefix_rate, now)
        });
        let idle = |client: &Client| {
            client.prefix != Prefix::Own
                && client.rendezvous.is_empty()
                && client.topics.is_empty()
                && now.since_ms(client.heard_at) >= CLIENT_IDLE_MS
        };
        self.by_link.iter().filter(|(_, client)| idle(client)).map(|(link, _)| *link).collect()
    }
}

impl Client {
    fn refused(&mut self, now: Instant, wait_ms: u64) -> Refusal {
        self.refusals += 1;
        if self.refusals > REFUSALS_MAX {
            return Refusal::Close;
        }
        if self.told_at.is_some_and(|told_at| now.since_ms(told_at) < REFUSAL_PAUSE_MS) {
            return Refusal::Silent;
        }
        self.told_at = Some(now);
        Refusal::Tell { wait_ms }
    }
}
