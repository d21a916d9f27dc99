//! `spec/vectors/incentive.json` against this crate.

#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

use data_encoding::HEXLOWER;
use pop_incentive::ids::VaultId;
use pop_incentive::quote::{Quote, SignedQuote};
use pop_incentive::rate::{Rate, Tariff, Tier};
use pop_incentive::typed_data::LedgerDomain;
use pop_incentive::voucher::{SignedVoucher, Voucher};
use pop_wire::{Amount, ContentId, Keypair, UnixTime, WalletAddress};
use serde_json::Value;

fn vectors() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec/vectors/incentive.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn array<const N: usize>(value: &Value) -> [u8; N] {
    HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap().try_into().unwrap()
}

fn number<T: std::str::FromStr<Err: std::fmt::Debug>>(value: &Value) -> T {
    value.as_str().unwrap().parse().unwrap()
}

fn kbps(value: &Value) -> u32 {
    value.as_u64().unwrap().try_into().unwrap()
}

fn rate(value: &Value) -> Rate {
    Rate::new(Amount::from_base_units(number(value))).unwrap()
}

fn domain(value: &Value) -> LedgerDomain {
    let contract = WalletAddress(array(&value["contract"]));
    let domain = LedgerDomain::new(number(&value["chain_id"]), contract);
    assert_eq!(domain.separator(), array(&value["separator"]));
    domain
}

fn key(vectors: &Value, name: &str) -> Keypair {
    Keypair::from_secret_bytes(&array(&vectors[name])).unwrap()
}

#[test]
fn prices_are_those_of_the_vectors() {
    let vectors = vectors();
    let prices = vectors["prices"].as_array().unwrap();
    for price in prices {
        let tier = Tier::of_kbps(kbps(&price["kbps"])).unwrap();
        let tariff = Tariff { rate: rate(&price["rate"]), tier };
        let expected = price["price"].as_str().map(|text| text.parse::<u128>().unwrap());
        let got = tariff.price(number(&price["bytes"]));
        assert_eq!(got.map(Amount::base_units), expected, "{price}");
    }
    assert!(prices.len() >= 8);
}

#[test]
fn vouchers_are_those_of_the_vectors() {
    let vectors = vectors();
    let payer = key(&vectors, "payer_secret");
    for vector in vectors["vouchers"].as_array().unwrap() {
        let domain = domain(&vector["domain"]);
        let voucher = Voucher {
            vault: VaultId(array(&vector["vault"])),
            payee: WalletAddress(array(&vector["payee"])),
            epoch: number(&vector["epoch"]),
            amount: Amount::from_base_units(number(&vector["amount"])),
            bytes: number(&vector["bytes"]),
        };
        assert_eq!(voucher.struct_hash(), array(&vector["struct_hash"]));
        assert_eq!(voucher.digest(&domain), array(&vector["digest"]));
        let signed = voucher.sign(&domain, &payer);
        assert_eq!(signed.signature.to_bytes(), array(&vector["signature"]));
        assert_eq!(signed.encode(), array(&vector["encoded"]));
        assert_eq!(SignedVoucher::decode(&signed.encode()), Ok(signed));
        assert_eq!(signed.verify(&domain, payer.peer_id().wallet_address()), Ok(()));
    }
}

#[test]
fn quotes_are_those_of_the_vectors() {
    let vectors = vectors();
    let payee = key(&vectors, "payee_secret");
    for vector in vectors["quotes"].as_array().unwrap() {
        let domain = domain(&vector["domain"]);
        let quote = Quote {
            content: ContentId(array(&vector["content"])),
            payee: WalletAddress(array(&vector["payee"])),
            rate: rate(&vector["rate"]),
            peak_kbps: kbps(&vector["peak_kbps"]),
            serial: number(&vector["serial"]),
            valid_from: UnixTime(number(&vector["valid_from"])),
            valid_until: UnixTime(number(&vector["valid_until"])),
        };
        assert_eq!(quote.struct_hash(), array(&vector["struct_hash"]));
        assert_eq!(quote.digest(&domain), array(&vector["digest"]));
        let signed = quote.sign(&domain, &payee);
        assert_eq!(signed.signature.to_bytes(), array(&vector["signature"]));
        assert_eq!(signed.encode(), array(&vector["encoded"]));
        assert_eq!(SignedQuote::decode(&signed.encode()), Ok(signed));
        assert_eq!(signed.verify(&domain), Ok(()));
    }
}
