//! Attacks by name.

use pop_incentive::evidence::{DoubleQuoteEvidence, DoubleVoucherEvidence};
use pop_incentive::ledger::{
    Account, Evidence, LedgerState, LoanNote, Operation, Refusal, SignedNote, SignedOperation,
    names, shares,
};
use pop_incentive::quote::Quote;
use pop_incentive::rate::Rate;
use pop_incentive::typed_data::LedgerDomain;
use pop_incentive::voucher::{SignedVoucher, Voucher};
use pop_wire::{ContentId, Digest, UnixTime, WalletAddress};

use crate::support::*;

#[test]
fn a_payer_that_withdraws_first_still_pays_who_redeems_within_the_delay() {
    let (payer, one, two) = (key(10), key(11), key(12));
    let vault = vault_of(&payer);
    let redeem = |payee, amount| {
        let vouchers = vec![voucher(&payer, wallet(payee), 0, amount)];
        (payee, Operation::Redeem { vouchers })
    };
    let events = [
        (&payer, Operation::RequestUnlock { vault }),
        redeem(&one, 40),
        redeem(&two, 60),
        (&payer, Operation::WithdrawVault { vault }),
    ];
    let mut orders = 0;
    for order in permutations(events.len()) {
        for gaps in 0..3_u32.pow(4) {
            let mut state = funded(&[(&payer, 100)]);
            act(&mut state, 0, &payer, open_vault(100, 0)).unwrap();
            let (mut now, mut closes, mut withdrawn) = (0, None, false);
            let mut paid = [0; 4];
            for (place, event) in order.iter().enumerate() {
                now += [1, DAY_S / 2, DAY_S][gaps as usize / 3_usize.pow(place as u32) % 3];
                let (actor, operation) = events[*event].clone();
                let result = act(&mut state, now, actor, operation);
                match event {
                    0 => closes = Some(now + DAY_S),
                    3 => {
                        let allowed = closes.is_some_and(|closes| now >= closes);
                        assert_eq!(result.is_ok(), allowed, "{order:?} {gaps}");
                        withdrawn = allowed;
                    }
                    payee => paid[*payee] = if withdrawn { 0 } else { [0, 40, 60, 0][*payee] },
                }
            }
            assert_eq!([held(&state, &one), held(&state, &two)], [paid[1], paid[2]]);
            orders += 1;
        }
    }
    println!("{orders} schedules of unlock, two redemptions and withdrawal");
}

fn permutations(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for shorter in permutations(count - 1) {
        for place in 0..count {
            let mut longer = shorter.clone();
            longer.insert(place, count - 1);
            all.push(longer);
        }
    }
    all
}

#[test]
fn the_same_operation_delivered_twice_takes_effect_once() {
    let (rich, other) = (key(10), key(11));
    let mut state = funded(&[(&rich, 10)]);
    let gift = Operation::Transfer { to: wallet(&other), amount: units(4) };
    let signed = SignedOperation::sign(gift, 0, &rich, &domain());
    let receipt = state.apply(UnixTime(1), &signed).unwrap();
    assert_eq!(state.apply(UnixTime(9), &signed).unwrap(), receipt);
    assert_eq!((held(&state, &rich), held(&state, &other)), (6, 4));

    let another = Operation::Transfer { to: wallet(&other), amount: units(5) };
    let reused = SignedOperation::sign(another, 0, &rich, &domain());
    let refused = state.apply(UnixTime(9), &reused);
    assert_eq!(refused, Err(Refusal::Nonce { expected: 1, got: 0 }));
}

#[test]
fn an_operation_for_another_ledger_or_by_another_key_is_refused() {
    let (rich, thief) = (key(10), key(11));
    let mut state = funded(&[(&rich, 10)]);
    let theft = Operation::Transfer { to: wallet(&thief), amount: units(4) };
    let elsewhere = LedgerDomain::new(1, WalletAddress([0xcc; 20]));
    let replayed = SignedOperation::sign(theft.clone(), 0, &rich, &elsewhere);
    assert!(matches!(state.apply(UnixTime(0), &replayed), Err(Refusal::Signature(_))));
    let mut forged = SignedOperation::sign(theft, 0, &thief, &domain());
    forged.actor = wallet(&rich);
    assert!(matches!(state.apply(UnixTime(0), &forged), Err(Refusal::Signature(_))));
    assert_eq!(held(&state, &rich), 10);
}

