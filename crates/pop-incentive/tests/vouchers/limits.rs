//! Local mistakes and limits: an error, and nothing has changed.

use pop_incentive::balance::Balance;
use pop_incentive::limits::{FLOAT_BYTES_SEEN, STEP_BYTES_MAX};
use pop_incentive::payee::{Payee, PayeeError, PayeeInput, PayeeOutput};
use pop_incentive::payer::{Payer, PayerError, PayerInput, PayerOutput};
use pop_incentive::rate::{Meter, Rate, Tariff, Tier};
use pop_incentive::record::{PayeeRecord, PayerRecord};
use pop_incentive::voucher::{FormatError, VaultInfo};
use pop_wire::{Amount, WalletAddress};

use crate::world::{Random, World, address, domain, keypair, policy, pop, prefix, tariff, vault};

fn payer(info: VaultInfo) -> Payer {
    Payer::new(domain(), keypair(1), info, Default::default(), []).unwrap()
}

#[test]
fn a_payer_refuses_what_its_caller_got_wrong() {
    let mut payer = payer(vault(1, pop(1000)));
    let payee = address(2);
    let unknown = Err(PayerError::UnknownPayee { payee });
    assert_eq!(payer.handle(PayerInput::Want { payee, bytes: 1 }), unknown);
    assert_eq!(payer.handle(PayerInput::Close { payee }), unknown);
    payer.handle(PayerInput::Open { payee, tariff: tariff(), prefix: prefix(2) }).unwrap();
    let nothing = Err(PayerError::NothingToPersist { payee });
    assert_eq!(payer.handle(PayerInput::Persisted { payee }), nothing);
    let not_wanted = Err(PayerError::NotWanted { bytes: 5 });
    assert_eq!(payer.handle(PayerInput::Verified { payee, bytes: 5 }), not_wanted);
    payer.handle(PayerInput::Want { payee, bytes: u64::MAX }).unwrap();
    assert_eq!(payer.handle(PayerInput::Want { payee, bytes: 1 }), Err(PayerError::Overflow));
    let other = vault(9, pop(1));
    assert!(payer.handle(PayerInput::Vault(other)).is_err());
    let key = Payer::new(domain(), keypair(2), vault(1, pop(1)), Default::default(), []);
    assert!(key.is_err(), "another key than the owner's");
}

#[test]
fn a_price_that_does_not_fit_is_one_that_no_vault_covers() {
    let most = Amount::from_base_units(u128::MAX);
    let mut payer = payer(vault(1, most));
    let payee = address(2);
    let tariff = Tariff { rate: Rate::new(most).unwrap(), tier: Tier::of_kbps(100).unwrap() };
    payer.handle(PayerInput::Open { payee, tariff, prefix: prefix(2) }).unwrap();
    payer.handle(PayerInput::Want { payee, bytes: u64::MAX }).unwrap();
    let outputs: Vec<_> = std::iter::from_fn(|| payer.poll()).collect();
    // The greatest amount is promised, for it is what the vault holds: nothing has wrapped.
    assert!(payer.promised() <= most);
    assert!(outputs.len() <= 2, "{outputs:?}");
}

/// Bytes that came and vouchers that were sent, of a payee with such a float that is always faster
/// than the disk of its payer.
fn fetch_from_a_fast_payee(wanted: u64, shard: u64, float: u64) -> (u64, u64) {
    let mut payer = payer(vault(1, pop(1_000_000_000)));
    let (payee, tariff) = (address(2), tariff());
    payer.handle(PayerInput::Open { payee, tariff, prefix: prefix(2) }).unwrap();
    payer.handle(PayerInput::Want { payee, bytes: wanted }).unwrap();
    let (mut came, mut covered, mut vouchers, mut storing) = (0, 0, 0, false);
    loop {
        while let Some(output) = payer.poll() {
            match output {
                PayerOutput::Persist(_) => storing = true,
                PayerOutput::Send(signed) => {
                    vouchers += 1;
                    covered = tariff.bytes_for(signed.voucher.amount);
                }
                _ => {}
            }
        }
        let next = shard.min(wanted - came);
        if next > 0 && came + next <= covered + float {
            came += next;
            payer.handle(PayerInput::Verified { payee, bytes: next }).unwrap();
        } else if core::mem::take(&mut storing) {
            payer.handle(PayerInput::Persisted { payee }).unwrap();
        } else {
            assert!(covered >= came, "{} bytes are left unpaid at the end", came - covered);
            return (came, vouchers);
        }
    }
}

