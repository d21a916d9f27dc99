//! Tables are bounded; what is beyond gets an error, and the rest goes on.

use pop_incentive::balance::Balance;
use pop_incentive::exposure::{ExposureLimits, IpPrefix};
use pop_incentive::ids::LineId;
use pop_incentive::limits::{
    ACCOUNTS_MAX, LINES_PER_PEER_MAX, PEERS_MAX, QUESTIONS_PER_SELLER_MAX, QUOTE_LIFE_S, QUOTES_MAX,
};
use pop_incentive::message::{Objection, PaymentMessage, Terms};
use pop_incentive::payee::PayeePolicy;
use pop_incentive::purse::{Purse, PurseError, PurseInput, PurseOutput};
use pop_incentive::rate::Meter;
use pop_incentive::till::{Till, TillError, TillInput, TillOutput};
use pop_wire::{Amount, UnixTime, WalletAddress};

use crate::world::{address, demand, domain, keypair, price, rate, tariff, vault, wanted};

const NOW: UnixTime = UnixTime(1_800_000_000);

fn wallet(number: usize) -> WalletAddress {
    let mut wallet = [0; 20];
    wallet[..8].copy_from_slice(&u64::try_from(number).unwrap().to_be_bytes());
    WalletAddress(wallet)
}

fn line(number: usize) -> LineId {
    LineId(u64::try_from(number).unwrap())
}

fn purse() -> Purse {
    let mut purse = Purse::new(keypair(1), ExposureLimits::default(), Vec::new());
    purse.handle(NOW, PurseInput::Ledger(domain())).unwrap();
    purse
}

fn till() -> Till {
    let policy =
        PayeePolicy { exposure: ExposureLimits::default(), unredeemed_max: price(1 << 30) };
    let mut till = Till::new(keypair(2), policy, Vec::new());
    till.handle(NOW, TillInput::Ledger { domain: domain(), serial: 7 }).unwrap();
    till
}

fn to_seller(number: usize, seller: WalletAddress) -> PurseInput {
    let (line, prefix) = (line(number), IpPrefix::Unknown);
    PurseInput::LineUp { line, seller, prefix, wanted: wanted() }
}

fn of_customer(number: usize, customer: WalletAddress) -> TillInput {
    TillInput::LineUp { line: line(number), customer, prefix: IpPrefix::Unknown }
}

fn said(till: &mut Till) -> Vec<PaymentMessage> {
    let outputs = core::iter::from_fn(|| till.poll());
    let said = |output| match output {
        TillOutput::Say { message, .. } => Some(message),
        _ => None,
    };
    outputs.filter_map(said).collect()
}

#[test]
fn sellers_and_customers_beyond_the_limit_are_refused_until_others_leave() {
    let (mut purse, mut till) = (purse(), till());
    for number in 0..PEERS_MAX {
        purse.handle(NOW, to_seller(number, wallet(number))).unwrap();
        till.handle(NOW, of_customer(number, wallet(number))).unwrap();
    }
    let (one_more, newcomer) = (PEERS_MAX, wallet(PEERS_MAX));
    assert_eq!(
        purse.handle(NOW, to_seller(one_more, newcomer)),
        Err(PurseError::TooManySellers { max: PEERS_MAX })
    );
    assert_eq!(
        till.handle(NOW, of_customer(one_more, newcomer)),
        Err(TillError::TooManyCustomers { max: PEERS_MAX })
    );
    assert!(!purse.is_linked(newcomer) && !till.is_linked(newcomer));
    // Another link to one that is known needs no room.
    purse.handle(NOW, to_seller(one_more, wallet(0))).unwrap();
    till.handle(NOW, of_customer(one_more, wallet(0))).unwrap();
    purse.handle(NOW, PurseInput::LineDown { line: line(7) }).unwrap();
    till.handle(NOW, TillInput::LineDown { line: line(7) }).unwrap();
    purse.handle(NOW, to_seller(one_more + 1, newcomer)).unwrap();
    till.handle(NOW, of_customer(one_more + 1, newcomer)).unwrap();
    assert!(purse.is_linked(newcomer) && till.is_linked(newcomer));
    assert!(!purse.is_linked(wallet(7)) && !till.is_linked(wallet(7)));
}