#[test]
fn promising_ten_times_the_vault_to_fifty_payees_costs_the_penalty_deposit() {
    let (payer, reporter) = (key(10), key(11));
    let mut state = funded(&[(&payer, 200)]);
    act(&mut state, 0, &payer, open_vault(100, 50)).unwrap();
    let payees: Vec<_> = (100..150).map(|number| wallet(&key(number))).collect();
    let mut promises: Vec<_> = payees.iter().map(|payee| voucher(&payer, *payee, 0, 20)).collect();
    promises.sort_by_key(|signed| signed.voucher.payee);

    let honest = Operation::ReportOverspend { vouchers: promises[..5].to_vec() };
    assert_eq!(act(&mut state, 0, &reporter, honest), Err(Refusal::Unproven));
    let mut twice = promises[..3].to_vec();
    twice.extend(vec![promises[2]; 10]);
    let doubled = Operation::ReportOverspend { vouchers: twice };
    assert!(matches!(act(&mut state, 0, &reporter, doubled), Err(Refusal::Order { .. })));

    act(&mut state, 0, &reporter, Operation::Redeem { vouchers: promises.clone() }).unwrap();
    let paid: u128 =
        payees.iter().map(|payee| state.balance(Account::Wallet(*payee)).base_units()).sum();
    assert_eq!(paid, 100, "all that was there, and no more");
    let report = Operation::ReportOverspend { vouchers: promises };
    act(&mut state, 0, &reporter, report).unwrap();
    assert_eq!(held(&state, &reporter), 5);
    assert_eq!(state.balance(Account::RepairFund), units(20));
    assert_eq!(state.balance(Account::Burned), units(25));
    assert_eq!(state.record(wallet(&payer)).overspends, 1);
}

#[test]
fn replayed_reordered_lower_and_void_vouchers_never_pay_twice() {
    let (payer, payee) = (key(10), key(11));
    let mut state = funded(&[(&payer, 100)]);
    act(&mut state, 0, &payer, open_vault(50, 0)).unwrap();
    let to = wallet(&payee);
    for (amount, paid) in [(10, 10), (10, 10), (30, 30), (20, 30), (90, 50), (30, 50)] {
        let vouchers = vec![voucher(&payer, to, 0, amount)];
        act(&mut state, 0, &payee, Operation::Redeem { vouchers }).unwrap();
        assert_eq!(held(&state, &payee), paid);
    }
    // What was clamped is still due when more is there.
    let fund =
        Operation::FundVault { vault: vault_of(&payer), deposit: units(50), penalty: units(0) };
    act(&mut state, 0, &payer, fund).unwrap();
    let vouchers = vec![voucher(&payer, to, 7, 100), voucher(&payer, to, 0, 90)];
    act(&mut state, 0, &payee, Operation::Redeem { vouchers }).unwrap();
    assert_eq!(held(&state, &payee), 90);
    let mut stolen = voucher(&payer, to, 0, 95);
    stolen.voucher.payee = wallet(&key(12));
    let theft = Operation::Redeem { vouchers: vec![stolen] };
    assert!(matches!(act(&mut state, 0, &payee, theft), Err(Refusal::Signature(_))));
}

fn masternode(state: &mut LedgerState, owner: u8, node: u8) {
    let operator = key(node).peer_id();
    let register = Operation::RegisterCollateral { operator, amount: units(50) };
    act(state, 0, &key(owner), register).unwrap();
}

fn quote(payee: &pop_wire::Keypair, serial: u64, rate: u128) -> pop_incentive::quote::SignedQuote {
    let quote = Quote {
        content: ContentId([5; 32]),
        payee: wallet(payee),
        rate: Rate::new(units(rate)).unwrap(),
        peak_kbps: 500,
        serial,
        valid_from: UnixTime(0),
        valid_until: UnixTime(60),
    };
    quote.sign(&domain(), payee)
}

