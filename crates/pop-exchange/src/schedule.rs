//! Which source is asked for which column next, and when an answer is late. Pure: it knows
//! sources and segments, and nothing of messages.

use pop_wire::sorted::SortedMap;
use pop_wire::{ColumnIndex, ColumnSet, Instant};

use crate::LinkId;
use crate::assembly::Segment;
use crate::config::{ExtraShards, FetcherConfig};
use crate::source::{Source, SourceKind};

/// Added to a source of the kind that is not preferred now, in microseconds.
const OTHER_KIND_US: u64 = 500_000;

/// Added to a parity column, in microseconds, with a quarter of its time: a data column needs no
/// decoding, so it is asked for unless its source is clearly slower.
const PARITY_US: u64 = 50_000;

/// Added to the lateness of what nothing waits for yet, in milliseconds.
const RELAXED_MS: u64 = 1_000;

/// Pick the source and column from which a shard of `segment` would be here first, all things
/// weighed. `hedging` allows to ask for a column that is on its way from somebody else.
pub(crate) fn choose(
    sources: &SortedMap<LinkId, Source>,
    segment: &Segment,
    data_columns: u16,
    hedging: bool,
    at: &Moment<'_>,
) -> Option<(LinkId, ColumnIndex)> {
    let urgent = segment.is_urgent(at.now, at.config.urgent_window_ms);
    let best = sources.iter().filter_map(|(link, source)| {
        if !at.whom.takes(source.kind) || !source.serves(segment.index) {
            return None;
        }
        let lacking = |column: &&ColumnIndex| segment.lacks(**column);
        let scarce = at.held_by_others.filter(|_| source.kind == SourceKind::Viewer);
        let rare = scarce.and_then(|held| {
            source.columns.iter().filter(lacking).find(|column| !held.contains(**column))
        });
        let fresh = rare.or_else(|| source.columns.iter().find(lacking));
        let again = || source.columns.iter().find(|column| hedging && segment.may_copy(**column));
        // A second copy of a column only where no other column is to be had.
        let (column, copies) = match fresh {
            Some(column) => (*column, 0_u8),
            None => (*again()?, 1),
        };
        let bytes = segment.shard_bytes;
        if !source.has_room(bytes, at.now, at.config.queue_ms_max, at.best_bytes_per_s) {
            return None;
        }
        let mut cost_us = source.finish_us(bytes, at.now, at.best_bytes_per_s);
        if column.get() >= data_columns {
            cost_us = cost_us.saturating_add(cost_us / 4).saturating_add(PARITY_US);
        }
        let preferred = match source.kind {
            SourceKind::Local => true,
            SourceKind::Masternode => urgent,
            SourceKind::Viewer => !urgent,
        };
        if !preferred {
            cost_us = cost_us.saturating_add(OTHER_KIND_US);
        }
        // spec/exchange.md §7: among those that would deliver about as soon, or soon enough, the
        // cheaper, unless time is short.
        let soon_us = at.soon_us(segment.deadline).max(OTHER_KIND_US);
        let price = if urgent { (0, 0) } else { (cost_us / soon_us, source.price_rank) };
        Some((copies, price, cost_us, source.tie, *link, column))
    });
    best.min().map(|(.., link, column)| (link, column))
}

/// What a choice depends on besides sources and segment.
#[derive(Debug)]
pub(crate) struct Moment<'a> {
    pub(crate) now: Instant,
    pub(crate) config: &'a FetcherConfig,
    /// Throughput of the fastest source.
    pub(crate) best_bytes_per_s: u64,
    /// Who may be asked.
    pub(crate) whom: Whom,
    /// Columns that sources other than viewers hold, if those are too few: viewers, who have
    /// every column, are asked for the others first, so that both together are enough.
    pub(crate) held_by_others: Option<&'a ColumnSet>,
}

impl Moment<'_> {
    /// What is here by then is soon enough for a deadline, in microseconds from now: half of the
    /// time in which nothing is urgent, so that there is as much again for another source if one
    /// fails.
    fn soon_us(&self, deadline: Option<Instant>) -> u64 {
        let Some(deadline) = deadline else { return 0 };
        let spare_ms = deadline.since_ms(self.now).saturating_sub(self.config.urgent_window_ms);
        spare_ms.saturating_mul(1_000) / 2
    }
}

/// Who may be asked for a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whom {
    Everybody,
    /// Nobody hurries, and masternodes are to be spared.
    AllButMasternodes,
    /// It is for viewers to have something that they lack.
    AllButViewers,
}

impl Whom {
    fn takes(self, kind: SourceKind) -> bool {
        match self {
            Self::Everybody => true,
            Self::AllButMasternodes => kind != SourceKind::Masternode,
            Self::AllButViewers => kind != SourceKind::Viewer,
        }
    }
}

