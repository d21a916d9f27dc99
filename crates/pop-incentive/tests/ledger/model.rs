//! The rules again, as naive as possible: a few numbers per universe and no shared code with the
//! ledger; and the universes.

use std::collections::BTreeMap;

use pop_incentive::ledger::{Evidence, LedgerState, LoanNote, Operation, SignedNote, names};
use pop_incentive::typed_data::MoneySignature;
use pop_incentive::voucher::SignedVoucher;
use pop_wire::{ContentId, Digest, UnixTime, WalletAddress};

use crate::exhaustive::Step as Walked;
use crate::failed_audit::wrong_answer;
use crate::support::*;

/// What a step means to the model.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Transfer(WalletAddress, WalletAddress, u128),
    Open(WalletAddress, u128, u128),
    Fund(WalletAddress, u128),
    Unlock,
    Withdraw(WalletAddress),
    Redeem(WalletAddress, u128),
    Report(WalletAddress, u128),
    Lend(WalletAddress, WalletAddress, u128),
    Register(WalletAddress, u128),
    TopUp(WalletAddress, u128),
    Unbond,
    Leave(WalletAddress),
    Slash(WalletAddress, u8),
    Lock(WalletAddress, u128),
    Claim(WalletAddress, bool),
    Refund(WalletAddress),
    /// Universes without a model.
    Unmodelled,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    pub(crate) wallets: BTreeMap<WalletAddress, u128>,
    vault: Option<Vault>,
    /// Lender, borrower, owed.
    debt: Option<(WalletAddress, WalletAddress, u128)>,
    node: Option<Node>,
    wrongs: Vec<u8>,
    lock: Option<u128>,
    locked_once: bool,
    sunk: u128,
}

#[derive(Debug, Clone, Default)]
struct Vault {
    funded: u128,
    left: u128,
    penalty: u128,
    paid: BTreeMap<WalletAddress, u128>,
    epoch: u64,
    closes: Option<u64>,
}

#[derive(Debug, Clone)]
struct Node {
    stake: u128,
    free_at: Option<u64>,
}

impl Model {
    /// Money that is in no wallet.
    pub(crate) fn elsewhere(&self) -> u128 {
        let vault = self.vault.as_ref().map_or(0, |vault| vault.left + vault.penalty);
        let node = self.node.as_ref().map_or(0, |node| node.stake);
        vault + node + self.lock.unwrap_or(0) + self.sunk
    }

    fn has(&self, wallet: WalletAddress) -> u128 {
        self.wallets.get(&wallet).copied().unwrap_or(0)
    }

    fn give(&mut self, wallet: WalletAddress, amount: u128) {
        *self.wallets.entry(wallet).or_default() += amount;
    }

    fn pay(&mut self, wallet: WalletAddress, amount: u128) -> bool {
        let enough = self.has(wallet) >= amount;
        if enough {
            *self.wallets.entry(wallet).or_default() -= amount;
        }
        enough
    }

    fn earn(&mut self, wallet: WalletAddress, amount: u128) {
        let mut rest = amount;
        if let Some((lender, borrower, owed)) = self.debt
            && borrower == wallet
        {
            let part = owed.min(rest);
            rest -= part;
            self.debt = Some((lender, borrower, owed - part));
            self.give(lender, part);
        }
        self.give(wallet, rest);
    }

    /// Tenth to the reporter, rest out of reach.
    fn punish(&mut self, reporter: WalletAddress, amount: u128) {
        self.give(reporter, amount / 10);
        self.sunk += amount - amount / 10;
    }

