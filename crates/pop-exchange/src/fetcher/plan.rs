//! What to ask next, and what to do about those who don't answer (`spec/exchange.md` §7).

use pop_wire::message::{Credit, GetShard};
use pop_wire::sorted::{SortedMap, SortedSet};
use pop_wire::{ColumnIndex, ColumnSet, Instant, Message, RequestId, SegmentIndex};

use super::reach::Reach;
use super::{Event, Fetcher, Flight, Output};
use crate::assembly::{Segment, is_urgent};
use crate::limits::{TICK_MS, WASTED_PART};
use crate::schedule::{self, Moment};
use crate::source::{Source, SourceKind};
use crate::{Fault, LinkId};

/// Time for which the next segment must be out of reach before that is reported, in milliseconds.
const STARVING_AFTER_MS: u64 = 1_000;

/// Segments that are begun at once though not all of one before could be asked for, if there are
/// viewers: they hold different segments, so one that waits for its sources is no reason to let
/// others idle.
const SHORT_SEGMENTS_MAX: usize = 4;

/// Segments that are passed over in one round because nobody can be asked for them.
const SKIPPED_MAX: usize = 64;

/// Time for which a request is not late as long as what was asked before it still comes, in
/// milliseconds.
const QUEUE_MS_MAX: u64 = 1_000;

/// Requests of one round of planning, by link.
type Asks = SortedMap<LinkId, Vec<GetShard>>;

/// One round of planning.
#[derive(Debug)]
pub(super) struct Round {
    /// Throughput of the fastest source, in bytes a second.
    best: u64,
    pub(super) reach: Reach,
    asks: Asks,
    /// What will have come since the start once all that was asked has, in bytes.
    due_bytes: u64,
    /// Segments in reach of which not all could be asked for.
    pub(super) short: SortedSet<u64>,
}

/// What is begun in one go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stretch {
    Urgent,
    /// All that is not far.
    Near,
    /// What is far and announced by viewers.
    Far,
}

impl Fetcher {
    /// Ask for as much as the window, the sources and good sense allow: first what is begun,
    /// then what is urgent, then the extra shards of what is urgent, then what comes after, and
    /// last what is far.
    pub(super) fn plan(&mut self) {
        self.short_of_room = false;
        let best = self.sources.values().filter(|source| source.kind != SourceKind::Local);
        let best = best.filter_map(|source| source.measured_bytes_per_s(self.now)).max();
        let best = best.unwrap_or(0);
        let (reach, asks, short) = (self.reach(), Asks::new(), SortedSet::new());
        let on_its_way = self.sources.values().map(|it| it.in_flight_bytes + it.cancelled_bytes);
        let due_bytes = self.arrived_bytes() + on_its_way.sum::<u64>();
        let mut round = Round { best, reach, asks, due_bytes, short };
        let far_from = round.reach.far_from;
        let near: Vec<u64> = self.segments.range(..far_from).map(|(index, _)| *index).collect();
        near.into_iter().for_each(|index| self.fill(index, 0, &mut round));
        self.begin(Stretch::Urgent, &mut round);
        let geometry = self.content.layout().geometry();
        let extra = schedule::extra_shards(self.config.extra_shards, geometry.k(), geometry.n());
        if extra > 0 && !self.is_thrifty() {
            let window = self.config.extra_window_ms;
            let urgent = self.segments.iter().filter(|(_, s)| s.is_urgent(self.now, window));
            let urgent: Vec<u64> = urgent.map(|(index, _)| *index).collect();
            urgent.into_iter().for_each(|index| self.fill(index, extra, &mut round));
        }
        // One request at a time costs every hop its own wake-up, here and at the source: once the
        // window was full, the next segments are asked for a quarter of it at a time.
        let ample = self.charged_bytes <= self.config.window_bytes_max / 4 * 3;
        let more = ample || self.segments.is_empty();
        if more {
            self.begin(Stretch::Near, &mut round);
        }
        if far_from < self.wanted.end {
            self.plan_far(more, &mut round);
        }
        self.send(round.asks);
    }

    fn plan_far(&mut self, more: bool, round: &mut Round) {
        let safe = round.short.is_empty();
        let far_from = round.reach.far_from;
        let far: Vec<u64> = self.segments.range(far_from..).map(|(index, _)| *index).collect();
        far.into_iter().for_each(|index| self.fill(index, 0, round));
        if safe && std::mem::take(&mut self.drawn) {
            self.begin_any(round);
        }
        if more {
            self.begin(Stretch::Far, round);
        }
    }

