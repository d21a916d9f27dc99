//! Reads of one film: which bytes each wants, how far it is, and which of them leads.

use std::ops::Range;

use pop_wire::Instant;
use pop_wire::sorted::SortedMap;

use super::plain::Plain;
use crate::engine::limits::PIECE_BYTES_MAX;
use crate::engine::outbox::Outbox;
use crate::engine::{Output, ReadId};

/// One reader and how far it is.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) range: Range<u64>,
    /// First byte that was not given yet.
    pub(super) next: u64,
    /// Bytes that may be given.
    allowed: u64,
    /// The greatest is the newest.
    serial: u64,
    pub(super) started: Instant,
    /// Since when it waits for bytes that it may have.
    pub(super) waits_since: Option<Instant>,
}

#[derive(Debug, Default)]
pub(super) struct Reads {
    reads: SortedMap<ReadId, Read>,
    serial: u64,
    pub(super) given_bytes: u64,
}

impl Reads {
    pub(super) fn insert(&mut self, id: ReadId, range: Range<u64>, now: Instant) {
        self.serial += 1;
        let (next, serial) = (range.start, self.serial);
        self.reads
            .insert(id, Read { range, next, allowed: 0, serial, started: now, waits_since: None });
    }

    pub(super) fn remove(&mut self, id: ReadId) -> bool {
        self.reads.remove(&id).is_some()
    }

    pub(super) fn pull(&mut self, id: ReadId, bytes: u64) -> bool {
        let Some(read) = self.reads.get_mut(&id) else { return false };
        read.allowed = read.allowed.saturating_add(bytes);
        true
    }

    pub(super) fn contains(&self, id: ReadId) -> bool {
        self.reads.contains_key(&id)
    }

    pub(super) fn len(&self) -> usize {
        self.reads.len()
    }

    /// End all of them, and say whose they were.
    pub(super) fn drain(&mut self) -> Vec<ReadId> {
        core::mem::take(&mut self.reads).into_keys().collect()
    }

    /// The film's length is known: clip what reaches to its end, and name who wants more.
    pub(super) fn clip(&mut self, length_bytes: u64) -> Vec<ReadId> {
        let mut outside = Vec::new();
        for (id, read) in &mut self.reads {
            if read.range.end == u64::MAX {
                read.range.end = length_bytes;
            }
            if read.range.end > length_bytes || read.range.start > read.range.end {
                outside.push(*id);
            }
        }
        outside
    }

    /// Give what is here, as far as it is allowed.
    pub(super) fn deliver(
        &mut self,
        now: Instant,
        segment_bytes: u64,
        plain: &mut Plain,
        outbox: &mut Outbox,
    ) {
        let mut ended = Vec::new();
        for (id, read) in &mut self.reads {
            while read.next < read.range.end && read.allowed > 0 {
                let segment = read.next / segment_bytes;
                let Some(bytes) = plain.get(segment) else { break };
                let start = to_usize(read.next - segment * segment_bytes);
                let most = read.allowed.min(read.range.end - read.next);
                let rest = bytes.len().saturating_sub(start);
                let take = rest.min(to_usize(most)).min(PIECE_BYTES_MAX);
                if take == 0 {
                    break;
                }
                let given = u64::try_from(take).unwrap_or(u64::MAX);
                read.next += given;
                read.waits_since = None;
                read.allowed -= given;
                self.given_bytes += given;
                let bytes = bytes.slice(start..start + take);
                outbox.push(Output::Data { read: *id, bytes });
            }
            if read.allowed > 0 {
                read.waits_since.get_or_insert(now);
            }
            if read.next >= read.range.end {
                ended.push(*id);
            }
        }
        for id in ended {
            self.reads.remove(&id);
            outbox.push(Output::End { read: id });
        }
    }

    /// When a read that waits has waited for so long.
    pub(super) fn waited_at(&self, ms: u64) -> Option<Instant> {
        self.reads.values().filter_map(|read| read.waits_since).map(|it| it.after_ms(ms)).min()
    }

    /// Where the newest read is.
    pub(super) fn newest(&self) -> Option<u64> {
        self.reads.values().max_by_key(|read| read.serial).map(|read| read.next)
    }

    /// Reads in the order in which they are to be served: first those that wait for bytes they may
    /// have, and of each kind the newest.
    pub(super) fn by_need(&self, segment_bytes: u64, is_here: impl Fn(u64) -> bool) -> Vec<&Read> {
        let mut reads: Vec<&Read> = self.reads.values().collect();
        reads.sort_by_key(|read| {
            let waits = read.allowed > 0 && !is_here(read.next / segment_bytes);
            (!waits, core::cmp::Reverse(read.serial))
        });
        reads
    }
}

/// Within one segment, which is in memory.
fn to_usize(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
