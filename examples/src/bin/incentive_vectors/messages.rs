//! Messages between payer and payee, one of each kind and objection.

use pop_incentive::ids::{LoanId, VaultId};
use pop_incentive::ledger::{LoanNote, OfferedNote};
use pop_incentive::message::{CreditRequest, Objection, PaymentMessage, Terms};
use pop_incentive::quote::{Demand, Quote};
use pop_incentive::rate::{Meter, Rate, Tariff, Tier};
use pop_incentive::typed_data::LedgerDomain;
use pop_incentive::voucher::Voucher;
use pop_wire::{Amount, ContentId, Keypair, UnixTime};
use serde_json::{Value, json};

use crate::Failure;

const OBJECTIONS: [Objection; 9] = [
    Objection::NotForSale,
    Objection::OverMaximum,
    Objection::TooSlow,
    Objection::Terms,
    Objection::Vault,
    Objection::Closing,
    Objection::Voucher,
    Objection::Ledger,
    Objection::NoCredit,
];

pub(crate) fn vectors(
    domain: &LedgerDomain,
    payer: &Keypair,
    payee: &Keypair,
) -> Result<Value, Failure> {
    let mut messages = vec![ask()?, terms()?];
    messages.extend(signed(domain, payer, payee)?);
    let vault = hex::encode(VAULT.0);
    let served = PaymentMessage::Served { vault: VAULT, bytes: u64::MAX };
    let fields = json!({ "vault": vault, "bytes": u64::MAX.to_string() });
    messages.push(message("served", &fields, &served));
    for (code, objection) in (1..).zip(OBJECTIONS) {
        let fields = json!({ "code": code });
        messages.push(message("objection", &fields, &PaymentMessage::Objection(objection)));
    }
    let credit = PaymentMessage::Credit { loan: LoanId([0x55; 32]), bytes: 1 << 20 };
    let fields = json!({ "loan": hex::encode([0x55; 32]), "bytes": (1 << 20).to_string() });
    messages.push(message("credit", &fields, &credit));
    let netting = PaymentMessage::Netting { vault: VAULT, bytes: 1 << 19 };
    let fields = json!({ "vault": vault, "bytes": (1 << 19).to_string() });
    messages.push(message("netting", &fields, &netting));
    Ok(Value::Array(messages))
}

const VAULT: VaultId = VaultId([0x33; 32]);
const CONTENT: ContentId = ContentId([0x44; 32]);

fn message(kind: &str, fields: &Value, message: &PaymentMessage) -> Value {
    json!({ "kind": kind, "fields": fields, "encoded": hex::encode(message.encode()) })
}

fn rate(units: u128) -> Result<Rate, Failure> {
    Ok(Rate::new(Amount::from_base_units(units)).ok_or("a rate of zero")?)
}

fn ask() -> Result<Value, Failure> {
    let demand = Demand { content: CONTENT, rate_max: rate(u128::MAX)?, peak_min_kbps: 2_500 };
    let fields = json!({
        "content": hex::encode(CONTENT.0),
        "rate_max": u128::MAX.to_string(),
        "peak_min_kbps": 2_500,
    });
    Ok(message("ask", &fields, &PaymentMessage::Ask(demand)))
}

fn terms() -> Result<Value, Failure> {
    let tier = Tier::of_kbps(2_500).ok_or("no tier")?;
    let mut meter = Meter::new(Tariff { rate: rate(3)?, tier });
    // What was promised so far pays for 13,333 bytes.
    meter.change(Tariff { rate: rate(7)?, tier }, Amount::from_base_units(8));
    let terms = Terms { vault: VAULT, serial: 9, meter, position: 12_345 };
    let fields = json!({
        "vault": hex::encode(VAULT.0),
        "serial": "9",
        "rate": "7",
        "tier": 25,
        "from_bytes": "13333",
        "from_amount": "8",
        "position": "12345",
    });
    Ok(message("terms", &fields, &PaymentMessage::Terms(terms)))
}

fn signed(domain: &LedgerDomain, payer: &Keypair, payee: &Keypair) -> Result<[Value; 3], Failure> {
    let (lender, borrower) = (payee.peer_id().wallet_address(), payer.peer_id().wallet_address());
    let quote = Quote {
        content: CONTENT,
        payee: lender,
        rate: rate(7)?,
        peak_kbps: 2_500,
        serial: 9,
        valid_from: UnixTime(1_800_000_000),
        valid_until: UnixTime(1_800_003_600),
    };
    let quote = quote.sign(domain, payee);
    let amount = Amount::from_base_units(77);
    let voucher = Voucher { vault: VAULT, payee: lender, epoch: 1, amount, bytes: 65_536 };
    let voucher = voucher.sign(domain, payer);
    let note = LoanNote {
        lender,
        borrower,
        principal: amount,
        bytes: 1 << 20,
        interest_bps: 1_000,
        due: UnixTime(1_802_592_000),
        number: 6,
    };
    let note = OfferedNote { note, borrower: note.sign(domain, payer) };
    let request = PaymentMessage::CreditRequest(CreditRequest { serial: 9, note });
    let fields = json!({
        "serial": "9",
        "lender": hex::encode(lender.0),
        "borrower": hex::encode(borrower.0),
        "principal": "77",
        "bytes": (1 << 20).to_string(),
        "interest_bps": "1000",
        "due": "1802592000",
        "number": "6",
        "signature": hex::encode(note.borrower.to_bytes()),
    });
    Ok([
        message(
            "quote",
            &json!({ "quote": hex::encode(quote.encode()) }),
            &PaymentMessage::Quote(quote),
        ),
        message(
            "voucher",
            &json!({ "voucher": hex::encode(voucher.encode()) }),
            &PaymentMessage::Voucher(voucher),
        ),
        message("credit request", &fields, &request),
    ])
}
