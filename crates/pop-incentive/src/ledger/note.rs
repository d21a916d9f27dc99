//! The note of a loan, signed by both sides.

use pop_wire::{Amount, Keypair, UnixTime, WalletAddress};

use crate::ids::LoanId;
use crate::ledger::arithmetic::share_up;
use crate::ledger::codec::{DecodeError, Field, Reader, word_of_bytes};
use crate::ledger::layout;
use crate::typed_data::{LedgerDomain, MoneySignature, SignatureError, StructHash};

/// "I was served so much on credit, and will pay it back with interest." No money moves when it
/// is registered: what was lent are bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoanNote {
    /// Who served, and is paid.
    pub lender: WalletAddress,
    /// Who owes.
    pub borrower: WalletAddress,
    /// What the bytes were worth.
    pub principal: Amount,
    /// Verified bytes that were served.
    pub bytes: u64,
    /// Parts in 10,000 of the principal owed on top, once. 1,000 is 1.1 per 1.
    pub interest_bps: u64,
    /// From when on it is overdue.
    pub due: UnixTime,
    /// Number of the note between these two.
    pub number: u64,
}

impl LoanNote {
    /// EIP-712's name for its fields.
    pub const TYPE: &[u8] = b"LoanNote(address lender,address borrower,uint128 principal,\
        uint64 bytes,uint64 interest_bps,uint64 due,uint64 number)";

    /// EIP-712's `hashStruct`, which names the loan.
    pub fn id(&self) -> LoanId {
        let hash = StructHash::new(Self::TYPE)
            .address(self.lender)
            .address(self.borrower)
            .amount(self.principal)
            .uint(self.bytes.into())
            .uint(self.interest_bps.into())
            .uint(self.due.0.into())
            .uint(self.number.into());
        LoanId(hash.finish())
    }

    /// Principal and interest, rounded up: a borrower must not gain by many small loans. `None`
    /// if that is more than an amount can be.
    pub fn owed(&self) -> Option<Amount> {
        self.principal.checked_add(share_up(self.principal, self.interest_bps)?)
    }

    /// One side's signature.
    pub fn sign(&self, domain: &LedgerDomain, keypair: &Keypair) -> MoneySignature {
        MoneySignature::sign(keypair, &domain.digest(&self.id().0))
    }
}

/// A note that its borrower signed, on its way to the lender: 154 bytes, the byte 01 and the fields
/// in the order of the note, then the signature (`spec/incentive.md` §12.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OfferedNote {
    /// The terms.
    pub note: LoanNote,
    /// The borrower's.
    pub borrower: MoneySignature,
}

impl OfferedNote {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![1];
        layout::Layout::put(&self.note, &mut out);
        self.borrower.put(&mut out);
        out
    }

    /// Read what [`encode`](Self::encode) wrote. Checks the form, not the signature.
    ///
    /// # Errors
    /// [`DecodeError`]: the fault of who sent the bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        match reader.array("offered note")? {
            [1] => {}
            [got] => return Err(DecodeError::Kind { field: "offered note", got }),
        }
        let note = layout::Layout::take(&mut reader)?;
        let offered = Self { note, borrower: Field::take(&mut reader)? };
        reader.finish()?;
        Ok(offered)
    }

    /// The lender's agreement. Not before [`verify`](Self::verify).
    pub fn countersign(&self, domain: &LedgerDomain, lender: &Keypair) -> SignedNote {
        let signature = self.note.sign(domain, lender);
        SignedNote { note: self.note, lender: signature, borrower: self.borrower }
    }

    /// Check that the borrower signed it for this ledger.
    ///
    /// # Errors
    /// [`SignatureError`]: the sender's fault.
    pub fn verify(&self, domain: &LedgerDomain) -> Result<(), SignatureError> {
        self.borrower.verify_address(&domain.digest(&self.note.id().0), self.note.borrower)
    }
}

/// A note with both signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedNote {
    /// The note.
    pub note: LoanNote,
    /// Of the lender, who states the terms.
    pub lender: MoneySignature,
    /// Of the borrower, who accepts them.
    pub borrower: MoneySignature,
}

impl SignedNote {
    /// Check that both signed it for this ledger.
    ///
    /// # Errors
    /// [`SignatureError`]: the sender's fault.
    pub fn verify(&self, domain: &LedgerDomain) -> Result<(), SignatureError> {
        let digest = domain.digest(&self.note.id().0);
        self.lender.verify_address(&digest, self.note.lender)?;
        self.borrower.verify_address(&digest, self.note.borrower)
    }
}

impl Field for SignedNote {
    const TYPE: &'static str = "bytes";
    fn word(&self) -> [u8; 32] {
        word_of_bytes(self)
    }
    fn put(&self, out: &mut Vec<u8>) {
        self.note.lender.put(out);
        self.note.borrower.put(out);
        self.note.principal.put(out);
        self.note.bytes.put(out);
        self.note.interest_bps.put(out);
        self.note.due.0.put(out);
        self.note.number.put(out);
        self.lender.put(out);
        self.borrower.put(out);
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let note = LoanNote {
            lender: Field::take(reader)?,
            borrower: Field::take(reader)?,
            principal: Field::take(reader)?,
            bytes: Field::take(reader)?,
            interest_bps: Field::take(reader)?,
            due: UnixTime(Field::take(reader)?),
            number: Field::take(reader)?,
        };
        Ok(Self { note, lender: Field::take(reader)?, borrower: Field::take(reader)? })
    }
}
