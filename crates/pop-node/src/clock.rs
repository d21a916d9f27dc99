//! The node's clock and its randomness: the only place that reads either from the machine.
//!
//! Everything below the shell takes time and seeds as arguments, so that a test can run a
//! protocol through a simulated week. Whatever needs the real ones asks here.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A monotonic clock that counts from its creation.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// Starts a clock at zero.
    #[must_use]
    pub fn start() -> Self {
        Self { started: monotonic_now() }
    }

    /// The protocol machines' time, in milliseconds since [`Clock::start`].
    #[must_use]
    pub fn now(&self) -> pop_wire::Instant {
        let elapsed_ms = monotonic_now().duration_since(self.started).as_millis();
        pop_wire::Instant(u64::try_from(elapsed_ms).unwrap_or(u64::MAX))
    }
}

/// The monotonic clock, for measuring how long something took.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the node reads the monotonic clock"
)]
pub fn monotonic_now() -> Instant {
    Instant::now()
}

/// The wall clock, for file ages.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place where the node reads the wall clock")]
pub fn wall_now() -> SystemTime {
    SystemTime::now()
}

/// The wall clock in whole seconds since 1970, for signed records. Zero on a machine whose clock
/// is set before 1970.
#[must_use]
pub fn unix_now() -> pop_wire::UnixTime {
    let seconds = wall_now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
    pop_wire::UnixTime(seconds)
}

/// Date and time of UTC, as people read it: `2026-01-31 23:59:59 UTC`.
#[must_use]
pub fn utc(time: pop_wire::UnixTime) -> String {
    let (days, second) = (time.0 / 86_400, time.0 % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// Year, month and day of the Gregorian calendar, so many days after 1970-01-01: years are counted
/// from a first of March, in eras of 400, so that the odd day comes last.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days.min(1 << 40) + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let in_month = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    (year, month, in_month)
}

/// 32 bytes from the operating system's generator: a key, a salt or a machine's seed.
///
/// # Errors
///
/// [`NoEntropy`] when the operating system refuses; nothing may be generated then.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the node reads the system's randomness"
)]
pub fn random_bytes() -> Result<[u8; 32], NoEntropy> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|_| NoEntropy)?;
    Ok(bytes)
}

/// The operating system gave no randomness.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the operating system gave no randomness")]
pub struct NoEntropy;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (days, expected) in [
            (0, (1970, 1, 1)),
            (58, (1970, 2, 28)),
            (59, (1970, 3, 1)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (20_454, (2026, 1, 1)),
            (47_540, (2100, 2, 28)),
            (47_541, (2100, 3, 1)),
        ] {
            assert_eq!(date(days), expected, "{days}");
        }
        assert_eq!(utc(pop_wire::UnixTime(86_399)), "1970-01-01 23:59:59 UTC");
    }
}
