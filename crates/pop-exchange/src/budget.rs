//! How often a peer may say something: a burst that comes back with time.

use pop_wire::Instant;

/// Messages of one kind that the other side of a link may still send.
#[derive(Debug)]
pub(crate) struct TimedBudget {
    left: u64,
    burst: u64,
    refill_ms: u64,
    refilled_at: Instant,
}

impl TimedBudget {
    /// A full one: `burst` messages, of which one comes back every `refill_ms` (at least 1).
    pub(crate) fn new(burst: u64, refill_ms: u64, now: Instant) -> Self {
        Self { left: burst, burst, refill_ms, refilled_at: now }
    }

    /// Charge one message; `false` if it is one too many.
    pub(crate) fn charge(&mut self, now: Instant) -> bool {
        let refills = now.since_ms(self.refilled_at) / self.refill_ms;
        self.refilled_at = self.refilled_at.after_ms(refills * self.refill_ms);
        self.left = self.left.saturating_add(refills).min(self.burst);
        match self.left.checked_sub(1) {
            Some(rest) => {
                self.left = rest;
                true
            }
            None => false,
        }
    }
}
