//! Local mistakes and limits: an error, and nothing has changed.

use pop_incentive::payee::{Payee, PayeeError, PayeeInput, PayeeOutput};
use pop_incentive::payer::{Payer, PayerError, PayerInput, PayerOutput};
use pop_incentive::rate::{Rate, Tariff, Tier};
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
