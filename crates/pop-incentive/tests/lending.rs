//! What a lender lends to whom, and the most that it can lose.

#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pop_incentive::exposure::IpPrefix;
use pop_incentive::ledger::{
    LedgerParameters, LedgerState, LoanNote, Operation, Record, SignedNote, SignedOperation,
    no_equivocation_check,
};
use pop_incentive::lending::{Lender, LenderPolicy, LentLoan, LoanRefusal, LoanRequest};
use pop_incentive::rate::{Rate, Tariff, Tier};
use pop_incentive::typed_data::LedgerDomain;
use pop_wire::{Amount, Keypair, UnixTime, WalletAddress};

const DAY_S: u64 = 86_400;
const NOW: UnixTime = UnixTime(1_800_000_000);

/// One POP per gigabyte.
fn tariff() -> Tariff {
    let rate = Rate::new(Amount::from_base_units(2_500_000_000_000)).unwrap();
    Tariff { rate, tier: Tier::of_kbps(5_000).unwrap() }
}

fn somebody(number: u64) -> WalletAddress {
    let mut address = [0; 20];
    address[..8].copy_from_slice(&number.to_be_bytes());
    WalletAddress(address)
}

fn request(number: u64, bytes: u64) -> LoanRequest {
    LoanRequest { borrower: somebody(number), bytes, tariff: tariff(), open_loans: 0 }
}

fn v4(a: u8, b: u8, c: u8, d: u8) -> IpPrefix {
    IpAddr::V4(Ipv4Addr::new(a, b, c, d)).into()
}

fn aged() -> Record {
    let mut record = Record::default();
    record.since = UnixTime(NOW.0 - 31 * DAY_S);
    record
}

fn lender() -> Lender {
    Lender::new(LenderPolicy::default(), somebody(0), [])
}

#[test]
fn a_thousand_fresh_identities_from_one_24_get_no_more_than_their_prefix_has() {
    let (mut lender, policy) = (lender(), LenderPolicy::default());
    let (mut offers, mut lent, mut refused) = (0, 0, 0);
    for number in 1..=1000_u64 {
        let [.., last] = number.to_be_bytes();
        let asked = request(number, 1 << 30);
        match lender.consider(&asked, &Record::default(), v4(192, 0, 2, last), NOW) {
            Ok(offer) => {
                offers += 1;
                lent += lender.settled(offer.note.number, offer.note.bytes).unwrap().bytes;
            }
            Err(refusal) => {
                assert!(matches!(refusal, LoanRefusal::Prefix { .. }), "{refusal}");
                refused += 1;
            }
        }
    }
    let bound = lender.bound();
    println!("1000 fresh identities of one /24: {offers} offers, {refused} refused; {bound}");
    assert_eq!(lent, policy.prefix_bytes, "all that can be lost if none of them pays");
    assert_eq!((bound.now_bytes, bound.worst_prefix_bytes), (lent, lent));
    // Nobody from there gets more, not even with age; somebody from elsewhere does.
    let old = lender.consider(&request(2000, 1 << 20), &aged(), v4(192, 0, 2, 1), NOW);
    assert!(matches!(old, Err(LoanRefusal::Prefix { .. })));
    lender.consider(&request(2001, 1 << 20), &Record::default(), v4(192, 0, 3, 1), NOW).unwrap();
}

#[test]
fn fresh_identities_of_a_thousand_prefixes_leave_room_to_those_with_age() {
    let (mut lender, policy) = (lender(), LenderPolicy::default());
    let mut refused = 0;
    for number in 1..=1000_u64 {
        let [.., high, low] = number.to_be_bytes();
        let asked = request(number, 1 << 30);
        if let Err(refusal) = lender.consider(&asked, &Record::default(), v4(10, high, low, 1), NOW)
        {
            assert!(matches!(refusal, LoanRefusal::Fresh { .. }), "{refusal}");
            refused += 1;
        }
    }
    println!("1000 fresh identities of 1000 /24: {refused} refused; {}", lender.bound());
    assert_eq!(lender.bound().now_bytes, policy.fresh_total_bytes);
    let offer = lender.consider(&request(5000, 1 << 30), &aged(), v4(10, 200, 0, 1), NOW).unwrap();
    assert_eq!(offer.note.bytes, policy.aged_bytes);
    for number in 6000..7000_u64 {
        let prefix = IpPrefix::V6(number.to_be_bytes()[2..].try_into().unwrap());
        let _ = lender.consider(&request(number, 1 << 30), &aged(), prefix, NOW);
    }
    assert_eq!(lender.bound().now_bytes, policy.total_bytes);
    let more = lender.consider(&request(8000, 1), &aged(), v4(1, 1, 1, 1), NOW);
    let full = LoanRefusal::Total { limit: policy.total_bytes, taken: policy.total_bytes };
    assert_eq!(more, Err(full));
}