#[test]
fn forged_evidence_does_not_touch_an_honest_node() {
    let (owner, node, liar) = (key(10), key(11), key(12));
    let mut state = funded(&[(&owner, 200), (&liar, 1)]);
    masternode(&mut state, 10, 11);
    act(&mut state, 0, &owner, open_vault(100, 0)).unwrap();
    let pair = |dearer: Voucher, larger: Voucher, by: &pop_wire::Keypair| {
        let (dearer, larger) = (dearer.sign(&domain(), by), larger.sign(&domain(), by));
        Evidence::DoubleVoucher(Box::new(DoubleVoucherEvidence { dearer, larger }))
    };
    let at = |amount, bytes| Voucher { bytes, ..voucher(&owner, wallet(&liar), 0, amount).voucher };
    let quotes =
        |first, second| Evidence::DoubleQuote(Box::new(DoubleQuoteEvidence { first, second }));
    let mut moved = at(9, 9);
    moved.payee = wallet(&node);
    let forgeries = [
        Evidence::Equivocation(equivocation(&liar, 1)),
        Evidence::Equivocation(vec![0; 70]),
        pair(at(9, 1), at(5, 5), &liar),
        // Honest: more for more; the same twice; another payee.
        pair(at(9, 9), at(5, 5), &owner),
        pair(at(9, 9), at(9, 9), &owner),
        pair(moved, at(5, 10), &owner),
        quotes(quote(&node, 1, 7), quote(&node, 2, 8)),
        quotes(quote(&node, 1, 7), quote(&node, 1, 7)),
        quotes(quote(&liar, 1, 7), quote(&liar, 1, 8)),
    ];
    for evidence in forgeries {
        let (owner, operator) = (wallet(&owner), node.peer_id());
        let slash = Operation::Slash { owner, operator, evidence };
        assert_eq!(act(&mut state, 0, &liar, slash), Err(Refusal::Unproven));
    }
    assert!(state.is_masternode(wallet(&owner), node.peer_id()));
}

#[test]
fn each_proved_wrong_costs_its_part_of_the_collateral_once() {
    let (owner, node, reporter) = (key(10), key(11), key(12));
    let mut state = funded(&[(&owner, 50)]);
    masternode(&mut state, 10, 11);
    act(&mut state, 0, &owner, open_vault(0, 0)).unwrap();
    let word = |amount, bytes| {
        let voucher = voucher(&owner, wallet(&reporter), 0, amount).voucher;
        Voucher { bytes, ..voucher }.sign(&domain(), &owner)
    };
    let vouchers = DoubleVoucherEvidence { dearer: word(9, 1), larger: word(5, 5) };
    let quotes = DoubleQuoteEvidence { first: quote(&node, 1, 7), second: quote(&node, 1, 8) };
    for evidence in [
        Evidence::Equivocation(equivocation(&node, 1)),
        Evidence::DoubleVoucher(Box::new(vouchers)),
        Evidence::DoubleQuote(Box::new(quotes)),
    ] {
        let (owner, operator) = (wallet(&owner), node.peer_id());
        let slash = Operation::Slash { owner, operator, evidence };
        act(&mut state, 0, &reporter, slash.clone()).unwrap();
        assert_eq!(act(&mut state, 0, &reporter, slash), Err(Refusal::Exists { what: "offence" }));
    }
    let (wallet, operator) = (wallet(&owner), node.peer_id());
    let left = state.balance(Account::Collateral { owner: wallet, operator });
    assert_eq!((left, held(&state, &reporter)), (units(20), 3));
    assert_eq!(state.balance(Account::RepairFund), units(12));
    assert_eq!(state.balance(Account::Burned), units(15));
    assert!(!state.is_masternode(wallet, operator));
}

#[test]
fn registering_again_does_not_wash_a_record() {
    let (owner, node, reporter) = (key(10), key(11), key(12));
    let mut state = funded(&[(&owner, 200)]);
    masternode(&mut state, 10, 11);
    let (cold, operator) = (wallet(&owner), node.peer_id());
    let evidence = Evidence::Equivocation(equivocation(&node, 1));
    let slash = Operation::Slash { owner: cold, operator, evidence };
    act(&mut state, 0, &reporter, slash.clone()).unwrap();
    act(&mut state, 0, &owner, Operation::Unbond { operator }).unwrap();
    let leave = Operation::WithdrawCollateral { operator };
    act(&mut state, 14 * DAY_S, &owner, leave).unwrap();
    masternode(&mut state, 10, 13);
    assert_eq!(state.record(cold).slashes, 1, "under the owner, with another node");
    let node_wallet = wallet(&node);
    assert_eq!(state.record(node_wallet).slashes, 1, "under the key, with any owner");
    masternode(&mut state, 10, 11);
    let again = act(&mut state, 14 * DAY_S, &reporter, slash);
    assert_eq!(again, Err(Refusal::Exists { what: "offence" }), "and is not paid for twice");
}

