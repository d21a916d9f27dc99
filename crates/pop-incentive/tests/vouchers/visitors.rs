//! The float before it is known what a payer pays from: no first byte waits for a ledger.

use pop_incentive::limits::STEP_BYTES_FIRST;
use pop_incentive::payee::{Payee, PayeeError, PayeeInput, PayeeOutput};
use pop_incentive::rate::Meter;

use crate::world::{address, domain, policy, pop, prefix, tariff, vault};

fn payee() -> Payee {
    Payee::new(domain(), address(2), policy(), []).unwrap()
}

fn visit(payee: &mut Payee, who: u8) -> u64 {
    let (payer, prefix) = (address(who.into()), prefix(who));
    payee.handle(PayeeInput::Visit { payer, prefix }).unwrap();
    match payee.poll() {
        Some(PayeeOutput::VisitorAllowance { payer: named, bytes }) if named == payer => bytes,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_visitor_is_served_one_step_before_the_ledger_is_asked_and_owes_it_afterwards() {
    let mut payee = payee();
    let info = vault(1, pop(1000));
    let payer = info.owner;
    assert_eq!(visit(&mut payee, 1), STEP_BYTES_FIRST);
    payee.handle(PayeeInput::VisitorServed { payer, bytes: STEP_BYTES_FIRST }).unwrap();
    let over = Err(PayeeError::OverAllowance { bytes: 1 });
    assert_eq!(payee.handle(PayeeInput::VisitorServed { payer, bytes: 1 }), over);
    payee.handle(PayeeInput::Vault(info)).unwrap();
    let (vault, meter, prefix) = (info.vault, Meter::new(tariff()), prefix(1));
    payee.handle(PayeeInput::Open { vault, meter, position: 0, prefix }).unwrap();
    let allowed = Some(PayeeOutput::Allowance { vault, bytes: STEP_BYTES_FIRST });
    assert_eq!(std::iter::from_fn(|| payee.poll()).last(), allowed);
    assert_eq!(payee.served_bytes(vault), STEP_BYTES_FIRST);
    let over = Err(PayeeError::OverAllowance { bytes: 1 });
    assert_eq!(payee.handle(PayeeInput::Served { vault, bytes: 1 }), over);
}

#[test]
fn a_visitor_that_takes_and_leaves_gets_nothing_more_until_it_is_forgiven() {
    let mut payee = payee();
    let payer = address(1);
    assert_eq!(visit(&mut payee, 1), STEP_BYTES_FIRST);
    payee.handle(PayeeInput::VisitorServed { payer, bytes: 40_000 }).unwrap();
    payee.handle(PayeeInput::VisitorLeft { payer }).unwrap();
    assert_eq!(payee.bound().now_bytes, 40_000);
    assert_eq!(visit(&mut payee, 1), 0, "the same name again");
    payee.handle(PayeeInput::Forgive).unwrap();
    assert_eq!(payee.bound().now_bytes, 0);
    assert_eq!(visit(&mut payee, 1), STEP_BYTES_FIRST);
}

#[test]
fn a_visitor_that_took_nothing_leaves_no_trace() {
    let mut payee = payee();
    let payer = address(1);
    for _ in 0..10_000 {
        assert_eq!(visit(&mut payee, 1), STEP_BYTES_FIRST);
        payee.handle(PayeeInput::VisitorLeft { payer }).unwrap();
    }
    assert_eq!(payee.bound().peers, 0);
}

#[test]
fn a_payer_with_an_account_pays_from_the_first_byte_on() {
    let mut payee = payee();
    let info = vault(1, pop(1000));
    payee.handle(PayeeInput::Vault(info)).unwrap();
    assert_eq!(visit(&mut payee, 1), 0);
}

#[test]
fn a_position_has_earlier_visits_in_it_and_not_this_one() {
    for (position, left, served) in [
        (0, false, 40_000),
        (30_000, false, 70_000),
        (30_000, true, 40_000),
        (50_000, true, 50_000),
    ] {
        let mut payee = payee();
        let info = vault(1, pop(1000));
        let payer = info.owner;
        visit(&mut payee, 1);
        payee.handle(PayeeInput::VisitorServed { payer, bytes: 40_000 }).unwrap();
        if left {
            payee.handle(PayeeInput::VisitorLeft { payer }).unwrap();
        }
        payee.handle(PayeeInput::Vault(info)).unwrap();
        let (vault, meter, prefix) = (info.vault, Meter::new(tariff()), prefix(1));
        payee.handle(PayeeInput::Open { vault, meter, position, prefix }).unwrap();
        assert_eq!(payee.served_bytes(vault), served);
    }
}