#[test]
fn a_payee_that_goes_on_unpaid_is_paid_later_and_never_waits_for_ever() {
    let wanted = 64 << 20;
    for shard in [1 << 15, 100_000, 1 << 18] {
        let vouchers = [FLOAT_BYTES_SEEN - 1, FLOAT_BYTES_SEEN, STEP_BYTES_MAX].map(|float| {
            let (came, vouchers) = fetch_from_a_fast_payee(wanted, shard, float);
            assert_eq!(came, wanted, "shards of {shard}, float {float}");
            vouchers
        });
        println!("shards of {shard}: {vouchers:?} vouchers");
        assert!(vouchers[2] < vouchers[0] / 4 * 3, "shards of {shard}: {vouchers:?} vouchers");
    }
}

#[test]
fn a_payee_refuses_what_its_caller_got_wrong() {
    let mut payee = Payee::new(domain(), address(2), policy(), []).unwrap();
    let info = vault(1, pop(1000));
    let vault = info.vault;
    let unknown = Err(PayeeError::UnknownVault { vault });
    assert_eq!(payee.handle(PayeeInput::Served { vault, bytes: 1 }), unknown);
    payee.handle(PayeeInput::Vault(info)).unwrap();
    let over = Err(PayeeError::OverAllowance { bytes: 1 });
    assert_eq!(payee.handle(PayeeInput::Served { vault, bytes: 1 }), over);
    let nothing = Err(PayeeError::NothingToPersist { vault });
    assert_eq!(payee.handle(PayeeInput::Persisted { vault }), nothing);
    let other = VaultInfo { owner: address(9), ..info };
    let old = Err(PayeeError::OldVault { epoch: 0 });
    assert_eq!(payee.handle(PayeeInput::Vault(other)), old);
}

#[test]
fn a_payer_is_forgotten_only_when_it_has_gone_and_is_redeemed() {
    let mut world = World::new(200_000);
    world.finish(&mut Random(1));
    let vault = world.info.vault;
    let in_use = Err(PayeeError::InUse { vault });
    assert_eq!(world.payee.handle(PayeeInput::Forget { vault }), in_use);
    world.payee.handle(PayeeInput::Close { vault }).unwrap();
    assert_eq!(world.payee.handle(PayeeInput::Forget { vault }), in_use);
    let amount = world.payee.stored(vault).unwrap().voucher.amount;
    world.payee.handle(PayeeInput::Redeemed { vault, amount }).unwrap();
    assert_eq!(world.payee.handle(PayeeInput::Forget { vault }), Ok(()));
    let unknown = Err(PayeeError::UnknownVault { vault });
    assert_eq!(world.payee.handle(PayeeInput::Forget { vault }), unknown);
}