/// Shards beyond k to ask for where time is short.
pub(crate) fn extra_shards(policy: ExtraShards, k: u16, n: u16) -> usize {
    let spare = n - k;
    let extra = match policy {
        ExtraShards::Fixed(count) => count,
        ExtraShards::Auto => {
            let ordered = (u32::from(n) * 8 / 11).max(1);
            let extra = (u32::from(n) - ordered) * u32::from(k) / ordered;
            u16::try_from(extra.max(1)).unwrap_or(u16::MAX)
        }
    };
    usize::from(extra.min(spare))
}

/// How long answers take, over all sources: a mean and a mean deviation, in milliseconds, kept
/// in sixteenths.
#[derive(Debug, Default)]
pub(crate) struct ResponseTime {
    mean: u64,
    deviation: u64,
    known: bool,
}

impl ResponseTime {
    pub(crate) fn record(&mut self, ms: u64) {
        // An hour is as late as for ever, and keeps the sums small.
        let sample = ms.min(3_600_000) * 16;
        if !self.known {
            *self = Self { mean: sample, deviation: sample / 2, known: true };
            return;
        }
        let off = sample.abs_diff(self.mean);
        self.deviation = (self.deviation * 3 + off) / 4;
        self.mean = (self.mean * 7 + sample) / 8;
    }

    /// What hardly any answer takes longer than: the mean and four deviations; zero before the
    /// first.
    pub(crate) fn slow_ms(&self) -> u64 {
        (self.mean + self.deviation * 4) / 16
    }