    /// Whether the step is accepted.
    pub(crate) fn apply(&mut self, now: u64, step: &Step) -> bool {
        match *step {
            Step::Transfer(from, to, amount) => {
                let paid = self.pay(from, amount);
                if paid {
                    self.give(to, amount);
                }
                paid
            }
            Step::Open(owner, deposit, penalty) => {
                if self.vault.is_some() || !self.pay(owner, deposit + penalty) {
                    return false;
                }
                let vault = Vault { funded: deposit, left: deposit, penalty, ..Vault::default() };
                self.vault = Some(vault);
                true
            }
            Step::Lend(lender, borrower, owed) => {
                let first = self.debt.is_none();
                if first {
                    self.debt = Some((lender, borrower, owed));
                }
                first
            }
            Step::Register(owner, stake) => {
                if self.node.is_some() || !self.pay(owner, stake) {
                    return false;
                }
                self.node = Some(Node { stake, free_at: None });
                true
            }
            Step::Lock(payer, amount) => {
                if self.locked_once || now >= DAY_S || !self.pay(payer, amount) {
                    return false;
                }
                (self.lock, self.locked_once) = (Some(amount), true);
                true
            }
            Step::Claim(payee, right) => {
                if !right || self.lock.is_none() || now >= DAY_S {
                    return false;
                }
                let amount = self.lock.take().unwrap();
                self.give(payee, amount);
                true
            }
            Step::Refund(payer) => {
                if self.lock.is_none() || now < DAY_S {
                    return false;
                }
                let amount = self.lock.take().unwrap();
                self.give(payer, amount);
                true
            }
            Step::Unmodelled => false,
            _ if self.node.is_some() => self.apply_to_node(now, step),
            _ => self.apply_to_vault(now, step),
        }
    }

    fn apply_to_vault(&mut self, now: u64, step: &Step) -> bool {
        let Some(mut vault) = self.vault.clone() else { return false };
        match *step {
            Step::Fund(owner, amount) => {
                if vault.closes.is_some() || !self.pay(owner, amount) {
                    return false;
                }
                vault.funded += amount;
                vault.left += amount;
            }
            Step::Unlock => {
                if vault.closes.is_some() {
                    return false;
                }
                vault.closes = Some(now + DAY_S);
            }
            Step::Withdraw(owner) => {
                if vault.closes.is_none_or(|closes| now < closes) {
                    return false;
                }
                self.give(owner, vault.left + vault.penalty);
                vault = Vault { epoch: vault.epoch + 1, ..Vault::default() };
            }
            Step::Redeem(payee, amount) => {
                if vault.epoch == 0 {
                    let paid = vault.paid.entry(payee).or_default();
                    let due = amount.saturating_sub(*paid).min(vault.left);
                    *paid += due;
                    vault.left -= due;
                    self.earn(payee, due);
                }
            }
            Step::Report(reporter, promised) => {
                if vault.epoch > 0 || promised <= vault.funded || vault.penalty == 0 {
                    return false;
                }
                self.punish(reporter, vault.penalty);
                vault.penalty = 0;
            }
            _ => return false,
        }
        self.vault = Some(vault);
        true
    }

    fn apply_to_node(&mut self, now: u64, step: &Step) -> bool {
        let Some(mut node) = self.node.clone() else { return false };
        match *step {
            Step::TopUp(owner, amount) => {
                if node.free_at.is_some() || !self.pay(owner, amount) {
                    return false;
                }
                node.stake += amount;
            }
            Step::Unbond => {
                if node.free_at.is_some() {
                    return false;
                }
                node.free_at = Some(now + 14 * DAY_S);
            }
            Step::Leave(owner) => {
                if node.free_at.is_none_or(|free_at| now < free_at) {
                    return false;
                }
                self.give(owner, node.stake);
                self.node = None;
                return true;
            }
            Step::Slash(reporter, wrong) => {
                if self.wrongs.contains(&wrong) {
                    return false;
                }
                self.wrongs.push(wrong);
                let fine = node.stake.min(10);
                node.stake -= fine;
                self.punish(reporter, fine);
            }
            _ => return false,
        }
        self.node = Some(node);
        true
    }
}

fn does(actor: WalletAddress, operation: Operation, model: Step) -> Walked {
    Walked::Do { actor, operation: Box::new(operation), model }
}

