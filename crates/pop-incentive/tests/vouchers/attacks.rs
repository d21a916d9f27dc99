//! What a payer or a payee can try, and what it gains by it.

use pop_incentive::evidence::{DoubleVoucherEvidence, EvidenceError, OverspendEvidence};
use pop_incentive::exposure::step_bytes;
use pop_incentive::limits::{PREFIX_FLOAT_BYTES_MAX, STEP_BYTES_FIRST};
use pop_incentive::payee::{Payee, PayeeInput, PayeeOutput, PayeePolicy};
use pop_incentive::payer::{Payer, PayerInput, PayerOutput};
use pop_incentive::rate::Meter;
use pop_incentive::refusal::{Blame, Refusal};
use pop_incentive::typed_data::{LedgerDomain, MoneySignature, SignatureError};
use pop_incentive::voucher::{FormatError, SignedVoucher, VaultInfo, Voucher};
use pop_wire::{Amount, UnixTime, WalletAddress};

use crate::world::{Random, World, address, domain, keypair, policy, pop, prefix, tariff, vault};

/// A payee that has served and stored one voucher of payer 1.
struct Served {
    payee: Payee,
    info: VaultInfo,
    stored: SignedVoucher,
}

fn promise(info: &VaultInfo, amount_bytes: u64, bytes: u64) -> Voucher {
    Voucher {
        vault: info.vault,
        payee: address(2),
        epoch: info.epoch,
        amount: tariff().price(amount_bytes).unwrap(),
        bytes,
    }
}

fn open(payee: &mut Payee, info: &VaultInfo, from: u8) -> u64 {
    let meter = Meter::new(tariff());
    let prefix = prefix(from);
    payee.handle(PayeeInput::Vault(*info)).unwrap();
    payee.handle(PayeeInput::Open { vault: info.vault, meter, position: 0, prefix }).unwrap();
    let outputs: Vec<_> = std::iter::from_fn(|| payee.poll()).collect();
    match outputs.last() {
        Some(PayeeOutput::Allowance { bytes, .. }) => *bytes,
        other => panic!("expected an allowance, got {other:?}"),
    }
}

fn served(info: VaultInfo, policy: PayeePolicy) -> Served {
    let mut payee = Payee::new(domain(), address(2), policy, []).unwrap();
    let vault = info.vault;
    open(&mut payee, &info, 1);
    payee.handle(PayeeInput::Served { vault, bytes: 60_000 }).unwrap();
    let stored = promise(&info, 120_000, 60_000).sign(&domain(), &keypair(1));
    payee.handle(PayeeInput::Voucher(stored)).unwrap();
    assert!(matches!(payee.poll(), Some(PayeeOutput::Persist(_))));
    payee.handle(PayeeInput::Persisted { vault }).unwrap();
    while payee.poll().is_some() {}
    assert_eq!(payee.stored(vault), Some(stored));
    payee.handle(PayeeInput::Served { vault, bytes: 40_000 }).unwrap();
    Served { payee, info, stored }
}

impl Served {
    fn new() -> Self {
        served(vault(1, pop(1000)), policy())
    }

    /// The voucher is refused, says why, and the payee's claim is what it was.
    fn refuses(&mut self, signed: SignedVoucher) -> Refusal {
        let claims_before = self.payee.stored(self.info.vault);
        self.payee.handle(PayeeInput::Voucher(signed)).unwrap();
        let refusal = match self.payee.poll() {
            Some(PayeeOutput::Refused { refusal, .. }) => refusal,
            other => panic!("expected a refusal, got {other:?}"),
        };
        assert_eq!(self.payee.poll(), None, "a refused voucher has an effect");
        assert_eq!(self.payee.stored(self.info.vault), claims_before);
        refusal
    }

    fn next(&self) -> Voucher {
        promise(&self.info, 160_000, 100_000)
    }
}

#[test]
fn a_replayed_voucher_changes_nothing() {
    let mut payee = Served::new();
    for _ in 0..10 {
        payee.payee.handle(PayeeInput::Voucher(payee.stored)).unwrap();
        assert_eq!(payee.payee.poll(), None);
        assert_eq!(payee.payee.stored(payee.info.vault), Some(payee.stored));
    }
}

#[test]
fn a_reordered_or_lower_voucher_is_refused() {
    let mut payee = Served::new();
    let earlier = promise(&payee.info, 90_000, 30_000).sign(&domain(), &keypair(1));
    let refusal = payee.refuses(earlier);
    assert!(matches!(refusal, Refusal::LowerAmount { .. }));
    assert_eq!(refusal.blame(), Blame::Payer);
    let fewer_bytes = promise(&payee.info, 160_000, 59_999).sign(&domain(), &keypair(1));
    assert_eq!(payee.refuses(fewer_bytes), Refusal::LowerBytes { least: 60_000, got: 59_999 });
}

