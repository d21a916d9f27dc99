//! What attacks on the emission bring. Profit is against the same nodes being honest, of the same
//! seed, on a real ledger: all accounts of all colluders, less what the attack costs them.

use pop_incentive::ids::VaultId;
use pop_incentive::ledger::{
    Account, LedgerParameters, LedgerState, Operation, SignedOperation, names,
    no_equivocation_check,
};
use pop_incentive::rate::{Rate, Tariff, Tier};
use pop_incentive::rewards::{
    EmissionSchedule, RewardError, RewardPolicy, StorageAudit, audits_needed, emissions, rewards,
};
use pop_incentive::storage_cost::StorageCost;
use pop_incentive::typed_data::LedgerDomain;
use pop_incentive::voucher::Voucher;
use pop_wire::{Amount, Keypair, UnixTime, WalletAddress};

use crate::random::{Random, seeds};

const NODES: u64 = 30;
const COLLUDERS: u64 = 6;
const EPOCHS: u64 = 3;
const WEEK_S: u64 = 7 * 86_400;
const GB: u64 = 1_000_000_000;

fn key(kind: u8, number: u64) -> Keypair {
    let mut secret = [kind; 32];
    secret[..8].copy_from_slice(&(number + 1).to_be_bytes());
    Keypair::from_secret_bytes(&secret).unwrap()
}

fn wallet(key: &Keypair) -> WalletAddress {
    key.peer_id().wallet_address()
}

fn pop(count: u64) -> Amount {
    Amount::ONE_POP.checked_mul(count.into()).unwrap()
}

fn domain() -> LedgerDomain {
    LedgerDomain::new(20_260, WalletAddress([0xcc; 20]))
}

/// A base unit is 10^-18 POP; the price of bytes here is 1 POP per GB.
fn tariff() -> Tariff {
    let rate = Rate::new(Amount::from_base_units(Amount::ONE_POP.base_units() / 8_000)).unwrap();
    Tariff { rate, tier: Tier::of_kbps(100).unwrap() }
}

/// What the colluders do beside what honest nodes do.
#[derive(Clone, Copy, PartialEq)]
enum Attack {
    None,
    /// Download from themselves, and pay themselves by voucher.
    SelfDealing {
        percent: u64,
    },
    /// Publish as much as all others did. Placement spreads it over everybody's nodes alike.
    Junk,
    /// Put up the stakes without storing anything: audits fail.
    NoStorage,
    /// Store, but leave.
    NoStake,
}

struct Network {
    ledger: LedgerState,
    policy: RewardPolicy,
    seed: u64,
    now: u64,
}

impl Network {
    fn new(seed: u64) -> Self {
        let mut parameters = LedgerParameters::new(wallet(&key(0, 0)));
        // A budget that the nodes compete for, so that more weight would be more money.
        parameters.emission_per_epoch = pop(2_000);
        let policy = RewardPolicy::new(&parameters);
        let ledger = LedgerState::new(domain(), parameters, no_equivocation_check).unwrap();
        let mut network = Self { ledger, policy, seed, now: 0 };
        for number in 0..NODES {
            let owner = key(1, number);
            let stake = network.stake(number);
            let mint = Operation::Mint { to: wallet(&owner), amount: stake };
            network.act(&key(0, 0), mint);
            let operator = key(2, number).peer_id();
            network.act(&owner, Operation::RegisterCollateral { operator, amount: stake });
        }
        for viewer in [viewer(false), viewer(true)] {
            let deposit = pop(1_000_000);
            network.act(&key(0, 0), Operation::Mint { to: wallet(&viewer), amount: deposit });
            let penalty = Amount::ZERO;
            network.act(&viewer, Operation::OpenVault { index: 0, deposit, penalty });
        }
        network
    }

    fn act(&mut self, actor: &Keypair, operation: Operation) {
        let nonce = self.ledger.nonce(wallet(actor));
        let signed = SignedOperation::sign(operation, nonce, actor, &domain());
        self.ledger.apply(UnixTime(self.now), &signed).unwrap();
    }

    fn random(&self, purpose: &[u64]) -> Random {
        Random::of(self.seed, purpose)
    }

    fn stake(&self, number: u64) -> Amount {
        pop(50_000 + self.random(&[1, number]).below(50_000))
    }

    /// Bytes that placement assigned to a node of what others published.
    fn assigned(&self, number: u64) -> u64 {
        (300 + self.random(&[2, number]).below(600)) * GB
    }

