use std::collections::{BTreeMap, BTreeSet};

use pop_wire::{Instant, PeerId};

use crate::LinkId;
use crate::entropy::Entropy;
use crate::limits::{
    JOIN_MS, MEMBERS_PER_REPORT_MAX, REPORT_MS, REPORT_PAUSE_MS, REPORTS_PER_RELAY_MAX,
};
use crate::topic::Topic;

/// Relays that keep count of a topic.
const HOMES: usize = 2;

/// Where an announcement goes from here: to one, or to nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// To a client of ours.
    Client(LinkId),
    /// To another relay: `last` if it must find a client of its own.
    Relay { peer: PeerId, last: bool },
}

/// Who has joined one topic, as far as is known here.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    /// Clients of ours, and until when they count.
    clients: BTreeMap<LinkId, Instant>,
    /// What other relays say that they have.
    reports: BTreeMap<PeerId, Report>,
    /// What a home says is elsewhere.
    elsewhere: Option<Report>,
    /// Homes other than ourselves, and when each was told of our clients.
    homes: Vec<(PeerId, Option<Instant>)>,
    is_home: bool,
    /// Of which list of masternodes the homes are.
    generation: u64,
    /// Which home is asked next.
    turn: usize,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Report {
    count: u32,
    ends_at: Instant,
}

/// All topics.
#[derive(Debug)]
pub(super) struct Gatherings {
    by_topic: BTreeMap<Topic, Gathering>,
    /// Counts that are held of each relay.
    reports: BTreeMap<PeerId, usize>,
    joins: usize,
    me: PeerId,
    masternodes: BTreeSet<PeerId>,
    generation: u64,
}

impl Gatherings {
    pub(super) fn new(me: PeerId) -> Self {
        Self {
            by_topic: BTreeMap::new(),
            reports: BTreeMap::new(),
            joins: 0,
            me,
            masternodes: BTreeSet::new(),
            generation: 1,
        }
    }

    pub(super) fn topics(&self) -> usize {
        self.by_topic.len()
    }

    /// Counts of other relays.
    pub(super) fn reports(&self) -> usize {
        self.reports.values().sum()
    }

    /// Whether there is room for a count of this relay, where `reports_max` is that of all.
    pub(super) fn takes_report(&self, topic: &Topic, from: &PeerId, reports_max: usize) -> bool {
        let known = self.by_topic.get(topic).is_some_and(|it| it.reports.contains_key(from));
        let of_this = self.reports.get(from).copied().unwrap_or(0);
        known || (of_this < REPORTS_PER_RELAY_MAX && self.reports() < reports_max)
    }

    pub(super) fn joins(&self) -> usize {
        self.joins
    }

    pub(super) fn contains(&self, topic: &Topic) -> bool {
        self.by_topic.contains_key(topic)
    }

    pub(super) fn knows(&self, peer: &PeerId) -> bool {
        self.masternodes.contains(peer)
    }

    pub(super) fn know(&mut self, masternodes: BTreeSet<PeerId>) {
        self.masternodes = masternodes;
        self.generation += 1;
    }

    /// A client has joined, or joins again. Whom to tell how many there are here, if anybody: at
    /// most one relay for one message.
    pub(super) fn join(
        &mut self,
        now: Instant,
        topic: Topic,
        link: LinkId,
    ) -> Option<(PeerId, u32)> {
        self.stay(now, topic, link);
        let gathering = self.by_topic.get_mut(&topic)?;
        let count = gathering.count_here();
        let paused = |told_at: &Option<Instant>| {
            told_at.is_some_and(|told_at| now.since_ms(told_at) < REPORT_PAUSE_MS)
        };
        let due = gathering.homes.iter_mut().filter(|(_, told_at)| !paused(told_at));
        let (home, told_at) = due.min_by_key(|(_, told_at)| *told_at)?;
        *told_at = Some(now);
        Some((*home, count))
    }