#[test]
fn a_voucher_over_the_vault_is_refused() {
    let funded = tariff().price(150_000).unwrap();
    let mut payee = served(vault(1, funded), policy());
    let over = payee.next().sign(&domain(), &keypair(1));
    let got = over.voucher.amount;
    assert_eq!(payee.refuses(over), Refusal::OverVault { guaranteed: funded, got });
    // What others have redeemed is gone too.
    let redeemed = tariff().price(20_000).unwrap();
    let info = VaultInfo { redeemed, ..payee.info };
    payee.payee.handle(PayeeInput::Vault(info)).unwrap();
    while payee.payee.poll().is_some() {}
    let less = promise(&info, 140_000, 100_000).sign(&domain(), &keypair(1));
    assert!(matches!(payee.refuses(less), Refusal::OverVault { .. }));
}

#[test]
fn a_voucher_beyond_what_is_left_unredeemed_is_refused_and_redemption_is_asked_for() {
    let unredeemed_max = tariff().price(150_000).unwrap();
    let mut payee =
        Payee::new(domain(), address(2), PayeePolicy { unredeemed_max, ..policy() }, []).unwrap();
    let info = vault(1, pop(1000));
    open(&mut payee, &info, 1);
    payee.handle(PayeeInput::Served { vault: info.vault, bytes: 60_000 }).unwrap();
    let first = promise(&info, 100_000, 60_000).sign(&domain(), &keypair(1));
    payee.handle(PayeeInput::Voucher(first)).unwrap();
    payee.handle(PayeeInput::Persisted { vault: info.vault }).unwrap();
    let outputs: Vec<_> = std::iter::from_fn(|| payee.poll()).collect();
    assert!(outputs.contains(&PayeeOutput::Redeem(first)));
    let over = promise(&info, 160_000, 60_000).sign(&domain(), &keypair(1));
    payee.handle(PayeeInput::Voucher(over)).unwrap();
    let refused = payee.poll();
    assert!(
        matches!(refused, Some(PayeeOutput::Refused { refusal, .. }) if refusal.blame() == Blame::Limit)
    );
    let amount = first.voucher.amount;
    payee.handle(PayeeInput::Redeemed { vault: info.vault, amount }).unwrap();
    payee.handle(PayeeInput::Voucher(over)).unwrap();
    assert!(matches!(payee.poll(), Some(PayeeOutput::Persist(_))));
}

#[test]
fn a_voucher_of_another_domain_or_chain_is_refused() {
    let other_chain = LedgerDomain::new(8, WalletAddress([7; 20]));
    let other_contract = LedgerDomain::new(7, WalletAddress([8; 20]));
    for domain in [other_chain, other_contract] {
        let mut payee = Served::new();
        let refusal = payee.refuses(payee.next().sign(&domain, &keypair(1)));
        assert!(matches!(refusal, Refusal::Signature(SignatureError::OtherSigner { .. })));
    }
}

#[test]
fn a_voucher_for_another_payee_vault_or_epoch_is_refused() {
    let mut payee = Served::new();
    let other = Voucher { payee: address(3), ..payee.next() };
    let refusal = payee.refuses(other.sign(&domain(), &keypair(1)));
    assert_eq!(refusal, Refusal::WrongPayee { got: address(3) });
    let unknown = Voucher { vault: vault(9, pop(1)).vault, ..payee.next() };
    assert_eq!(payee.refuses(unknown.sign(&domain(), &keypair(1))), Refusal::UnknownVault);
    let later = Voucher { epoch: 1, ..payee.next() };
    let refusal = payee.refuses(later.sign(&domain(), &keypair(1)));
    assert_eq!(refusal, Refusal::WrongEpoch { expected: 0, got: 1 });
}

#[test]
fn a_voucher_that_somebody_else_signed_or_changed_is_refused() {
    let mut payee = Served::new();
    let forged = payee.next().sign(&domain(), &keypair(66));
    assert!(matches!(payee.refuses(forged), Refusal::Signature(_)));
    let mut changed = payee.next().sign(&domain(), &keypair(1));
    changed.voucher.amount = changed.voucher.amount.checked_add(pop(1)).unwrap();
    assert!(matches!(payee.refuses(changed), Refusal::Signature(_)));
    let mut same = payee.stored;
    same.signature = MoneySignature::sign(&keypair(66), &[1; 32]);
    assert_eq!(payee.refuses(same), Refusal::OtherSignature);
}