#[test]
fn a_payer_that_was_forgotten_is_known_again_by_what_the_ledger_paid() {
    let mut world = World::new(2_000_000);
    world.finish(&mut Random(1));
    let (vault, signed) = (world.info.vault, world.payee.stored(world.info.vault).unwrap());
    let (amount, position) = (signed.voucher.amount, signed.voucher.bytes);
    let payee = &mut world.payee;
    payee.handle(PayeeInput::Close { vault }).unwrap();
    payee.handle(PayeeInput::Redeemed { vault, amount }).unwrap();
    payee.handle(PayeeInput::Forget { vault }).unwrap();
    while payee.poll().is_some() {}
    let balance = world.info.funded.checked_sub(amount).unwrap();
    let info = VaultInfo { redeemed: amount, ..world.info };
    assert_eq!(info.balance(), balance);
    payee.handle(PayeeInput::Vault(info)).unwrap();
    payee.handle(PayeeInput::Redeemed { vault, amount }).unwrap();
    let meter = Meter::new(tariff());
    payee.handle(PayeeInput::Open { vault, meter, position, prefix: prefix(2) }).unwrap();
    payee.handle(PayeeInput::Voucher(signed)).unwrap();
    let outputs: Vec<_> = std::iter::from_fn(|| payee.poll()).collect();
    assert!(matches!(outputs.last(), Some(PayeeOutput::Persist(_))), "{outputs:?}");
    assert_eq!(payee.served_bytes(vault), position);
}

#[test]
fn a_record_that_is_damaged_or_of_somebody_else_is_refused() {
    let mut world = World::new(200_000);
    world.finish(&mut Random(1));
    let record = world.payee_disk.unwrap();
    let other = Payee::new(domain(), address(3), policy(), [(world.info, record)]);
    assert!(matches!(other, Err(PayeeError::Record(_))));
    let mut damaged = record;
    damaged.signed.voucher.amount = pop(999);
    let other = Payee::new(domain(), address(2), policy(), [(world.info, damaged)]);
    assert!(matches!(other, Err(PayeeError::Record(_))));
    for len in [0, 1, 202, 204] {
        let length = PayeeRecord::decode(&vec![1; len]);
        assert!(matches!(length, Err(FormatError::Length { .. })));
        let length = PayerRecord::decode(&vec![1; len]);
        assert!(matches!(length, Err(FormatError::Length { .. })));
    }
    let payer = world.payer_disk.unwrap();
    assert_eq!(PayerRecord::decode(&payer.encode()), Ok(payer));
    assert_eq!(PayeeRecord::decode(&record.encode()), Ok(record));
}

#[test]
fn a_new_epoch_voids_promises_and_carries_over_what_is_owed() {
    let mut payer = payer(vault(1, pop(1000)));
    let payee = address(2);
    payer.handle(PayerInput::Open { payee, tariff: tariff(), prefix: prefix(2) }).unwrap();
    payer.handle(PayerInput::Want { payee, bytes: 1 << 20 }).unwrap();
    payer.handle(PayerInput::Verified { payee, bytes: 100_000 }).unwrap();
    assert!(payer.promised() > Amount::ZERO);
    while payer.poll().is_some() {}
    let next = VaultInfo { epoch: 1, ..vault(1, pop(500)) };
    payer.handle(PayerInput::Vault(next)).unwrap();
    // The record of the old epoch reaches the disk: it is not sent any more.
    payer.handle(PayerInput::Persisted { payee }).unwrap();
    let outputs: Vec<_> = std::iter::from_fn(|| payer.poll()).collect();
    let [PayerOutput::Persist(record)] = outputs[..] else { panic!("{outputs:?}") };
    assert_eq!(record.epoch, 1);
    assert_eq!(record.amount, payer.promised());
    // No voucher of the old epoch was sent: all that came is still owed.
    assert_eq!(record.conceded, 100_000);
    assert!(payer.handle(PayerInput::Vault(vault(1, pop(1)))).is_err(), "back to an old epoch");
}

