//! `spec/vectors/incentive.json` against this crate.

#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::collections::BTreeSet;

use data_encoding::HEXLOWER;
use pop_incentive::exposure::{ExposureLimits, IpPrefix};
use pop_incentive::ids::VaultId;
use pop_incentive::ledger::{
    LedgerParameters, LedgerState, SignedOperation, no_equivocation_check,
};
use pop_incentive::message::PaymentMessage;
use pop_incentive::payee::{Payee, PayeeInput, PayeeOutput, PayeePolicy};
use pop_incentive::quote::{Demand, Quote, SignedQuote};
use pop_incentive::rate::{Meter, Rate, Tariff, Tier};
use pop_incentive::typed_data::LedgerDomain;
use pop_incentive::voucher::{SignedVoucher, VaultInfo, Voucher};
use pop_wire::{Amount, ContentId, Keypair, UnixTime, WalletAddress};
use serde_json::Value;

fn vectors() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec/vectors/incentive.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

fn array<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().unwrap()
}

fn amount(value: &Value) -> Amount {
    Amount::from_base_units(number(value))
}

/// The name of a refusal: its innermost variant.
fn name(refusal: &impl std::fmt::Debug) -> String {
    let text = format!("{refusal:?}");
    let variants = text.split(" {").next().unwrap();
    variants.trim_end_matches(')').rsplit('(').next().unwrap().to_owned()
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

#[test]
fn payment_messages_are_those_of_the_vectors() {
    let vectors = vectors();
    let mut kinds = BTreeSet::new();
    for vector in vectors["messages"].as_array().unwrap() {
        let encoded = bytes(&vector["encoded"]);
        let message = PaymentMessage::decode(&encoded).unwrap();
        assert_eq!(message.encode(), encoded, "{vector}");
        let text = format!("{message:?}").to_lowercase();
        let kind = text.split(['(', ' ']).next().unwrap();
        assert_eq!(vector["kind"].as_str().unwrap().replace(' ', ""), kind);
        kinds.insert(encoded[0]);
    }
    assert_eq!(kinds, (1..=9).collect());
}

fn ledger(vectors: &Value) -> LedgerState {
    let operator = key(&vectors["actors"], "operator").peer_id().wallet_address();
    let parameters = LedgerParameters::new(operator);
    LedgerState::new(domain(&vectors["domain"]), parameters, no_equivocation_check).unwrap()
}

/// Apply all operations; checks every intermediate value on the way.
fn apply_all(vectors: &Value) -> LedgerState {
    let mut state = ledger(vectors);
    for vector in vectors["operations"].as_array().unwrap() {
        let encoded = bytes(&vector["encoded"]);
        let signed = SignedOperation::decode(&encoded).unwrap();
        assert_eq!(signed.encode(), encoded);
        let actor = key(&vectors["actors"], vector["actor"].as_str().unwrap());
        assert_eq!(signed.actor, actor.peer_id().wallet_address());
        assert_eq!(signed.nonce, number::<u64>(&vector["nonce"]));
        assert_eq!(signed.operation.encoded_type(), vector["type"].as_str().unwrap());
        assert_eq!(signed.id().0, array(&vector["struct_hash"]));
        assert_eq!(state.domain().digest(&signed.id().0), array(&vector["digest"]));
        assert_eq!(signed.signature.to_bytes(), array(&vector["signature"]));
        let operation = signed.operation.clone();
        let again = SignedOperation::sign(operation, signed.nonce, &actor, state.domain());
        assert_eq!(again, signed);
        let receipt = state.apply(UnixTime(number(&vector["time"])), &signed).unwrap();
        let expected = vector["entries"].as_array().unwrap();
        assert_eq!(receipt.entries.len(), expected.len(), "{vector}");
        for (entry, expected) in receipt.entries.iter().zip(expected) {
            assert_eq!(entry.debit.to_string(), expected["debit"].as_str().unwrap());
            assert_eq!(entry.credit.to_string(), expected["credit"].as_str().unwrap());
            assert_eq!(entry.amount, amount(&expected["amount"]));
        }
    }
    state
}

#[test]
fn operations_move_what_the_vectors_say() {
    let vectors = vectors();
    let state = apply_all(&vectors["ledger"]);
    state.audit().unwrap();
    let tags: BTreeSet<u8> = vectors["ledger"]["operations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|vector| bytes(&vector["encoded"])[20 + 8 + 65])
        .collect();
    let ranges = [1..=3, 10..=15, 20..=24, 30..=32, 40..=44, 50..=56, 60..=62];
    assert!(tags.into_iter().eq(ranges.into_iter().flatten()), "one of each tag");
}

#[test]
fn operations_are_refused_for_the_reason_that_the_vectors_name() {
    let vectors = vectors();
    let mut state = apply_all(&vectors["ledger"]);
    let refused = vectors["ledger"]["refused"].as_array().unwrap();
    for vector in refused {
        let before = state.clone();
        let refusal = match SignedOperation::decode(&bytes(&vector["encoded"])) {
            Err(error) => name(&error),
            Ok(signed) => {
                let time = UnixTime(number(&vector["time"]));
                name(&state.apply(time, &signed).unwrap_err())
            }
        };
        assert_eq!(refusal, vector["refusal"].as_str().unwrap(), "{vector}");
        assert!(state == before, "a refusal changes nothing");
    }
    assert!(refused.len() >= 20);
}

#[test]
fn vouchers_are_refused_for_the_reason_that_the_vectors_name() {
    let vectors = vectors();
    let case = &vectors["refused_vouchers"];
    let payee = key(&vectors, "payee_secret").peer_id().wallet_address();
    let vault = VaultInfo {
        vault: VaultId(array(&case["vault"])),
        owner: key(&vectors, "payer_secret").peer_id().wallet_address(),
        epoch: number(&case["epoch"]),
        funded: amount(&case["funded"]),
        redeemed: Amount::ZERO,
        penalty: Amount::ZERO,
        closes: None,
    };
    let unredeemed_max = amount(&case["unredeemed_max"]);
    let policy = PayeePolicy { exposure: ExposureLimits::default(), unredeemed_max };
    let mut machine = Payee::new(domain(&case["domain"]), payee, policy, []).unwrap();
    let tier = Tier::of_kbps(kbps(&case["kbps"])).unwrap();
    let meter = Meter::new(Tariff { rate: rate(&case["rate"]), tier });
    let accepted = SignedVoucher::decode(&bytes(&case["accepted"])).unwrap();
    let (position, prefix) = (accepted.voucher.bytes, IpPrefix::Unknown);
    machine.handle(PayeeInput::Vault(vault)).unwrap();
    let open = PayeeInput::Open { vault: vault.vault, meter, position, prefix };
    machine.handle(open).unwrap();
    machine.handle(PayeeInput::Voucher(accepted)).unwrap();
    machine.handle(PayeeInput::Persisted { vault: vault.vault }).unwrap();
    assert_eq!(machine.stored(vault.vault), Some(accepted));
    for vector in case["refused"].as_array().unwrap() {
        let refusal = match SignedVoucher::decode(&bytes(&vector["encoded"])) {
            Err(error) => name(&error),
            Ok(signed) => {
                while machine.poll().is_some() {}
                machine.handle(PayeeInput::Voucher(signed)).unwrap();
                match machine.poll() {
                    Some(PayeeOutput::Refused { refusal, .. }) => name(&refusal),
                    other => panic!("{other:?} for {vector}"),
                }
            }
        };
        assert_eq!(refusal, vector["refusal"].as_str().unwrap(), "{vector}");
    }
    assert_eq!(machine.stored(vault.vault), Some(accepted), "a refusal changes nothing");
}

#[test]
fn quotes_are_refused_for_the_reason_that_the_vectors_name() {
    let vectors = vectors();
    let case = &vectors["refused_quotes"];
    let (domain, now) = (domain(&case["domain"]), UnixTime(number(&case["now"])));
    let demand = Demand {
        content: ContentId(array(&case["content"])),
        rate_max: rate(&case["rate_max"]),
        peak_min_kbps: kbps(&case["peak_min_kbps"]),
    };
    for vector in case["refused"].as_array().unwrap() {
        let refusal = match SignedQuote::decode(&bytes(&vector["encoded"])) {
            Err(error) => name(&error),
            Ok(signed) => name(&signed.accept(&domain, now, &demand).unwrap_err()),
        };
        assert_eq!(refusal, vector["refusal"].as_str().unwrap(), "{vector}");
    }
}
