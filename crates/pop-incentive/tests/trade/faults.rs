//! Late answers, reconnections and crashes.

use pop_incentive::limits::{STEP_BYTES_FIRST, STEP_BYTES_MAX};
use pop_incentive::message::Objection;

use crate::world::{Options, Random, Side, World, address, price};

const SIDES: [Side; 3] = [Side::Purse, Side::Till, Side::Link];

#[test]
fn shards_are_paid_to_the_base_unit_however_late_and_in_what_order_the_ledger_answers() {
    for total in [1, 1_000, 65_537, (1 << 20) + 7] {
        for seed in 0..8 {
            let options = Options { ledger_ms_max: 1 + seed * 1_000, ..Options::default() };
            let mut world = World::new(seed, total, options);
            world.run();
            world.check(&(total, seed));
            assert_eq!(world.purse.promised(), price(total));
        }
    }
}

#[test]
fn redemption_and_answers_that_are_overtaken_hold_nobody_up() {
    for seed in 0..4 {
        let options = Options {
            unredeemed_max: price(4 * STEP_BYTES_MAX),
            ledger_ms_max: 1 + seed * 1_000,
            ..Options::default()
        };
        let mut world = World::new(seed, 5 << 20, options);
        world.run();
        world.check(&seed);
    }
}

#[test]
fn a_crash_between_any_two_events_of_either_side_loses_and_double_pays_nothing() {
    let mut runs = 0_u32;
    for side in SIDES {
        for steps in 0..60 {
            for wrote in [false, true] {
                let mut world = World::new(steps, 250_000, Options::default());
                for _ in 0..steps {
                    world.step();
                }
                // A visit that ends before there is an account is remembered by the seller alone.
                let is_visit = side == Side::Till && !world.purse.is_open(address(2));
                let forgotten = if is_visit { STEP_BYTES_FIRST } else { 0 };
                world.crash(side, wrote);
                world.run();
                world.check_but(forgotten, &(side, steps, wrote));
                runs += 1;
            }
        }
    }
    println!("{runs} runs: 0 under- and overpayments");
}

#[test]
fn reconnections_again_and_again_end_with_what_is_due() {
    for seed in 0..30 {
        let mut random = Random(seed);
        let mut world = World::new(seed, 700_000, Options::default());
        for _ in 0..1 + random.below(8) {
            for _ in 0..random.below(60) {
                world.step();
            }
            // What is lost beyond two steps and 1/64 nobody pays, and nothing more is served.
            if world.lost < STEP_BYTES_FIRST {
                world.crash(Side::Link, false);
            }
        }
        world.run();
        world.check(&seed);
    }
}

#[test]
fn a_seller_that_runs_again_knows_what_the_ledger_paid() {
    let max = price(4 * STEP_BYTES_MAX);
    for seed in 0..2 {
        let options = Options { unredeemed_max: max, ..Options::default() };
        let mut world = World::new(seed, 5 << 20, options);
        world.run();
        assert!(world.purse.promised() > max, "more was promised than may be unredeemed");
        world.redeem_all();
        // It has its vouchers, and has forgotten what was redeemed of them; looking the vault up is
        // all that it can do.
        world.redeems = false;
        world.crash(Side::Till, true);
        world.want_more(1 << 20);
        world.run();
        world.check(&seed);
    }
}

#[test]
fn a_customer_that_was_forgotten_and_comes_back_is_known_by_what_the_ledger_paid() {
    let max = price(4 * STEP_BYTES_MAX);
    for seed in 0..2 {
        let options = Options { unredeemed_max: max, ..Options::default() };
        let mut world = World::new(seed, 5 << 20, options);
        world.run();
        world.redeem_all();
        world.disconnect();
        world.forgive();
        assert!(world.till_disk.is_none(), "forgotten");
        world.want_more(5 << 20);
        world.run();
        world.check(&seed);
    }
}

#[test]
fn quotes_that_come_before_the_ledger_is_known_are_taken_when_it_is() {
    for seed in 0..4 {
        let options = Options { ledger_known_ms: 5_000, ..Options::default() };
        let mut world = World::new(seed, 1 << 20, options);
        world.run();
        world.check(&seed);
        assert_eq!(world.asks, 1, "one question was enough");
    }
}

#[test]
fn a_quote_that_ran_out_before_there_was_a_vault_is_asked_for_anew() {
    let options = Options { funded_ms: 2 * 3_600_000, ..Options::default() };
    let mut world = World::new(1, 1 << 20, options);
    world.run();
    assert_eq!(world.purse.promised(), price(1 << 20));
    world.check(&"two hours");
    assert_eq!(world.asks, 2);
    assert_eq!(world.objections.iter().filter(|it| **it == Objection::Terms).count(), 1);
}

#[test]
fn a_seller_that_doesnt_see_the_vault_yet_asks_until_it_does() {
    // The buyer sees it at once, and the seller some seconds of looking later.
    for seed in 0..4 {
        let options = Options { funded_ms: 4_000, ledger_ms_max: 6_000, ..Options::default() };
        let mut world = World::new(seed, 1 << 20, options);
        world.run();
        world.check(&seed);
    }
}