#[test]
fn the_tariff_changes_for_both_at_the_same_point() {
    let mut payer = payer(vault(1, pop(1000)));
    let mut payee = Payee::new(domain(), address(2), policy(), []).unwrap();
    let info = vault(1, pop(1000));
    payee.handle(PayeeInput::Vault(info)).unwrap();
    let dear = Tariff { rate: Rate::new(Amount::from_base_units(77_777_777)).unwrap(), ..tariff() };
    let name: WalletAddress = address(2);
    let mut owed = Amount::ZERO;
    for turn in 0..40_u64 {
        let tariff = if turn % 2 == 0 { tariff() } else { dear };
        payer.handle(PayerInput::Open { payee: name, tariff, prefix: prefix(2) }).unwrap();
        payer.handle(PayerInput::Want { payee: name, bytes: 50_000 }).unwrap();
        exchange(&mut payer, &mut payee, &info);
        payee.handle(PayeeInput::Served { vault: info.vault, bytes: 50_000 }).unwrap();
        payer.handle(PayerInput::Verified { payee: name, bytes: 50_000 }).unwrap();
        exchange(&mut payer, &mut payee, &info);
        // Each turn's bytes at its own tariff, a base unit of rounding apart.
        owed = owed.checked_add(tariff.price(50_000).unwrap()).unwrap();
        let paid = payee.stored(info.vault).unwrap().voucher.amount;
        assert_eq!(paid, payer.promised());
        let apart = paid.base_units().abs_diff(owed.base_units());
        assert!(apart <= u128::from(turn) + 1, "turn {turn}: {paid} for {owed}");
    }
}

/// One node of two that serve each other: a payer and a payee on one wallet.
struct Node {
    payer: Payer,
    payee: Payee,
    info: VaultInfo,
    name: WalletAddress,
    served: u64,
}

impl Node {
    fn new(number: u32) -> Self {
        let info = vault(number, pop(1000));
        let (key, name) = (keypair(number), address(number));
        let payer = Payer::new(domain(), key, info, Default::default(), []).unwrap();
        Self {
            payer,
            payee: Payee::new(domain(), name, policy(), []).unwrap(),
            info,
            name,
            served: 0,
        }
    }

    /// What the other owes and has promised us, as we see it.
    fn balance_of(&self, other: &Node) -> Balance {
        let owed = tariff().price(self.served).unwrap();
        let stored = self.payee.stored(other.info.vault);
        let promised = stored.map_or(Amount::ZERO, |signed| signed.voucher.amount);
        Balance { owed, promised }
    }
}

/// `from` serves `to` some bytes; both know what the other did for them.
fn serve(from: &mut Node, to: &mut Node, bytes: u64) {
    let (payee, vault) = (from.name, to.info.vault);
    // What the payer has from the payee pays, and the payee knows that it does.
    let balance = to.balance_of(from);
    to.payer.handle(PayerInput::Balance { payee, balance }).unwrap();
    from.payee.handle(PayeeInput::Balance { vault, balance }).unwrap();
    to.payer.handle(PayerInput::Want { payee, bytes }).unwrap();
    exchange(&mut to.payer, &mut from.payee, &to.info);
    from.payee.handle(PayeeInput::Served { vault, bytes }).unwrap();
    from.served += bytes;
    to.payer.handle(PayerInput::Verified { payee, bytes }).unwrap();
    exchange(&mut to.payer, &mut from.payee, &to.info);
}