#[test]
fn an_honest_exit_is_never_stuck() {
    let (owner, node, reporter) = (key(10), key(11), key(12));
    let mut state = funded(&[(&owner, 150)]);
    masternode(&mut state, 10, 11);
    act(&mut state, 0, &owner, open_vault(100, 0)).unwrap();
    let (cold, operator, vault) = (wallet(&owner), node.peer_id(), vault_of(&owner));
    act(&mut state, 5, &owner, Operation::Unbond { operator }).unwrap();
    act(&mut state, 5, &owner, Operation::RequestUnlock { vault }).unwrap();
    // Slashes to the last unit and redemptions in between don't move the dates.
    for content in 0..6 {
        let evidence = Evidence::Equivocation(equivocation(&node, content));
        let slash = Operation::Slash { owner: cold, operator, evidence };
        act(&mut state, 6, &reporter, slash).unwrap();
    }
    let vouchers = vec![voucher(&owner, wallet(&reporter), 0, 70)];
    act(&mut state, DAY_S, &reporter, Operation::Redeem { vouchers }).unwrap();
    let early = act(&mut state, DAY_S + 4, &owner, Operation::WithdrawVault { vault });
    assert!(matches!(early, Err(Refusal::TooEarly { .. })));
    act(&mut state, DAY_S + 5, &owner, Operation::WithdrawVault { vault }).unwrap();
    let leave = Operation::WithdrawCollateral { operator };
    act(&mut state, 14 * DAY_S + 5, &owner, leave).unwrap();
    assert_eq!(held(&state, &owner), 30);
    assert_eq!(state.registration(cold, operator), None);
}

#[test]
fn amounts_that_overflow_are_refused_at_every_step() {
    let (rich, other) = (key(10), key(11));
    let most = units(u128::MAX);
    let mut state = funded(&[(&rich, 1_000)]);
    act(&mut state, 0, &rich, open_vault(100, 100)).unwrap();
    let (vault, to, operator) = (vault_of(&rich), wallet(&other), other.peer_id());
    let pool = names::pool_id(&domain(), wallet(&rich), 0);
    let deadline_s = u64::MAX;
    let create =
        Operation::CreatePool { index: 0, members: vec![wallet(&rich)], quorum: 1, deadline_s };
    act(&mut state, 0, &rich, create).unwrap();
    let (salt, commitment) = (Digest([0; 32]), Digest([0; 32]));
    let zero = units(0);
    for operation in [
        Operation::Transfer { to, amount: most },
        Operation::Mint { to, amount: most },
        Operation::OpenVault { index: 1, deposit: most, penalty: zero },
        Operation::OpenVault { index: 1, deposit: zero, penalty: most },
        Operation::FundVault { vault, deposit: most, penalty: zero },
        Operation::FundVault { vault, deposit: zero, penalty: most },
        Operation::RegisterCollateral { operator, amount: most },
        Operation::DepositPool { pool, amount: most },
        Operation::ApproveEpoch { pool, epoch: u64::MAX, root: salt, total: most },
        Operation::OpenLock { index: 0, payee: to, amount: most, salt, commitment, deadline_s },
        Operation::OpenBounty {
            index: 0,
            wanted: salt,
            reward: most,
            judges: vec![to],
            quorum: 1,
            deadline_s,
        },
    ] {
        act(&mut state, 0, &rich, operation).unwrap_err();
    }
    for operation in [
        Operation::Mint { to, amount: most },
        Operation::Emit { epoch: u64::MAX, payees: vec![to], amounts: vec![most] },
        Operation::Emit { epoch: 0, payees: vec![to; 2], amounts: vec![most; 2] },
    ] {
        act(&mut state, u64::MAX, &crate::support::operator(), operation).unwrap_err();
    }
    let promise = |payee| voucher(&rich, payee, 0, u128::MAX);
    let mut vouchers: Vec<SignedVoucher> = vec![promise(to), promise(wallet(&rich))];
    vouchers.sort_by_key(|signed| signed.voucher.payee);
    // A sum beyond all amounts is an overspend like any other, and a redemption is clamped.
    let report = Operation::ReportOverspend { vouchers: vouchers.clone() };
    act(&mut state, 0, &other, report).unwrap();
    act(&mut state, 0, &other, Operation::Redeem { vouchers }).unwrap();
    let note = loan_note(u128::MAX, 10_000);
    let lend = Operation::Lend { note };
    assert_eq!(act(&mut state, 0, &other, lend), Err(Refusal::Overflow { what: "loan" }));
}

