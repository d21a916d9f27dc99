use pop_wire::Instant;

/// So much at once, and so much a second after that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Messages that may come at once.
    pub messages_burst: u64,
    /// Messages a second in the long run.
    pub messages_per_s: u64,
    /// Bytes of frames that may come at once.
    pub bytes_burst: u64,
    /// Bytes of frames a second in the long run.
    pub bytes_per_s: u64,
}

/// A token bucket for messages and one for bytes; what is taken is taken from both or neither.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    /// Thousandths of a message, so that no refill is rounded away.
    messages_milli: u64,
    /// Thousandths of a byte.
    bytes_milli: u64,
    at: Instant,
}

impl Bucket {
    pub(crate) fn full(rate: &Rate, now: Instant) -> Self {
        Self {
            messages_milli: rate.messages_burst.saturating_mul(1_000),
            bytes_milli: rate.bytes_burst.saturating_mul(1_000),
            at: now,
        }
    }

    fn refill(&mut self, rate: &Rate, now: Instant) {
        let elapsed_ms = now.since_ms(self.at);
        let refilled = |level: u64, per_s: u64, burst: u64| {
            level.saturating_add(elapsed_ms.saturating_mul(per_s)).min(burst.saturating_mul(1_000))
        };
        self.messages_milli =
            refilled(self.messages_milli, rate.messages_per_s, rate.messages_burst);
        self.bytes_milli = refilled(self.bytes_milli, rate.bytes_per_s, rate.bytes_burst);
        self.at = self.at.max(now);
    }

    /// Take one message of `bytes`, or say in how many milliseconds it could be.
    pub(crate) fn take(&mut self, rate: &Rate, now: Instant, bytes: u64) -> Result<(), u64> {
        self.refill(rate, now);
        let bytes_milli = bytes.saturating_mul(1_000);
        let missing_ms = |needed: u64, level: u64, per_s: u64| match needed.saturating_sub(level) {
            0 => 0,
            missing => missing.div_ceil(per_s.max(1)),
        };
        let wait_ms = missing_ms(1_000, self.messages_milli, rate.messages_per_s).max(missing_ms(
            bytes_milli,
            self.bytes_milli,
            rate.bytes_per_s,
        ));
        if wait_ms > 0 {
            return Err(wait_ms);
        }
        self.messages_milli -= 1_000;
        self.bytes_milli -= bytes_milli;
        Ok(())
    }

    /// Put back what was taken for nothing.
    pub(crate) fn give_back(&mut self, bytes: u64) {
        self.messages_milli = self.messages_milli.saturating_add(1_000);
        self.bytes_milli = self.bytes_milli.saturating_add(bytes.saturating_mul(1_000));
    }

    /// Whether it says nothing that a new one wouldn't say.
    pub(crate) fn is_full(&mut self, rate: &Rate, now: Instant) -> bool {
        self.refill(rate, now);
        self.messages_milli >= rate.messages_burst.saturating_mul(1_000)
            && self.bytes_milli >= rate.bytes_burst.saturating_mul(1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate =
        Rate { messages_burst: 3, messages_per_s: 7, bytes_burst: 1_000, bytes_per_s: 100 };

    #[test]
    fn in_the_long_run_no_more_passes_than_the_rate_allows() {
        let mut bucket = Bucket::full(&RATE, Instant(0));
        let passed = (0..10_000).filter(|ms| bucket.take(&RATE, Instant(*ms), 1).is_ok()).count();
        assert_eq!(passed, 3 + 69, "a burst, and 7 a second for all but 10 s");
        let mut bucket = Bucket::full(&RATE, Instant(0));
        let passed = (0..10_000).filter(|ms| bucket.take(&RATE, Instant(*ms), 200).is_ok()).count();
        assert_eq!(passed, 3 + 6, "2,000 bytes with the burst, less what can't be used yet");
    }

    #[test]
    fn who_waits_as_long_as_told_gets_through() {
        let mut bucket = Bucket::full(&RATE, Instant(0));
        for _ in 0..3 {
            bucket.take(&RATE, Instant(0), 300).unwrap();
        }
        let wait_ms = bucket.take(&RATE, Instant(0), 300).unwrap_err();
        assert_eq!(bucket.take(&RATE, Instant(wait_ms - 1), 300), Err(1));
        assert_eq!(bucket.take(&RATE, Instant(wait_ms), 300), Ok(()));
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing() {
        let mut bucket = Bucket::full(&RATE, Instant(1_000));
        for _ in 0..3 {
            bucket.take(&RATE, Instant(1_000), 1).unwrap();
        }
        assert!(bucket.take(&RATE, Instant(0), 1).is_err());
        assert!(bucket.take(&RATE, Instant(1_000), 1).is_err());
        assert!(!bucket.is_full(&RATE, Instant(1_100)));
        assert!(bucket.is_full(&RATE, Instant(2_000)));
    }
}
