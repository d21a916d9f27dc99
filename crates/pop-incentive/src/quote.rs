//! Quotes: what a payee asks for one content, signed, for a while (`spec/incentive.md` §4).

use pop_wire::{ContentId, Keypair, UnixTime, WalletAddress};

use crate::fixed_layout::{Reader, Writer};
use crate::limits::{QUOTE_BYTES, QUOTE_LIFE_S_MAX};
use crate::rate::{Rate, Tariff, Tier};
use crate::typed_data::{
    LedgerDomain, MoneySignature, SignatureError, StructHash, TypeHash, keccak,
};
use crate::voucher::FormatError;

/// An offer to serve a content at a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quote {
    /// What is served.
    pub content: ContentId,
    /// Who is paid, and signs.
    pub payee: WalletAddress,
    /// Base units per megabit and tier.
    pub rate: Rate,
    /// The fastest that the payee serves at, in kbit/s; its tier is the one that is paid for.
    pub peak_kbps: u32,
    /// The payee's own number for this quote. Two different quotes of one number are a breach
    /// that anybody can prove.
    pub serial: u64,
    /// Valid from this second on.
    pub valid_from: UnixTime,
    /// The last second in which a delivery may begin at this price.
    pub valid_until: UnixTime,
}

impl Quote {
    /// EIP-712's name for its fields.
    pub const TYPE: &[u8] = b"Quote(bytes32 content,address payee,uint128 rate,uint32 peakKbps,\
        uint64 serial,uint64 validFrom,uint64 validUntil)";

    /// EIP-712's `hashStruct`.
    pub fn struct_hash(&self) -> [u8; 32] {
        static TYPE_HASH: TypeHash = TypeHash::new(|| keccak(Quote::TYPE));
        StructHash::of(*TYPE_HASH)
            .word(self.content.0)
            .address(self.payee)
            .amount(self.rate.amount())
            .uint(self.peak_kbps.into())
            .uint(self.serial.into())
            .uint(self.valid_from.0.into())
            .uint(self.valid_until.0.into())
            .finish()
    }

    /// What the payee signs.
    pub fn digest(&self, domain: &LedgerDomain) -> [u8; 32] {
        domain.digest(&self.struct_hash())
    }

    /// What a byte costs. `None` if the peak is no tier.
    pub fn tariff(&self) -> Option<Tariff> {
        Tier::of_kbps(self.peak_kbps).map(|tier| Tariff { rate: self.rate, tier })
    }

    /// Sign it.
    pub fn sign(self, domain: &LedgerDomain, payee: &Keypair) -> SignedQuote {
        let signature = MoneySignature::sign(payee, &self.digest(domain));
        SignedQuote { quote: self, signature }
    }
}

/// What a viewer asks for, and the most it pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// What it wants.
    pub content: ContentId,
    /// The most per megabit and tier.
    pub rate_max: Rate,
    /// The least speed that is of use, in kbit/s.
    pub peak_min_kbps: u32,
}

/// A quote with the signature of the payee that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedQuote {
    /// What is offered.
    pub quote: Quote,
    /// By whom: [`accept`](Self::accept) tells.
    pub signature: MoneySignature,
}

