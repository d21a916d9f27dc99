//! A crash of either side, or of the link, between any two steps.

use pop_incentive::exposure::step_bytes;

use crate::world::{PIECE_BYTES, Random, Side, World};

const SIDES: [Side; 3] = [Side::Payer, Side::Payee, Side::Link];

/// Run with crashes after the given numbers of steps; returns the world at its end.
fn run(total: u64, at_once: bool, seed: u64, crashes: &[(u64, Side, bool)]) -> World {
    let mut random = Random(seed);
    let mut world = World::new(total);
    world.at_once = at_once;
    for (steps, side, wrote) in crashes {
        for _ in 0..*steps {
            world.step(random.next() >> 32);
        }
        world.crash(*side, *wrote);
    }
    world.finish(&mut random);
    world
}

/// The voucher on the payee's disk pays for exactly what was delivered, and for nothing that
/// wasn't sent.
///
/// `forgotten` bytes may be unpaid: both sides crashed before either had stored that they went.
fn check(world: &World, forgotten: u64, context: &dyn core::fmt::Debug) {
    let record = world.payee_disk.unwrap();
    let amount = record.signed.voucher.amount;
    assert_eq!(amount, world.payer.promised(), "{context:?}: a promise was lost");
    assert_eq!(amount, world.payer_disk.unwrap().amount, "{context:?}");
    let least = world.tariff.price(world.total.saturating_sub(forgotten)).unwrap();
    let most = world.tariff.price(world.total + world.lost).unwrap();
    assert!(least <= amount, "{context:?}: underpaid, {least} is due, promised is {amount}");
    assert!(amount <= most, "{context:?}: overpaid, {most} is due, promised is {amount}");
    assert!(record.signed.voucher.bytes <= world.total, "{context:?}: a false receipt");
}

#[test]
fn a_delivery_without_crashes_is_paid_exactly_and_acknowledged_wholly() {
    for total in [0, 1, 1000, PIECE_BYTES, 65_536, 65_537, 1 << 20, (5 << 20) + 7] {
        for seed in 0..20 {
            let world = run(total, false, seed, &[]);
            if total > 0 {
                check(&world, 0, &(total, seed));
                assert_eq!(world.payee_disk.unwrap().signed.voucher.bytes, total);
            }
        }
    }
}

#[test]
fn a_crash_between_any_two_steps_of_either_side_loses_and_double_pays_nothing() {
    let total = 200_000;
    let mut runs = 0_u32;
    for seed in 0..1 {
        for steps in 0..90 {
            for side in SIDES {
                for wrote in [false, true] {
                    for at_once in [false, true] {
                        let crash = (steps, side, wrote);
                        let world = run(total, at_once, seed, &[crash]);
                        check(&world, 0, &(seed, at_once, crash));
                        // Nothing on its way: paid to the base unit.
                        assert!(!at_once || world.lost == 0);
                        runs += 1;
                    }
                }
            }
        }
    }
    println!("{runs} runs, seed 0: 0 under- and overpayments");
}

#[test]
fn crashes_during_recovery_from_crashes_lose_and_double_pay_nothing() {
    let runs = 300;
    for seed in 0..runs {
        let mut random = Random(seed + 1_000_000);
        // One of the two sides, again and again, and the link.
        let sides =
            if seed % 2 == 0 { [Side::Payer, Side::Link] } else { [Side::Payee, Side::Link] };
        let crashes = crashes(&mut random, &sides);
        let world = run(300_000, true, seed, &crashes);
        check(&world, 0, &(seed, crashes));
    }
    println!("{runs} runs, seeds 0 to {}: 0 under- and overpayments", runs - 1);
}

#[test]
fn what_both_sides_forgot_is_at_most_a_step_per_crash_of_both() {
    let (runs, mut unpaid_most) = (300, 0);
    for seed in 0..runs {
        let mut random = Random(seed + 2_000_000);
        let crashes = crashes(&mut random, &SIDES);
        let world = run(300_000, true, seed, &crashes);
        let count = |side| crashes.iter().filter(|(_, crashed, _)| *crashed == side).count();
        let both = u64::try_from(count(Side::Payer).min(count(Side::Payee))).unwrap();
        check(&world, both * step_bytes(world.total), &(seed, crashes));
        let paid = world.tariff.bytes_for(world.payer.promised());
        unpaid_most = unpaid_most.max(world.total - paid);
    }
    println!("{runs} runs, seeds 0 to {}: at most {unpaid_most} bytes unpaid", runs - 1);
}

fn crashes(random: &mut Random, sides: &[Side]) -> Vec<(u64, Side, bool)> {
    let count = 1 + random.below(6);
    let mut crash = || {
        let side = usize::try_from(random.below(1 << 20)).unwrap() % sides.len();
        (random.below(40), sides[side], random.below(2) == 0)
    };
    (0..count).map(|_| crash()).collect()
}

#[test]
fn neither_side_is_ever_more_than_a_step_ahead() {
    let (mut unpaid, mut prepaid) = (0, 0);
    for seed in 0..30 {
        let world = run(6 << 20, false, seed, &[]);
        unpaid = unpaid.max(world.worst_unpaid);
        prepaid = prepaid.max(world.worst_prepaid);
    }
    println!(
        "worst unpaid {unpaid}, worst prepaid {prepaid} bytes; a step is {}",
        step_bytes(6 << 20)
    );
    assert!(unpaid <= step_bytes(6 << 20) && prepaid <= step_bytes(6 << 20));
}

#[test]
fn a_payment_is_on_its_way_before_the_allowance_ends() {
    // 64 KiB are served in the time of each other event: three of them, the two disks and the
    // link, lie between the need for a promise and the allowance that it brings.
    let mut world = World::new(16 << 20);
    world.at_once = true;
    let mut random = Random(1);
    let mut stalls_after_growth = 0;
    while world.got < world.total {
        let before = world.got;
        (0..4).for_each(|_| world.serve_one());
        if world.got == before && world.got > 2 << 20 {
            stalls_after_growth += 1;
        }
        world.step_without_data(random.next() >> 32);
    }
    println!("{} vouchers for {} bytes", world.vouchers, world.total);
    assert_eq!(stalls_after_growth, 0);
    // At most one per 384 KiB, but for the smaller first steps.
    assert!(world.vouchers <= 16 * 1024 / 384 + 8);
}
