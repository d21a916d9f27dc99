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
