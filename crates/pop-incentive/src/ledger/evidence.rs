//! Proofs of a wrong by a masternode that anybody can check with nothing else at hand.

use bytes::Bytes;
use pop_wire::limits::{
    CONTENT_PATH_LEN_MAX, ENVELOPE_BYTES_MAX, SEGMENT_PATH_LEN_MAX, SHARD_BYTES_MAX,
};
use pop_wire::{Digest, PeerId, Signed, SignedBody, WalletAddress};

use crate::audit::{FailedAuditEvidence, SignedAnswer};
use crate::evidence::{DoubleQuoteEvidence, DoubleVoucherEvidence};
use crate::ledger::codec::{DecodeError, Field, Reader, put_length, word_of_bytes};
use crate::ledger::state::LedgerState;
use crate::limits::{AUDIT_ANSWER_BYTES, QUOTE_BYTES};
use crate::quote::SignedQuote;
use crate::typed_data::keccak;

/// What a masternode did. Only what a third party can verify from bytes that the wrongdoer signed
/// is here: an audit that was answered wrongly is, one that was not answered isn't.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Evidence {
    /// It published shards that are no codeword: bytes of `pop_wire::EquivocationEvidence`.
    Equivocation(Vec<u8>),
    /// As the owner of a vault, it signed two vouchers that contradict each other.
    DoubleVoucher(Box<DoubleVoucherEvidence>),
    /// It signed two quotes under one serial number.
    DoubleQuote(Box<DoubleQuoteEvidence>),
    /// It signed that it holds a column, and a wrong answer when it was asked for a shard of it.
    FailedAudit(Box<FailedAuditEvidence>),
}

impl Evidence {
    /// Its one form in bytes: a part of a `Slash`, and a file that anybody can check.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.put(&mut out);
        out
    }

    /// Read what [`encode`](Self::encode) wrote, to its last byte. Checks the form and nothing else.
    ///
    /// # Errors
    /// [`DecodeError`]: the fault of whoever made the bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let evidence = Self::take(&mut reader)?;
        reader.finish()?;
        Ok(evidence)
    }
}

/// Checks an equivocation proof; the publisher and the content if it holds.
///
/// The erasure code is pop-erasure's business, on which the ledger doesn't depend: pass
/// `EquivocationProof::verify`, wrapped. A ledger without it refuses such evidence.
pub type EquivocationCheck = fn(&[u8]) -> Option<(PeerId, [u8; 32])>;

/// No equivocation can be checked here.
pub fn no_equivocation_check(_: &[u8]) -> Option<(PeerId, [u8; 32])> {
    None
}

/// Who did a wrong, and which: the same wrong is punished once.
pub(crate) struct Offence {
    pub(crate) offender: WalletAddress,
    pub(crate) wrong: [u8; 32],
}

impl LedgerState {
    /// What evidence proves, if anything.
    pub(crate) fn offence(&self, evidence: &Evidence) -> Option<Offence> {
        match evidence {
            Evidence::Equivocation(bytes) => {
                let (publisher, content) = (self.equivocation_check)(bytes)?;
                let wrong = keccak(&[&b"POP equivocation"[..], &content].concat());
                Some(Offence { offender: publisher.wallet_address(), wrong })
            }
            Evidence::DoubleVoucher(pair) => {
                let voucher = pair.dearer.voucher;
                let vault = self.vault(voucher.vault)?;
                pair.verify(&self.domain, &vault).ok()?;
                let epoch = voucher.epoch.to_be_bytes();
                let slot = [&b"POP voucher"[..], &voucher.vault.0, &voucher.payee.0, &epoch];
                Some(Offence { offender: vault.owner, wrong: keccak(&slot.concat()) })
            }
            Evidence::DoubleQuote(pair) => {
                pair.verify(&self.domain).ok()?;
                let quote = &pair.first.quote;
                let slot = [&b"POP quote"[..], &quote.payee.0, &quote.serial.to_be_bytes()];
                Some(Offence { offender: quote.payee, wrong: keccak(&slot.concat()) })
            }
            Evidence::FailedAudit(failed) => {
                let holder = failed.verify(&self.domain).ok()?.wallet_address();
                // spec/incentive.md §16.3: all wrong answers of one epoch are one wrong.
                let since = failed.answer.answer.challenge.asked_at.0;
                let since = since.saturating_sub(self.parameters.genesis.0);
                let epoch = since.checked_div(self.parameters.epoch_s)?.to_be_bytes();
                let slot = [&b"POP audit"[..], &holder.0, &epoch];
                Some(Offence { offender: holder, wrong: keccak(&slot.concat()) })
            }
        }
    }
}