    fn audit(&self, number: u64, attack: Attack) -> StorageAudit {
        let colluder = number < COLLUDERS;
        let (owner, operator) = (wallet(&key(1, number)), key(2, number).peer_id());
        let honest = self.assigned(number);
        StorageAudit {
            operator,
            owner,
            stake: match attack {
                Attack::NoStake if colluder => Amount::ZERO,
                _ => self.ledger.balance(Account::Collateral { owner, operator }),
            },
            assigned_bytes: match attack {
                // Every node gets as much of the junk as of the rest, colluders no more than others.
                Attack::Junk => 2 * honest,
                _ => honest,
            },
            asked: 200,
            passed: match attack {
                Attack::NoStorage if colluder => 0,
                _ => 198 + self.random(&[3, number]).below(3),
            },
            proven_wrong: false,
        }
    }

    /// Bytes that a node serves to honest viewers in an epoch.
    fn served(&self, epoch: u64, number: u64) -> u64 {
        (1 + self.random(&[4, epoch, number]).below(100)) * GB
    }

    fn run(mut self, attack: Attack) -> (Self, u64) {
        let mut moved = 0;
        let mut paid = vec![(0, Amount::ZERO); usize::try_from(2 * NODES).unwrap()];
        for epoch in 0..EPOCHS {
            let honest: Vec<_> = (0..NODES).map(|number| self.served(epoch, number)).collect();
            self.pay(&viewer(false), &honest, &mut paid[..]);
            if let Attack::SelfDealing { percent } = attack {
                let volume: u64 = honest.iter().sum();
                let own = volume * percent / (100 - percent);
                moved += own;
                let each: Vec<_> = (0..COLLUDERS).map(|_| own / COLLUDERS).collect();
                self.pay(&viewer(true), &each, &mut paid[usize::try_from(NODES).unwrap()..]);
            }
            self.now = (epoch + 1) * WEEK_S;
            let mut audits: Vec<_> = (0..NODES).map(|node| self.audit(node, attack)).collect();
            audits.sort_by_key(|audit| audit.operator);
            let payments = rewards(&audits, epoch, &self.policy).unwrap();
            let sum: u128 = payments.iter().map(|payment| payment.amount.base_units()).sum();
            assert!(sum <= self.policy.schedule.budget(epoch).base_units());
            for operation in emissions(epoch, &payments) {
                self.act(&key(0, 0), operation);
            }
        }
        self.ledger.audit().unwrap();
        (self, moved)
    }

    /// One voucher per node for what it served so far, redeemed at once.
    fn pay(&mut self, payer: &Keypair, bytes: &[u64], paid: &mut [(u64, Amount)]) {
        let vault = vault(payer);
        let vouchers = bytes.iter().zip(0..).zip(paid).map(|((bytes, number), so_far)| {
            so_far.0 += bytes;
            so_far.1 = tariff().price(so_far.0).unwrap();
            let payee = wallet(&key(1, number));
            let voucher = Voucher { vault, payee, epoch: 0, amount: so_far.1, bytes: so_far.0 };
            voucher.sign(&domain(), payer)
        });
        let vouchers = vouchers.collect();
        self.act(payer, Operation::Redeem { vouchers });
    }

    /// All that the colluders have anywhere.
    fn wealth(&self) -> i128 {
        let mut accounts =
            vec![Account::Wallet(wallet(&viewer(true))), Account::Vault(vault(&viewer(true)))];
        for number in 0..COLLUDERS {
            let (owner, operator) = (wallet(&key(1, number)), key(2, number).peer_id());
            accounts.push(Account::Wallet(owner));
            accounts.push(Account::Collateral { owner, operator });
        }
        let sum: u128 =
            accounts.iter().map(|account| self.ledger.balance(*account).base_units()).sum();
        i128::try_from(sum).unwrap()
    }
}

fn viewer(colluding: bool) -> Keypair {
    key(3, colluding.into())
}

fn vault(owner: &Keypair) -> VaultId {
    names::vault_id(&domain(), wallet(owner), 0)
}

fn in_pop(units: i128) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "printed only")]
    let units = units as f64;
    units / 1e18
}

/// If new money were shared by bytes served: what the colluders would get more by self-dealing.
fn profit_if_bytes_were_paid(network: &Network, percent: u64) -> i128 {
    let mut profit = 0;
    for epoch in 0..EPOCHS {
        let budget = network.policy.schedule.budget(epoch).base_units();
        let served = |numbers: core::ops::Range<u64>| -> u128 {
            numbers.map(|number| u128::from(network.served(epoch, number))).sum()
        };
        let (mine, all) = (served(0..COLLUDERS), served(0..NODES));
        let own = all * u128::from(percent) / u128::from(100 - percent);
        let share = |part: u128, whole: u128| i128::try_from(budget / whole * part).unwrap();
        profit += share(mine + own, all + own) - share(mine, all);
    }
    profit
}

