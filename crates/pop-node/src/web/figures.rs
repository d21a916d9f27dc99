//! What the relay of this node did and holds, for `/metrics`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pop_signal::relay::{RelayHoldings, RelayStats};

use crate::metrics::{Metrics, Unit};

/// The latest of the relay's own figures, and what its links didn't take.
#[derive(Debug, Default)]
pub(crate) struct RelayFigures {
    latest: Mutex<(RelayStats, RelayHoldings)>,
    frames_dropped: AtomicU64,
}

impl RelayFigures {
    /// What they are now.
    pub(super) fn are(&self, stats: RelayStats, holdings: RelayHoldings) {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = (stats, holdings);
    }

    /// A frame is dropped for which a link, or the node, had no room.
    pub(super) fn dropped_frame(&self) {
        self.frames_dropped.fetch_add(1, Ordering::Relaxed);
    }

    fn latest(&self) -> (RelayStats, RelayHoldings) {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Show them.
    pub(crate) fn register(self: &Arc<Self>, metrics: &Metrics) {
        let counter = |name, help, unit, read: fn(&RelayStats) -> u64| {
            let figures = Arc::clone(self);
            metrics.read_counter(name, help, unit, move || read(&figures.latest().0));
        };
        let in_help = "Envelopes from viewers attached here";
        counter("relay_letters_in", in_help, None, |it| it.letters_in);
        let out_help = "Envelopes handed to viewers attached here";
        counter("relay_letters_out", out_help, None, |it| it.letters_out);
        let taken_help = "Envelopes from other relays";
        counter("relay_taken_over", taken_help, None, |it| it.taken_over);
        let handed_help = "Envelopes handed to other relays";
        counter("relay_handed_over", handed_help, None, |it| it.handed_over);
        let dropped_help = "Envelopes for which nobody waited, or no room was";
        counter("relay_letters_dropped", dropped_help, None, |it| it.dropped);
        counter("relay_sessions", "Sessions begun here", None, |it| it.sessions);
        let bytes = || Some(Unit::Bytes);
        counter("relay_received", "Frames that came", bytes(), |it| it.received_bytes);
        counter("relay_sent", "Frames that went", bytes(), |it| it.sent_bytes);
        let figures = Arc::clone(self);
        let refused = move || figures.latest().0.refused.by_rule().to_vec();
        metrics.read_counters("relay_refused", "Messages over a limit", "rule", refused);
        let figures = Arc::clone(self);
        let dropped = move || figures.frames_dropped.load(Ordering::Relaxed);
        let help = "Frames for which a link had no room";
        metrics.read_counter("relay_frames_dropped", help, None, dropped);

        let gauge = |name, help, read: fn(&RelayHoldings) -> usize| {
            let figures = Arc::clone(self);
            let read = move || u64::try_from(read(&figures.latest().1)).unwrap_or(u64::MAX);
            metrics.read_gauge(name, help, None, read);
        };
        gauge("relay_clients", "Links of viewers", |it| it.clients);
        gauge("relay_peers", "Links of other relays", |it| it.relays);
        gauge("relay_topics", "Topics that somebody has joined", |it| it.topics);
        gauge("relay_rendezvous", "Rendezvous that are waited at", |it| it.rendezvous);
    }
}
