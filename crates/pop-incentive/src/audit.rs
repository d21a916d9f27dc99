//! Asking a holder for what it says it holds, so that a wrong answer can be proven
//! (`spec/incentive.md` §16).
//!
//! An auditor names one shard and a nonce. The holder answers with a hash of both, under its
//! signature; it can't have it without the shard, and nobody else's answer has the same hash. The
//! auditor needn't have the shard: the answer can be checked later, by whoever has, and is
//! evidence for the ledger if it is wrong. Silence has no signature and is no evidence: it costs
//! the pay of an epoch (`rewards`), and nothing else.
//!
//! ```
//! use pop_incentive::audit::{AuditChallenge, SignedAnswer};
//! use pop_incentive::typed_data::LedgerDomain;
//! use pop_wire::{ColumnIndex, ContentId, Keypair, SegmentIndex, UnixTime, WalletAddress};
//!
//! let ledger = LedgerDomain::new(5_000_000_001, WalletAddress([9; 20]));
//! let holder = Keypair::from_secret_bytes(&[7; 32]).unwrap();
//! let challenge = AuditChallenge {
//!     content: ContentId([1; 32]),
//!     segment: SegmentIndex(4),
//!     column: ColumnIndex::new(2).unwrap(),
//!     nonce: [5; 32],
//!     asked_at: UnixTime(1_800_000_000),
//! };
//! assert!(challenge.is_due(UnixTime(1_800_000_020)));
//! // The holder has checked the shard against the manifest's root before.
//! let shard = [3; 64];
//! let answer = challenge.answer(&ledger, &holder, &shard);
//!
//! let answer = SignedAnswer::decode(&answer.encode()).unwrap();
//! answer.verify(&ledger, holder.peer_id(), &challenge).unwrap();
//! assert!(answer.fits(&shard));
//! assert!(!answer.fits(&[4; 64]));
//! ```

mod evidence;

use pop_wire::{
    ColumnIndex, ContentId, Digest, Keypair, PeerId, SegmentIndex, UnixTime, WalletAddress,
};
use sha3::{Digest as _, Keccak256};

use crate::fixed_layout::{Reader, Writer};
use crate::limits::{AUDIT_ANSWER_BYTES, AUDIT_CHALLENGE_BYTES, AUDIT_WINDOW_S};
use crate::typed_data::{LedgerDomain, MoneySignature, SignatureError, StructHash};
use crate::voucher::FormatError;

pub use evidence::FailedAuditEvidence;

/// What an auditor asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditChallenge {
    /// Which content.
    pub content: ContentId,
    /// Which segment of it.
    pub segment: SegmentIndex,
    /// Which column, of which the holder published a record.
    pub column: ColumnIndex,
    /// 32 random bytes of the auditor's: nothing can be computed before they are known.
    pub nonce: [u8; 32],
    /// When it was asked, by the auditor's clock.
    pub asked_at: UnixTime,
}

impl AuditChallenge {
    /// Whether a holder answers it now: not if its time is more than [`AUDIT_WINDOW_S`] off. Else
    /// one could be asked today for what one will hold, or held.
    pub fn is_due(&self, now: UnixTime) -> bool {
        now.0.abs_diff(self.asked_at.0) <= AUDIT_WINDOW_S
    }

    /// The answer of a holder.
    ///
    /// spec/incentive.md §16.1: a holder MUST have checked the shard against the manifest's root,
    /// and MUST say nothing if it doesn't fit, or if the challenge isn't
    /// [due](Self::is_due). An answer to a damaged shard is one that costs collateral.
    pub fn answer(&self, domain: &LedgerDomain, holder: &Keypair, shard: &[u8]) -> SignedAnswer {
        let address = holder.peer_id().wallet_address();
        let (challenge, digest) = (*self, self.digest(address, shard));
        let answer = AuditAnswer { challenge, holder: address, digest };
        let signature = MoneySignature::sign(holder, &domain.digest(&answer.struct_hash()));
        SignedAnswer { answer, signature }
    }

    /// What the right answer of this holder has. The nonce and the holder come first, so that
    /// neither a state computed before nor another holder's answer helps.
    pub fn digest(&self, holder: WalletAddress, shard: &[u8]) -> Digest {
        let hash = Keccak256::new()
            .chain_update(b"POP audit v1")
            .chain_update(self.nonce)
            .chain_update(holder.0)
            .chain_update(shard);
        Digest(hash.finalize().into())
    }

