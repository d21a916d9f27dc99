use core::fmt;

use crate::limits::SDP_BYTES_MAX;

/// SHA-256 of the certificate with which one end of a WebRTC connection proves itself (RFC 8122).
///
/// Displays as in a session description: upper-case hex, a colon between bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DtlsFingerprint(pub [u8; 32]);

/// Why a session description doesn't say which certificate will be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FingerprintError {
    /// The description is longer than any that is exchanged.
    #[error("session description: expected at most {max} bytes, got {got}")]
    TooLong {
        /// Limit in bytes.
        max: usize,
        /// Bytes found.
        got: usize,
    },
    /// No fingerprint at all.
    #[error("session description: expected a fingerprint, got none")]
    Missing,
    /// Two that differ: which of them holds would be up to the sender.
    #[error("session description: expected one fingerprint, got two that differ")]
    Ambiguous,
    /// A fingerprint of another hash than SHA-256, or one that is not 32 bytes of hex.
    #[error("session description: expected a fingerprint of sha-256 and 32 bytes")]
    Malformed,
}

impl DtlsFingerprint {
    /// The one fingerprint of a session description. It may stand there any number of times: once
    /// for all media, or once for each.
    ///
    /// # Errors
    /// [`FingerprintError`] if there is none, if two differ, or if one is not of SHA-256: an
    /// implementation that would take another hash must not find one to take.
    pub fn from_sdp(sdp: &str) -> Result<Self, FingerprintError> {
        if sdp.len() > SDP_BYTES_MAX {
            return Err(FingerprintError::TooLong { max: SDP_BYTES_MAX, got: sdp.len() });
        }
        let mut found = None;
        // A bare carriage return ends a line for some parsers, so it does here.
        for line in sdp.split(['\r', '\n']) {
            let Some(value) = attribute(line) else { continue };
            let fingerprint = Self::parse(value)?;
            if found.is_some_and(|other| other != fingerprint) {
                return Err(FingerprintError::Ambiguous);
            }
            found = Some(fingerprint);
        }
        found.ok_or(FingerprintError::Missing)
    }

    /// `sha-256 AB:CD:…`; the hash's name and the digits in any case.
    fn parse(value: &str) -> Result<Self, FingerprintError> {
        let mut words = value.split_ascii_whitespace();
        let (Some(hash), Some(digits), None) = (words.next(), words.next(), words.next()) else {
            return Err(FingerprintError::Malformed);
        };
        if !hash.eq_ignore_ascii_case("sha-256") {
            return Err(FingerprintError::Malformed);
        }
        let mut bytes = [0; 32];
        let mut pairs = digits.split(':');
        for byte in &mut bytes {
            let pair = pairs.next().ok_or(FingerprintError::Malformed)?.as_bytes();
            let &[high, low] = pair else { return Err(FingerprintError::Malformed) };
            *byte = hex_digit(high)? << 4 | hex_digit(low)?;
        }
        if pairs.next().is_some() { Err(FingerprintError::Malformed) } else { Ok(Self(bytes)) }
    }
}

/// What follows `a=fingerprint:`. Blanks and case that a lenient parser forgives are forgiven, so
/// that it doesn't find a fingerprint where this one finds none.
fn attribute(line: &str) -> Option<&str> {
    let (kind, rest) = line.trim_start().split_once('=')?;
    let (name, value) = rest.split_once(':')?;
    let named = name.trim().eq_ignore_ascii_case("fingerprint");
    (kind.trim().eq_ignore_ascii_case("a") && named).then_some(value)
}

fn hex_digit(digit: u8) -> Result<u8, FingerprintError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(FingerprintError::Malformed),
    }
}

impl fmt::Display for DtlsFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(at, byte)| {
            let colon = if at == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")
        })
    }
}

impl fmt::Debug for DtlsFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: DtlsFingerprint = DtlsFingerprint([0xa5; 32]);
    const OTHER: DtlsFingerprint = DtlsFingerprint([0x5a; 32]);

    fn sdp(lines: &[String]) -> String {
        format!("v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\n{}\r\n", lines.join("\r\n"))
    }

    fn line(fingerprint: DtlsFingerprint) -> String {
        format!("a=fingerprint:sha-256 {fingerprint}")
    }

    #[test]
    fn one_fingerprint_is_found_however_often_it_stands_there() {
        let lower = line(ONE).to_ascii_lowercase();
        for lines in [vec![line(ONE)], vec![line(ONE), "m=audio".into(), lower]] {
            assert_eq!(DtlsFingerprint::from_sdp(&sdp(&lines)), Ok(ONE));
        }
    }

    #[test]
    fn two_fingerprints_that_differ_are_refused() {
        let lines = [line(ONE), line(OTHER)];
        assert_eq!(DtlsFingerprint::from_sdp(&sdp(&lines)), Err(FingerprintError::Ambiguous));
        // Hidden from a strict reader, found by a lenient one.
        for hidden in
            ["A=Fingerprint:sha-256 ", " a = fingerprint : sha-256\t", "\ra=fingerprint:SHA-256 "]
        {
            let lines = [line(ONE), format!("{hidden}{OTHER}")];
            assert_eq!(DtlsFingerprint::from_sdp(&sdp(&lines)), Err(FingerprintError::Ambiguous));
        }
    }

    #[test]
    fn a_description_without_a_fingerprint_is_refused() {
        assert_eq!(DtlsFingerprint::from_sdp(&sdp(&[])), Err(FingerprintError::Missing));
        assert_eq!(DtlsFingerprint::from_sdp(""), Err(FingerprintError::Missing));
    }

    #[test]
    fn other_hashes_and_bad_digits_are_refused() {
        let good = line(ONE);
        let bad = [
            good.replace("sha-256", "sha-1"),
            good.replace("sha-256", "sha-512"),
            good.replacen("A5:", "A5", 1),
            good.replacen("A5:", "+5:", 1),
            good.replacen("A5:", "", 1),
            format!("{good}:A5"),
            format!("{good} more"),
            "a=fingerprint:".into(),
        ];
        for one in bad {
            let lines = [good.clone(), one];
            assert_eq!(DtlsFingerprint::from_sdp(&sdp(&lines)), Err(FingerprintError::Malformed));
        }
    }

    #[test]
    fn a_description_over_the_limit_is_refused_unread() {
        let long = line(ONE) + &" ".repeat(SDP_BYTES_MAX);
        assert!(matches!(DtlsFingerprint::from_sdp(&long), Err(FingerprintError::TooLong { .. })));
    }
}
