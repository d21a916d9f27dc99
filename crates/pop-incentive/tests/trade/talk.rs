//! What is said, and what is not listened to.

use pop_incentive::exposure::{ExposureLimits, IpPrefix};
use pop_incentive::ids::LineId;
use pop_incentive::message::{Objection, PaymentMessage, Terms};
use pop_incentive::payee::PayeePolicy;
use pop_incentive::purse::{Purse, PurseError, PurseInput, PurseOutput, Traffic};
use pop_incentive::quote::{Quote, QuoteError};
use pop_incentive::rate::Meter;
use pop_incentive::record::PayerRecord;
use pop_incentive::till::{Till, TillInput, TillOutput};
use pop_wire::{Amount, UnixTime};

use crate::world::{address, demand, domain, keypair, price, rate, tariff, vault, wanted};

const NOW: UnixTime = UnixTime(1_800_000_000);
const LINE: LineId = LineId(1);

fn purse(records: Vec<PayerRecord>) -> Purse {
    let mut purse = Purse::new(keypair(1), ExposureLimits::default(), records);
    purse.handle(NOW, PurseInput::Ledger(domain())).unwrap();
    let (seller, prefix) = (address(2), IpPrefix::Unknown);
    let up = PurseInput::LineUp { line: LINE, seller, prefix, wanted: wanted() };
    purse.handle(NOW, up).unwrap();
    core::iter::from_fn(|| purse.poll()).for_each(drop);
    purse
}

fn quote() -> Quote {
    Quote {
        content: demand().content,
        payee: address(2),
        rate: rate(),
        peak_kbps: demand().peak_min_kbps,
        serial: 3,
        valid_from: NOW,
        valid_until: NOW.after_s(10),
    }
}

fn hear(purse: &mut Purse, now: UnixTime, quote: Quote, signer: u8) -> Option<PurseOutput> {
    let message = PaymentMessage::Quote(quote.sign(&domain(), &keypair(signer)));
    purse.handle(now, PurseInput::Heard { line: LINE, message }).unwrap();
    purse.poll()
}

#[test]
fn a_quote_is_taken_only_in_its_time_from_its_own_seller_and_for_what_was_asked() {
    let mut purse = purse(Vec::new());
    let refused = |error| Some(PurseOutput::QuoteRefused { seller: address(2), error });
    let late = NOW.after_s(11);
    let expired = QuoteError::Expired { until: quote().valid_until, now: late };
    assert_eq!(hear(&mut purse, late, quote(), 2), refused(Some(expired)));
    let of_other = Quote { payee: address(3), ..quote() };
    assert_eq!(hear(&mut purse, NOW, of_other, 3), refused(None));
    let forged = hear(&mut purse, NOW, quote(), 3);
    assert!(matches!(forged, Some(PurseOutput::QuoteRefused { error: Some(_), .. })));
    assert!(purse.offer(address(2)).is_none());
    let taken = hear(&mut purse, NOW, quote(), 2);
    assert!(matches!(taken, Some(PurseOutput::Accepted { offer, .. })
        if offer.line == LINE && offer.serial == 3 && offer.tariff == tariff()));
    assert!(!purse.is_open(address(2)), "the vault isn't known");
    purse.handle(NOW, PurseInput::Vault(vault(1, price(1 << 30)))).unwrap();
    assert!(purse.is_open(address(2)));
}

#[test]
fn what_strangers_say_and_what_is_said_on_no_link_changes_nothing() {
    let mut purse = purse(Vec::new());
    let message = PaymentMessage::Quote(quote().sign(&domain(), &keypair(2)));
    purse.handle(NOW, PurseInput::Heard { line: LineId(9), message }).unwrap();
    let message = PaymentMessage::Served { vault: vault(1, Amount::ZERO).vault, bytes: 1 << 40 };
    purse.handle(NOW, PurseInput::Heard { line: LINE, message }).unwrap();
    assert_eq!(purse.poll(), None);
    let mut till = till();
    let message = PaymentMessage::Ask(demand());
    till.handle(NOW, TillInput::Heard { line: LineId(9), message }).unwrap();
    assert_eq!(till.poll(), None);
}

#[test]
fn the_vault_is_asked_for_once_at_a_time_and_again_while_somebody_waits() {
    let mut purse = purse(Vec::new());
    let looked = |purse: &mut Purse| match purse.poll() {
        Some(PurseOutput::LookUp { after_ms, .. }) => Some(after_ms),
        _ => None,
    };
    // The first question is under way.
    let message = PaymentMessage::Objection(Objection::Vault);
    purse.handle(NOW, PurseInput::Heard { line: LINE, message }).unwrap();
    assert!(matches!(purse.poll(), Some(PurseOutput::Objected { .. })));
    assert_eq!(looked(&mut purse), None);
    for answer in [PurseInput::NoVault, PurseInput::LedgerAway] {
        purse.handle(NOW, answer).unwrap();
        assert_eq!(looked(&mut purse), Some(2_000));
    }
    purse.handle(NOW, PurseInput::LineDown { line: LINE }).unwrap();
    purse.handle(NOW, PurseInput::NoVault).unwrap();
    assert_eq!(looked(&mut purse), None, "nobody waits");
}