    /// A client has joined or is heard of again; nobody is told.
    pub(super) fn stay(&mut self, now: Instant, topic: Topic, link: LinkId) {
        let gathering = self.by_topic.entry(topic).or_default();
        let new = gathering.clients.insert(link, now.after_ms(JOIN_MS)).is_none();
        self.joins += usize::from(new);
        if gathering.generation != self.generation {
            let homes = homes(&topic, &self.masternodes, &self.me);
            gathering.is_home = homes.contains(&self.me);
            let others = homes.into_iter().filter(|home| *home != self.me);
            gathering.homes = others.map(|home| (home, None)).collect();
            gathering.generation = self.generation;
        }
    }

    /// A client has left. Whom to tell that there is nobody any more.
    pub(super) fn leave(&mut self, topic: &Topic, link: LinkId) -> Option<(PeerId, u32)> {
        let gathering = self.by_topic.get_mut(topic)?;
        self.joins -= usize::from(gathering.clients.remove(&link).is_some());
        let nobody = gathering.clients.is_empty();
        let told = gathering.homes.iter().filter(|(_, told_at)| told_at.is_some());
        let home = told.max_by_key(|(_, told_at)| *told_at).map(|(home, _)| (*home, 0));
        if nobody && gathering.reports.is_empty() {
            self.by_topic.remove(topic);
        }
        if nobody { home } else { None }
    }

    /// Another relay has so many. How many there are elsewhere, which it wants to know.
    pub(super) fn report(&mut self, now: Instant, topic: Topic, from: PeerId, count: u32) -> u32 {
        let gathering = self.by_topic.entry(topic).or_default();
        let report =
            Report { count: count.min(MEMBERS_PER_REPORT_MAX), ends_at: now.after_ms(REPORT_MS) };
        let before = gathering.reports.remove(&from).is_some();
        if count > 0 {
            gathering.reports.insert(from, report);
        }
        let others = gathering.reports_except(now, Some(from)).map(|(_, report)| report.count);
        let elsewhere = others.fold(gathering.count_here(), u32::saturating_add);
        if gathering.clients.is_empty() && gathering.reports.is_empty() {
            self.by_topic.remove(&topic);
        }
        if before {
            forget_report(&mut self.reports, &from);
        }
        if count > 0 {
            *self.reports.entry(from).or_default() += 1;
        }
        elsewhere
    }

    /// A home says how many there are elsewhere.
    pub(super) fn elsewhere(&mut self, now: Instant, topic: &Topic, from: PeerId, count: u32) {
        let Some(gathering) = self.by_topic.get_mut(topic) else { return };
        if gathering.homes.iter().any(|(home, _)| *home == from) {
            let count = count.min(MEMBERS_PER_REPORT_MAX);
            gathering.elsewhere = Some(Report { count, ends_at: now.after_ms(REPORT_MS) });
        }
    }

    /// Where what a client announces goes.
    pub(super) fn route_of_client(
        &mut self,
        now: Instant,
        topic: &Topic,
        from: LinkId,
        entropy: &mut Entropy,
    ) -> Option<Route> {
        let gathering = self.by_topic.get_mut(topic)?;
        let here = gathering.clients_except(now, Some(from));
        let known = if gathering.is_home {
            gathering.pick(now, &here, None, entropy)
        } else {
            let elsewhere = gathering.elsewhere.filter(|report| now < report.ends_at);
            let elsewhere = elsewhere.map_or(0, |report| u64::from(report.count));
            let here_count = u64::try_from(here.len()).unwrap_or(u64::MAX);
            let at = entropy.below(here_count + elsewhere);
            usize::try_from(at).ok().and_then(|at| here.get(at)).copied().map(Route::Client)
        };
        known.or_else(|| gathering.next_home())
    }

    /// Where what another relay forwards goes: to a client of ours, or once more to a relay that
    /// has clients, and never further.
    pub(super) fn route_of_relay(
        &self,
        now: Instant,
        topic: &Topic,
        from: PeerId,
        last: bool,
        entropy: &mut Entropy,
    ) -> Option<Route> {
        let gathering = self.by_topic.get(topic)?;
        let here = gathering.clients_except(now, None);
        if !last {
            return gathering.pick(now, &here, Some(from), entropy);
        }
        let at = entropy.below(u64::try_from(here.len()).unwrap_or(u64::MAX));
        usize::try_from(at).ok().and_then(|at| here.get(at)).copied().map(Route::Client)
    }