/// From key 20 to key 21.
fn loan_note(principal: u128, interest_bps: u64) -> SignedNote {
    let (lender, borrower) = (key(20), key(21));
    let note = LoanNote {
        lender: wallet(&lender),
        borrower: wallet(&borrower),
        principal: units(principal),
        bytes: 1 << 20,
        interest_bps,
        due: UnixTime(DAY_S),
        number: 0,
    };
    let (one, two) = (note.sign(&domain(), &lender), note.sign(&domain(), &borrower));
    SignedNote { note, lender: one, borrower: two }
}

#[test]
fn a_loan_of_one_is_repaid_with_one_point_one_before_the_borrower_earns() {
    let (payer, lender, borrower) = (key(10), key(20), key(21));
    let mut state = funded(&[(&payer, 1_000)]);
    act(&mut state, 0, &payer, open_vault(1_000, 0)).unwrap();
    let note = loan_note(100, 1_000);
    let mut forged = note;
    forged.borrower = note.lender;
    let forgery = act(&mut state, 0, &lender, Operation::Lend { note: forged });
    assert!(matches!(forgery, Err(Refusal::Signature(_))));
    act(&mut state, 0, &lender, Operation::Lend { note }).unwrap();
    let twice = act(&mut state, 0, &lender, Operation::Lend { note });
    assert_eq!(twice, Err(Refusal::Exists { what: "loan" }));

    let mut earn = |amount| {
        let vouchers = vec![voucher(&payer, wallet(&borrower), 0, amount)];
        act(&mut state, 0, &borrower, Operation::Redeem { vouchers }).unwrap();
        (held(&state, &lender), held(&state, &borrower))
    };
    assert_eq!(earn(70), (70, 0));
    assert_eq!(earn(150), (110, 40));
    assert_eq!(earn(200), (110, 90));
    assert_eq!(state.record(wallet(&borrower)).loans_repaid, 1);
    assert!(state.liens(wallet(&borrower)).is_empty());
}

#[test]
fn a_default_stays_on_the_record_and_the_lien_on_the_earnings() {
    let (lender, borrower) = (key(20), key(21));
    let mut state = funded(&[(&borrower, 30)]);
    let note = loan_note(10, 1_000);
    let loan = note.note.id();
    act(&mut state, 0, &lender, Operation::Lend { note }).unwrap();
    let early = act(&mut state, 9, &lender, Operation::DeclareDefault { loan });
    assert!(matches!(early, Err(Refusal::TooEarly { .. })));
    act(&mut state, DAY_S, &lender, Operation::DeclareDefault { loan }).unwrap();
    assert_eq!(state.record(wallet(&borrower)).defaults, 1);
    assert_eq!(state.liens(wallet(&borrower)), [loan]);
    let repay = Operation::Repay { loan, amount: units(30) };
    act(&mut state, DAY_S, &borrower, repay).unwrap();
    assert_eq!((held(&state, &lender), held(&state, &borrower)), (11, 19));
    assert_eq!(state.record(wallet(&borrower)).defaults, 1, "paying late is still late");
}