#[test]
fn records_of_another_vault_are_an_error_and_nothing_is_paid() {
    let other = vault(3, Amount::ZERO).vault;
    let record = PayerRecord {
        vault: other,
        epoch: 0,
        payee: address(2),
        amount: Amount::ZERO,
        bytes: 0,
        conceded: 0,
        forgotten: 0,
        meter: Meter::new(tariff()),
    };
    let mut purse = purse(vec![record]);
    let result = purse.handle(NOW, PurseInput::Vault(vault(1, price(1 << 30))));
    assert!(matches!(result, Err(PurseError::Records(_))));
    assert!(!purse.has_vault());
}

fn till() -> Till {
    let policy =
        PayeePolicy { exposure: ExposureLimits::default(), unredeemed_max: price(1 << 30) };
    Till::new(keypair(2), policy, Vec::new())
}

#[test]
fn a_till_sells_nothing_before_it_knows_the_ledger_and_nothing_above_the_maximum() {
    let mut till = till();
    let up = TillInput::LineUp { line: LINE, customer: address(1), prefix: IpPrefix::Unknown };
    till.handle(NOW, up).unwrap();
    let message = PaymentMessage::Ask(demand());
    let objection = |objection| {
        let message = PaymentMessage::Objection(objection);
        Some(TillOutput::Say { line: LINE, message })
    };
    till.handle(NOW, TillInput::Heard { line: LINE, message }).unwrap();
    assert_eq!(till.poll(), objection(Objection::Ledger));
    till.handle(NOW, TillInput::Ledger { domain: domain(), serial: 0 }).unwrap();
    till.handle(NOW, TillInput::Heard { line: LINE, message }).unwrap();
    assert_eq!(
        till.poll(),
        Some(TillOutput::Asked { line: LINE, customer: address(1), demand: demand() })
    );
    let dear = pop_incentive::rate::Rate::new(Amount::ONE_POP).unwrap();
    let sell = TillInput::Sell { line: LINE, demand: demand(), rate: dear, peak_kbps: 1 };
    till.handle(NOW, sell).unwrap();
    assert_eq!(till.poll(), objection(Objection::OverMaximum));
    assert_eq!(till.allowed(address(1)), 0);
    let objected = Objection::NotForSale;
    till.handle(NOW, TillInput::Refuse { line: LINE, objection: objected }).unwrap();
    assert_eq!(till.poll(), objection(objected));
}

#[test]
fn terms_for_another_vault_are_refused_and_a_vault_is_looked_up_once_a_second() {
    let mut till = till();
    till.handle(NOW, TillInput::Ledger { domain: domain(), serial: 0 }).unwrap();
    let up = TillInput::LineUp { line: LINE, customer: address(1), prefix: IpPrefix::Unknown };
    till.handle(NOW, up).unwrap();
    let (rate, peak_kbps) = (rate(), demand().peak_min_kbps);
    let sell = TillInput::Sell { line: LINE, demand: demand(), rate, peak_kbps };
    till.handle(NOW, sell).unwrap();
    core::iter::from_fn(|| till.poll()).for_each(drop);
    let terms = |owner| Terms {
        vault: vault(owner, Amount::ZERO).vault,
        serial: 0,
        meter: Meter::new(tariff()),
        position: 0,
    };
    let mut state = |owner| {
        let message = PaymentMessage::Terms(terms(owner));
        till.handle(NOW, TillInput::Heard { line: LINE, message }).unwrap();
        till.poll()
    };
    let message = PaymentMessage::Objection(Objection::Vault);
    assert_eq!(state(3), Some(TillOutput::Say { line: LINE, message }));
    let vault = vault(1, Amount::ZERO).vault;
    assert_eq!(state(1), Some(TillOutput::LookUp { vault }));
    assert_eq!(state(1), None);
    assert!(till.is_waiting());
    till.handle(NOW, TillInput::Second).unwrap();
    assert_eq!(till.poll(), Some(TillOutput::LookUp { vault }));
}

#[test]
fn a_voucher_that_was_said_on_a_link_that_ends_is_said_again_on_another() {
    let mut purse = purse(Vec::new());
    let (seller, prefix, other) = (address(2), IpPrefix::Unknown, LineId(2));
    let up = PurseInput::LineUp { line: other, seller, prefix, wanted: wanted() };
    purse.handle(NOW, up).unwrap();
    hear(&mut purse, NOW, quote(), 2);
    purse.handle(NOW, PurseInput::Vault(vault(1, price(1 << 30)))).unwrap();
    let traffic = Traffic { asked: 1 << 20, ..Traffic::default() };
    purse.handle(NOW, PurseInput::Traffic { seller, traffic }).unwrap();
    purse.handle(NOW, PurseInput::Persisted { seller }).unwrap();
    let vouchers = |purse: &mut Purse| -> Vec<_> {
        let said = |output| match output {
            PurseOutput::Say { line, message: PaymentMessage::Voucher(it) } => Some((line, it)),
            _ => None,
        };
        core::iter::from_fn(|| purse.poll()).filter_map(said).collect()
    };
    let [(line, voucher)] = vouchers(&mut purse)[..] else { panic!("one voucher") };
    assert_eq!(line, other, "the newest link");
    purse.handle(NOW, PurseInput::LineDown { line: other }).unwrap();
    assert_eq!(vouchers(&mut purse), [(LINE, voucher)]);
    // The last link: it is sent again with the next terms, if there are any.
    purse.handle(NOW, PurseInput::LineDown { line: LINE }).unwrap();
    assert_eq!(vouchers(&mut purse), []);
    assert!(!purse.is_linked(seller));
}