    /// Forget who hasn't been heard of for long; say which clients left which topics.
    pub(super) fn sweep(&mut self, now: Instant) -> Vec<(Topic, LinkId)> {
        let mut gone = Vec::new();
        for (topic, gathering) in &mut self.by_topic {
            gathering.clients.retain(|link, ends_at| {
                let stays = now < *ends_at;
                if !stays {
                    gone.push((*topic, *link));
                }
                stays
            });
            gathering.reports.retain(|peer, report| {
                let stays = now < report.ends_at;
                if !stays {
                    forget_report(&mut self.reports, peer);
                }
                stays
            });
        }
        self.joins -= gone.len();
        self.by_topic.retain(|_, it| !it.clients.is_empty() || !it.reports.is_empty());
        gone
    }
}

impl Gathering {
    fn count_here(&self) -> u32 {
        u32::try_from(self.clients.len()).unwrap_or(u32::MAX)
    }

    fn clients_except(&self, now: Instant, except: Option<LinkId>) -> Vec<LinkId> {
        let counts =
            |(link, ends_at): &(&LinkId, &Instant)| Some(**link) != except && now < **ends_at;
        self.clients.iter().filter(counts).map(|(link, _)| *link).collect()
    }

    fn reports_except(
        &self,
        now: Instant,
        except: Option<PeerId>,
    ) -> impl Iterator<Item = (&PeerId, &Report)> {
        self.reports
            .iter()
            .filter(move |(peer, report)| Some(**peer) != except && now < report.ends_at)
    }

    /// One of all that are known, each as likely as the other.
    fn pick(
        &self,
        now: Instant,
        here: &[LinkId],
        except: Option<PeerId>,
        entropy: &mut Entropy,
    ) -> Option<Route> {
        let here_count = u64::try_from(here.len()).unwrap_or(u64::MAX);
        let there: u64 =
            self.reports_except(now, except).map(|(_, report)| u64::from(report.count)).sum();
        let mut at = entropy.below(here_count.saturating_add(there));
        if let Some(link) = usize::try_from(at).ok().and_then(|at| here.get(at)) {
            return Some(Route::Client(*link));
        }
        at = at.saturating_sub(here_count);
        for (peer, report) in self.reports_except(now, except) {
            let count = u64::from(report.count);
            if at < count {
                return Some(Route::Relay { peer: *peer, last: true });
            }
            at -= count;
        }
        None
    }

    fn next_home(&mut self) -> Option<Route> {
        self.turn += 1;
        let (peer, _) = self.homes.get(self.turn % self.homes.len().max(1))?;
        Some(Route::Relay { peer: *peer, last: false })
    }
}

fn forget_report(reports: &mut BTreeMap<PeerId, usize>, peer: &PeerId) {
    if let Some(count) = reports.get_mut(peer) {
        *count -= 1;
        if *count == 0 {
            reports.remove(peer);
        }
    }
}

/// The relays that keep count of `topic`: those with the highest hash of topic and peer id
/// (`spec/signal.md` §6.4). All relays that know the same masternodes find the same.
fn homes(topic: &Topic, masternodes: &BTreeSet<PeerId>, me: &PeerId) -> Vec<PeerId> {
    let mut best: Vec<([u8; 32], PeerId)> = Vec::with_capacity(HOMES + 1);
    let own = (!masternodes.contains(me)).then_some(me);
    for peer in masternodes.iter().chain(own) {
        let weight = *blake3::keyed_hash(&topic.0, peer.public_key()).as_bytes();
        best.push((weight, *peer));
        best.sort_unstable_by(|a, b| b.cmp(a));
        best.truncate(HOMES);
    }
    best.into_iter().map(|(_, peer)| peer).collect()
}
