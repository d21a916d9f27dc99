//! Vouchers and quotes that are refused, with the refusal's name.

use pop_incentive::exposure::{ExposureLimits, IpPrefix};
use pop_incentive::ids::VaultId;
use pop_incentive::payee::{Payee, PayeeInput, PayeeOutput, PayeePolicy};
use pop_incentive::quote::{Demand, Quote, SignedQuote};
use pop_incentive::rate::{Meter, Rate, Tariff, Tier};
use pop_incentive::typed_data::LedgerDomain;
use pop_incentive::voucher::{SignedVoucher, VaultInfo, Voucher};
use pop_wire::{Amount, ContentId, Keypair, UnixTime, WalletAddress};
use serde_json::{Value, json};

use crate::{Failure, domain_value, refusal_name};

/// Bytes that the payee served, and that its stored voucher acknowledges.
const SERVED: u64 = 50_000;
/// Base units per megabit and tier.
const RATE: u128 = 1_000_000_000_000;
const KBPS: u32 = 500;
const NOW: u64 = 1_800_000_000;

fn domain() -> LedgerDomain {
    LedgerDomain::new(5_000_000_001, WalletAddress([0xbb; 20]))
}

fn wallet(keypair: &Keypair) -> WalletAddress {
    keypair.peer_id().wallet_address()
}

fn rate(units: u128) -> Result<Rate, &'static str> {
    Rate::new(Amount::from_base_units(units)).ok_or("a rate of zero")
}

/// The same bytes with one changed.
fn with(bytes: &[u8], at: usize, byte: u8) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    changed[at] = byte;
    changed
}

/// No format: too short, of another version, with a high s, with another v.
fn formless(good: &[u8]) -> [Vec<u8>; 5] {
    let signature_at = good.len() - 65;
    [
        good[..good.len() - 1].to_vec(),
        [good, &[0]].concat(),
        with(good, 0, 2),
        with(good, signature_at + 32, 0xff),
        with(good, good.len() - 1, 0),
    ]
}

fn refused(bytes: &[u8], refusal: String) -> Value {
    json!({ "encoded": hex::encode(bytes), "refusal": refusal })
}

pub(crate) fn vouchers(payer: &Keypair, payee: &Keypair) -> Result<Value, Failure> {
    let tier = Tier::of_kbps(KBPS).ok_or("no tier")?;
    let tariff = Tariff { rate: rate(RATE)?, tier };
    let paid = |bytes| tariff.price(bytes).ok_or("a price that fits");
    let vault = VaultInfo {
        vault: VaultId([0x33; 32]),
        owner: wallet(payer),
        epoch: 3,
        funded: paid(400_000)?,
        redeemed: Amount::ZERO,
        penalty: Amount::ZERO,
        closes: None,
    };
    let unredeemed_max = paid(300_000)?;
    let amount = paid(SERVED + 65_536)?;
    let accepted = Voucher {
        vault: vault.vault,
        payee: wallet(payee),
        epoch: vault.epoch,
        amount,
        bytes: SERVED,
    };
    let policy = PayeePolicy { exposure: ExposureLimits::default(), unredeemed_max };
    let mut machine = Payee::new(domain(), wallet(payee), policy, [])?;
    let (meter, position) = (Meter::new(tariff), SERVED);
    let prefix = IpPrefix::Unknown;
    machine.handle(PayeeInput::Vault(vault))?;
    machine.handle(PayeeInput::Open { vault: vault.vault, meter, position, prefix })?;
    let signed = accepted.sign(&domain(), payer);
    machine.handle(PayeeInput::Voucher(signed))?;
    machine.handle(PayeeInput::Persisted { vault: vault.vault })?;

    let good = Voucher { amount: paid(200_000)?, ..accepted };
    let elsewhere = LedgerDomain::new(5_000_000_002, domain().contract());
    let stranger = Keypair::from_secret_bytes(&[0x77; 32])?;
    let signature = good.sign(&domain(), payer).signature;
    let lower = Amount::from_base_units(amount.base_units() - 1);
    let by = |voucher: Voucher| voucher.sign(&domain(), payer);
    let cases = [
        by(Voucher { vault: VaultId([0x34; 32]), ..good }),
        by(Voucher { payee: wallet(payer), ..good }),
        by(Voucher { epoch: 4, ..good }),
        by(Voucher { amount: lower, ..good }),
        by(Voucher { bytes: SERVED - 1, ..good }),
        SignedVoucher { voucher: accepted, signature },
        by(Voucher { bytes: 200_001, ..good }),
        by(Voucher { bytes: SERVED + 1, ..good }),
        by(Voucher { amount: paid(400_001)?, ..good }),
        by(Voucher { amount: paid(300_001)?, ..good }),
        good.sign(&elsewhere, payer),
        good.sign(&domain(), &stranger),
    ];
    let mut list = Vec::new();
    for signed in cases {
        list.push(refused(&signed.encode(), refused_by(&mut machine, signed)?));
    }
    for bytes in formless(&by(good).encode()) {
        let error = SignedVoucher::decode(&bytes).err().ok_or("expected a refusal")?;
        list.push(refused(&bytes, refusal_name(&error)));
    }
    Ok(json!({
        "about": "A payee that has taken `accepted`, and served no more than that acknowledges.",
        "domain": domain_value(&domain()),
        "vault": hex::encode(vault.vault.0),
        "epoch": vault.epoch.to_string(),
        "funded": vault.funded.base_units().to_string(),
        "rate": RATE.to_string(),
        "kbps": KBPS,
        "unredeemed_max": unredeemed_max.base_units().to_string(),
        "accepted": hex::encode(signed.encode()),
        "refused": list,
    }))
}