    /// Its one form in bytes, of [`AUDIT_CHALLENGE_BYTES`].
    pub fn encode(&self) -> [u8; AUDIT_CHALLENGE_BYTES] {
        self.put(Writer::new()).finish()
    }

    /// Read what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// [`FormatError`]: the sender's fault.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        Self::take(&mut Reader::<AUDIT_CHALLENGE_BYTES>::new("audit challenge", bytes)?)
    }

    fn put<const N: usize>(&self, writer: Writer<N>) -> Writer<N> {
        writer
            .bytes(&self.content.0)
            .u64(self.segment.0)
            .bytes(&self.column.get().to_be_bytes())
            .bytes(&self.nonce)
            .u64(self.asked_at.0)
    }

    fn take<const N: usize>(reader: &mut Reader<'_, N>) -> Result<Self, FormatError> {
        let content = ContentId(reader.array());
        let segment = SegmentIndex(reader.u64());
        let column = u16::from_be_bytes(reader.array());
        let column =
            ColumnIndex::new(column).map_err(|_| FormatError::Range { field: "column" })?;
        let (nonce, asked_at) = (reader.array(), UnixTime(reader.u64()));
        Ok(Self { content, segment, column, nonce, asked_at })
    }
}

/// What a holder says it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditAnswer {
    /// To what.
    pub challenge: AuditChallenge,
    /// Who says it.
    pub holder: WalletAddress,
    /// [`AuditChallenge::digest`] of the shard.
    pub digest: Digest,
}

impl AuditAnswer {
    /// EIP-712's `encodeType`.
    pub const TYPE: &[u8] = b"AuditAnswer(address holder,bytes32 content,uint64 segment,\
        uint16 column,bytes32 nonce,uint64 asked_at,bytes32 digest)";

    /// EIP-712's `hashStruct`.
    pub fn struct_hash(&self) -> [u8; 32] {
        let challenge = &self.challenge;
        StructHash::new(Self::TYPE)
            .address(self.holder)
            .word(challenge.content.0)
            .uint(challenge.segment.0.into())
            .uint(challenge.column.get().into())
            .word(challenge.nonce)
            .uint(challenge.asked_at.0.into())
            .word(self.digest.0)
            .finish()
    }
}

/// An answer with its holder's signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedAnswer {
    /// The answer.
    pub answer: AuditAnswer,
    /// The holder's.
    pub signature: MoneySignature,
}

impl SignedAnswer {
    /// Check that a holder answered this challenge, for this ledger. Whether rightly, only the
    /// shard shows: [`fits`](Self::fits).
    ///
    /// # Errors
    /// [`AnswerError`]: it counts as no answer.
    pub fn verify(
        &self,
        domain: &LedgerDomain,
        holder: PeerId,
        challenge: &AuditChallenge,
    ) -> Result<(), AnswerError> {
        if self.answer.challenge != *challenge {
            return Err(AnswerError::OtherChallenge);
        }
        if self.answer.holder != holder.wallet_address() {
            return Err(AnswerError::OtherHolder);
        }
        self.signature.verify_peer(&domain.digest(&self.answer.struct_hash()), holder)?;
        Ok(())
    }

    /// Whether it is right, given the shard that the manifest's root binds.
    pub fn fits(&self, shard: &[u8]) -> bool {
        self.answer.digest == self.answer.challenge.digest(self.answer.holder, shard)
    }

    /// Its one form in bytes, of [`AUDIT_ANSWER_BYTES`].
    pub fn encode(&self) -> [u8; AUDIT_ANSWER_BYTES] {
        let answer = &self.answer;
        answer
            .challenge
            .put(Writer::new())
            .bytes(&answer.holder.0)
            .bytes(&answer.digest.0)
            .bytes(&self.signature.to_bytes())
            .finish()
    }

    /// Read what [`encode`](Self::encode) wrote. Checks the form, not the signature.
    ///
    /// # Errors
    /// [`FormatError`]: the sender's fault.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::<AUDIT_ANSWER_BYTES>::new("audit answer", bytes)?;
        let challenge = AuditChallenge::take(&mut reader)?;
        let (holder, digest) = (reader.address(), Digest(reader.array()));
        let signature = MoneySignature::from_bytes(reader.array())?;
        Ok(Self { answer: AuditAnswer { challenge, holder, digest }, signature })
    }
}

/// Why an answer is none. Always the fault of who sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// It answers something else.
    #[error("audit answer: of another challenge")]
    OtherChallenge,
    /// It names another holder.
    #[error("audit answer: of another holder")]
    OtherHolder,
    /// The holder didn't sign it for this ledger.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}