#[test]
fn a_lock_opens_with_the_content_key_and_only_before_its_deadline() {
    let (payer, creator) = (key(10), key(11));
    let mut state = funded(&[(&payer, 20)]);
    let (salt, secret) = (Digest([1; 32]), [2; 32]);
    let commitment = pop_erasure::ContentKey::from_bytes(secret).commitment(&salt);
    assert_eq!(commitment, names::key_commitment(salt, Digest(secret)));
    let open = |index| Operation::OpenLock {
        index,
        payee: wallet(&creator),
        amount: units(5),
        salt,
        commitment,
        deadline_s: DAY_S,
    };
    let lock = |index| names::lock_id(&domain(), wallet(&payer), index);
    act(&mut state, 0, &payer, open(0)).unwrap();
    act(&mut state, 0, &payer, open(1)).unwrap();
    let wrong = Operation::ClaimLock { lock: lock(0), key: salt };
    assert_eq!(act(&mut state, 0, &creator, wrong), Err(Refusal::Hash { what: "key" }));
    let claim = |index| Operation::ClaimLock { lock: lock(index), key: Digest(secret) };
    act(&mut state, DAY_S - 1, &creator, claim(0)).unwrap();
    let late = act(&mut state, DAY_S, &creator, claim(1));
    assert!(matches!(late, Err(Refusal::TooLate { .. })));
    act(&mut state, DAY_S, &creator, Operation::RefundLock { lock: lock(1) }).unwrap();
    assert_eq!((held(&state, &creator), held(&state, &payer)), (5, 15));
}

#[test]
fn a_copied_claim_to_a_bounty_comes_too_late() {
    let (opener, judge, author, copier) = (key(10), key(11), key(12), key(13));
    let mut state = funded(&[(&opener, 20)]);
    let open = Operation::OpenBounty {
        index: 0,
        wanted: Digest([1; 32]),
        reward: units(20),
        judges: vec![wallet(&judge)],
        quorum: 1,
        deadline_s: 3 * DAY_S,
    };
    act(&mut state, 0, &opener, open).unwrap();
    let bounty = names::bounty_id(&domain(), wallet(&opener), 0);
    let (content, salt) = (ContentId([3; 32]), Digest([4; 32]));
    let commit = |who| {
        let commitment = names::claim_commitment(bounty, wallet(who), content, salt);
        Operation::CommitClaim { bounty, commitment }
    };
    let reveal = || Operation::RevealClaim { bounty, content, salt };
    act(&mut state, 0, &author, commit(&author)).unwrap();
    act(&mut state, 1, &copier, commit(&author)).unwrap();
    act(&mut state, 60, &author, reveal()).unwrap();
    let copied = act(&mut state, 61, &copier, reveal());
    assert_eq!(copied, Err(Refusal::Hash { what: "claim" }));
    act(&mut state, 62, &copier, commit(&copier)).unwrap();
    let late = act(&mut state, 122, &copier, reveal());
    assert_eq!(late, Err(Refusal::Exists { what: "claim to this content" }));

    let approve = Operation::ApproveClaim { bounty, claimant: wallet(&author) };
    act(&mut state, 200, &judge, approve.clone()).unwrap();
    act(&mut state, 201, &opener, Operation::DisputeClaim { bounty }).unwrap();
    act(&mut state, 202, &judge, approve).unwrap();
    act(&mut state, 203, &author, Operation::SettleBounty { bounty }).unwrap();
    assert_eq!(held(&state, &author), 20);
    let refund = act(&mut state, 3 * DAY_S, &opener, Operation::RefundBounty { bounty });
    assert!(matches!(refund, Err(Refusal::State { .. })));
}

