//! Any bytes as a request to a served ledger and as its reply: no panic, memory bounded by the
//! input, and one form in bytes.

#![no_main]

use std::fmt::Debug;

use libfuzzer_sys::fuzz_target;
use pop_fuzz::memory::peak_bytes;
use pop_incentive::ledger::no_equivocation_check;
use pop_incentive::ledger::protocol::{LedgerReply, LedgerRequest};
use pop_incentive::ledger::{DecodeError, Head, LedgerParameters, LedgerState};
use pop_incentive::typed_data::LedgerDomain;
use pop_wire::WalletAddress;

/// Bytes that a decoder may hold for each byte of its input: an entry of 18 bytes is 128 in memory, and
/// a list that grows holds up to three times as many.
const BYTES_PER_INPUT_BYTE_MAX: usize = 32;
/// The same whatever the input.
const BYTES_MAX: usize = 64 * 1024;

/// What a word of another version is read as: it can't have the same bytes again.
const UNKNOWN: &str = "something that this version has no word for";

fn check<T: PartialEq + Debug>(
    bytes: &[u8],
    decode: impl Fn(&[u8]) -> Result<T, DecodeError>,
    encode: impl Fn(&T) -> Vec<u8>,
) -> Option<T> {
    let (decoded, peak) = peak_bytes(|| decode(bytes));
    let most = BYTES_MAX + BYTES_PER_INPUT_BYTE_MAX * bytes.len();
    assert!(peak <= most, "{} bytes of input made the decoder hold {peak}", bytes.len());
    let value = match decoded {
        Ok(value) => value,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return None;
        }
    };
    let encoded = encode(&value);
    assert!(encoded == bytes || format!("{value:?}").contains(UNKNOWN), "two forms");
    assert_eq!(decode(&encoded).as_ref(), Ok(&value), "what we encode we read");
    Some(value)
}

/// A ledger on which nothing happened yet.
fn empty() -> LedgerState {
    let domain = LedgerDomain::new(1, WalletAddress([0xaa; 20]));
    let parameters = LedgerParameters::new(WalletAddress([1; 20]));
    LedgerState::new(domain, parameters, no_equivocation_check).expect("the defaults are sound")
}

fuzz_target!(|data: &[u8]| {
    let Some((kind, bytes)) = data.split_first() else { return };
    if kind % 2 == 1 {
        check(bytes, LedgerReply::decode, LedgerReply::encode);
        return;
    }
    let Some(request) = check(bytes, LedgerRequest::decode, LedgerRequest::encode) else { return };
    let answer = empty().answer(&request, Head { count: 0, hash: [0; 32] });
    assert_eq!(answer.is_none(), matches!(request, LedgerRequest::Submit { .. }));
    if let Some(answer) = answer {
        assert_eq!(LedgerReply::decode(&answer.encode()), Ok(answer));
    }
});
