use pop_wire::{Bound, WireError};

use crate::layout::Reader;
use crate::limits::{
    CANDIDATE_BYTES_MAX, CANDIDATES_PER_LETTER_MAX, LETTER_BODY_BYTES_MAX, SDP_BYTES_MAX,
    SDP_MID_BYTES_MAX,
};

const OFFER: u8 = 1;
const ANSWER: u8 = 2;
const CANDIDATES: u8 = 3;
const BYE: u8 = 4;

const NO_MID: u8 = u8::MAX;
const NO_LINE: u16 = u16::MAX;

const _: () = assert!(SDP_BYTES_MAX < LETTER_BODY_BYTES_MAX);
const _: () = assert!(SDP_MID_BYTES_MAX < 255);
const _: () = assert!(
    2 + CANDIDATES_PER_LETTER_MAX * (2 + CANDIDATE_BYTES_MAX + 1 + SDP_MID_BYTES_MAX + 2)
        <= LETTER_BODY_BYTES_MAX
);

/// One way to reach a peer, as WebRTC describes it. An empty `candidate` says that there are no
/// more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// `candidate:…`, at most [`CANDIDATE_BYTES_MAX`] bytes, never changed on the way.
    pub candidate: String,
    /// To which medium it belongs, by name, at most [`SDP_MID_BYTES_MAX`] bytes.
    pub sdp_mid: Option<String>,
    /// To which medium it belongs, by place.
    pub sdp_m_line_index: Option<u16>,
}

/// What a letter of a session says (`spec/signal.md` §5.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Signal {
    Offer(String),
    Answer(String),
    Candidates(Vec<Candidate>),
    Bye,
}

impl Candidate {
    /// Whether its texts can be in a session description: a line break would begin another line
    /// of it.
    pub(super) fn check(&self) -> Result<(), WireError> {
        check_text("candidate", &self.candidate, CANDIDATE_BYTES_MAX)?;
        check_text("sdp mid", self.sdp_mid.as_deref().unwrap_or_default(), SDP_MID_BYTES_MAX)
    }

    fn put(&self, out: &mut Vec<u8>) {
        let length = u16::try_from(self.candidate.len()).expect("checked before");
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(self.candidate.as_bytes());
        match &self.sdp_mid {
            None => out.push(NO_MID),
            Some(mid) => {
                out.push(u8::try_from(mid.len()).expect("checked before"));
                out.extend_from_slice(mid.as_bytes());
            }
        }
        out.extend_from_slice(&self.sdp_m_line_index.unwrap_or(NO_LINE).to_be_bytes());
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let length = usize::from(reader.u16()?);
        check_length("candidate", length, CANDIDATE_BYTES_MAX)?;
        let candidate = text("candidate", reader.bytes(length)?)?;
        let sdp_mid = match reader.u8()? {
            NO_MID => None,
            length => Some(text("sdp mid", reader.bytes(usize::from(length))?)?),
        };
        let line = reader.u16()?;
        let sdp_m_line_index = (line != NO_LINE).then_some(line);
        let candidate = Self { candidate, sdp_mid, sdp_m_line_index };
        candidate.check()?;
        Ok(candidate)
    }
}

impl Signal {
    /// The body of a letter. Texts and counts were checked before.
    pub(super) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Offer(sdp) => [&[OFFER], sdp.as_bytes()].concat(),
            Self::Answer(sdp) => [&[ANSWER], sdp.as_bytes()].concat(),
            Self::Bye => vec![BYE],
            Self::Candidates(candidates) => {
                let count = u8::try_from(candidates.len()).expect("cut into letters before");
                let mut out = vec![CANDIDATES, count];
                candidates.iter().for_each(|candidate| candidate.put(&mut out));
                out
            }
        }
    }

    pub(super) fn decode(body: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::at_least("signal", body, 1)?;
        let signal = match reader.u8()? {
            OFFER => return description(reader.rest()).map(Self::Offer),
            ANSWER => return description(reader.rest()).map(Self::Answer),
            BYE => Self::Bye,
            CANDIDATES => {
                let count = usize::from(reader.u8()?);
                if !(1..=CANDIDATES_PER_LETTER_MAX).contains(&count) {
                    return Err(WireError::TooMany {
                        field: "candidates",
                        max: CANDIDATES_PER_LETTER_MAX,
                        got: count,
                    });
                }
                let candidates = (0..count).map(|_| Candidate::take(&mut reader));
                Self::Candidates(candidates.collect::<Result<_, _>>()?)
            }
            _ => return Err(WireError::UnknownKind { message: "signal" }),
        };
        match reader.left() {
            0 => Ok(signal),
            _ => Err(WireError::Invalid { field: "signal", problem: "bytes after its end" }),
        }
    }
}

