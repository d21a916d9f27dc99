//! Viewers pay each other for what they give.

use std::rc::Rc;

use pop_incentive::ledger::names::vault_id;
use pop_incentive::ledger::{
    Account, LedgerParameters, LedgerState, Operation, SignedOperation, no_equivocation_check,
};
use pop_incentive::typed_data::LedgerDomain;
use pop_web::engine::{EngineConfig, EngineError, Event, Input};
use pop_wire::{Amount, Keypair, WalletAddress};

use crate::masternode::{Published, WALL};
use crate::viewer::FILM;
use crate::world::{World, seed};

/// One POP in base units.
const POP: u128 = 1_000_000_000_000_000_000;

/// A megabit a second.
const PACE: u64 = 125_000;

fn film() -> Rc<Published> {
    Published::new(6, 4_000_000, (6, 9), 6_144)
}

fn pop(whole: u128) -> Amount {
    Amount::from_base_units(whole * POP)
}

fn domain() -> LedgerDomain {
    LedgerDomain::new(31_337, WalletAddress([5; 20]))
}

/// A ledger on the first masternode, where these have 100 POP each.
fn keep_ledger(world: &mut World, wallets: &[WalletAddress]) {
    let operator = Keypair::from_secret_bytes(&[200; 32]).unwrap();
    let parameters = LedgerParameters::new(operator.peer_id().wallet_address());
    let mut ledger = LedgerState::new(domain(), parameters, no_equivocation_check).unwrap();
    for (nonce, to) in (0..).zip(wallets) {
        let mint = Operation::Mint { to: *to, amount: pop(100) };
        ledger.apply(WALL, &SignedOperation::sign(mint, nonce, &operator, &domain())).unwrap();
    }
    world.nodes[0].ledger = Some(ledger);
}

fn wallet(world: &World, viewer: usize) -> WalletAddress {
    world.viewers[viewer].engine.peer_id().wallet_address()
}

fn balance(world: &World, account: Account) -> Amount {
    world.nodes[0].ledger.as_ref().unwrap().balance(account)
}

fn set_up(config: &mut EngineConfig) {
    config.window_bytes = 8 << 20;
    config.ledger_addresses = vec!["/ip4/10.0.0.1/tcp/4782/ws".parse().unwrap()];
}

/// A viewer that has all of the film and sells it, and one that buys it from there alone.
fn seller_and_buyer(world: &mut World, film: &Rc<Published>) -> (usize, usize) {
    let wallets = [1, 2].map(|number| {
        Keypair::from_secret_bytes(&[number; 32]).unwrap().peer_id().wallet_address()
    });
    keep_ledger(world, &wallets);
    let seller = world.viewer(|config| {
        set_up(config);
        config.price = Amount::from_base_units(POP / 1_000);
    });
    world.viewers[seller].open(0, film);
    let read = world.viewers[seller].read(0, film, 0..u64::MAX, Some(PACE));
    assert!(world.run(90_000, |world| world.viewers[seller].reads[&read].is_over));
    let buyer = world.viewer(|config| {
        set_up(config);
        config.price_max = Amount::from_base_units(POP / 500);
    });
    // The relay and ledger stays.
    (1..9).for_each(|node| world.kill(node));
    (seller, buyer)
}

#[test]
fn what_is_given_is_paid_for_and_the_ledger_shows_it() {
    let film = film();
    let mut world = World::new(seed(), 9, &film);
    let (seller, buyer) = seller_and_buyer(&mut world, &film);
    let now = world.now;
    world.viewers[buyer].tell(now, Input::Deposit { amount: pop(50) });
    let has_vault =
        |event: &Event| matches!(event, Event::Wallet { vault, .. } if *vault == pop(50));
    assert!(world.run(20_000, |world| world.viewers[buyer].events.iter().any(has_vault)));
    assert_eq!(balance(&world, Account::Wallet(wallet(&world, buyer))), pop(50));
    let now = world.now;
    world.viewers[buyer].open(now, &film);
    let read = world.viewers[buyer].read(now, &film, 0..u64::MAX, Some(PACE));
    let over = world.run(200_000, |world| world.viewers[buyer].reads[&read].is_over);
    assert!(over, "{:?}", world.viewers[buyer].events);
    let stats = world.viewers[buyer].engine.film_stats(FILM).unwrap();
    assert!(stats.from_viewers_bytes > 3_000_000, "{stats:?}");
    world.run(5_000, |_| false);
    let (spent, earned) =
        (world.viewers[buyer].engine.stats().spent, world.viewers[seller].engine.stats().earned);
    assert!(spent > Amount::ZERO);
    assert_eq!(spent, earned);
    assert!(world.viewers[buyer].records.keys().any(|key| key.starts_with(b"payer ")));
    // Cashed in, it moves from the vault to the seller.
    let now = world.now;
    world.viewers[seller].tell(now, Input::Redeem);
    let paid = |world: &World| {
        balance(world, Account::Wallet(wallet(world, seller))).checked_sub(pop(100))
    };
    assert!(world.run(20_000, |world| paid(world) == Some(earned)));
    let vault = vault_id(&domain(), wallet(&world, buyer), 0);
    let left = balance(&world, Account::Vault(vault));
    assert_eq!(left.checked_add(earned), Some(pop(50)));
}