    /// Age at which a request is late: mean + dev / 2 where playback waits, and a second and
    /// four deviations over the mean elsewhere; never before the floor.
    pub(crate) fn late_after_ms(&self, urgent: bool, floor_ms: u64) -> u64 {
        let late = match urgent {
            true => (self.mean + self.deviation / 2) / 16,
            false => self.slow_ms() + RELAXED_MS,
        };
        late.max(floor_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pop_incentive::negotiate;
    use pop_wire::Amount;
    use pop_wire::{Keypair, Message, SegmentRanges, VersionRange, message::Hello};

    const NOW: Instant = Instant(1_000_000);

    fn source(tie: u64, kind: SourceKind, columns: &[u16], bytes_per_s: u64) -> Source {
        let peer = Keypair::from_secret_bytes(&[9; 32]).unwrap().peer_id();
        let columns: ColumnSet = columns.iter().map(|c| ColumnIndex::new(*c).unwrap()).collect();
        let start = Instant(NOW.0 - 1_000);
        let mut source = Source::new(peer, kind, &columns, tie, start);
        let hello = Hello {
            versions: VersionRange::SUPPORTED,
            credit_bytes: 0,
            agent: String::new(),
            masternode: None,
        };
        source.greeting.receive(&Message::Hello(hello)).unwrap();
        source.announces(SegmentRanges::covering(std::iter::once(0..1)));
        if bytes_per_s > 0 {
            source.delivered(bytes_per_s, NOW);
        }
        source
    }

    fn pick(sources: Vec<Source>, deadline: Option<Instant>) -> (u64, u16) {
        let sources = (0..).map(LinkId).zip(sources).collect();
        let config = FetcherConfig::default();
        let segment = Segment::new(0, 2, 32 * 1024, deadline);
        let moment = Moment {
            now: NOW,
            config: &config,
            best_bytes_per_s: 1_000_000,
            whom: Whom::Everybody,
            held_by_others: None,
        };
        let (link, column) = choose(&sources, &segment, 2, false, &moment).unwrap();
        (link.0, column.get())
    }

    #[test]
    fn data_columns_are_preferred_among_equals() {
        let equal =
            |column| source(7 - u64::from(column), SourceKind::Masternode, &[column], 1 << 20);
        assert_eq!(pick(vec![equal(5), equal(1), equal(3)], None), (1, 1));
    }

    #[test]
    fn a_much_faster_source_of_parity_wins() {
        let slow = source(0, SourceKind::Masternode, &[0], 10_000);
        let fast = source(1, SourceKind::Masternode, &[5], 10_000_000);
        assert_eq!(pick(vec![slow, fast], None), (1, 5));
    }

    #[test]
    fn masternodes_first_when_urgent_and_viewers_first_when_safe() {
        let both = || {
            vec![
                source(0, SourceKind::Masternode, &[0], 1 << 20),
                source(0, SourceKind::Viewer, &[0], 1 << 20),
            ]
        };
        assert_eq!(pick(both(), Some(NOW.after_ms(1_000))).0, 0);
        assert_eq!(pick(both(), Some(NOW.after_ms(60_000))).0, 1);
    }

    #[test]
    fn the_cheaper_of_two_that_deliver_in_time_is_asked_unless_it_is_urgent() {
        let priced = |price_rank, bytes_per_s| {
            let mut source = source(price_rank, SourceKind::Viewer, &[0], bytes_per_s);
            source.price_rank = price_rank;
            source
        };
        let dear_and_faster = || vec![priced(2, 2 << 20), priced(1, 1 << 20)];
        assert_eq!(pick(dear_and_faster(), None).0, 1);
        assert_eq!(pick(dear_and_faster(), Some(NOW.after_ms(60_000))).0, 1);
        assert_eq!(pick(dear_and_faster(), Some(NOW.after_ms(1_000))).0, 0);
        let cheap_and_slow = || vec![priced(2, 2 << 20), priced(1, 20_000)];
        assert_eq!(pick(cheap_and_slow(), None).0, 0, "cheap, but a second later");
        assert_eq!(pick(cheap_and_slow(), Some(NOW.after_ms(17_000))).0, 0, "and not soon enough");
        assert_eq!(pick(cheap_and_slow(), Some(NOW.after_ms(20_000))).0, 1);
    }

    #[test]
    fn who_holds_one_column_each_is_asked_as_the_cheapest_set_that_meets_the_deadline() {
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut below = |bound| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % bound
        };
        let (mut met, mut missed) = (0, 0);
        for _ in 0..2_000 {
            let count = 3 + u16::try_from(below(13)).unwrap();
            let (shards, spare_ms) = (1 + u16::try_from(below(8)).unwrap(), 1_000 + below(9_000));
            let shard_bytes = 32 * 1024;
            let mut sources: SortedMap<LinkId, Source> = SortedMap::new();
            let mut quoted = Vec::new();
            for column in 0..count {
                let (bytes_per_s, price) = (2_000 + below(60_000), below(6));
                let mut source = source(below(99), SourceKind::Masternode, &[column], bytes_per_s);
                source.price_rank = price;
                quoted.push(negotiate::Source {
                    columns: source.columns.iter().copied().collect(),
                    bytes_per_second: bytes_per_s,
                    latency_ms: 0,
                    shard_price: Amount::from_base_units(price.into()),
                });
                sources.insert(LinkId(column.into()), source);
            }
            let config = FetcherConfig::default();
            let deadline = NOW.after_ms(config.urgent_window_ms + 2 * spare_ms);
            let mut segment = Segment::new(0, shards, shard_bytes, Some(deadline));
            let moment = Moment {
                now: NOW,
                config: &config,
                best_bytes_per_s: 62_000,
                whom: Whom::AllButViewers,
                held_by_others: None,
            };
            let mut price = 0;
            for _ in 0..shards.min(count) {
                // No parity, which counts as a little slower.
                let asked = choose(&sources, &segment, u16::MAX, false, &moment);
                let (link, column) = asked.expect("somebody has room");
                let source = sources.get_mut(&link).unwrap();
                source.asked(shard_bytes, NOW);
                price += source.price_rank;
                segment.ask(column);
            }
            // The scheduler's cost of a masternode that isn't urgent has half a second in it.
            let deadline_ms = spare_ms.saturating_sub(OTHER_KIND_US / 1_000);
            let need = negotiate::Need { shards, shard_bytes, deadline_ms };
            match negotiate::cheapest(&quoted, &need) {
                Ok(plan) => {
                    assert_eq!(plan.price, Amount::from_base_units(price.into()));
                    met += 1;
                }
                Err(_) => missed += 1,
            }
        }
        assert!(
            met > 500 && missed > 100,
            "{met} sets that meet the deadline, {missed} that don't"
        );
    }

    #[test]
    fn equal_sources_are_told_apart_by_the_seed() {
        let equal = |tie| source(tie, SourceKind::Masternode, &[0], 1 << 20);
        assert_eq!(pick(vec![equal(2), equal(1), equal(3)], None).0, 1);
    }

    #[test]
    fn a_queue_never_exceeds_two_seconds_of_the_source() {
        let mut slow = source(0, SourceKind::Masternode, &[0], 100_000);
        let room = |source: &Source| source.has_room(32 * 1024, NOW, 2_000, 0);
        let mut queued = 0;
        while room(&slow) {
            slow.asked(32 * 1024, NOW);
            queued += 32 * 1024;
        }
        assert!((150_000..=200_000).contains(&queued), "{queued}");
    }

    #[test]
    fn extra_shards_follow_the_rule_of_the_anchor() {
        assert_eq!(extra_shards(ExtraShards::Auto, 29, 110), 10);
        assert_eq!(extra_shards(ExtraShards::Auto, 19, 27), 8);
        assert_eq!(extra_shards(ExtraShards::Auto, 2, 3), 1);
        assert_eq!(extra_shards(ExtraShards::Fixed(0), 19, 27), 0);
        assert_eq!(extra_shards(ExtraShards::Fixed(99), 19, 27), 8);
    }

    #[test]
    fn lateness_has_a_floor_and_follows_the_mean() {
        let mut response = ResponseTime::default();
        assert_eq!(response.late_after_ms(true, 300), 300);
        (0..200).for_each(|_| response.record(800));
        let late = response.late_after_ms(true, 300);
        assert!((790..=830).contains(&late), "{late}");
        assert!(response.late_after_ms(false, 300) > 1_500);
        response.record(u64::MAX);
    }
}