    /// Begin segments in order while a whole one fits, and a segment's room is left for hedging.
    fn begin(&mut self, stretch: Stretch, round: &mut Round) {
        let viewers = round.reach.viewers > 0;
        let short_max = if viewers { SHORT_SEGMENTS_MAX } else { 1 };
        let mut from = match stretch {
            Stretch::Urgent | Stretch::Near => self.fresh_from,
            Stretch::Far => self.fresh_from.max(round.reach.far_from),
        };
        let mut skipped = 0;
        while let Some(index) = self.next_fresh(from) {
            if from == self.fresh_from {
                self.fresh_from = index;
            }
            from = index;
            let deadline = self.deadline_of(index);
            let ends = match stretch {
                Stretch::Urgent => !is_urgent(deadline, self.now, self.config.urgent_window_ms),
                Stretch::Near => index >= round.reach.far_from,
                Stretch::Far => false,
            };
            if ends || round.short.len() >= short_max || skipped >= SKIPPED_MAX {
                return;
            }
            if viewers && !self.is_in_reach(index, &round.reach) {
                skipped += 1;
                let Some(next) = self.next_in_reach(index, &round.reach) else { return };
                from = next;
                continue;
            }
            if !self.fits(index) {
                if viewers && self.gives_way(index, round) {
                    continue;
                }
                return;
            }
            if !self.try_begin(index, deadline, false, round) {
                // No source can be asked now: don't begin what can't go on.
                if !viewers {
                    return;
                }
                skipped += 1;
                from = index + 1;
            }
        }
    }

    /// Whether a whole segment fits, beside what those that are begun still need, and one more
    /// segment for hedging.
    pub(super) fn fits(&self, index: u64) -> bool {
        let layout = self.content.layout();
        let Some(shard_bytes) = layout.shard_bytes(SegmentIndex(index)) else { return false };
        let bytes = u64::from(shard_bytes) * u64::from(layout.geometry().k());
        let promised: u64 = self.segments.values().map(Segment::unasked_bytes).sum();
        let taken = self.charged_bytes + promised + layout.segment_bytes();
        taken + bytes <= self.config.window_bytes_max
    }

    /// Ask for what can be had of a segment; `false` if that is nothing, and it is not begun.
    pub(super) fn try_begin(
        &mut self,
        index: u64,
        deadline: Option<Instant>,
        drawn: bool,
        round: &mut Round,
    ) -> bool {
        let layout = self.content.layout();
        let Some(shard_bytes) = layout.shard_bytes(SegmentIndex(index)) else { return false };
        let k = layout.geometry().k();
        let mut segment = Segment::new(index, k, shard_bytes.into(), deadline);
        segment.drawn = drawn;
        self.segments.insert(index, segment);
        self.fill(index, 0, round);
        if self.segments.get(&index).is_some_and(Segment::is_untouched) {
            self.segments.remove(&index);
            round.short.remove(&index);
            return false;
        }
        true
    }

    /// Ask for what a segment lacks.
    fn fill(&mut self, index: u64, extra: usize, round: &mut Round) {
        let geometry = self.content.layout().geometry();
        let data_columns = geometry.k();
        let too_few = round.reach.columns.len() < usize::from(data_columns);
        loop {
            let Some(segment) = self.segments.get(&index) else { return };
            let bytes = segment.shard_bytes;
            let full = self.charged_bytes + bytes > self.config.window_bytes_max;
            if segment.wanting(extra) == 0 || full {
                return;
            }
            let hedging = segment.wanting(0) > 0 && segment.is_hedging();
            let spare = !hedging && !segment.is_short();
            let moment = Moment {
                now: self.now,
                config: &self.config,
                best_bytes_per_s: round.best,
                whom: round.reach.whom(segment),
                held_by_others: too_few.then_some(&round.reach.columns),
            };
            let chosen = schedule::choose(&self.sources, segment, data_columns, hedging, &moment);
            let Some((link, column)) = chosen else {
                // Extra shards and hedges are no reason to hold later segments back.
                if segment.is_short() {
                    self.short_of_room = true;
                    let waits = round.reach.viewers == 0 || self.is_in_reach(index, &round.reach);
                    if waits {
                        round.short.insert(index);
                    }
                }
                return;
            };
            self.totals.hedges += u64::from(hedging);
            self.totals.extras += u64::from(spare);
            self.ask(index, link, column, round);
        }
    }