fn with(state: &LedgerState, people: &[WalletAddress]) -> Model {
    let held = |wallet: &WalletAddress| {
        let account = pop_incentive::ledger::Account::Wallet(*wallet);
        (*wallet, state.balance(account).base_units())
    };
    Model { wallets: people.iter().map(held).collect(), ..Model::default() }
}

pub(crate) fn vault_universe() -> (LedgerState, Model, Vec<Walked>) {
    let (payer, payee, other) = (key(10), key(11), key(12));
    let state = funded(&[(&payer, 21), (&other, 3)]);
    let [p, q, r] = [&payer, &payee, &other].map(wallet);
    let model = with(&state, &[p, q, r]);
    let vault = vault_of(&payer);
    let promise = |to, amount| vec![voucher(&payer, to, 0, amount)];
    let mut evidence: Vec<SignedVoucher> = [promise(q, 7), promise(r, 12)].concat();
    evidence.sort_by_key(|signed| signed.voucher.payee);
    let note = LoanNote {
        lender: r,
        borrower: q,
        principal: units(5),
        bytes: 1,
        interest_bps: 1_000,
        due: UnixTime(DAY_S),
        number: 0,
    };
    let form = MoneySignature::sign(&payer, &[0; 32]);
    let note = SignedNote { note, lender: form, borrower: form };
    let fund = Operation::FundVault { vault, deposit: units(5), penalty: units(0) };
    let steps = vec![
        does(p, open_vault(10, 6), Step::Open(p, 10, 6)),
        does(p, fund, Step::Fund(p, 5)),
        does(p, Operation::RequestUnlock { vault }, Step::Unlock),
        Walked::Wait { seconds: DAY_S },
        does(p, Operation::WithdrawVault { vault }, Step::Withdraw(p)),
        does(q, Operation::Redeem { vouchers: promise(q, 7) }, Step::Redeem(q, 7)),
        does(r, Operation::Redeem { vouchers: promise(r, 12) }, Step::Redeem(r, 12)),
        does(r, Operation::ReportOverspend { vouchers: evidence }, Step::Report(r, 19)),
        does(r, Operation::Lend { note }, Step::Lend(r, q, 6)),
    ];
    (state, model, steps)
}

pub(crate) fn collateral_universe() -> (LedgerState, Model, Vec<Walked>) {
    let (cold, hot, reporter) = (key(10), key(11), key(12));
    let state = funded(&[(&cold, 112)]);
    let [o, r] = [&cold, &reporter].map(wallet);
    let model = with(&state, &[o, r]);
    let operator = hot.peer_id();
    let slash = |evidence| Operation::Slash { owner: o, operator, evidence };
    let register = Operation::RegisterCollateral { operator, amount: units(50) };
    let top_up = Operation::TopUpCollateral { operator, amount: units(5) };
    let steps = vec![
        does(o, register, Step::Register(o, 50)),
        does(o, top_up, Step::TopUp(o, 5)),
        does(o, Operation::Unbond { operator }, Step::Unbond),
        Walked::Wait { seconds: 14 * DAY_S },
        does(o, Operation::WithdrawCollateral { operator }, Step::Leave(o)),
        does(r, slash(Evidence::Equivocation(equivocation(&hot, 1))), Step::Slash(r, 1)),
        does(r, slash(wrong_answer(&hot)), Step::Slash(r, 2)),
        does(o, Operation::Transfer { to: r, amount: units(60) }, Step::Transfer(o, r, 60)),
    ];
    (state, model, steps)
}