impl Field for Evidence {
    const TYPE: &'static str = "bytes";
    fn word(&self) -> [u8; 32] {
        word_of_bytes(self)
    }
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Equivocation(bytes) => {
                out.push(1);
                bytes.put(out);
            }
            Self::DoubleVoucher(pair) => {
                out.push(2);
                pair.dearer.put(out);
                pair.larger.put(out);
            }
            Self::DoubleQuote(pair) => {
                out.push(3);
                out.extend_from_slice(&pair.first.encode());
                out.extend_from_slice(&pair.second.encode());
            }
            Self::FailedAudit(failed) => {
                out.push(4);
                put_failed_audit(failed, out);
            }
        }
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.array("evidence")? {
            [1] => Ok(Self::Equivocation(Field::take(reader)?)),
            [2] => {
                let (dearer, larger) = (Field::take(reader)?, Field::take(reader)?);
                Ok(Self::DoubleVoucher(Box::new(DoubleVoucherEvidence { dearer, larger })))
            }
            [3] => {
                let (first, second) = (take_quote(reader)?, take_quote(reader)?);
                Ok(Self::DoubleQuote(Box::new(DoubleQuoteEvidence { first, second })))
            }
            [4] => Ok(Self::FailedAudit(Box::new(take_failed_audit(reader)?))),
            [got] => Err(DecodeError::Kind { field: "evidence", got }),
        }
    }
}

fn take_quote(reader: &mut Reader<'_>) -> Result<SignedQuote, DecodeError> {
    SignedQuote::decode(reader.slice("quote", QUOTE_BYTES)?)
        .map_err(|_| DecodeError::Invalid { field: "quote" })
}

fn put_failed_audit(failed: &FailedAuditEvidence, out: &mut Vec<u8>) {
    for part in [&failed.manifest.encode(), &failed.record.encode(), &failed.shard] {
        put_length(part.len(), out);
        out.extend_from_slice(part);
    }
    out.extend_from_slice(&failed.answer.encode());
    for path in [&failed.segment_path, &failed.content_path] {
        put_length(path.len(), out);
        path.iter().for_each(|digest| digest.put(out));
    }
}

fn take_failed_audit(reader: &mut Reader<'_>) -> Result<FailedAuditEvidence, DecodeError> {
    let manifest = take_signed(reader, "manifest")?;
    let record = take_signed(reader, "record")?;
    let length = reader.length("shard", SHARD_BYTES_MAX)?;
    let shard = Bytes::copy_from_slice(reader.slice("shard", length)?);
    let answer = SignedAnswer::decode(reader.slice("answer", AUDIT_ANSWER_BYTES)?)
        .map_err(|_| DecodeError::Invalid { field: "answer" })?;
    let mut path = |field, length_max| {
        let length = reader.length(field, length_max)?;
        (0..length).map(|_| Field::take(reader)).collect::<Result<Vec<Digest>, _>>()
    };
    let segment_path = path("segment path", SEGMENT_PATH_LEN_MAX)?;
    let content_path = path("content path", CONTENT_PATH_LEN_MAX)?;
    Ok(FailedAuditEvidence { manifest, record, answer, shard, segment_path, content_path })
}

fn take_signed<T: SignedBody>(
    reader: &mut Reader<'_>,
    field: &'static str,
) -> Result<Signed<T>, DecodeError> {
    let length = reader.length(field, ENVELOPE_BYTES_MAX)?;
    let bytes = Bytes::copy_from_slice(reader.slice(field, length)?);
    Signed::decode(bytes).map_err(|_| DecodeError::Invalid { field })
}