    fn ask(&mut self, index: u64, link: LinkId, column: ColumnIndex, round: &mut Round) {
        let Some(segment) = self.segments.get_mut(&index) else { return };
        let Some(source) = self.sources.get_mut(&link) else { return };
        let (bytes, deadline) = (segment.shard_bytes, segment.deadline);
        segment.ask(column);
        source.asked(bytes, self.now);
        self.charged_bytes += bytes;
        self.next_id += 1;
        self.totals.requests += 1;
        let id = RequestId(self.next_id);
        round.due_bytes += bytes;
        let (asked_at, due_bytes) = (self.now, round.due_bytes);
        let (segment, late, is_unwanted) = (index, false, false);
        let flight =
            Flight { link, segment, column, bytes, asked_at, due_bytes, late, is_unwanted };
        self.flights.insert(id, flight);
        let deadline_ms = deadline.map_or(0, |deadline| {
            u32::try_from(deadline.since_ms(self.now)).unwrap_or(u32::MAX).max(1)
        });
        let content = self.content.id();
        let get = GetShard { id, content, segment: SegmentIndex(index), column, deadline_ms };
        round.asks.entry(link).or_default().push(get);
    }

    /// spec/exchange.md §4: credit for a request is granted before the request is sent.
    fn send(&mut self, asks: Asks) {
        for (link, gets) in asks {
            let Some(source) = self.sources.get_mut(&link) else { continue };
            let due = source.in_flight_bytes + source.cancelled_bytes;
            let bytes = source.credit.raise_to(due);
            if bytes > 0 {
                let message = Message::Credit(Credit { bytes });
                self.outputs.push_back(Output::Send { link, message });
            }
            let peer = source.peer;
            for get in gets {
                let asked = self.flights.get(&get.id).filter(|_| self.config.accounts);
                let asked = asked.map(|flight| Output::Asked { link, peer, bytes: flight.bytes });
                let message = Message::GetShard(get);
                self.outputs.extend([Output::Send { link, message }].into_iter().chain(asked));
            }
        }
    }

    /// Ten times a second: who is late, who is silent, what is overdue, what is out of reach.
    pub(super) fn tick(&mut self) {
        self.next_tick = self.now.after_ms(TICK_MS);
        self.dirty = true;
        let now = self.now;
        let overdue = |(id, source): (&LinkId, &Source)| {
            source.greeting.overdue(now).err().map(|fault| (*id, fault))
        };
        let silent: Vec<(LinkId, Fault)> = self.sources.iter().filter_map(overdue).collect();
        silent.into_iter().for_each(|(link, fault)| self.fault(link, fault));
        self.strike();
        self.draw();
        self.mark_late();
        self.report_overdue();
        self.report_starving();
    }

    /// Count the strikes of the silent, and leave alone who has too many, unless everybody is
    /// silent: then the fault is nearer to us.
    fn strike(&mut self) {
        let now = self.now;
        let mut resting = Vec::new();
        for (link, source) in &mut self.sources {
            let limit_ms = match source.kind {
                SourceKind::Local => continue,
                SourceKind::Masternode => self.config.masternode_no_progress_ms,
                SourceKind::Viewer => self.config.viewer_no_progress_ms,
            };
            if source.in_flight + source.cancelled == 0 || !source.is_live(now) {
                continue;
            }
            let silent_ms = source.silent_ms(now);
            source.strikes = silent_ms / limit_ms.max(1);
            // Others went on without it, and not just before it could after a silence of all.
            let since = source.progress_at.max(self.woken_at);
            let others = self.progress_at > since.after_ms(limit_ms);
            if source.strikes >= self.config.strikes_max && others {
                source.rest(now.after_ms(self.config.rest_ms));
                resting.push((*link, source.peer, silent_ms));
            }
        }
        for (link, peer, silent_ms) in resting {
            let of_link = |(id, f): (&RequestId, &Flight)| (f.link == link).then_some(*id);
            let asked: Vec<RequestId> = self.flights.iter().filter_map(of_link).collect();
            asked.into_iter().for_each(|id| self.cancel(id, false));
            self.outputs.push_back(Output::Event(Event::SourceResting { peer, silent_ms }));
        }
    }