pub(crate) fn lock_universe() -> (LedgerState, Model, Vec<Walked>) {
    let (payer, payee) = (key(10), key(11));
    let state = funded(&[(&payer, 20)]);
    let [p, q] = [&payer, &payee].map(wallet);
    let model = with(&state, &[p, q]);
    let (salt, content_key) = (Digest([1; 32]), Digest([2; 32]));
    let open = Operation::OpenLock {
        index: 0,
        payee: q,
        amount: units(9),
        salt,
        commitment: names::key_commitment(salt, content_key),
        deadline_s: DAY_S,
    };
    let lock = names::lock_id(&domain(), p, 0);
    let claim = |key| Operation::ClaimLock { lock, key };
    let back = Operation::Transfer { to: p, amount: units(4) };
    let steps = vec![
        // The deadline is absolute: after the wait a new lock is refused by its time.
        does(p, open, Step::Lock(p, 9)),
        does(q, claim(content_key), Step::Claim(q, true)),
        does(q, claim(salt), Step::Claim(q, false)),
        does(p, Operation::RefundLock { lock }, Step::Refund(p)),
        does(q, back, Step::Transfer(q, p, 4)),
        does(p, Operation::Transfer { to: q, amount: units(7) }, Step::Transfer(p, q, 7)),
        Walked::Wait { seconds: DAY_S },
    ];
    (state, model, steps)
}

pub(crate) fn pool_universe() -> (LedgerState, Vec<Walked>) {
    let people = [key(10), key(11), key(12)];
    let state = funded(&[(&people[0], 30), (&people[2], 9)]);
    let [a, b, c] = [&people[0], &people[1], &people[2]].map(wallet);
    let pool = names::pool_id(&domain(), a, 0);
    let mut members = vec![a, b];
    members.sort();
    let create = Operation::CreatePool { index: 0, members, quorum: 2, deadline_s: DAY_S };
    let leaves = [(a, 5), (b, 9)]
        .map(|(member, amount)| names::share_leaf(pool, 1, member, 1, units(amount)));
    let (root, paths) = names::share_tree(&leaves).unwrap();
    // Less than the shares add up to: the second claim must be refused.
    let approve = Operation::ApproveEpoch { pool, epoch: 1, root, total: units(10) };
    let claim = |member, amount, path: &Vec<Digest>| Operation::ClaimShare {
        pool,
        epoch: 1,
        member,
        bytes: 1,
        amount: units(amount),
        path: path.clone(),
    };
    let deposit = |amount| Operation::DepositPool { pool, amount: units(amount) };
    let free = |actor, operation| does(actor, operation, Step::Unmodelled);
    let steps = vec![
        free(a, create),
        free(a, deposit(11)),
        free(c, deposit(8)),
        free(a, approve.clone()),
        free(b, approve),
        free(c, claim(a, 5, &paths[0])),
        free(b, claim(b, 9, &paths[1])),
        free(a, Operation::ReclaimDeposit { pool }),
        free(c, Operation::ReclaimDeposit { pool }),
        Walked::Wait { seconds: DAY_S },
    ];
    (state, steps)
}

pub(crate) fn bounty_universe() -> (LedgerState, Vec<Walked>) {
    let (opener, judge, claimant) = (key(10), key(11), key(12));
    let mut state = funded(&[(&opener, 30)]);
    let [o, j, c] = [&opener, &judge, &claimant].map(wallet);
    let open = Operation::OpenBounty {
        index: 0,
        wanted: Digest([1; 32]),
        reward: units(20),
        judges: vec![j],
        quorum: 1,
        deadline_s: 2 * DAY_S,
    };
    act(&mut state, 0, &opener, open).unwrap();
    let bounty = names::bounty_id(&domain(), o, 0);
    let (content, salt) = (ContentId([3; 32]), Digest([4; 32]));
    let commitment = names::claim_commitment(bounty, c, content, salt);
    let free = |actor, operation| does(actor, operation, Step::Unmodelled);
    let steps = vec![
        free(c, Operation::CommitClaim { bounty, commitment }),
        free(c, Operation::RevealClaim { bounty, content, salt }),
        free(j, Operation::ApproveClaim { bounty, claimant: c }),
        free(o, Operation::DisputeClaim { bounty }),
        free(c, Operation::SettleBounty { bounty }),
        free(o, Operation::RefundBounty { bounty }),
        Walked::Wait { seconds: DAY_S - 1 },
    ];
    (state, steps)
}
