//! Every list of at most six operations over small universes; eight where there are few.
//!
//! An operation that is refused changes nothing, which is asserted, so a list that contains it
//! has the effect of the list without it: the walk goes on only behind what was accepted, and
//! still covers every list.

use std::collections::BTreeMap;

use pop_incentive::ledger::{Account, LedgerState, Operation};
use pop_wire::{Amount, UnixTime, WalletAddress};

use crate::model::{self, Model};
use crate::support::unsigned;

/// One thing that can be done: by somebody, or that time passes.
#[derive(Clone)]
pub(crate) enum Step {
    Do { actor: WalletAddress, operation: Box<Operation>, model: model::Step },
    Wait { seconds: u64 },
}

#[derive(Default)]
struct Walk {
    applied: u64,
    refused: u64,
}

fn check(state: &LedgerState, model: Option<&Model>, supply: Amount) {
    state.audit().unwrap();
    let emitted = state.balance(Account::Emission);
    assert_eq!(emitted, supply, "supply is constant but for emission and burn");
    let Some(model) = model else { return };
    let mut wallets = BTreeMap::new();
    let mut elsewhere = 0;
    for (account, amount) in state.balances() {
        match account {
            Account::Wallet(wallet) => {
                wallets.insert(wallet, amount.base_units());
            }
            Account::Emission => {}
            _ => elsewhere += amount.base_units(),
        }
    }
    wallets.retain(|_, amount| *amount > 0);
    let mut expected = model.wallets.clone();
    expected.retain(|_, amount| *amount > 0);
    assert_eq!(wallets, expected, "wallets as in the model");
    assert_eq!(elsewhere, model.elsewhere(), "all other money as in the model");
}

fn walk(
    state: &LedgerState,
    model: Option<&Model>,
    (now, left): (u64, u32),
    steps: &[Step],
    seen: &mut Walk,
) {
    if left == 0 {
        return;
    }
    for step in steps {
        match step {
            Step::Wait { seconds } => walk(state, model, (now + seconds, left - 1), steps, seen),
            Step::Do { actor, operation, model: naive } => {
                let mut next = state.clone();
                let signed = unsigned(state, *actor, (**operation).clone());
                let result = next.replay(UnixTime(now), &signed);
                let mut expected = model.cloned();
                if let Some(expected) = &mut expected {
                    let agreed = expected.apply(now, naive);
                    assert_eq!(result.is_ok(), agreed, "{naive:?} at {now}: {result:?}");
                }
                if result.is_err() {
                    seen.refused += 1;
                    assert!(next == *state, "a refusal changes nothing");
                    continue;
                }
                seen.applied += 1;
                check(&next, expected.as_ref(), state.balance(Account::Emission));
                let again = next.clone();
                let receipt = next.replay(UnixTime(now + 1), &signed);
                assert_eq!(receipt, result, "the same operation has the same receipt");
                assert!(next == again, "and no second effect");
                walk(&next, expected.as_ref(), (now, left - 1), steps, seen);
            }
        }
    }
}

fn explore(
    name: &str,
    state: &LedgerState,
    model: Option<&Model>,
    (steps, length_max): (&[Step], u32),
) {
    let mut seen = Walk::default();
    walk(state, model, (0, length_max), steps, &mut seen);
    let choices = u64::try_from(steps.len()).unwrap();
    let lists: u64 = (1..=length_max).map(|length| choices.pow(length)).sum();
    println!(
        "{name}: {choices} steps, {lists} lists of length <= {length_max}; {} operations applied, \
         {} refused",
        seen.applied, seen.refused
    );
    assert!(seen.applied > 50, "the universe must not be barren: {}", seen.applied);
}

#[test]
fn vaults_vouchers_loans_and_overspending_agree_with_the_naive_model() {
    let (state, model, steps) = model::vault_universe();
    explore("vault", &state, Some(&model), (&steps, 6));
}

#[test]
fn collateral_and_slashing_agree_with_the_naive_model() {
    let (state, model, steps) = model::collateral_universe();
    explore("collateral", &state, Some(&model), (&steps, 7));
}

#[test]
fn hash_locks_agree_with_the_naive_model() {
    let (state, model, steps) = model::lock_universe();
    explore("lock", &state, Some(&model), (&steps, 8));
}

#[test]
fn pools_keep_their_invariants() {
    let (state, steps) = model::pool_universe();
    explore("pool", &state, None, (&steps, 8));
}

#[test]
fn bounties_keep_their_invariants() {
    let (state, steps) = model::bounty_universe();
    explore("bounty", &state, None, (&steps, 8));
}