fn description(bytes: &[u8]) -> Result<String, WireError> {
    check_length("session description", bytes.len(), SDP_BYTES_MAX)?;
    text("session description", bytes)
}

fn text(field: &'static str, bytes: &[u8]) -> Result<String, WireError> {
    let text = core::str::from_utf8(bytes);
    text.map(Into::into).map_err(|_| WireError::Invalid { field, problem: "not UTF-8" })
}

fn check_text(field: &'static str, text: &str, max: usize) -> Result<(), WireError> {
    check_length(field, text.len(), max)?;
    if text.chars().any(char::is_control) {
        return Err(WireError::Invalid { field, problem: "expected one line" });
    }
    Ok(())
}

fn check_length(field: &'static str, got: usize, max: usize) -> Result<(), WireError> {
    if got <= max {
        return Ok(());
    }
    let expected = Bound::at_most(u64::try_from(max).unwrap_or(u64::MAX));
    Err(WireError::Length { field, expected, got })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(text: &str) -> Candidate {
        Candidate { candidate: text.into(), sdp_mid: Some("0".into()), sdp_m_line_index: Some(0) }
    }

    #[test]
    fn the_largest_of_everything_fits_into_a_letter() {
        let mut largest = candidate(&"c".repeat(CANDIDATE_BYTES_MAX));
        largest.sdp_mid = Some("m".repeat(SDP_MID_BYTES_MAX));
        let all = Signal::Candidates(vec![largest; CANDIDATES_PER_LETTER_MAX]);
        let description = Signal::Offer("s".repeat(SDP_BYTES_MAX));
        for signal in [all, description] {
            let body = signal.encode();
            assert!(body.len() <= LETTER_BODY_BYTES_MAX);
            assert_eq!(Signal::decode(&body), Ok(signal));
        }
        assert!(Signal::decode(&Signal::Answer("s".repeat(SDP_BYTES_MAX + 1)).encode()).is_err());
    }

    #[test]
    fn a_candidate_is_one_line() {
        for bad in ["candidate:1\r\na=x", "a\nb", "\0", &"c".repeat(CANDIDATE_BYTES_MAX + 1)] {
            assert!(candidate(bad).check().is_err());
        }
        let mut long_mid = candidate("candidate:1");
        long_mid.sdp_mid = Some("m".repeat(SDP_MID_BYTES_MAX + 1));
        assert!(long_mid.check().is_err());
        assert!(candidate("").check().is_ok(), "the end of candidates");
    }

    #[test]
    fn too_many_and_no_candidates_are_refused() {
        let many = Signal::Candidates(vec![candidate(""); CANDIDATES_PER_LETTER_MAX + 1]);
        assert!(matches!(Signal::decode(&many.encode()), Err(WireError::TooMany { .. })));
        assert!(Signal::decode(&Signal::Candidates(vec![]).encode()).is_err());
    }
}

#[cfg(all(test, not(target_family = "wasm")))]
mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic_and_have_one_form(
            kind in 0_u8..6, count in 0_u8..4, bytes in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            let body = [&[kind, count][..], &bytes].concat();
            if let Ok(signal) = Signal::decode(&body) {
                prop_assert_eq!(signal.encode(), body);
            }
        }

        #[test]
        fn candidates_survive(
            texts in prop::collection::vec("[ -~]{0,40}", 1..CANDIDATES_PER_LETTER_MAX),
            mid in prop::option::of("[a-z]{0,8}"), line in prop::option::of(0_u16..u16::MAX),
        ) {
            let all = texts.into_iter().map(|candidate| Candidate {
                candidate, sdp_mid: mid.clone(), sdp_m_line_index: line,
            });
            let signal = Signal::Candidates(all.collect());
            prop_assert_eq!(Signal::decode(&signal.encode()), Ok(signal));
        }
    }
}
