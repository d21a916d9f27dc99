//! Prints `spec/vectors/incentive.json`: prices, signed quotes, vouchers and operations of the
//! ledger with every intermediate value, and what is refused. After a change of the format:
//!
//! ```sh
//! cargo run -p examples --bin incentive_vectors > target/incentive.json
//! mv target/incentive.json spec/vectors/
//! ```

mod ledger;
mod messages;
mod refused;

use std::error::Error;

use pop_incentive::ids::VaultId;
use pop_incentive::quote::Quote;
use pop_incentive::rate::{Rate, Tariff, Tier};
use pop_incentive::typed_data::LedgerDomain;
use pop_incentive::voucher::Voucher;
use pop_wire::{Amount, ContentId, Keypair, UnixTime, WalletAddress};
use serde_json::{Value, json};

pub(crate) type Failure = Box<dyn Error>;

const PAYER: [u8; 32] = [0x11; 32];
const PAYEE: [u8; 32] = [0x22; 32];

fn main() -> Result<(), Failure> {
    println!("{:#}", vectors()?);
    Ok(())
}

fn vectors() -> Result<Value, Failure> {
    let pop = Amount::ONE_POP.base_units();
    let prices = [
        price(pop, 500, 6_250_000)?,
        price(1, 500, 6_250_000)?,
        price(pop, 501, 6_250_000)?,
        price(1, 1, 1)?,
        price(1, 100, 125_000)?,
        price(1, 100, 125_001)?,
        price(pop + 1, 2_500, 65_536)?,
        price(u128::MAX, 100_000_000, u64::MAX)?,
    ];
    let domains = [
        LedgerDomain::new(1, WalletAddress([0xaa; 20])),
        LedgerDomain::new(u64::MAX, WalletAddress([0xff; 20])),
    ];
    let payer = Keypair::from_secret_bytes(&PAYER)?;
    let payee = Keypair::from_secret_bytes(&PAYEE)?;
    let vouchers = domains.iter().flat_map(|domain| {
        [(0, 0, 0), (3, 250 * pop, 6_250_000), (u64::MAX, u128::MAX, u64::MAX)]
            .map(|numbers| voucher(domain, &payer, &payee, numbers))
    });
    let quotes = domains.iter().flat_map(|domain| {
        [(pop, 500, 1), (u128::MAX, 100_000_000, u64::MAX)]
            .map(|numbers| quote(domain, &payee, numbers))
    });
    Ok(json!({
        "about": "Test vectors of spec/incentive.md. Bytes are hex, amounts and counts are \
                  decimal strings. A price of null doesn't fit 128 bits. Operations are applied to \
                  one ledger in their order, those that are refused after all others.",
        "payer_secret": hex::encode(PAYER),
        "payee_secret": hex::encode(PAYEE),
        "prices": prices,
        "vouchers": vouchers.collect::<Vec<_>>(),
        "quotes": quotes.collect::<Result<Vec<_>, _>>()?,
        "messages": messages::vectors(&domains[0], &payer, &payee)?,
        "ledger": ledger::vectors()?,
        "refused_vouchers": refused::vouchers(&payer, &payee)?,
        "refused_quotes": refused::quotes(&payer, &payee)?,
    }))
}

/// The name of a refusal: its innermost variant.
fn refusal_name(refusal: &impl std::fmt::Debug) -> String {
    let text = format!("{refusal:?}");
    let variants = text.split(" {").next().unwrap_or_default();
    variants.trim_end_matches(')').rsplit('(').next().unwrap_or_default().to_owned()
}

fn price(rate: u128, kbps: u32, bytes: u64) -> Result<Value, &'static str> {
    let tariff = Tariff {
        rate: Rate::new(Amount::from_base_units(rate)).ok_or("a rate of zero")?,
        tier: Tier::of_kbps(kbps).ok_or("no tier")?,
    };
    let price = tariff.price(bytes).map(|price| price.base_units().to_string());
    Ok(json!({
        "rate": rate.to_string(),
        "kbps": kbps,
        "bytes": bytes.to_string(),
        "price": price,
    }))
}

fn domain_value(domain: &LedgerDomain) -> Value {
    json!({
        "chain_id": domain.chain_id().to_string(),
        "contract": hex::encode(domain.contract().0),
        "separator": hex::encode(domain.separator()),
    })
}

fn voucher(
    domain: &LedgerDomain,
    payer: &Keypair,
    payee: &Keypair,
    (epoch, amount, bytes): (u64, u128, u64),
) -> Value {
    let voucher = Voucher {
        vault: VaultId([0x33; 32]),
        payee: payee.peer_id().wallet_address(),
        epoch,
        amount: Amount::from_base_units(amount),
        bytes,
    };
    let signed = voucher.sign(domain, payer);
    json!({
        "domain": domain_value(domain),
        "vault": hex::encode(voucher.vault.0),
        "payee": hex::encode(voucher.payee.0),
        "epoch": epoch.to_string(),
        "amount": amount.to_string(),
        "bytes": bytes.to_string(),
        "struct_hash": hex::encode(voucher.struct_hash()),
        "digest": hex::encode(voucher.digest(domain)),
        "signature": hex::encode(signed.signature.to_bytes()),
        "encoded": hex::encode(signed.encode()),
    })
}

fn quote(
    domain: &LedgerDomain,
    payee: &Keypair,
    (rate, peak_kbps, serial): (u128, u32, u64),
) -> Result<Value, &'static str> {
    let quote = Quote {
        content: ContentId([0x44; 32]),
        payee: payee.peer_id().wallet_address(),
        rate: Rate::new(Amount::from_base_units(rate)).ok_or("a rate of zero")?,
        peak_kbps,
        serial,
        valid_from: UnixTime(1_800_000_000),
        valid_until: UnixTime(1_800_086_400),
    };
    let signed = quote.sign(domain, payee);
    Ok(json!({
        "domain": domain_value(domain),
        "content": hex::encode(quote.content.0),
        "payee": hex::encode(quote.payee.0),
        "rate": rate.to_string(),
        "peak_kbps": peak_kbps,
        "serial": serial.to_string(),
        "valid_from": quote.valid_from.0.to_string(),
        "valid_until": quote.valid_until.0.to_string(),
        "struct_hash": hex::encode(quote.struct_hash()),
        "digest": hex::encode(quote.digest(domain)),
        "signature": hex::encode(signed.signature.to_bytes()),
        "encoded": hex::encode(signed.encode()),
    }))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_vectors_in_spec_are_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../spec/vectors/incentive.json");
        let text = std::fs::read_to_string(path).expect("spec/vectors/incentive.json");
        let stored: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let current = super::vectors().expect("the scenario works");
        assert!(stored == current, "stale: the head of this program says what to run");
    }
}