#[test]
fn a_48_is_one_prefix_and_who_has_no_address_shares_one_too() {
    let mut lender = lender();
    let prefix =
        |last| IpPrefix::from(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 7, last, 0, 0, 0, last)));
    for prefixes in [[1, 2, 3, 4, 5].map(prefix), [IpPrefix::Unknown; 5]] {
        let results = prefixes.map(|prefix| {
            let number = lender.loans().count().try_into().unwrap();
            lender.consider(&request(number, 1 << 30), &Record::default(), prefix, NOW)
        });
        let offered = results.iter().filter(|result| result.is_ok()).count();
        assert_eq!(offered, 4, "{results:?}");
        assert!(matches!(results[4], Err(LoanRefusal::Prefix { .. })));
    }
}

#[test]
fn what_the_ledger_says_of_a_borrower_decides_before_any_byte() {
    let mut lender = lender();
    let mut try_with = |change: fn(&mut Record), open_loans| {
        let mut record = aged();
        change(&mut record);
        let asked = LoanRequest { open_loans, ..request(1, 1 << 20) };
        lender.consider(&asked, &record, IpPrefix::Unknown, NOW).map(|_| ())
    };
    let defaults = LoanRefusal::Defaults { max: 0, got: 1 };
    assert_eq!(try_with(|record| record.defaults = 1, 0), Err(defaults));
    let wrongs = LoanRefusal::Wrongs { max: 0, got: 3 };
    let sinner = |record: &mut Record| (record.slashes, record.overspends) = (1, 2);
    assert_eq!(try_with(sinner, 0), Err(wrongs));
    assert_eq!(try_with(|_| {}, 96), Err(LoanRefusal::OpenLoans { max: 95, got: 96 }));
    assert_eq!(try_with(|_| {}, 95), Ok(()));
    // The more the ledger knows, the less is lent without age.
    let policy = LenderPolicy::default();
    let mut young = Record::default();
    young.since = UnixTime(NOW.0 - 29 * DAY_S);
    assert!(policy.is_fresh(&young, NOW) && policy.is_fresh(&Record::default(), NOW));
    assert!(!policy.is_fresh(&aged(), NOW));
}

#[test]
fn a_default_that_is_declared_is_seen_by_the_next_lender() {
    let domain = LedgerDomain::new(20_260, WalletAddress([0xcc; 20]));
    let key = |number| Keypair::from_secret_bytes(&[number; 32]).unwrap();
    let (operator, first, borrower) = (key(1), key(2), key(3));
    let address = |key: &Keypair| key.peer_id().wallet_address();
    let parameters = LedgerParameters::new(address(&operator));
    let mut ledger = LedgerState::new(domain, parameters, no_equivocation_check).unwrap();
    let mut lender = Lender::new(LenderPolicy::default(), address(&first), []);

    let asked = LoanRequest { borrower: address(&borrower), ..request(0, 1 << 20) };
    let record = ledger.record(asked.borrower);
    let offer = lender.consider(&asked, &record, v4(192, 0, 2, 1), NOW).unwrap();
    let note = lender.settled(offer.note.number, 1 << 19).unwrap();
    assert_eq!(note.principal, tariff().price(1 << 19).unwrap());
    let signed = SignedNote {
        note,
        lender: note.sign(&domain, &first),
        borrower: note.sign(&domain, &borrower),
    };
    let mut submit = |now: UnixTime, operation| {
        let nonce = ledger.nonce(address(&first));
        let signed = SignedOperation::sign(operation, nonce, &first, &domain);
        ledger.apply(now, &signed).unwrap();
    };
    submit(NOW, Operation::Lend { note: signed });
    let due = note.due;
    let loan = lender.overdue(due).next().unwrap().note.id();
    assert_eq!(loan, note.id());
    submit(due, Operation::DeclareDefault { loan });

    let record = ledger.record(asked.borrower);
    let second = Lender::new(LenderPolicy::default(), somebody(77), []).consider(
        &asked,
        &record,
        v4(198, 51, 100, 1),
        due,
    );
    assert_eq!(second, Err(LoanRefusal::Defaults { max: 0, got: 1 }));
    // The first lender needs no ledger to know.
    let again = lender.consider(&asked, &Record::default(), v4(198, 51, 100, 1), due);
    assert_eq!(again, Err(LoanRefusal::Overdue));
}