    /// Whether all that are asked something have strikes, and nobody else delivered for so long that
    /// it would have one: then nothing is known of any of them.
    pub(super) fn was_everybody_silent(&self) -> bool {
        if self.now.since_ms(self.progress_at) < self.config.masternode_no_progress_ms {
            return false;
        }
        let asked = |it: &&Source| it.kind != SourceKind::Local && it.silent_ms(self.now) > 0;
        self.sources.values().filter(asked).all(|source| source.strikes > 0)
    }

    /// Whether so much came in vain that playback is better served by asking for nothing twice: where
    /// everything is slow, what is asked twice makes it slower.
    fn is_thrifty(&self) -> bool {
        let allowed = self.totals.received_bytes / WASTED_PART;
        self.totals.wasted_bytes > allowed + self.content.layout().segment_bytes()
    }

    /// All payload that came, of use or not.
    fn arrived_bytes(&self) -> u64 {
        self.totals.received_bytes + self.totals.wasted_bytes
    }

    /// Requests that take too long are backed by another one: of urgent segments, and of the
    /// first one, for which all others wait.
    fn mark_late(&mut self) {
        let now = self.now;
        let head = self.segments.first_key_value().map(|(index, _)| *index);
        let (is_thrifty, far_from) = (self.is_thrifty(), self.reach().far_from);
        let arrived_bytes = self.arrived_bytes();
        let flows = now.since_ms(self.progress_at) <= TICK_MS;
        for flight in self.flights.values_mut().filter(|flight| !flight.late) {
            let Some(segment) = self.segments.get_mut(&flight.segment) else { continue };
            let urgent = segment.is_urgent(now, self.config.urgent_window_ms);
            let source = self.sources.get(&flight.link);
            let struck = source.is_some_and(|source| source.strikes > 0);
            // Where nobody delivers, the fault is nearer to us.
            let others = self.progress_at > flight.asked_at;
            let is_near = urgent || (struck && others && flight.segment < far_from);
            if !is_near && head != Some(flight.segment) {
                continue;
            }
            // What waits behind others at its source is not late as long as those come.
            let first_since =
                source.map_or(flight.asked_at, |it| it.progress_at.max(flight.asked_at));
            let hurries = urgent && !is_thrifty;
            let floor_ms = self.config.hedge_floor_ms;
            let is_late = now.since_ms(first_since)
                > self.response.late_after_ms(hurries, floor_ms)
                || now.since_ms(flight.asked_at) > self.response.late_after_ms(false, floor_ms);
            // Where all share one narrow way, ours, what was asked before comes before.
            let queues = flows
                && arrived_bytes < flight.due_bytes
                && now.since_ms(flight.asked_at) < QUEUE_MS_MAX;
            if struck || (others && is_late && !queues) {
                flight.late = true;
                segment.mark_late();
            }
        }
    }

    fn report_overdue(&mut self) {
        let (now, needed) = (self.now, usize::from(self.content.layout().geometry().k()));
        for (index, segment) in &mut self.segments {
            if !segment.overdue && segment.deadline.is_some_and(|deadline| now > deadline) {
                segment.overdue = true;
                let (segment, held) = (SegmentIndex(*index), segment.held());
                let event = Event::Overdue { segment, held, needed };
                self.outputs.push_back(Output::Event(event));
            }
        }
    }

    fn report_starving(&mut self) {
        let Some(head) = self.head() else { return };
        let needed = usize::from(self.content.layout().geometry().k());
        let live: Vec<&Source> =
            self.sources.values().filter(|source| source.is_live(self.now)).collect();
        let held = self.segments.get(&head).map(Segment::columns).unwrap_or_default();
        // When everybody is silent nobody is left alone, and nobody offers anything either.
        let answers = |source: &&&Source| source.strikes < self.config.strikes_max;
        let offering = live.iter().filter(answers).filter(|source| source.serves(head));
        let offered = offering.flat_map(|source| source.columns.iter().copied());
        let reachable = held.union(&offered.collect::<ColumnSet>()).len();
        if reachable >= needed {
            self.starving_since = None;
            if std::mem::take(&mut self.starving_reported) {
                self.outputs.push_back(Output::Event(Event::Recovered));
            }
            return;
        }
        let since = *self.starving_since.get_or_insert(self.now);
        if !self.starving_reported && self.now.since_ms(since) >= STARVING_AFTER_MS {
            self.starving_reported = true;
            let (segment, live_sources) = (SegmentIndex(head), live.len());
            let event = Event::Starving { segment, reachable, needed, live_sources };
            self.outputs.push_back(Output::Event(event));
        }
    }
}