#[test]
fn nobody_runs_with_a_pool_and_the_remainder_goes_back() {
    let people = [key(10), key(11), key(12)];
    let mut state = funded(&[(&people[0], 100), (&people[2], 50)]);
    let pool = names::pool_id(&domain(), wallet(&people[0]), 0);
    let mut members = people.each_ref().map(wallet).to_vec();
    members.sort();
    let create = Operation::CreatePool { index: 0, members, quorum: 2, deadline_s: DAY_S };
    act(&mut state, 0, &people[0], create).unwrap();
    for (person, amount) in [(&people[0], 100), (&people[2], 50)] {
        let deposit = Operation::DepositPool { pool, amount: units(amount) };
        act(&mut state, 0, person, deposit).unwrap();
    }
    let bytes = [7, 7, 0];
    let split = shares(units(100), &bytes).unwrap();
    assert_eq!(split, [units(50), units(50), units(0)]);
    let leaf = |member: usize| {
        names::share_leaf(pool, 1, wallet(&people[member]), bytes[member], split[member])
    };
    let (root, paths) = names::share_tree(&[leaf(0), leaf(1), leaf(2)]).unwrap();
    let approve = |root| Operation::ApproveEpoch { pool, epoch: 1, root, total: units(100) };
    act(&mut state, 0, &people[0], approve(Digest([9; 32]))).unwrap();
    assert_eq!(state.pool_epoch(pool, 1), None, "the creator alone closes nothing");
    act(&mut state, 0, &people[1], approve(root)).unwrap();
    act(&mut state, 0, &people[2], approve(root)).unwrap();
    let claim = |member: usize, amount| Operation::ClaimShare {
        pool,
        epoch: 1,
        member: wallet(&people[member]),
        bytes: bytes[member],
        amount,
        path: paths[member].clone(),
    };
    let more = act(&mut state, 0, &people[1], claim(1, units(51)));
    assert_eq!(more, Err(Refusal::Hash { what: "share" }));
    act(&mut state, 0, &people[1], claim(1, units(50))).unwrap();
    let again = act(&mut state, 1, &people[1], claim(1, units(50)));
    assert_eq!(again, Err(Refusal::Exists { what: "claim" }));
    for person in [&people[0], &people[2]] {
        act(&mut state, DAY_S, person, Operation::ReclaimDeposit { pool }).unwrap();
    }
    act(&mut state, DAY_S, &people[1], claim(0, units(50))).unwrap();
    let all = people.each_ref().map(|person| held(&state, person));
    assert_eq!(all, [33 + 50, 50, 16], "50 went back in the proportion of the deposits");
    assert_eq!(state.balance(Account::Pool(pool)), units(1), "the remainder stays");
}

#[test]
fn emission_pays_finished_epochs_within_its_limit_and_slashed_money_first() {
    let (owner, node, payee) = (key(10), key(11), key(12));
    let mut state = funded(&[(&owner, 50)]);
    masternode(&mut state, 10, 11);
    let evidence = Evidence::Equivocation(equivocation(&node, 1));
    let slash = Operation::Slash { owner: wallet(&owner), operator: node.peer_id(), evidence };
    act(&mut state, 0, &payee, slash).unwrap();
    let emit = |amount| Operation::Emit {
        epoch: 0,
        payees: vec![wallet(&payee)],
        amounts: vec![units(amount)],
    };
    let week = 7 * DAY_S;
    let early = act(&mut state, week - 1, &operator(), emit(10));
    assert!(matches!(early, Err(Refusal::TooEarly { .. })));
    let stranger = act(&mut state, week, &payee, emit(10));
    assert!(matches!(stranger, Err(Refusal::Actor { .. })));
    act(&mut state, week, &operator(), emit(10)).unwrap();
    assert_eq!(state.balance(Account::Emission), units(50 + 10 - 4));
    let over = act(&mut state, week, &operator(), emit(991));
    assert!(matches!(over, Err(Refusal::Amount { .. })));
    act(&mut state, week, &operator(), emit(990)).unwrap();
}

#[test]
fn bytes_that_are_no_operation_are_refused_and_never_panic() {
    let (rich, other) = (key(10), key(11));
    let vouchers = vec![voucher(&rich, wallet(&other), 0, 3); 2];
    for operation in [
        Operation::Redeem { vouchers },
        Operation::Lend { note: loan_note(5, 1_000) },
        Operation::Emit { epoch: 1, payees: vec![wallet(&rich)], amounts: vec![units(1)] },
        Operation::RegisterCollateral { operator: rich.peer_id(), amount: units(9) },
    ] {
        let signed = SignedOperation::sign(operation, 0, &rich, &domain());
        let bytes = signed.encode();
        assert_eq!(SignedOperation::decode(&bytes).as_ref(), Ok(&signed));
        for length in 0..bytes.len() {
            SignedOperation::decode(&bytes[..length]).unwrap_err();
        }
        let longer = [&bytes[..], &[0]].concat();
        SignedOperation::decode(&longer).unwrap_err();
        for place in 0..bytes.len() {
            for change in [1, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[place] ^= change;
                if let Ok(read) = SignedOperation::decode(&changed) {
                    assert_eq!(read.encode(), changed, "one form only");
                }
            }
        }
    }
}
