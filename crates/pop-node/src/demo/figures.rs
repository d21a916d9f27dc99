//! Numbers for people.

use std::time::Duration;

/// Speed in 10^6 bytes a second.
pub(super) fn megabytes_a_second(bytes: u64, elapsed: Duration) -> f64 {
    round(float(bytes) / 1e6 / elapsed.as_secs_f64().max(1e-6))
}

/// How many per cent `part` is of `whole`; none of nothing.
pub(super) fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { round(100.0 * float(part) / float(whole)) }
}

/// To two decimals.
pub(super) fn round(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

#[expect(clippy::cast_precision_loss, reason = "rates for people need no exact bytes")]
pub(super) fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_have_two_decimals_and_nothing_has_no_share() {
        for (part, whole, expected) in [(0, 0, 0.0), (1, 3, 33.33), (2, 3, 66.67), (5, 5, 100.0)] {
            let share = percent(part, whole);
            assert!((share - expected).abs() < 1e-9, "{part} of {whole}: {share}");
        }
    }
}