#[test]
fn a_malleable_high_s_voucher_is_refused() {
    let mut bytes = Served::new().stored.encode();
    // s starts after version, fields and r; this one is above half of the order.
    bytes[150 - 33] |= 0x80;
    let refused = SignedVoucher::decode(&bytes);
    assert_eq!(refused, Err(FormatError::Signature(SignatureError::HighS)));
}

#[test]
fn a_voucher_of_another_length_or_version_is_refused() {
    let bytes = Served::new().stored.encode();
    for len in (0..150).chain([151, 1000]) {
        let mut other = bytes.to_vec();
        other.resize(len, 0);
        assert!(matches!(SignedVoucher::decode(&other), Err(FormatError::Length { .. })));
    }
    let mut other = bytes;
    other[0] = 2;
    assert_eq!(
        SignedVoucher::decode(&other),
        Err(FormatError::Version { what: "voucher", got: 2 })
    );
}

#[test]
fn a_voucher_that_pays_less_than_the_rate_is_refused() {
    let mut payee = Served::new();
    let short = promise(&payee.info, 120_000, 60_000).amount;
    payee.payee.handle(PayeeInput::Served { vault: payee.info.vault, bytes: 50_000 }).unwrap();
    let cheap = Voucher { amount: short, bytes: 120_001, ..payee.next() };
    // Not served either, but the rate is looked at first.
    let refusal = payee.refuses(cheap.sign(&domain(), &keypair(1)));
    assert_eq!(refusal, Refusal::Underpaid { covered_bytes: 120_000, got_bytes: 120_001 });
}

#[test]
fn a_receipt_for_bytes_that_were_not_served_is_refused() {
    let mut payee = Served::new();
    let more = Voucher { bytes: 100_001, ..payee.next() };
    let refusal = payee.refuses(more.sign(&domain(), &keypair(1)));
    assert_eq!(refusal, Refusal::NotServed { served_bytes: 100_000, got_bytes: 100_001 });
}

#[test]
fn a_payer_that_withdraws_first_gets_no_more_and_its_voucher_is_redeemed_at_once() {
    let mut payee = Served::new();
    let closing = VaultInfo { closes: Some(UnixTime(86_400)), ..payee.info };
    payee.payee.handle(PayeeInput::Vault(closing)).unwrap();
    assert_eq!(payee.payee.poll(), Some(PayeeOutput::Redeem(payee.stored)));
    while payee.payee.poll().is_some() {}
    let refusal = payee.refuses(payee.next().sign(&domain(), &keypair(1)));
    assert_eq!(refusal, Refusal::Closing);
}

#[test]
fn an_amount_or_count_at_the_end_of_its_range_is_refused_without_overflow() {
    let most = Amount::from_base_units(u128::MAX);
    let mut payee = Served::new();
    for (amount, bytes) in [(most, 100_000), (most, u64::MAX), (payee.next().amount, u64::MAX)] {
        let voucher = Voucher { amount, bytes, ..payee.next() };
        let refusal = payee.refuses(voucher.sign(&domain(), &keypair(1)));
        assert_eq!(refusal.blame(), Blame::Payer, "{refusal}");
    }
    let vault = payee.info.vault;
    assert!(payee.payee.handle(PayeeInput::Served { vault, bytes: u64::MAX }).is_err());
    let info = VaultInfo { funded: Amount::ZERO, redeemed: most, ..payee.info };
    assert_eq!(info.balance(), Amount::ZERO);
}

#[test]
fn a_payee_that_stops_serving_after_the_float_gains_at_most_a_step() {
    let mut worst = 0;
    for settled in [0, 100_000, 500_000, 1 << 20, 4 << 20] {
        for seed in 0..10 {
            let mut world = World::new(32 << 20);
            let mut random = Random(seed);
            while world.got < settled {
                world.step(random.next() >> 32);
            }
            world.payee_serves = false;
            world.run(&mut random);
            let paid = world.tariff.bytes_for(world.payee_disk.unwrap().signed.voucher.amount);
            let gain = paid - world.got;
            assert!(gain <= step_bytes(world.got), "{gain} at {}", world.got);
            worst = worst.max(gain);
        }
    }
    println!("payee stops serving: it keeps the price of at most {worst} bytes");
}

