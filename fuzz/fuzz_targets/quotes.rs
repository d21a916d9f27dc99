//! Any bytes as a quote, a voucher or a record, and any sources to choose from. Whatever decodes
//! has one form in bytes; a quote is accepted only for what it says and only by who signed it; a
//! plan asks each source for what it holds and delivers in time, and no plan is cheaper.

#![no_main]

use std::collections::BTreeSet;

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use pop_fuzz::keypair;
use pop_incentive::message::PaymentMessage;
use pop_incentive::negotiate::{Need, NegotiateError, Plan, Source, cheapest};
use pop_incentive::quote::{Demand, SignedQuote};
use pop_incentive::rate::Rate;
use pop_incentive::record::{PayeeRecord, PayerRecord};
use pop_incentive::typed_data::{KnownWallet, LedgerDomain};
use pop_incentive::voucher::SignedVoucher;
use pop_wire::{Amount, ColumnIndex, ColumnSet, ContentId, UnixTime, WalletAddress};

fn domain() -> LedgerDomain {
    LedgerDomain::new(1, WalletAddress([0xaa; 20]))
}

fn quote(bytes: &[u8]) {
    let Ok(signed) = SignedQuote::decode(bytes) else { return };
    assert_eq!(signed.encode(), bytes, "one form");
    let quote = signed.quote;
    let demand = Demand { content: quote.content, rate_max: quote.rate, peak_min_kbps: 0 };
    let domain = domain();
    let accepted = signed.accept(&domain, quote.valid_from, &demand);
    if let Ok(tariff) = accepted {
        assert_eq!(signed.verify(&domain), Ok(()));
        assert_eq!(tariff.rate, quote.rate);
        let late = UnixTime(quote.valid_until.0.saturating_add(1));
        assert!(late == quote.valid_until || signed.accept(&domain, late, &demand).is_err());
        let other = Demand { content: ContentId([0x5a; 32]), ..demand };
        assert!(
            other.content == quote.content
                || signed.accept(&domain, quote.valid_from, &other).is_err()
        );
        let poorer = quote.rate.amount().base_units() - 1;
        if let Some(rate_max) = Rate::new(Amount::from_base_units(poorer)) {
            let demand = Demand { rate_max, ..demand };
            assert!(signed.accept(&domain, quote.valid_from, &demand).is_err());
        }
    }
    // The same words by another key, and another word by any key.
    let mut stranger = quote;
    stranger.payee = keypair().peer_id().wallet_address();
    let resigned = stranger.sign(&domain, &keypair());
    assert_eq!(resigned.verify(&domain), Ok(()));
    let stolen = SignedQuote { quote, signature: resigned.signature };
    assert!(stolen.quote == resigned.quote || stolen.verify(&domain).is_err());
}

fn message(bytes: &[u8]) {
    if let Ok(message) = PaymentMessage::decode(bytes) {
        assert_eq!(message.encode(), bytes, "one form");
    }
}

fn voucher(bytes: &[u8]) {
    let Ok(signed) = SignedVoucher::decode(bytes) else { return };
    assert_eq!(signed.encode(), bytes, "one form");
    let (digest, domain) = (signed.voucher.digest(&domain()), domain());
    let Ok(signer) = signed.signature.signer(&digest) else { return };
    // Whoever signed it is whoever a known key says it is.
    assert_eq!(signed.verify(&domain, signer.wallet_address()), Ok(()));
    assert_eq!(signed.verify_known(&domain, &mut KnownWallet::from(signer)), Ok(()));
    let mut stranger = KnownWallet::from(keypair().peer_id());
    let by_stranger = signed.verify_known(&domain, &mut stranger);
    assert_eq!(by_stranger, signed.verify(&domain, stranger.address()));
}

fn records(bytes: &[u8]) {
    if let Ok(record) = PayerRecord::decode(bytes) {
        assert_eq!(record.encode(), bytes, "one form");
        let price = record.meter.price(record.bytes);
        assert!(price.is_none_or(|price| record.meter.bytes_for(price) >= record.bytes));
    }
    if let Ok(record) = PayeeRecord::decode(bytes) {
        assert_eq!(record.encode(), bytes, "one form");
    }
}

