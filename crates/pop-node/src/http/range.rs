//! What part of a content a `Range` header asks for (RFC 9110 §14).
//!
//! Players differ in what they send and agree in what they cannot bear: a 200 to `bytes=0-` makes
//! ffmpeg treat the stream as not seekable, a 416 to an end past the last byte makes a seek fail.
//! So ends are clamped, suffixes may be longer than the content, and what cannot be understood is
//! ignored, as the RFC asks.

use std::ops::Range;

/// The answer to one `Range` header for a content of known length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Everything, with status 200: no range, one that is malformed, or one we do not serve.
    Whole,
    /// These bytes, with status 206. Never empty.
    Part(Range<u64>),
    /// Nothing of it exists: status 416.
    Unsatisfiable,
}

/// Decides what `header` selects out of `length_bytes`.
///
/// Three choices where the RFC leaves one: several ranges in one header are answered with the
/// whole (a server may always ignore `Range`, and no player sends them); every range of an empty
/// content is ignored, since neither a 206 nor a clamped end can be written for it; numbers too
/// large for 64 bits count as past the end.
#[must_use]
pub fn select(header: Option<&[u8]>, length_bytes: u64) -> Selection {
    let Some(spec) = header.and_then(single_range) else {
        return Selection::Whole;
    };
    if length_bytes == 0 {
        return Selection::Whole;
    }
    match spec {
        Spec::From { first, last } if first < length_bytes => {
            let end = last.map_or(length_bytes, |last| last.saturating_add(1).min(length_bytes));
            Selection::Part(first..end)
        }
        Spec::Suffix { length: 0 } | Spec::From { .. } => Selection::Unsatisfiable,
        Spec::Suffix { length } => {
            Selection::Part(length_bytes.saturating_sub(length)..length_bytes)
        }
    }
}

enum Spec {
    From { first: u64, last: Option<u64> },
    Suffix { length: u64 },
}

/// The header's only range, or `None` when it is malformed, of another unit, or not alone.
fn single_range(header: &[u8]) -> Option<Spec> {
    let text = std::str::from_utf8(header).ok()?;
    let (unit, set) = text.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    // Empty list elements are allowed and mean nothing (RFC 9110 §5.6.1).
    let mut ranges = set.split(',').map(str::trim).filter(|range| !range.is_empty());
    let range = ranges.next()?;
    if ranges.next().is_some() {
        return None;
    }
    let (first, last) = range.split_once('-')?;
    match (first.is_empty(), last.is_empty()) {
        (true, true) => None,
        (true, false) => Some(Spec::Suffix { length: number(last)? }),
        (false, true) => Some(Spec::From { first: number(first)?, last: None }),
        (false, false) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(Spec::From { first, last: Some(last) })
        }
    }
}

/// Decimal digits only: `u64::from_str` would also take a sign. Too many of them saturate.
fn number(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::Selection::{Part, Unsatisfiable, Whole};
    use super::*;

    #[test]
    fn every_form_of_range_selects_what_the_rfc_says() {
        let table: &[(&str, Selection)] = &[
            ("bytes=0-", Part(0..1000)),
            ("bytes=0-0", Part(0..1)),
            ("bytes=0-499", Part(0..500)),
            ("bytes=500-999", Part(500..1000)),
            ("bytes=999-999", Part(999..1000)),
            ("bytes=999-", Part(999..1000)),
            // The end is clamped.
            ("bytes=0-1000", Part(0..1000)),
            ("bytes=500-99999", Part(500..1000)),
            ("bytes=5-18446744073709551615", Part(5..1000)),
            ("bytes=5-99999999999999999999999", Part(5..1000)),
            // Suffixes, also longer than the content.
            ("bytes=-1", Part(999..1000)),
            ("bytes=-500", Part(500..1000)),
            ("bytes=-1000", Part(0..1000)),
            ("bytes=-1001", Part(0..1000)),
            ("bytes=-99999999999999999999999", Part(0..1000)),
            // Unit names are case insensitive, white space and empty elements are allowed.
            ("Bytes=1-2", Part(1..3)),
            ("bytes= 1-2 ", Part(1..3)),
            ("bytes=,1-2,", Part(1..3)),
            ("bytes=007-8", Part(7..9)),
            // Nothing of it exists.
            ("bytes=1000-", Unsatisfiable),
            ("bytes=1000-1000", Unsatisfiable),
            ("bytes=99999999999999999999999-", Unsatisfiable),
            ("bytes=-0", Unsatisfiable),
            // Malformed, foreign or several: ignored.
            ("", Whole),
            ("bytes", Whole),
            ("bytes=", Whole),
            ("bytes=-", Whole),
            ("bytes=,", Whole),
            ("bytes=a-b", Whole),
            ("bytes=1-b", Whole),
            ("bytes=2-1", Whole),
            ("bytes=+1-2", Whole),
            ("bytes=1--2", Whole),
            ("bytes=--5", Whole),
            ("bytes=0x1-2", Whole),
            ("bytes=1 - 2", Whole),
            ("bytes:1-2", Whole),
            ("items=1-2", Whole),
            ("bytes=0-1,4-5", Whole),
            ("bytes=0-1,x", Whole),
        ];
        for (header, expected) in table {
            assert_eq!(&select(Some(header.as_bytes()), 1000), expected, "Range: {header}");
        }
        assert_eq!(select(None, 1000), Whole);
        assert_eq!(select(Some(b"bytes=\xff-"), 1000), Whole);
    }

    #[test]
    fn ranges_of_an_empty_content_are_ignored() {
        for header in ["bytes=0-", "bytes=0-0", "bytes=-1", "bytes=-0", "bytes=5-"] {
            assert_eq!(select(Some(header.as_bytes()), 0), Whole, "Range: {header}");
        }
    }

    #[test]
    fn the_largest_content_does_not_overflow() {
        let last = u64::MAX - 1;
        assert_eq!(select(Some(b"bytes=-1"), u64::MAX), Part(last..u64::MAX));
        assert_eq!(select(Some(b"bytes=18446744073709551614-"), u64::MAX), Part(last..u64::MAX));
        assert_eq!(select(Some(b"bytes=18446744073709551615-"), u64::MAX), Unsatisfiable);
    }
}
