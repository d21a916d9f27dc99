//! What payer and payee say to each other (`spec/incentive.md` §5.6): the body of a payment
//! message, whatever carries it.

use pop_wire::{ContentId, UnixTime};

use crate::fixed_layout::{Reader, Writer};
use crate::ids::{LoanId, VaultId};
use crate::ledger::{LoanNote, OfferedNote};
use crate::limits::{CREDIT_REQUEST_BYTES, QUOTE_BYTES, VOUCHER_BYTES};
use crate::quote::{Demand, SignedQuote};
use crate::rate::Meter;
use crate::typed_data::MoneySignature;
use crate::voucher::{FormatError, SignedVoucher};

const ASK_BYTES: usize = 53;
const TERMS_BYTES: usize = 93;
const SERVED_BYTES: usize = 41;
const OBJECTION_BYTES: usize = 2;
const CREDIT_BYTES: usize = 41;
const NETTING_BYTES: usize = 41;

/// One message between a payer and a payee.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PaymentMessage {
    /// Payer: what do you ask for this content?
    Ask(Demand),
    /// Payee: this, for a while.
    Quote(SignedQuote),
    /// Payer: I take your offer, and pay like this.
    Terms(Terms),
    /// Payee: so many bytes went to you, in all since the vault's epoch began.
    Served {
        /// Who pays for them.
        vault: VaultId,
        /// How many.
        bytes: u64,
    },
    /// Payer: a promise and receipt.
    Voucher(SignedVoucher),
    /// Payee: no. What was said before has changed nothing.
    Objection(Objection),
    /// Payer: serve me on credit; I signed what I shall owe.
    CreditRequest(CreditRequest),
    /// Payee: the loan is on the ledger; so many bytes may be taken on credit from now on.
    Credit {
        /// The newest loan of this payer.
        loan: LoanId,
        /// Bytes that are left of all of them.
        bytes: u64,
    },
    /// Payee: I buy from you too. What I owe you counts as your payment (§7).
    Netting {
        /// Who pays for what it is served.
        vault: VaultId,
        /// Bytes that it may leave unpaid.
        bytes: u64,
    },
}

/// What a payer without money asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreditRequest {
    /// By the quote of this number.
    pub serial: u64,
    /// What it shall owe, for how many bytes, with its signature.
    pub note: OfferedNote,
}

/// How a payer pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// From this vault, whose owner it is.
    pub vault: VaultId,
    /// By the quote of this number.
    pub serial: u64,
    /// Where the quote's tariff begins.
    pub meter: Meter,
    /// Bytes that came, in all.
    pub position: u64,
}

/// Why a payee doesn't go along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Objection {
    /// It doesn't have the content, or doesn't sell it.
    NotForSale,
    /// It asks more than the payer's maximum.
    OverMaximum,
    /// It doesn't deliver so fast.
    TooSlow,
    /// The terms name no quote of its own that is still valid, or don't follow from the last ones.
    Terms,
    /// The ledger doesn't know the vault, or it is not the payer's, or it is another than before.
    Vault,
    /// The vault is being closed.
    Closing,
    /// The voucher is refused.
    Voucher,
    /// The payee can't ask the ledger now. Worth trying again.
    Ledger,
    /// It doesn't lend these bytes on these terms.
    NoCredit,
}

impl Objection {
    const ALL: [Self; 9] = [
        Self::NotForSale,
        Self::OverMaximum,
        Self::TooSlow,
        Self::Terms,
        Self::Vault,
        Self::Closing,
        Self::Voucher,
        Self::Ledger,
        Self::NoCredit,
    ];

    /// Its number on the wire, from 1.
    fn code(self) -> u8 {
        let at = Self::ALL.iter().position(|one| *one == self);
        u8::try_from(at.unwrap_or(0) + 1).unwrap_or(u8::MAX)
    }

    fn of_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code).checked_sub(1)?).copied()
    }
}

impl core::fmt::Display for Objection {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::NotForSale => "the content is not for sale here",
            Self::OverMaximum => "it costs more than the stated maximum",
            Self::TooSlow => "it is not delivered so fast",
            Self::Terms => "the terms name no valid quote, or don't follow from the last ones",
            Self::Vault => "the vault is unknown, or not the payer's, or another than before",
            Self::Closing => "the vault is being closed",
            Self::Voucher => "the voucher is refused",
            Self::Ledger => "the ledger can't be asked now; try again",
            Self::NoCredit => "it doesn't lend so much on these terms",
        })
    }
}