#[test]
fn whatever_a_borrower_repays_first_its_lender_loses_no_more_than_the_base() {
    let (mut lender, policy) = (lender(), LenderPolicy::default());
    let (mut served, mut paid) = (0_u64, Amount::ZERO);
    for turn in 0..400_u64 {
        let now = UnixTime(NOW.0 + turn);
        let mut record = Record::default();
        record.since = NOW;
        let offer = lender.consider(&request(1, u64::MAX), &record, v4(10, 0, 0, 1), now).unwrap();
        let note = lender.settled(offer.note.number, u64::MAX).unwrap();
        served += note.bytes;
        let price = tariff().price(served).unwrap();
        let lost = price.checked_sub(paid).unwrap_or(Amount::ZERO);
        assert!(lost <= tariff().price(policy.fresh_bytes + 1).unwrap(), "turn {turn}: {lost}");
        let owed = note.owed().unwrap();
        paid = paid.checked_add(owed).unwrap();
        assert_eq!(lender.repaid(note.number, owed), Some(Amount::ZERO));
    }
    let room = lender.consider(&request(1, u64::MAX), &aged(), v4(10, 0, 0, 1), NOW).unwrap();
    assert_eq!(room.note.bytes, policy.prefix_bytes, "one prefix bounds whatever grew");
}

#[test]
fn room_comes_back_by_repayment_by_silence_of_no_bytes_and_by_writing_off() {
    let (mut lender, policy) = (lender(), LenderPolicy::default());
    let prefix = v4(192, 0, 2, 1);
    let take = |lender: &mut Lender, number, now| {
        lender.consider(&request(number, u64::MAX), &Record::default(), prefix, now)
    };
    let first = take(&mut lender, 1, NOW).unwrap().note;
    assert_eq!(lender.settled(first.number, 0), None);
    assert_eq!(lender.bound().now_bytes, 0);

    let first = take(&mut lender, 1, NOW).unwrap().note;
    assert!(lender.settled(first.number, first.bytes).is_some());
    assert_eq!(lender.settled(first.number, 1), None, "settled once");
    let half = Amount::from_base_units(first.owed().unwrap().base_units() / 2);
    lender.repaid(first.number, half).unwrap();
    assert_eq!(lender.bound().now_bytes, policy.fresh_bytes / 2);
    assert_eq!(take(&mut lender, 1, NOW).unwrap().note.bytes, policy.fresh_bytes / 2);

    let due = NOW.after_s(policy.term_s);
    assert!(matches!(take(&mut lender, 1, due), Err(LoanRefusal::Overdue)));
    let gone = due.after_s(policy.write_off_s);
    assert_eq!(take(&mut lender, 9, gone).unwrap().note.bytes, policy.fresh_bytes);
    assert_eq!(lender.loans().count(), 1);
    assert_eq!(lender.repaid(first.number, half), None);
}