fn refused_by(machine: &mut Payee, signed: SignedVoucher) -> Result<String, Failure> {
    while machine.poll().is_some() {}
    machine.handle(PayeeInput::Voucher(signed))?;
    match machine.poll() {
        Some(PayeeOutput::Refused { refusal, .. }) => Ok(refusal_name(&refusal)),
        other => Err(format!("expected a refusal, got {other:?}").into()),
    }
}

pub(crate) fn quotes(payer: &Keypair, payee: &Keypair) -> Result<Value, Failure> {
    let demand =
        Demand { content: ContentId([0x44; 32]), rate_max: rate(RATE)?, peak_min_kbps: KBPS };
    let good = Quote {
        content: demand.content,
        payee: wallet(payee),
        rate: demand.rate_max,
        peak_kbps: KBPS,
        serial: 1,
        valid_from: UnixTime(NOW),
        valid_until: UnixTime(NOW + 86_400),
    };
    let by = |quote: Quote| quote.sign(&domain(), payee);
    good.sign(&domain(), payee).accept(&domain(), UnixTime(NOW), &demand)?;
    let elsewhere = LedgerDomain::new(5_000_000_002, domain().contract());
    let [hour, day] = [3_600, 86_400];
    let cases = [
        by(Quote { content: ContentId([0x45; 32]), ..good }),
        by(Quote { valid_until: UnixTime(NOW + day + 1), ..good }),
        by(Quote { valid_from: UnixTime(NOW + 1), ..good }),
        by(Quote { valid_from: UnixTime(NOW - hour), valid_until: UnixTime(NOW - 1), ..good }),
        by(Quote { peak_kbps: 0, ..good }),
        by(Quote { peak_kbps: u32::MAX, ..good }),
        by(Quote { rate: rate(RATE + 1)?, ..good }),
        by(Quote { peak_kbps: KBPS - 1, ..good }),
        good.sign(&elsewhere, payee),
        good.sign(&domain(), payer),
    ];
    let mut list = Vec::new();
    for signed in cases {
        let error = signed.accept(&domain(), UnixTime(NOW), &demand).err();
        let error = error.ok_or("expected a refusal")?;
        list.push(refused(&signed.encode(), refusal_name(&error)));
    }
    let encoded = by(good).encode();
    let rate_at = 1 + 32 + 20;
    let mut no_rate = encoded.to_vec();
    no_rate[rate_at..rate_at + 16].fill(0);
    for bytes in formless(&encoded).into_iter().chain([no_rate]) {
        let error = SignedQuote::decode(&bytes).err().ok_or("expected a refusal")?;
        list.push(refused(&bytes, refusal_name(&error)));
    }
    Ok(json!({
        "about": "What a viewer that wants this content at this time refuses.",
        "domain": domain_value(&domain()),
        "content": hex::encode(demand.content.0),
        "rate_max": RATE.to_string(),
        "peak_min_kbps": KBPS,
        "now": NOW.to_string(),
        "refused": list,
    }))
}