#[test]
fn two_nodes_that_serve_each_other_settle_the_difference_only() {
    let (mut a, mut b) = (Node::new(1), Node::new(2));
    for (payer, payee) in [(1, 2), (2, 1)] {
        let (from, to) = if payer == 1 { (&mut b, &mut a) } else { (&mut a, &mut b) };
        from.payee.handle(PayeeInput::Vault(to.info)).unwrap();
        let open = PayerInput::Open { payee: address(payee), tariff: tariff(), prefix: prefix(1) };
        to.payer.handle(open).unwrap();
        exchange(&mut to.payer, &mut from.payee, &to.info);
        let netting = PayerInput::Netting { payee: address(payee), band: 32 * 1024 };
        to.payer.handle(netting).unwrap();
    }
    let mut random = Random(5);
    for _ in 0..400 {
        // a serves twice as much as b.
        let bytes = 1 + random.below(30_000);
        if random.below(3) == 0 {
            serve(&mut b, &mut a, bytes)
        } else {
            serve(&mut a, &mut b, bytes)
        }
    }
    let units = |amount: Amount| amount.base_units().cast_signed();
    let price = |node: &Node| tariff().price(node.served).unwrap();
    let net_promised = units(b.payer.promised()) - units(a.payer.promised());
    let net_due = units(price(&a)) - units(price(&b));
    let step = units(tariff().price(524_288).unwrap());
    println!("served {} and {}, due {net_due}, promised {net_promised}", price(&a), price(&b));
    assert!((net_promised - net_due).abs() <= step, "more than a step from even");
    // Without netting both would have promised all that they got.
    assert!(units(b.payer.promised()) < units(price(&a)) * 3 / 4);
    assert!(units(a.payer.promised()) < units(price(&b)) / 2);
    // At the end each is even to the base unit.
    let (payee, balance) = (a.name, b.balance_of(&a));
    b.payer.handle(PayerInput::Balance { payee, balance }).unwrap();
    b.payer.handle(PayerInput::Close { payee }).unwrap();
    exchange(&mut b.payer, &mut a.payee, &b.info);
    let net_promised = units(b.payer.promised()) - units(a.payer.promised());
    assert_eq!(net_promised, net_due);
}

#[test]
fn a_new_epoch_leaves_what_is_netted() {
    let (mut a, mut b) = (Node::new(1), Node::new(2));
    for (payer, payee) in [(1, 2), (2, 1)] {
        let (from, to) = if payer == 1 { (&mut b, &mut a) } else { (&mut a, &mut b) };
        from.payee.handle(PayeeInput::Vault(to.info)).unwrap();
        let open = PayerInput::Open { payee: address(payee), tariff: tariff(), prefix: prefix(1) };
        to.payer.handle(open).unwrap();
        exchange(&mut to.payer, &mut from.payee, &to.info);
        to.payer.handle(PayerInput::Netting { payee: from.name, band: 32 * 1024 }).unwrap();
    }
    for _ in 0..10 {
        serve(&mut a, &mut b, 20_000);
        serve(&mut b, &mut a, 20_000);
    }
    assert_eq!((a.payer.promised(), b.payer.promised()), (Amount::ZERO, Amount::ZERO));
    // b takes its money out, and comes back with as much.
    b.info.epoch += 1;
    b.payer.handle(PayerInput::Vault(b.info)).unwrap();
    a.payee.handle(PayeeInput::Vault(b.info)).unwrap();
    let both = tariff().price(200_000).unwrap();
    assert_eq!(a.payee.debt(b.info.vault).unwrap().owed, both);
    assert_eq!(b.payer.debt(a.name).unwrap().owed, both);
    for _ in 0..10 {
        serve(&mut a, &mut b, 20_000);
        serve(&mut b, &mut a, 20_000);
    }
    assert_eq!((a.payer.promised(), b.payer.promised()), (Amount::ZERO, Amount::ZERO));
}

/// Both disks and the link at once.
fn exchange(payer: &mut Payer, payee: &mut Payee, info: &VaultInfo) {
    loop {
        let mut idle = true;
        while let Some(output) = payer.poll() {
            idle = false;
            match output {
                PayerOutput::Persist(record) => {
                    payer.handle(PayerInput::Persisted { payee: record.payee }).unwrap();
                }
                PayerOutput::Terms { meter, position, .. } => {
                    let (vault, prefix) = (info.vault, prefix(1));
                    payee.handle(PayeeInput::Open { vault, meter, position, prefix }).unwrap();
                }
                PayerOutput::Send(signed) => payee.handle(PayeeInput::Voucher(signed)).unwrap(),
                other => panic!("{other:?}"),
            }
        }
        while let Some(output) = payee.poll() {
            idle = false;
            match output {
                PayeeOutput::Persist(_) => {
                    payee.handle(PayeeInput::Persisted { vault: info.vault }).unwrap();
                }
                PayeeOutput::Refused { refusal, .. } => panic!("{refusal}"),
                _ => {}
            }
        }
        if idle {
            return;
        }
    }
}
