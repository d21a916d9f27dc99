//! How a refusal survives the wire: a code, numbers, and names as short texts.

use crate::ledger::codec::{DecodeError, Reader};
use crate::ledger::layout::{Layout, choice};
use crate::ledger::refusal::Refusal;
use crate::limits::LEDGER_WORD_BYTES_MAX;
use crate::typed_data::SignatureError;

/// What a ledger of this version may name in a refusal. A text that is not here comes from another
/// version and is read as [`UNKNOWN`]: the code and the numbers still say what is wrong.
const WORDS: &[&str] = &[
    "BountyId",
    "ContentId",
    "Digest",
    "LoanId",
    "LockId",
    "OperationId",
    "PoolId",
    "VaultId",
    "account",
    "address",
    "address[]",
    "amounts",
    "answer",
    "approval",
    "approved",
    "approved for the first time",
    "balance",
    "between two",
    "bounty",
    "bounty's judge",
    "bounty's opener",
    "bytes",
    "bytes32[]",
    "bytes[]",
    "claim",
    "claim to this content",
    "closed epoch",
    "collateral",
    "content path",
    "default",
    "deposit",
    "deposits",
    "dispute",
    "earlier claim to this content",
    "emission",
    "end of the epoch",
    "entries",
    "epoch",
    "evidence",
    "flag",
    "hash",
    "interest",
    "judges",
    "key",
    "leaving",
    "length",
    "loan",
    "loans",
    "lock",
    "locks",
    "manifest",
    "members",
    "nonce",
    "not leaving",
    "not taken",
    "not unlocking",
    "note",
    "number",
    "offence",
    "offered note",
    "open",
    "open and not in default",
    "open loans",
    "operation",
    "operations",
    "operator of the ledger",
    "parameters",
    "payees",
    "payment",
    "penalty deposit",
    "pool",
    "pool's deadline",
    "pool's member",
    "principal",
    "public key",
    "quorum",
    "quote",
    "record",
    "refund",
    "refusal",
    "registration",
    "reply",
    "request",
    "results",
    "reveal",
    "revealed claim",
    "segment path",
    "sequence",
    "shard",
    "share",
    "signature",
    "sum",
    "uint128",
    "uint128[]",
    "uint64",
    "unlocking",
    "vault",
    "vault's owner",
    "voucher",
    "vouchers",
    "with sound shares",
    "withdrawal",
    "word",
];

/// Stands for a word of another version.
const UNKNOWN: &str = "something that this version has no word for";

/// A byte for the length, and the text.
impl Layout for &'static str {
    fn put(&self, out: &mut Vec<u8>) {
        let length = self.len().min(LEDGER_WORD_BYTES_MAX);
        out.push(u8::try_from(length).unwrap_or(0));
        out.extend_from_slice(&self.as_bytes()[..length]);
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let [length] = reader.array("word")?;
        let (got, expected) = (usize::from(length), LEDGER_WORD_BYTES_MAX);
        if got > expected {
            return Err(DecodeError::TooLong { field: "word", expected, got });
        }
        let text = reader.slice("word", got)?;
        let known = WORDS.iter().find(|word| word.as_bytes() == text);
        Ok(known.copied().unwrap_or(UNKNOWN))
    }
}

choice!(Refusal, "refusal", {
    0 => Nonce { expected, got },
    1 => Signature(error),
    2 => Form(error),
    3 => Insufficient { account, available, needed },
    4 => Overflow { what },
    5 => Actor { expected },
    6 => Unknown { what },
    7 => Exists { what },
    8 => State { what, expected },
    9 => TooEarly { what, from, now },
    10 => TooLate { what, until, now },
    11 => Amount { what, least, most, got },
    12 => Count { what, least, most, got },
    13 => Order { what },
    14 => Unproven,
    15 => Hash { what },
});
choice!(SignatureError, "signature", {
    0 => HighS,
    1 => RecoveryByte { got },
    2 => NoSigner,
    3 => OtherSigner { expected, got },
});
choice!(DecodeError, "refusal", {
    0 => Truncated { field, expected, got },
    1 => TooLong { field, expected, got },
    2 => Kind { field, got },
    3 => Invalid { field },
    4 => Trailing { got },
});

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::ledger::layout::{bytes_of, take_all};

    fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else {
                found.push(path);
            }
        }
    }

    /// Whoever adds a refusal with a new word adds the word above, or it is lost on the wire.
    #[test]
    fn every_word_of_a_refusal_is_known() {
        let mut files = Vec::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ledger"), &mut files);
        let before = ["what: \"", "expected: \"", "field: \"", "Hash { what: \""];
        let called = ["before(\"", "check_panel(\"", "overflow(\"", "array(\"", "length(\""];
        let mut words = 0;
        for path in files {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            for start in before.iter().chain(&called) {
                for rest in code.split(start).skip(1) {
                    let word = rest.split('"').next().unwrap();
                    assert!(WORDS.contains(&word), "{}: {word:?}", path.display());
                    words += 1;
                }
            }
        }
        assert!(words > 100, "{words}");
    }

    #[test]
    fn words_are_ascending_and_short() {
        assert!(WORDS.is_sorted_by(|one, next| one < next));
        assert!(WORDS.iter().all(|word| word.len() <= LEDGER_WORD_BYTES_MAX));
    }

    #[test]
    fn a_word_of_another_version_is_read_and_not_believed() {
        let unheard: &'static str = "unheard of";
        assert_eq!(take_all::<&'static str>(&bytes_of(&unheard)), Ok(UNKNOWN));
        let long = [&[65_u8][..], &[b'a'; 65]].concat();
        assert!(matches!(take_all::<&'static str>(&long), Err(DecodeError::TooLong { .. })));
    }
}