#[derive(Debug, Arbitrary)]
struct Offer {
    /// Bit i is column i.
    columns: u16,
    bytes_per_second: u32,
    latency_ms: u16,
    price: u64,
    /// Sources like it.
    copies: u8,
}

fn negotiation(bytes: &[u8]) -> arbitrary::Result<()> {
    let mut input = Unstructured::new(bytes);
    let is_small = bool::arbitrary(&mut input)?;
    let need = Need {
        shards: u16::arbitrary(&mut input)? % if is_small { 6 } else { 300 },
        shard_bytes: u64::from(u16::arbitrary(&mut input)?),
        deadline_ms: u64::from(u16::arbitrary(&mut input)?),
    };
    let mut sources = Vec::new();
    for offer in input.arbitrary_iter::<Offer>()? {
        let offer = offer?;
        let column_max = if is_small { 5 } else { 16 };
        let columns = (0..column_max).filter(|bit| offer.columns >> bit & 1 == 1);
        let source = Source {
            columns: columns.filter_map(|index| ColumnIndex::new(index).ok()).collect(),
            bytes_per_second: offer.bytes_per_second.into(),
            latency_ms: offer.latency_ms.into(),
            shard_price: Amount::from_base_units(u128::from(offer.price) << (offer.copies % 65)),
        };
        let copies = if is_small { 1 } else { 1 + usize::from(offer.copies) };
        sources.extend(std::iter::repeat_n(source, copies));
        if sources.len() > if is_small { 3 } else { 300 } {
            break;
        }
    }
    let found = cheapest(&sources, &need);
    if let Ok(plan) = &found {
        check_plan(plan, &sources, &need);
    }
    if is_small {
        let mut taken = vec![0; sources.len()];
        let best = exhaustive(&sources, &need, (0, 0), &mut taken);
        match found {
            Ok(plan) => assert_eq!(Some(plan.price.base_units()), best),
            Err(NegotiateError::Overflow) => {}
            Err(error) => assert_eq!(best, None, "{error}"),
        }
    }
    Ok(())
}

fn capacity(source: &Source, need: &Need) -> u128 {
    let time_ms = u128::from(need.deadline_ms.saturating_sub(source.latency_ms));
    u128::from(source.bytes_per_second) * time_ms / 1000 / u128::from(need.shard_bytes.max(1))
}

fn check_plan(plan: &Plan, sources: &[Source], need: &Need) {
    assert_eq!(plan.requests.len(), usize::from(need.shards));
    let columns: BTreeSet<_> = plan.requests.iter().map(|(_, column)| *column).collect();
    assert_eq!(columns.len(), plan.requests.len(), "no column twice");
    let mut price = 0_u128;
    for (index, source) in sources.iter().enumerate() {
        let asked = plan.requests.iter().filter(|(of, _)| *of == index);
        assert!(asked.clone().all(|(_, column)| source.columns.contains(*column)));
        let count = u128::try_from(asked.count()).expect("few");
        assert!(count <= capacity(source, need), "more than it delivers in time");
        price += count * source.shard_price.base_units();
    }
    assert_eq!(plan.price.base_units(), price);
}

/// The least price of all assignments of columns from `at.0` on, after `at.1` were taken.
fn exhaustive(sources: &[Source], need: &Need, at: (u16, u16), taken: &mut [u128]) -> Option<u128> {
    let (column, count) = at;
    if count == need.shards {
        return Some(0);
    }
    if column == 5 {
        return None;
    }
    let mut best = exhaustive(sources, need, (column + 1, count), taken);
    for (index, source) in sources.iter().enumerate() {
        let holds = ColumnIndex::new(column).is_ok_and(|column| source.columns.contains(column));
        if !holds || taken[index] >= capacity(source, need) {
            continue;
        }
        taken[index] += 1;
        let rest = exhaustive(sources, need, (column + 1, count + 1), taken);
        taken[index] -= 1;
        let price = rest.and_then(|rest| rest.checked_add(source.shard_price.base_units()));
        best = match (best, price) {
            (Some(best), Some(price)) => Some(best.min(price)),
            (best, price) => best.or(price),
        };
    }
    best
}

fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = data.split_first() else { return };
    match kind % 5 {
        0 => quote(rest),
        1 => voucher(rest),
        4 => message(rest),
        2 => records(rest),
        _ => {
            let _too_short = negotiation(rest);
        }
    }
});
