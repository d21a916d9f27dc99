//! A look at a film and at the engine, for charts. Counts are since the start.

use std::ops::Range;

use pop_wire::{Amount, PeerId};

use super::SourceKind;

/// A look at one film.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FilmStats {
    /// Verified payload that came from masternodes, in bytes.
    pub from_masternodes_bytes: u64,
    /// Verified payload that came from other viewers, in bytes.
    pub from_viewers_bytes: u64,
    /// Payload read back from this browser's own cache, in bytes.
    pub from_cache_bytes: u64,
    /// Payload given to other viewers, in bytes.
    pub up_bytes: u64,
    /// Payload that came too late to be of use, in bytes.
    pub wasted_bytes: u64,
    /// Plaintext given to reads, in bytes.
    pub read_bytes: u64,
    /// Segments that playback had to wait for.
    pub late_segments: u64,
    /// First byte that is not played yet.
    pub position_bytes: u64,
    /// Bytes that are here from the playhead on without a gap: in memory, or in the cache.
    pub buffered_bytes: u64,
    /// The same in playing time, in milliseconds; zero if the pace is not known.
    pub buffered_ms: u64,
    /// Bytes of the film that are here, in order: in memory, or in the cache. At most 256 ranges.
    pub held: Vec<Range<u64>>,
    /// Sources, those gone and not yet back included, at most 256.
    pub sources: Vec<SourceStats>,
    /// Promised to the sources of all films, in base units.
    pub spent: Amount,
    /// Promised by viewers of all films, in base units.
    pub earned: Amount,
}

/// A look at one source of a film.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceStats {
    /// Who.
    pub peer: PeerId,
    /// What kind of node.
    pub kind: SourceKind,
    /// How we stand with it.
    pub state: SourceState,
    /// Columns that it holds: one or a few of a masternode, all of a viewer.
    pub columns: usize,
    /// Payload that came from it and was of use, in bytes.
    pub received_bytes: u64,
    /// Payload given to it, in bytes; only of viewers.
    pub sent_bytes: u64,
    /// Measured throughput in bytes a second; zero before the first shard.
    pub bytes_per_s: u64,
    /// Requests on their way.
    pub in_flight: usize,
}

/// How we stand with a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceState {
    /// Being dialled, or waiting for its turn.
    Connecting,
    /// Asked.
    Live,
    /// Silent, and left alone for a while.
    Resting,
    /// Gone; it is dialled again.
    Gone,
}

/// A look at the engine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EngineStats {
    /// Masternodes that answer questions now.
    pub entries_up: usize,
    /// Relays that are attached to.
    pub relays_up: usize,
    /// Other viewers that are linked to.
    pub viewers_up: usize,
    /// Bytes of the cache.
    pub cached_bytes: u64,
    /// Payload given to other viewers, in bytes.
    pub up_bytes: u64,
    /// Promised to all, in base units.
    pub spent: Amount,
    /// Promised by all, in base units.
    pub earned: Amount,
}