impl SignedQuote {
    /// Check that the quote is valid now, meets the demand and is signed by its payee for this
    /// ledger. Returns what a byte costs.
    ///
    /// # Errors
    /// [`QuoteError`]: the payee's fault, but for [`QuoteError::OverMaximum`] and
    /// [`QuoteError::TooSlow`], where the two just don't agree.
    pub fn accept(
        &self,
        domain: &LedgerDomain,
        now: UnixTime,
        demand: &Demand,
    ) -> Result<Tariff, QuoteError> {
        let quote = &self.quote;
        if quote.content != demand.content {
            return Err(QuoteError::OtherContent { got: quote.content });
        }
        // spec/incentive.md §4: a quote MUST NOT be valid for longer than a day.
        if quote.valid_until.0.saturating_sub(quote.valid_from.0) > QUOTE_LIFE_S_MAX {
            return Err(QuoteError::TooLong { from: quote.valid_from, until: quote.valid_until });
        }
        if now < quote.valid_from {
            return Err(QuoteError::NotYetValid { from: quote.valid_from, now });
        }
        if now > quote.valid_until {
            return Err(QuoteError::Expired { until: quote.valid_until, now });
        }
        let tariff = quote.tariff().ok_or(QuoteError::NoTier { kbps: quote.peak_kbps })?;
        if quote.rate > demand.rate_max {
            return Err(QuoteError::OverMaximum { max: demand.rate_max, got: quote.rate });
        }
        if quote.peak_kbps < demand.peak_min_kbps {
            return Err(QuoteError::TooSlow {
                min_kbps: demand.peak_min_kbps,
                got_kbps: quote.peak_kbps,
            });
        }
        self.verify(domain)?;
        Ok(tariff)
    }

    /// Check only that its payee signed it for this ledger.
    ///
    /// # Errors
    /// [`SignatureError`]: the sender's fault.
    pub fn verify(&self, domain: &LedgerDomain) -> Result<(), SignatureError> {
        self.signature.verify_address(&self.quote.digest(domain), self.quote.payee)
    }

    /// The bytes to send.
    pub fn encode(&self) -> [u8; QUOTE_BYTES] {
        let quote = &self.quote;
        Writer::new()
            .bytes(&quote.content.0)
            .bytes(&quote.payee.0)
            .amount(quote.rate.amount())
            .u32(quote.peak_kbps)
            .u64(quote.serial)
            .u64(quote.valid_from.0)
            .u64(quote.valid_until.0)
            .bytes(&self.signature.to_bytes())
            .finish()
    }

    /// Read what [`encode`](Self::encode) wrote. Checks the form only.
    ///
    /// # Errors
    /// [`FormatError`]: the sender's fault.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::<QUOTE_BYTES>::new("quote", bytes)?;
        Ok(Self {
            quote: Quote {
                content: ContentId(reader.array()),
                payee: reader.address(),
                rate: reader.rate()?,
                peak_kbps: reader.u32(),
                serial: reader.u64(),
                valid_from: UnixTime(reader.u64()),
                valid_until: UnixTime(reader.u64()),
            },
            signature: MoneySignature::from_bytes(reader.array())?,
        })
    }
}

/// Why a quote is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuoteError {
    /// For another content than was asked for.
    #[error("quote: for another content, {got}")]
    OtherContent {
        /// Which.
        got: ContentId,
    },
    /// Valid for longer than the format allows.
    #[error("quote: expected a validity of at most a day, got {from} to {until}")]
    TooLong {
        /// First second.
        from: UnixTime,
        /// Last second.
        until: UnixTime,
    },
    /// Not valid yet.
    #[error("quote: valid from {from}, now is {now}")]
    NotYetValid {
        /// First second.
        from: UnixTime,
        /// The caller's time.
        now: UnixTime,
    },
    /// Not valid any more.
    #[error("quote: valid until {until}, now is {now}")]
    Expired {
        /// Last second.
        until: UnixTime,
        /// The caller's time.
        now: UnixTime,
    },
    /// The peak is zero or beyond every tier.
    #[error("quote: {kbps} kbit/s is no tier")]
    NoTier {
        /// The peak.
        kbps: u32,
    },
    /// Dearer than the viewer pays.
    #[error("quote: expected at most {} per megabit and tier, got {}", max.amount(), got.amount())]
    OverMaximum {
        /// The viewer's maximum.
        max: Rate,
        /// The rate.
        got: Rate,
    },
    /// Slower than the viewer can use.
    #[error("quote: expected at least {min_kbps} kbit/s, got {got_kbps}")]
    TooSlow {
        /// The viewer's minimum.
        min_kbps: u32,
        /// The peak.
        got_kbps: u32,
    },
    /// Not signed by its payee, or for another ledger.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}