#[test]
fn a_payer_that_stops_paying_after_the_float_gains_at_most_a_step() {
    let mut worst = 0;
    for settled in [0, 100_000, 500_000, 1 << 20, 4 << 20] {
        for seed in 0..10 {
            let mut world = World::new(32 << 20);
            let mut random = Random(seed);
            while world.got < settled {
                world.step(random.next() >> 32);
            }
            world.payer_pays = false;
            world.run(&mut random);
            let stored = world.payee.stored(world.info.vault);
            let paid = stored.map_or(0, |stored| world.tariff.bytes_for(stored.voucher.amount));
            let gain = world.got.saturating_sub(paid);
            assert!(gain <= step_bytes(world.got), "{gain} at {}", world.got);
            worst = worst.max(gain);
        }
    }
    println!("payer stops paying: it keeps at most {worst} unpaid bytes");
}

#[test]
fn a_thousand_payers_of_one_prefix_get_no_more_unpaid_than_the_prefix_is_worth() {
    let mut payee = Payee::new(domain(), address(2), policy(), []).unwrap();
    let mut unpaid = 0;
    for payer in 0..1000_u32 {
        let mut info = vault(1, pop(1000));
        info.vault.0[..4].copy_from_slice(&payer.to_be_bytes());
        info.owner = address(1000 + payer);
        let allowed = open(&mut payee, &info, 1);
        payee.handle(PayeeInput::Served { vault: info.vault, bytes: allowed }).unwrap();
        payee.handle(PayeeInput::Close { vault: info.vault }).unwrap();
        unpaid += allowed;
    }
    println!("{}", payee.bound());
    assert_eq!(unpaid, PREFIX_FLOAT_BYTES_MAX);
    let info = VaultInfo { owner: address(5000), ..vault(250, pop(1)) };
    assert_eq!(open(&mut payee, &info, 2), STEP_BYTES_FIRST);
}

#[test]
fn a_payee_that_claims_what_it_never_served_is_left_and_gains_at_most_a_step() {
    let info = vault(1, pop(1000));
    let mut payer = Payer::new(domain(), keypair(1), info, Default::default(), []).unwrap();
    let payee = address(2);
    payer.handle(PayerInput::Open { payee, tariff: tariff(), prefix: prefix(2) }).unwrap();
    payer.handle(PayerInput::Want { payee, bytes: 1 << 30 }).unwrap();
    for claimed in (0..3_000_000).step_by(10_000) {
        payer.handle(PayerInput::Served { payee, bytes: claimed }).unwrap();
        let _ = payer.handle(PayerInput::Persisted { payee });
    }
    assert!(payer.promised() <= tariff().price(STEP_BYTES_FIRST).unwrap());
    let left = std::iter::from_fn(|| payer.poll())
        .any(|output| matches!(output, PayerOutput::Overclaimed { .. }));
    assert!(left, "a payee that claims everything is believed");
}

#[test]
fn an_honest_payer_never_promises_more_than_the_vault_holds() {
    let funded = tariff().price(3_000_000).unwrap();
    let info = vault(1, funded);
    let mut payer = Payer::new(domain(), keypair(1), info, Default::default(), []).unwrap();
    let payees: Vec<_> = (10..60).map(address).collect();
    let mut low = 0;
    for (index, payee) in payees.iter().copied().enumerate() {
        let prefix = prefix(u8::try_from(index).unwrap());
        payer.handle(PayerInput::Open { payee, tariff: tariff(), prefix }).unwrap();
        payer.handle(PayerInput::Want { payee, bytes: 1 << 20 }).unwrap();
    }
    for _ in 0..10 {
        for payee in payees.iter().copied() {
            payer.handle(PayerInput::Verified { payee, bytes: 20_000 }).unwrap();
            let _ = payer.handle(PayerInput::Persisted { payee });
        }
        while let Some(output) = payer.poll() {
            low += u32::from(matches!(output, PayerOutput::VaultLow { .. }));
        }
        assert!(payer.promised() <= funded);
    }
    assert!(low > 0, "the vault was never low");
}