#[test]
fn who_has_no_vault_yet_and_whose_vault_ran_dry_are_told_apart_and_get_no_more() {
    let film = film();
    let mut world = World::new(seed(), 9, &film);
    let (seller, buyer) = seller_and_buyer(&mut world, &film);
    let now = world.now;
    world.viewers[buyer].open(now, &film);
    let read = world.viewers[buyer].read(now, &film, 0..u64::MAX, Some(PACE));
    assert!(!world.run(60_000, |world| world.viewers[buyer].reads[&read].is_over));
    let said = |world: &World, what: &EngineError| {
        let is = |event: &&Event| matches!(event, Event::Problem { error } if error == what);
        world.viewers[buyer].events.iter().filter(is).count()
    };
    assert_eq!(said(&world, &EngineError::Unfunded), 1);
    assert_eq!(said(&world, &EngineError::VaultLow), 0, "nothing was ever there");
    let up = world.viewers[seller].engine.stats().up_bytes;
    assert!(up > 0 && up <= 128 * 1024, "{up}");
    assert_eq!(world.viewers[seller].engine.stats().earned, Amount::ZERO);
    // What is deposited first is soon spent.
    let little = Amount::from_base_units(POP / 20);
    let now = world.now;
    world.viewers[buyer].tell(now, Input::Deposit { amount: little });
    assert!(!world.run(60_000, |world| world.viewers[buyer].reads[&read].is_over));
    assert_eq!(said(&world, &EngineError::Unfunded), 1);
    assert_eq!(said(&world, &EngineError::VaultLow), 1);
    assert!(world.viewers[seller].engine.stats().earned > Amount::ZERO);
    // A deposit later, it plays on.
    let now = world.now;
    world.viewers[buyer].tell(now, Input::Deposit { amount: pop(50) });
    let over = world.run(300_000, |world| world.viewers[buyer].reads[&read].is_over);
    assert!(over, "{:?}", world.viewers[buyer].engine.film_stats(FILM));
}

#[test]
fn after_a_restart_promises_go_on_from_those_that_were_stored() {
    let film = film();
    let mut world = World::new(seed(), 9, &film);
    let (seller, buyer) = seller_and_buyer(&mut world, &film);
    let now = world.now;
    world.viewers[buyer].tell(now, Input::Deposit { amount: pop(50) });
    world.viewers[buyer].open(now, &film);
    let read = world.viewers[buyer].read(now, &film, 0..u64::MAX, Some(PACE));
    assert!(world.run(60_000, |world| world.viewers[buyer].reads[&read].got > 1_000_000));
    let spent = world.viewers[buyer].engine.stats().spent;
    assert!(spent > Amount::ZERO);
    let records: Vec<_> = world.viewers[buyer].records.clone().into_iter().collect();
    world.leave(buyer);
    world.run(10_000, |_| false);
    // The same key, nothing cached.
    let again = world.viewer(|config| {
        set_up(config);
        config.secret = [2; 32].into();
        config.price_max = Amount::from_base_units(POP / 500);
        config.records = records;
    });
    assert_eq!(wallet(&world, again), wallet(&world, buyer));
    let now = world.now;
    world.viewers[again].open(now, &film);
    let read = world.viewers[again].read(now, &film, 0..u64::MAX, Some(PACE));
    let over = world.run(200_000, |world| world.viewers[again].reads[&read].is_over);
    assert!(over, "{:?}", world.viewers[again].events);
    let (more, earned) =
        (world.viewers[again].engine.stats().spent, world.viewers[seller].engine.stats().earned);
    assert!(more > spent);
    assert_eq!(more, earned);
}
