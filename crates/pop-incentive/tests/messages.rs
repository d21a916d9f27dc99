//! Payment messages: what is read is what was written, and nothing else is read.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use pop_incentive::ids::{LoanId, VaultId};
use pop_incentive::ledger::{LoanNote, OfferedNote};
use pop_incentive::message::{CreditRequest, Objection, PaymentMessage, Terms};
use pop_incentive::quote::{Demand, Quote};
use pop_incentive::rate::{Meter, Rate, Tariff, Tier};
use pop_incentive::typed_data::LedgerDomain;
use pop_incentive::voucher::{FormatError, Voucher};
use pop_wire::{Amount, ContentId, Keypair, UnixTime, WalletAddress};

fn all() -> Vec<PaymentMessage> {
    let domain = LedgerDomain::new(1 << 33, WalletAddress([9; 20]));
    let key = Keypair::from_secret_bytes(&[7; 32]).unwrap();
    let rate = Rate::new(Amount::from_base_units(12_345)).unwrap();
    let content = ContentId([3; 32]);
    let payee = key.peer_id().wallet_address();
    let quote = Quote {
        content,
        payee,
        rate,
        peak_kbps: 2_500,
        serial: 4,
        valid_from: UnixTime(1_000),
        valid_until: UnixTime(2_000),
    };
    let amount = Amount::from_base_units(77);
    let voucher = Voucher { vault: VaultId([1; 32]), payee, epoch: 2, amount, bytes: 65_536 };
    let meter = Meter::new(Tariff { rate, tier: Tier::of_kbps(2_500).unwrap() });
    let objection = [
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
    let note = LoanNote {
        lender: payee,
        borrower: WalletAddress([5; 20]),
        principal: amount,
        bytes: 1 << 20,
        interest_bps: 1_000,
        due: UnixTime(3_000),
        number: 6,
    };
    let note = OfferedNote { note, borrower: note.sign(&domain, &key) };
    let mut all = vec![
        PaymentMessage::Ask(Demand { content, rate_max: rate, peak_min_kbps: 800 }),
        PaymentMessage::Quote(quote.sign(&domain, &key)),
        PaymentMessage::Terms(Terms { vault: VaultId([1; 32]), serial: 4, meter, position: 99 }),
        PaymentMessage::Served { vault: VaultId([1; 32]), bytes: u64::MAX },
        PaymentMessage::Voucher(voucher.sign(&domain, &key)),
        PaymentMessage::CreditRequest(CreditRequest { serial: 4, note }),
        PaymentMessage::Credit { loan: LoanId([8; 32]), bytes: 1 << 20 },
        PaymentMessage::Netting { vault: VaultId([1; 32]), bytes: 1 << 19 },
    ];
    all.extend(objection.map(PaymentMessage::Objection));
    all
}

#[test]
fn a_message_is_read_back_as_it_was_written() {
    for message in all() {
        let bytes = message.encode();
        assert!(bytes.len() <= PaymentMessage::BYTES_MAX, "{}", bytes.len());
        assert_eq!(PaymentMessage::decode(&bytes), Ok(message));
    }
}

#[test]
fn a_message_of_another_length_kind_or_version_is_refused() {
    assert!(matches!(PaymentMessage::decode(&[]), Err(FormatError::Length { .. })));
    for message in all() {
        let bytes = message.encode();
        for len in 0..bytes.len() {
            assert!(PaymentMessage::decode(&bytes[..len]).is_err(), "{message:?} cut to {len}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert!(matches!(PaymentMessage::decode(&longer), Err(FormatError::Length { .. })));
        let mut other = bytes.clone();
        other[1] = 2;
        assert!(matches!(PaymentMessage::decode(&other), Err(FormatError::Version { .. })));
    }
    for kind in [0, 10, 255] {
        let unknown = PaymentMessage::decode(&[kind, 1, 1]);
        assert!(matches!(unknown, Err(FormatError::Range { .. })));
    }
    for code in [0, 10, 255] {
        let unknown = PaymentMessage::decode(&[6, 1, code]);
        assert_eq!(unknown, Err(FormatError::Range { field: "objection" }));
    }
}
