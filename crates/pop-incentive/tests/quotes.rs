//! Quotes: what a viewer takes, and what it refuses and why.

#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

use alloy_sol_types::{SolStruct, eip712_domain, sol};
use pop_incentive::evidence::{DoubleQuoteEvidence, EvidenceError};
use pop_incentive::quote::{Demand, Quote, QuoteError, SignedQuote};
use pop_incentive::rate::Rate;
use pop_incentive::typed_data::{LedgerDomain, SignatureError};
use pop_incentive::voucher::FormatError;
use pop_wire::{Amount, ContentId, Keypair, UnixTime, WalletAddress};

mod oracle {
    super::sol! {
        struct Quote {
            bytes32 content;
            address payee;
            uint128 rate;
            uint32 peakKbps;
            uint64 serial;
            uint64 validFrom;
            uint64 validUntil;
        }
    }
}

const NOW: UnixTime = UnixTime(1_000_000);

fn domain() -> LedgerDomain {
    LedgerDomain::new(7, WalletAddress([7; 20]))
}

fn keypair(byte: u8) -> Keypair {
    Keypair::from_secret_bytes(&[byte; 32]).unwrap()
}

fn rate(units: u128) -> Rate {
    Rate::new(Amount::from_base_units(units)).unwrap()
}

fn quote() -> Quote {
    Quote {
        content: ContentId([5; 32]),
        payee: keypair(2).peer_id().wallet_address(),
        rate: rate(1000),
        peak_kbps: 500,
        serial: 1,
        valid_from: NOW,
        valid_until: NOW.after_s(3600),
    }
}

fn demand() -> Demand {
    Demand { content: ContentId([5; 32]), rate_max: rate(1000), peak_min_kbps: 500 }
}

fn accept(quote: Quote) -> Result<(), QuoteError> {
    quote.sign(&domain(), &keypair(2)).accept(&domain(), NOW, &demand()).map(|_| ())
}

#[test]
fn a_valid_quote_at_the_viewer_s_maximum_is_taken_at_its_tariff() {
    let signed = quote().sign(&domain(), &keypair(2));
    let tariff = signed.accept(&domain(), NOW, &demand()).unwrap();
    assert_eq!(tariff.price(6_250_000), Some(Amount::from_base_units(250_000)));
    assert_eq!(SignedQuote::decode(&signed.encode()), Ok(signed));
}

#[test]
fn an_expired_or_future_or_endless_quote_is_refused() {
    let past = Quote { valid_from: UnixTime(0), valid_until: UnixTime(NOW.0 - 1), ..quote() };
    let long = Quote { valid_until: NOW.after_s(86_401), ..quote() };
    let day = Quote { valid_until: NOW.after_s(86_400), ..quote() };
    let endless = Quote { valid_until: UnixTime(u64::MAX), ..quote() };
    let future = Quote { valid_from: NOW.after_s(1), ..quote() };
    let expired = Quote { valid_from: UnixTime(NOW.0 - 100), ..past };
    assert!(matches!(accept(expired), Err(QuoteError::Expired { .. })));
    assert!(matches!(accept(past), Err(QuoteError::TooLong { .. })));
    assert!(matches!(accept(long), Err(QuoteError::TooLong { .. })));
    assert!(matches!(accept(endless), Err(QuoteError::TooLong { .. })));
    assert!(matches!(accept(future), Err(QuoteError::NotYetValid { .. })));
    assert_eq!(accept(day), Ok(()));
    let last_second = Quote { valid_from: UnixTime(NOW.0 - 10), valid_until: NOW, ..quote() };
    assert_eq!(accept(last_second), Ok(()));
}

#[test]
fn a_quote_over_the_viewer_s_maximum_or_too_slow_is_refused() {
    let dear = Quote { rate: rate(1001), ..quote() };
    let got = rate(1001);
    assert_eq!(accept(dear), Err(QuoteError::OverMaximum { max: rate(1000), got }));
    let slow = Quote { peak_kbps: 499, ..quote() };
    assert_eq!(accept(slow), Err(QuoteError::TooSlow { min_kbps: 500, got_kbps: 499 }));
    for kbps in [0, 100_000_001, u32::MAX] {
        let none = Quote { peak_kbps: kbps, ..quote() };
        assert_eq!(accept(none), Err(QuoteError::NoTier { kbps }));
    }
}

#[test]
fn a_quote_of_another_domain_signer_or_content_is_refused() {
    let other_chain = LedgerDomain::new(8, WalletAddress([7; 20]));
    let other_contract = LedgerDomain::new(7, WalletAddress([8; 20]));
    for domain_signed in [other_chain, other_contract] {
        let signed = quote().sign(&domain_signed, &keypair(2));
        assert!(matches!(
            signed.accept(&domain(), NOW, &demand()),
            Err(QuoteError::Signature(SignatureError::OtherSigner { .. }))
        ));
    }
    let forged = quote().sign(&domain(), &keypair(3));
    assert!(matches!(
        forged.accept(&domain(), NOW, &demand()),
        Err(QuoteError::Signature(SignatureError::OtherSigner { .. }))
    ));
    let other = Quote { content: ContentId([6; 32]), ..quote() };
    assert_eq!(accept(other), Err(QuoteError::OtherContent { got: ContentId([6; 32]) }));
}

#[test]
fn a_malleable_cut_or_free_quote_is_refused() {
    let bytes = quote().sign(&domain(), &keypair(2)).encode();
    let mut high_s = bytes;
    high_s[162 - 33] |= 0x80;
    assert_eq!(SignedQuote::decode(&high_s), Err(FormatError::Signature(SignatureError::HighS)));
    for len in 0..162 {
        assert!(matches!(
            SignedQuote::decode(&bytes[..len]),
            Err(FormatError::Length { expected: 162, .. })
        ));
    }
    let mut free = bytes;
    free[53..69].fill(0);
    assert_eq!(SignedQuote::decode(&free), Err(FormatError::Range { field: "rate" }));
}

#[test]
fn quote_digests_are_those_of_eip_712() {
    let theirs = eip712_domain! {
        name: "POP",
        version: "1",
        chain_id: 7,
        verifying_contract: [7; 20].into(),
    };
    let quote = Quote { rate: rate(u128::MAX), serial: u64::MAX, ..quote() };
    let same = oracle::Quote {
        content: quote.content.0.into(),
        payee: quote.payee.0.into(),
        rate: quote.rate.amount().base_units(),
        peakKbps: quote.peak_kbps,
        serial: quote.serial,
        validFrom: quote.valid_from.0,
        validUntil: quote.valid_until.0,
    };
    assert_eq!(Quote::TYPE, oracle::Quote::eip712_root_type().as_bytes());
    assert_eq!(quote.digest(&domain()), same.eip712_signing_hash(&theirs).0);
}

#[test]
fn two_quotes_of_one_serial_prove_a_double_signature() {
    let first = quote().sign(&domain(), &keypair(2));
    let dearer = Quote { rate: rate(2000), ..quote() };
    let second = dearer.sign(&domain(), &keypair(2));
    let verify = |first, second| DoubleQuoteEvidence { first, second }.verify(&domain());
    assert_eq!(verify(first, second), Ok(()));
    assert_eq!(verify(first, first), Err(EvidenceError::Same));
    let next = Quote { serial: 2, ..dearer }.sign(&domain(), &keypair(2));
    assert_eq!(verify(first, next), Err(EvidenceError::OtherSlot));
    let forged = dearer.sign(&domain(), &keypair(3));
    assert!(matches!(verify(first, forged), Err(EvidenceError::Signature(_))));
}