#[test]
fn links_to_one_peer_beyond_the_limit_are_refused_and_no_number_is_used_twice() {
    let (mut purse, mut till) = (purse(), till());
    for number in 0..LINES_PER_PEER_MAX {
        purse.handle(NOW, to_seller(number, wallet(1))).unwrap();
        till.handle(NOW, of_customer(number, wallet(1))).unwrap();
    }
    let max = LINES_PER_PEER_MAX;
    let too_many = purse.handle(NOW, to_seller(max, wallet(1)));
    assert_eq!(too_many, Err(PurseError::TooManyLines { max }));
    let too_many = till.handle(NOW, of_customer(max, wallet(1)));
    assert_eq!(too_many, Err(TillError::TooManyLines { max }));
    assert_eq!(purse.handle(NOW, to_seller(3, wallet(2))), Err(PurseError::LineInUse));
    assert_eq!(till.handle(NOW, of_customer(3, wallet(2))), Err(TillError::LineInUse));
    assert!(!purse.is_linked(wallet(2)) && !till.is_linked(wallet(2)));
}

#[test]
fn balances_of_more_peers_than_may_have_accounts_are_refused() {
    let (mut purse, mut till) = (purse(), till());
    let some = Some(Balance::default());
    for number in 0..ACCOUNTS_MAX {
        let peer = wallet(number);
        purse.handle(NOW, PurseInput::Balance { seller: peer, balance: some }).unwrap();
        till.handle(NOW, TillInput::Balance { customer: peer, balance: some }).unwrap();
    }
    let (peer, max) = (wallet(ACCOUNTS_MAX), ACCOUNTS_MAX);
    assert_eq!(
        purse.handle(NOW, PurseInput::Balance { seller: peer, balance: some }),
        Err(PurseError::TooManySellers { max })
    );
    assert_eq!(
        till.handle(NOW, TillInput::Balance { customer: peer, balance: some }),
        Err(TillError::TooManyCustomers { max })
    );
    purse.handle(NOW, PurseInput::Balance { seller: wallet(0), balance: None }).unwrap();
    till.handle(NOW, TillInput::Balance { customer: wallet(0), balance: None }).unwrap();
    purse.handle(NOW, PurseInput::Balance { seller: peer, balance: some }).unwrap();
    till.handle(NOW, TillInput::Balance { customer: peer, balance: some }).unwrap();
}

#[test]
fn a_seller_that_objects_to_all_terms_is_asked_so_often_and_no_more() {
    let mut purse = purse();
    purse.handle(NOW, to_seller(0, wallet(1))).unwrap();
    let message = PaymentMessage::Objection(Objection::Terms);
    for _ in 0..4 * QUESTIONS_PER_SELLER_MAX {
        purse.handle(NOW, PurseInput::Heard { line: line(0), message }).unwrap();
    }
    let asks = core::iter::from_fn(|| purse.poll()).filter(|output| {
        matches!(output, PurseOutput::Say { message: PaymentMessage::Ask(_), .. })
    });
    assert_eq!(asks.count(), usize::try_from(1 + QUESTIONS_PER_SELLER_MAX).unwrap());
}

#[test]
fn the_oldest_quotes_are_forgotten_and_terms_that_name_one_are_refused() {
    let mut till = till();
    till.handle(NOW, of_customer(0, address(1))).unwrap();
    let first = 7;
    for more in 0..=QUOTES_MAX {
        let mut demand = demand();
        demand.peak_min_kbps += u32::try_from(more).unwrap();
        let (rate, peak_kbps) = (rate(), demand.peak_min_kbps);
        till.handle(NOW, TillInput::Sell { line: line(0), demand, rate, peak_kbps }).unwrap();
    }
    assert!(till.quote(first, NOW).is_none() && till.quote(first + 1, NOW).is_some());
    said(&mut till);
    let terms = Terms {
        vault: vault(1, Amount::ZERO).vault,
        serial: first,
        meter: Meter::new(tariff()),
        position: 0,
    };
    let message = PaymentMessage::Terms(terms);
    till.handle(NOW, TillInput::Heard { line: line(0), message }).unwrap();
    assert_eq!(said(&mut till), [PaymentMessage::Objection(Objection::Terms)]);
}

#[test]
fn a_quote_is_good_for_an_hour_and_given_again_for_half_of_it() {
    let mut till = till();
    till.handle(NOW, of_customer(0, address(1))).unwrap();
    let (line, rate, peak_kbps) = (line(0), rate(), demand().peak_min_kbps);
    let mut serial_at = |seconds| {
        let sell = TillInput::Sell { line, demand: demand(), rate, peak_kbps };
        till.handle(NOW.after_s(seconds), sell).unwrap();
        let [PaymentMessage::Quote(quote)] = said(&mut till)[..] else { panic!("a quote") };
        quote.quote.serial
    };
    let half = QUOTE_LIFE_S / 2;
    assert_eq!((serial_at(0), serial_at(half), serial_at(half + 1)), (7, 7, 8));
    assert!(till.quote(7, NOW.after_s(QUOTE_LIFE_S)).is_some());
    assert!(till.quote(7, NOW.after_s(QUOTE_LIFE_S + 1)).is_none());
}
