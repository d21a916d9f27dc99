//! A look at a film.

use std::ops::Range;

use pop_wire::sorted::SortedSet;

use super::Film;
use crate::engine::FilmStats;
use crate::engine::cache::Cache;
use crate::engine::limits::{STATS_RANGES_MAX, STATS_SOURCES_MAX};

impl Film {
    pub(in crate::engine) fn stats(&self, cache: &Cache) -> FilmStats {
        let mut stats = FilmStats { read_bytes: self.reads.given_bytes, ..FilmStats::default() };
        let fetcher = self.playing.as_ref().map(|playing| &playing.fetcher);
        stats.sources = self.sources.report(fetcher, STATS_SOURCES_MAX);
        let Some(playing) = &self.playing else { return stats };
        (stats.from_masternodes_bytes, stats.from_viewers_bytes) =
            self.sources.received(&playing.fetcher);
        stats.wasted_bytes = playing.fetcher.totals().wasted_bytes;
        stats.from_cache_bytes = playing.from_cache_bytes;
        stats.late_segments = playing.late_segments;
        stats.position_bytes =
            self.pace.position_bytes().or_else(|| self.reads.newest()).unwrap_or(0);
        let layout = playing.content.layout();
        let segment_bytes = layout.segment_bytes().max(1);
        let mut held: Vec<Range<u64>> = Vec::new();
        let cached = cache.segments(&self.content).into_iter().flatten();
        let here: SortedSet<u64> = playing.plain.segments().chain(cached).collect();
        for segment in here {
            let start = segment * segment_bytes;
            let end = (start + segment_bytes).min(layout.length_bytes());
            let room = held.len() < STATS_RANGES_MAX;
            match held.last_mut() {
                Some(last) if last.end == start => last.end = end,
                _ if room => held.push(start..end),
                _ => break,
            }
        }
        let here = held.iter().find(|range| range.contains(&stats.position_bytes));
        stats.buffered_bytes = here.map_or(0, |range| range.end - stats.position_bytes);
        stats.buffered_ms = stats.buffered_bytes.saturating_mul(1000) / self.pace.bytes_per_s();
        stats.held = held;
        stats
    }
}