#[test]
fn a_payer_that_promises_ten_vaults_to_fifty_payees_is_proved_guilty_by_its_vouchers_alone() {
    // Each payee believes up to a fifth of the vault: fifty of them ten vaults.
    let funded = tariff().price(500_000).unwrap();
    let info = vault(1, funded);
    let unredeemed_max = tariff().price(100_000).unwrap();
    let mut vouchers = vec![];
    let (mut worst, mut left) = (Amount::ZERO, funded);
    for payee in 100..150 {
        let name = address(payee);
        let policy = PayeePolicy { unredeemed_max, ..policy() };
        let mut machine = Payee::new(domain(), name, policy, []).unwrap();
        open(&mut machine, &info, 1);
        let all = Voucher { payee: name, amount: unredeemed_max, ..promise(&info, 0, 0) };
        let signed = all.sign(&domain(), &keypair(1));
        machine.handle(PayeeInput::Voucher(signed)).unwrap();
        machine.handle(PayeeInput::Persisted { vault: info.vault }).unwrap();
        let more = Voucher { amount: tariff().price(100_001).unwrap(), ..all };
        machine.handle(PayeeInput::Voucher(more.sign(&domain(), &keypair(1)))).unwrap();
        let outputs: Vec<_> = std::iter::from_fn(|| machine.poll()).collect();
        let refused = |output: &PayeeOutput| matches!(output, PayeeOutput::Refused { .. });
        assert!(outputs.contains(&PayeeOutput::Redeem(signed)) && outputs.iter().any(refused));
        // The ledger pays as long as there is something left.
        let paid = signed.voucher.amount.min(left);
        left = left.checked_sub(paid).unwrap();
        worst = worst.max(signed.voucher.amount.checked_sub(paid).unwrap());
        vouchers.push(signed);
    }
    assert!(worst <= unredeemed_max);
    println!("promised 10 vaults to 50 payees: none lost more than {worst}, its own limit");
    let evidence = OverspendEvidence::new(vouchers.clone());
    let over = evidence.verify(&domain(), &info).unwrap();
    let promised = unredeemed_max.checked_mul(50).unwrap();
    assert_eq!(Some(over), promised.checked_sub(funded));
    // Five of them are covered, six are not; one fifty times is one.
    let five = OverspendEvidence::new(vouchers[..5].iter().copied());
    assert!(matches!(five.verify(&domain(), &info), Err(EvidenceError::Covered { .. })));
    let six = OverspendEvidence::new(vouchers[..6].iter().copied());
    assert!(six.verify(&domain(), &info).is_ok());
    let repeated = OverspendEvidence::new(vec![vouchers[0]; 50]);
    assert!(repeated.verify(&domain(), &info).is_err());
}

#[test]
fn forged_overspend_evidence_against_an_honest_payer_is_refused() {
    let info = vault(1, pop(1));
    let voucher = |payee, owner: u32, domain: &LedgerDomain| {
        let voucher = Voucher {
            vault: info.vault,
            payee: address(payee),
            epoch: 0,
            amount: pop(1),
            bytes: 1,
        };
        voucher.sign(domain, &keypair(owner))
    };
    let honest = voucher(10, 1, &domain());
    let refused = |vouchers: Vec<SignedVoucher>| {
        OverspendEvidence { vouchers }.verify(&domain(), &info).unwrap_err()
    };
    let forged = OverspendEvidence::new([honest, voucher(11, 66, &domain())]);
    assert!(matches!(refused(forged.vouchers), EvidenceError::Signature(_)));
    let other_ledger = LedgerDomain::new(8, WalletAddress([7; 20]));
    let replayed = OverspendEvidence::new([honest, voucher(11, 1, &other_ledger)]);
    assert!(matches!(refused(replayed.vouchers), EvidenceError::Signature(_)));
    assert_eq!(refused(vec![honest, honest]), EvidenceError::Order);
    let mut old = voucher(11, 1, &domain());
    old.voucher.epoch = 1;
    assert_eq!(refused(OverspendEvidence::new([honest, old]).vouchers), EvidenceError::OtherVault);
    let mut most = voucher(11, 1, &domain());
    most.voucher.amount = Amount::from_base_units(u128::MAX);
    assert_eq!(refused(OverspendEvidence::new([honest, most]).vouchers), EvidenceError::Overflow);
    assert!(matches!(refused(vec![honest; 4097]), EvidenceError::TooMany { got: 4097, .. }));
    assert!(matches!(refused(vec![]), EvidenceError::Covered { .. }));
}

#[test]
fn vouchers_that_contradict_each_other_prove_a_double_signature() {
    let info = vault(1, pop(1000));
    let sign =
        |amount, bytes, owner| promise(&info, amount, bytes).sign(&domain(), &keypair(owner));
    let (dearer, larger) = (sign(200_000, 50_000, 1), sign(100_000, 60_000, 1));
    let evidence = DoubleVoucherEvidence { dearer, larger };
    assert_eq!(evidence.verify(&domain(), &info), Ok(()));
    // Successive vouchers don't contradict each other.
    let evidence = DoubleVoucherEvidence { dearer, larger: sign(200_000, 60_000, 1) };
    assert_eq!(evidence.verify(&domain(), &info), Err(EvidenceError::Same));
    let evidence = DoubleVoucherEvidence { dearer, larger: sign(100_000, 60_000, 66) };
    assert!(matches!(evidence.verify(&domain(), &info), Err(EvidenceError::Signature(_))));
}