impl PaymentMessage {
    /// The bytes to send: the kind, then the fields.
    pub fn encode(&self) -> Vec<u8> {
        let (kind, body): (u8, Vec<u8>) = match self {
            Self::Ask(demand) => (
                1,
                Writer::<ASK_BYTES>::new()
                    .bytes(&demand.content.0)
                    .amount(demand.rate_max.amount())
                    .u32(demand.peak_min_kbps)
                    .finish()
                    .into(),
            ),
            Self::Quote(signed) => (2, signed.encode().into()),
            Self::Terms(terms) => (
                3,
                Writer::<TERMS_BYTES>::new()
                    .bytes(&terms.vault.0)
                    .u64(terms.serial)
                    .meter(&terms.meter)
                    .u64(terms.position)
                    .finish()
                    .into(),
            ),
            Self::Served { vault, bytes } => {
                (4, Writer::<SERVED_BYTES>::new().bytes(&vault.0).u64(*bytes).finish().into())
            }
            Self::Voucher(signed) => (5, signed.encode().into()),
            Self::Objection(objection) => {
                (6, Writer::<OBJECTION_BYTES>::new().bytes(&[objection.code()]).finish().into())
            }
            Self::CreditRequest(request) => (7, request.encode().into()),
            Self::Credit { loan, bytes } => {
                (8, Writer::<CREDIT_BYTES>::new().bytes(&loan.0).u64(*bytes).finish().into())
            }
            Self::Netting { vault, bytes } => {
                (9, Writer::<NETTING_BYTES>::new().bytes(&vault.0).u64(*bytes).finish().into())
            }
        };
        let mut message = Vec::with_capacity(1 + body.len());
        message.push(kind);
        message.extend_from_slice(&body);
        message
    }

    /// Read what [`encode`](Self::encode) wrote. Checks the form, no signature.
    ///
    /// # Errors
    /// [`FormatError`]: the sender's fault.
    pub fn decode(message: &[u8]) -> Result<Self, FormatError> {
        let what = "payment message";
        let (kind, body) =
            message.split_first().ok_or(FormatError::Length { what, expected: 1, got: 0 })?;
        Ok(match kind {
            1 => {
                let mut reader = Reader::<ASK_BYTES>::new("ask", body)?;
                Self::Ask(Demand {
                    content: ContentId(reader.array()),
                    rate_max: reader.rate()?,
                    peak_min_kbps: reader.u32(),
                })
            }
            2 => Self::Quote(SignedQuote::decode(body)?),
            3 => {
                let mut reader = Reader::<TERMS_BYTES>::new("terms", body)?;
                Self::Terms(Terms {
                    vault: reader.vault(),
                    serial: reader.u64(),
                    meter: reader.meter()?,
                    position: reader.u64(),
                })
            }
            4 => {
                let mut reader = Reader::<SERVED_BYTES>::new("count of bytes served", body)?;
                Self::Served { vault: reader.vault(), bytes: reader.u64() }
            }
            5 => Self::Voucher(SignedVoucher::decode(body)?),
            6 => {
                let mut reader = Reader::<OBJECTION_BYTES>::new("objection", body)?;
                let [code] = reader.array();
                let objection = Objection::of_code(code);
                Self::Objection(objection.ok_or(FormatError::Range { field: "objection" })?)
            }
            7 => Self::CreditRequest(CreditRequest::decode(body)?),
            8 => {
                let mut reader = Reader::<CREDIT_BYTES>::new("credit", body)?;
                Self::Credit { loan: LoanId(reader.array()), bytes: reader.u64() }
            }
            9 => {
                let mut reader = Reader::<NETTING_BYTES>::new("netting", body)?;
                Self::Netting { vault: reader.vault(), bytes: reader.u64() }
            }
            _ => return Err(FormatError::Range { field: "kind of payment message" }),
        })
    }

    /// Length of the longest message, in bytes.
    pub const BYTES_MAX: usize =
        1 + if QUOTE_BYTES > CREDIT_REQUEST_BYTES { QUOTE_BYTES } else { CREDIT_REQUEST_BYTES };
}

const _: () = assert!(PaymentMessage::BYTES_MAX > VOUCHER_BYTES, "a voucher is no longer");

impl CreditRequest {
    fn encode(&self) -> [u8; CREDIT_REQUEST_BYTES] {
        let OfferedNote { note, borrower } = &self.note;
        Writer::new()
            .u64(self.serial)
            .bytes(&note.lender.0)
            .bytes(&note.borrower.0)
            .amount(note.principal)
            .u64(note.bytes)
            .u64(note.interest_bps)
            .u64(note.due.0)
            .u64(note.number)
            .bytes(&borrower.to_bytes())
            .finish()
    }

    fn decode(body: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::<CREDIT_REQUEST_BYTES>::new("credit request", body)?;
        let serial = reader.u64();
        let note = LoanNote {
            lender: reader.address(),
            borrower: reader.address(),
            principal: reader.amount(),
            bytes: reader.u64(),
            interest_bps: reader.u64(),
            due: UnixTime(reader.u64()),
            number: reader.u64(),
        };
        let borrower = MoneySignature::from_bytes(reader.array())?;
        Ok(Self { serial, note: OfferedNote { note, borrower } })
    }
}