#[test]
fn colluders_who_make_10_30_50_percent_of_the_volume_do_not_profit() {
    // What moving a GB costs a colluder: nothing at best, a fifth of its price at worst.
    let bandwidth = [0, Amount::ONE_POP.base_units() / 5];
    let seeds = seeds(3);
    println!(
        "{COLLUDERS} of {NODES} nodes download from themselves; {seeds} seeds from 0, {EPOCHS} \
         epochs; worst seed, in POP"
    );
    println!(
        "of volume | profit, bandwidth free | profit, bandwidth 0.2 POP/GB | if bytes were paid"
    );
    for percent in [10, 30, 50] {
        let mut worst = [i128::MIN; 2];
        let mut undefended = i128::MAX;
        for seed in 0..seeds {
            let (honest, _) = Network::new(seed).run(Attack::None);
            let (attack, moved) = Network::new(seed).run(Attack::SelfDealing { percent });
            for (worst, cost) in worst.iter_mut().zip(bandwidth) {
                let cost = i128::try_from(u128::from(moved / GB) * cost).unwrap();
                *worst = (*worst).max(attack.wealth() - honest.wealth() - cost);
            }
            undefended = undefended.min(profit_if_bytes_were_paid(&honest, percent));
        }
        println!(
            "{percent:>7} % | {:>22.3} | {:>28.3} | {:>18.3}",
            in_pop(worst[0]),
            in_pop(worst[1]),
            in_pop(undefended)
        );
        assert!(worst[0] <= 0, "{percent} %: {worst:?}");
        assert!(worst[1] < 0, "{percent} %: {worst:?}");
        assert!(undefended > 0, "the attack is worth defending against");
    }
}

#[test]
fn junk_false_storage_and_absent_stake_bring_nothing() {
    let seeds = seeds(3);
    println!("attack | profit of the worst of {seeds} seeds, in POP");
    for (name, attack, loses) in [
        ("publish junk as large as everything", Attack::Junk, false),
        ("stake without storage", Attack::NoStorage, true),
        ("storage without stake", Attack::NoStake, true),
    ] {
        let mut worst = i128::MIN;
        for seed in 0..seeds {
            let (honest, _) = Network::new(seed).run(Attack::None);
            let (attacked, _) = Network::new(seed).run(attack);
            worst = worst.max(attacked.wealth() - honest.wealth());
        }
        println!("{name} | {:.3}", in_pop(worst));
        if loses {
            assert!(worst < 0, "{name}: {worst}");
        } else {
            // Bounded, not prevented: where others are at the bytes that they staked for and
            // colluders are not, junk makes the colluders' part grow.
            let budget = i128::try_from(pop(2_000 * EPOCHS).base_units()).unwrap();
            assert!(worst < budget / 20, "{name}: {worst}");
        }
    }
}

fn row(number: u64, stake: Amount, assigned_bytes: u64) -> StorageAudit {
    let operator = key(2, number).peer_id();
    let owner = wallet(&key(1, 0));
    let (asked, passed) = (200, 200);
    StorageAudit { operator, owner, stake, assigned_bytes, asked, passed, proven_wrong: false }
}

fn policy() -> RewardPolicy {
    RewardPolicy::new(&LedgerParameters::new(wallet(&key(0, 0))))
}

#[test]
fn one_stake_split_into_many_earns_no_more_than_whole() {
    let policy = policy();
    let others: Vec<_> = (100..120)
        .map(|number| StorageAudit {
            owner: wallet(&key(9, 9)),
            ..row(number, pop(80_000), 900 * GB)
        })
        .collect();
    let earned = |rows: &[StorageAudit]| {
        let mut audits = [rows, &others].concat();
        audits.sort_by_key(|audit| audit.operator);
        let payments = rewards(&audits, 0, &policy).unwrap();
        let mine = payments.iter().find(|payment| payment.payee == wallet(&key(1, 0)));
        mine.map_or(0, |payment| payment.amount.base_units())
    };
    let (mut cases, mut less) = (0, 0);
    for seed in 0..20 {
        let mut random = Random::of(seed, &[5]);
        let (stake, bytes) = (500_000 + random.below(1_000_000), (1 + random.below(20_000)) * GB);
        let whole = earned(&[row(0, pop(stake), bytes)]);
        for parts in [2, 3, 10, 25] {
            let (mut stake_left, mut bytes_left, mut rows) = (stake, bytes, vec![]);
            for part in 0..parts {
                let last = part + 1 == parts;
                // Some parts are too small to be masternodes: they earn nothing.
                let stake = if last { stake_left } else { random.below(stake_left + 1) };
                let bytes = if last { bytes_left } else { random.below(bytes_left + 1) };
                (stake_left, bytes_left) = (stake_left - stake, bytes_left - bytes);
                rows.push(row(part, pop(stake), bytes));
            }
            let split = earned(&rows);
            assert!(split <= whole, "seed {seed}, {parts} parts: {split} > {whole}");
            cases += 1;
            less += u32::from(split < whole);
        }
    }
    println!("{cases} splits: {less} earn less than the whole, {} the same", cases - less);
}