#[test]
fn a_lender_that_restarts_remembers_and_gives_no_number_twice() {
    let mut lender = lender();
    let mut numbers = vec![];
    for number in 1..=3_u64 {
        let prefix = [IpPrefix::Unknown, v4(9, 8, 7, 6), IpPrefix::V6([1, 2, 3, 4, 5, 6])];
        let prefix = prefix[usize::try_from(number).unwrap() - 1];
        let asked = request(number, 100_000 * number);
        let offer = lender.consider(&asked, &Record::default(), prefix, NOW).unwrap();
        numbers.push(offer.note.number);
    }
    lender.settled(numbers[0], 77_777).unwrap();
    let stored: Vec<_> = lender.loans().map(LentLoan::encode).collect();
    let loans = stored.iter().map(|bytes| LentLoan::decode(bytes).unwrap());
    let mut again = Lender::new(LenderPolicy::default(), somebody(0), loans);
    assert!(again.loans().eq(lender.loans()));
    assert_eq!(again.bound(), lender.bound());
    let next = again.consider(&request(4, 1), &Record::default(), IpPrefix::Unknown, NOW).unwrap();
    assert!(!numbers.contains(&next.note.number));
    let mut empty = self::lender();
    let later = empty.consider(&request(4, 1), &aged(), IpPrefix::Unknown, UnixTime(NOW.0 + 9));
    assert!(!numbers.contains(&later.unwrap().note.number));
    for at in 0..stored[0].len() {
        // Damage is refused or reads as another loan; it never panics.
        let mut bytes = stored[0];
        bytes[at] ^= 0xff;
        let _ = LentLoan::decode(&bytes);
    }
    assert!(LentLoan::decode(&stored[0][1..]).is_err());
}

#[test]
fn sums_that_do_not_fit_are_refused() {
    let mut lender = lender();
    let rate = Rate::new(Amount::from_base_units(u128::MAX)).unwrap();
    let dear = LoanRequest { tariff: Tariff { rate, ..tariff() }, ..request(1, 1 << 20) };
    let refused = lender.consider(&dear, &aged(), IpPrefix::Unknown, NOW);
    assert_eq!(refused, Err(LoanRefusal::Overflow));
    let end = UnixTime(u64::MAX);
    let refused = lender.consider(&request(1, 1), &aged(), IpPrefix::Unknown, end);
    assert_eq!(refused, Err(LoanRefusal::Overflow));
    let nothing = lender.consider(&request(1, 0), &aged(), IpPrefix::Unknown, NOW);
    assert_eq!(nothing, Err(LoanRefusal::Nothing));
    assert_eq!(lender.bound().now_bytes, 0);
}

#[test]
fn a_note_that_the_borrower_proposes_is_taken_whole_and_on_the_lenders_terms_or_not_at_all() {
    let (mut lender, policy) = (lender(), LenderPolicy::default());
    let good = |number, bytes| LoanNote {
        lender: somebody(0),
        borrower: somebody(1),
        principal: tariff().price(bytes).unwrap(),
        bytes,
        interest_bps: policy.interest_bps,
        due: NOW.after_s(policy.term_s),
        number,
    };
    let first = good(1, 1 << 20);
    let cheaper = tariff().price((1 << 20) - 4_096).unwrap();
    let mut accept =
        |note| lender.accept(note, (tariff(), 0), &Record::default(), v4(192, 0, 2, 1), NOW);
    for (term, note) in [
        ("lender", LoanNote { lender: somebody(9), ..first }),
        ("principal", LoanNote { principal: cheaper, ..first }),
        ("interest", LoanNote { interest_bps: policy.interest_bps - 1, ..first }),
        ("due time", LoanNote { due: NOW, ..first }),
        ("due time", LoanNote { due: NOW.after_s(policy.term_s + 3_601), ..first }),
        ("number", LoanNote { number: u64::MAX, ..first }),
    ] {
        assert_eq!(accept(note), Err(LoanRefusal::Terms { term }));
    }
    assert_eq!(accept(first), Ok(()));
    assert_eq!(accept(first), Err(LoanRefusal::Terms { term: "number" }));
    let (max, got) = (policy.fresh_bytes - (1 << 20), policy.fresh_bytes);
    assert_eq!(accept(good(2, got)), Err(LoanRefusal::Room { max, got }));
    assert_eq!(accept(good(2, max)), Ok(()));
    let full = LoanRefusal::Borrower { limit: policy.fresh_bytes, taken: policy.fresh_bytes };
    assert_eq!(accept(good(3, 1 << 20)), Err(full));
    // What was never put on the ledger gives its room back.
    assert_eq!(lender.settled(2, 0), None);
    assert_eq!(lender.settled(1, first.bytes), Some(first));
    assert_eq!(lender.bound().now_bytes, first.bytes);
}