#[test]
fn answering_audits_by_downloading_costs_what_storing_does_if_asked_often_enough() {
    // A column of the standard film; dollars in 10^-9. Storage $0.004 per GB-month, bytes from
    // other holders $2 per TB.
    let (column_bytes, shard_bytes, k) = (150_000_000, 32_768, 30);
    let storage = StorageCost::per_gigabyte_month(Amount::from_base_units(4_000_000));
    // 2,000,000 per GB is 250 per megabit.
    let rate = Rate::new(Amount::from_base_units(250)).unwrap();
    let download = Tariff { rate, tier: Tier::of_kbps(100).unwrap() };
    let column = (column_bytes, shard_bytes, k);
    let needed = audits_needed(column, (storage, WEEK_S), download).unwrap();
    let saved = storage.of(column_bytes, WEEK_S).unwrap().base_units();
    let answer = download.price(shard_bytes * u64::from(k)).unwrap().base_units();
    println!("audits per column and week | profit of not storing it, in 10^-9 dollars");
    for audits in [1, 10, needed - 1, needed, 100] {
        let profit =
            i128::try_from(saved).unwrap() - i128::try_from(answer * u128::from(audits)).unwrap();
        println!("{audits:>26} | {profit}");
        assert_eq!(profit <= 0, audits >= needed, "{audits} audits");
    }
    assert_eq!(needed, 71);
    // Only bounded: who holds k columns of one content can compute the others for nothing.
    for (holds, n) in [(24_u64, 80_u64), (30, 80), (40, 80)] {
        let kept = holds.min(k.into());
        println!("one operator with {holds} of {n} columns must keep {kept} of them");
    }
    assert_eq!(audits_needed((1, 0, 0), (storage, WEEK_S), download), None);
    assert_eq!(audits_needed((1, u64::MAX, 2), (storage, WEEK_S), download), None);
}

#[test]
fn nothing_is_paid_without_audits_or_over_the_schedule() {
    let policy = policy();
    let sound = row(0, pop(50_000), 100 * GB);
    let paid = |row: StorageAudit| rewards(&[row], 0, &policy).unwrap();
    assert_eq!(paid(sound).len(), 1);
    for row in [
        StorageAudit { asked: 99, passed: 99, ..sound },
        StorageAudit { passed: 191, ..sound },
        StorageAudit { passed: 201, ..sound },
        StorageAudit { asked: 0, passed: 0, ..sound },
        StorageAudit { proven_wrong: true, ..sound },
        StorageAudit { assigned_bytes: 0, ..sound },
        StorageAudit { stake: pop(49_999), ..sound },
    ] {
        assert_eq!(paid(row), [], "{row:?}");
    }
    assert_eq!(rewards(&[sound, sound], 0, &policy), Err(RewardError::Order));
    assert_eq!(rewards(&[], 0, &policy), Ok(vec![]));
    let vast = StorageAudit { stake: Amount::from_base_units(u128::MAX), ..sound };
    let vast = StorageAudit { assigned_bytes: u64::MAX, asked: u64::MAX, passed: u64::MAX, ..vast };
    let sum = rewards(&[vast], 0, &policy).unwrap()[0].amount;
    assert_eq!(sum, policy.schedule.budget(0));

    let schedule = EmissionSchedule { first: Amount::from_base_units(1000), halving_epochs: 4 };
    let emitted: u128 = (0..10_000).map(|epoch| schedule.budget(epoch).base_units()).sum();
    assert!(emitted <= schedule.total_max().unwrap().base_units());
    assert_eq!(schedule.budget(3).base_units(), 1000);
    assert_eq!(schedule.budget(4).base_units(), 500);
    assert_eq!(schedule.budget(u64::MAX), Amount::ZERO);
    let forever = EmissionSchedule { halving_epochs: 0, ..schedule };
    assert_eq!((forever.budget(u64::MAX), forever.total_max()), (schedule.first, None));
}
