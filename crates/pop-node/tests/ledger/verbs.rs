//! What people do with money: the program over the wire, with a ledger that another process serves.

use serde_json::Value;

use crate::support::{Home, copy, founder, mint};

fn text<'a>(report: &'a Value, field: &str) -> &'a str {
    report[field].as_str().unwrap_or_else(|| panic!("{field}: {report}"))
}

#[test]
fn money_goes_from_its_making_through_a_vault_to_collateral() {
    let (bank, banker) = founder();
    // With nobody else there, and before anybody runs.
    mint(&bank, &banker, "1000");
    assert_eq!(bank.run(&["wallet", "balance"]).report()["balance"], "1000");
    let serving = bank.serve(&["--serve-ledger", "--no-stake"]).ok().unwrap();
    let (user, wallet) = Home::at(&serving.address);
    // By the running node, which the operator's verbs find by themselves.
    mint(&bank, &wallet, "250.5");

    let deposit = user.run(&["wallet", "deposit", "50.25", "--penalty", "1"]).report();
    assert_eq!((text(&deposit, "vault_balance"), text(&deposit, "vault_penalty")), ("50.25", "1"));
    let more = user.run(&["wallet", "deposit", "0.000000000000000001"]).report();
    assert_eq!(more["vault_funded"], "50.250000000000000001");
    // While a node may fetch and pay, its vault is not closed: bytes may be on their way.
    let paying = user.serve(&["--no-stake"]).ok().unwrap();
    let busy = user.run(&["wallet", "withdraw"]).refused(75, "wallet_in_use");
    assert!(busy.contains("stop it"), "{busy}");
    assert_eq!(user.run(&["wallet", "balance"]).report()["vault_closes"], Value::Null);
    drop(paying);
    let asked = user.run(&["wallet", "withdraw"]).report();
    assert!(asked["withdrawn"] == false && asked["vault_closes"].is_u64(), "{asked}");
    let early = user.run(&["wallet", "withdraw"]).refused(77, "ledger_refused");
    assert!(early.contains("withdrawal: expected not before"), "{early}");
    user.run(&["wallet", "deposit", "1"]).refused(77, "ledger_refused");

    let none = user.serve(&[]).err().unwrap().refused(77, "not_staked");
    assert!(none.contains("0 POP of 100 POP") && none.contains("pop-node stake"), "{none}");
    let forecast = ["stake", "--forecast", "--assume-others=1", "--assume-served=1TB"];
    let forecast = user.run(&forecast).report();
    assert!(forecast["masternode"] == false && forecast["staked"] == "0", "{forecast}");
    // 0.2 % of the stake in each of 52 weeks, and 8,000,000 megabits.
    let outlook = &forecast["forecast"][0];
    assert_eq!((text(outlook, "rewards"), text(outlook, "served_revenue")), ("10.4", "0.16"));
    let staked = user.run(&["stake"]).report();
    assert_eq!(staked["staked"], "100");
    assert_eq!((&staked["collateral"], &staked["masternode"]), (&"100".into(), &true.into()));
    user.run(&["stake", "--amount", "5"]).report();
    let running = user.serve(&[]).ok().unwrap();
    let balance = user.run(&["wallet", "balance", "--http-listen", &running.http]).report();
    assert_eq!(balance["vault_promised"], "0", "the running node knows");
    drop(running);
    let balance = user.run(&["wallet", "balance"]).report();
    assert_eq!(balance["vault_promised"], Value::Null);
    assert_eq!(balance["balance"], "94.249999999999999999");
    assert_eq!((text(&balance, "collateral"), text(&balance, "debts")), ("105", "0"));

    let leaving = user.run(&["unstake"]).report();
    assert!(leaving["withdrawn"] == false && leaving["masternode"] == false, "{leaving}");
    let gone = user.serve(&[]).err().unwrap().refused(77, "not_staked");
    assert!(gone.contains("leaving"), "{gone}");
    assert_eq!(user.run(&["unstake"]).report()["withdrawn"], true);
    user.run(&["wallet", "send", &banker, "199"]).report();
    let poor = user.run(&["wallet", "send", &banker, "199"]).refused(77, "ledger_refused");
    assert!(poor.contains("wallet balance"), "{poor}");

    drop(serving);
    let found = bank.run(&["ledger", "verify"]).report();
    assert_eq!(found["emitted"], "1250.5");
}

#[test]
fn run_says_both_ways_out_without_a_ledger() {
    let (home, _) = Home::new();
    let refused = home.serve(&[]).err().unwrap().refused(78, "no_ledger");
    assert!(refused.contains("--no-stake") && refused.contains("--ledger"), "{refused}");
    home.run(&["wallet", "balance"]).refused(78, "no_ledger");
    drop(home.serve(&["--no-stake"]).ok().unwrap());
}

#[test]
fn a_ledger_that_is_gone_is_an_error_with_a_name() {
    let (bank, _) = founder();
    let serving = bank.serve(&["--serve-ledger", "--no-stake"]).ok().unwrap();
    let (user, _) = Home::at(&serving.address);
    user.run(&["wallet", "balance"]).report();
    drop(serving);
    let gone = user.run(&["wallet", "balance"]).refused(69, "ledger_unreachable");
    assert!(gone.contains("--ledger"), "{gone}");
    user.serve(&[]).err().unwrap().refused(69, "ledger_unreachable");

    let (other, _) = founder();
    let serving = other.serve(&["--serve-ledger", "--no-stake"]).ok().unwrap();
    let mut user = user;
    user.ledger = Some(serving.address.clone());
    let refused = user.run(&["wallet", "balance"]).refused(76, "other_ledger");
    assert!(refused.contains("ledger.pin"), "{refused}");
}

#[test]
fn only_the_operator_mints_and_a_ledger_is_created_once() {
    let (bank, _) = founder();
    bank.run(&["ledger", "create"]).refused(73, "ledger_exists");
    let serving = bank.serve(&["--serve-ledger", "--no-stake"]).ok().unwrap();
    let (user, wallet) = Home::at(&serving.address);
    let refused = user.run(&["ledger", "mint", "--to", &wallet, "1"]).refused(77, "ledger_refused");
    assert!(refused.contains("operator of the ledger"), "{refused}");
    let shown = user.run(&["ledger", "show"]).report();
    assert_eq!(text(&shown, "collateral_min"), "100");
    assert!(shown["chain_id"].as_u64().unwrap() > 1 << 32);
    bank.run(&["ledger", "verify"]).refused(74, "ledger_locked");
    drop(serving);
    bank.run(&["ledger", "verify"]).report();
    Home::empty().run(&["ledger", "create"]).refused(74, "store");
    Home::new().0.run(&["ledger", "verify"]).refused(74, "no_ledger_file");
}

#[test]
fn a_cold_owner_stakes_for_a_node_and_its_words_bring_everything_back() {
    let (bank, _) = founder();
    let serving = bank.serve(&["--serve-ledger", "--no-stake"]).ok().unwrap();
    let mut node = Home::empty();
    node.ledger = Some(serving.address.clone());
    let keystore = node.path("cold.json");
    let keystore = keystore.to_str().unwrap();
    let create = ["wallet", "create", "--light", "--words=12", "--keystore", keystore];
    let created = node.run_with_passphrase(&create).report();
    let words = text(&created, "mnemonic");
    assert_eq!(words.split(' ').count(), 12);
    assert_eq!(created["identity_from_words"], true);
    let owner = text(&created, "owner");
    node.run_with_passphrase(&create).refused(73, "wallet_exists");
    let shown = node.run(&["wallet", "show", "--keystore", keystore]).report();
    assert_eq!((&shown["owner"], &shown["peer"]), (&created["owner"], &created["peer"]));

    mint(&bank, owner, "100");
    let stake = ["stake", "--owner-keystore", keystore];
    node.run_with_passphrase(&stake).report();
    node.serve(&[]).err().unwrap().refused(77, "not_staked");
    drop(node.serve(&["--operator", owner]).ok().unwrap());

    std::fs::write(node.path("passphrase"), "wrong\n").unwrap();
    let wrong = ["unstake", "--owner-keystore", keystore];
    node.run_with_passphrase(&wrong).refused(77, "wrong_passphrase");
    let good = std::fs::read_to_string(keystore).unwrap();
    std::fs::write(keystore, &good[..good.len() / 2]).unwrap();
    let cut = node.run_with_passphrase(&wrong).refused(65, "keystore");
    assert!(cut.contains("restore from the mnemonic"), "{cut}");
    node.run(&wrong).refused(65, "keystore");
    std::fs::write(keystore, good).unwrap();
    let nobody = node.run(&wrong).refused(66, "no_terminal");
    assert!(nobody.contains("--passphrase-file"), "{nobody}");

    let again = Home::empty();
    std::fs::write(again.path("words"), words.to_uppercase()).unwrap();
    let file = again.path("words");
    let restore = ["wallet", "restore", "--light", "--mnemonic-file", file.to_str().unwrap()];
    let restored = again.run_with_passphrase(&restore).report();
    for field in ["owner", "peer", "wallet"] {
        assert_eq!(restored[field], created[field], "{field}");
    }
    std::fs::write(&file, "abandon abandon").unwrap();
    Home::empty().run_with_passphrase(&restore).refused(65, "mnemonic");
    std::fs::write(again.path("passphrase"), "\n").unwrap();
    std::fs::remove_file(again.data().join("owner.json")).unwrap();
    std::fs::write(&file, words).unwrap();
    again.run_with_passphrase(&restore).refused(65, "passphrase");
}

#[test]
fn the_words_of_a_new_wallet_are_not_written_where_nobody_looks() {
    let home = Home::empty();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_pop-node"));
    command.args(["wallet", "create", "--light", "--data-dir"]).arg(home.data());
    let output = command.env("POP_PASSPHRASE_FILE", home.path("passphrase")).output().unwrap();
    assert_eq!(output.status.code(), Some(65));
    assert!(output.stdout.is_empty() && !home.data().join("owner.json").exists());
}

#[test]
fn a_newcomer_borrows_and_its_debt_is_seen_and_paid() {
    let (bank, _) = founder();
    let serving = bank.serve(&["--serve-ledger", "--no-stake"]).ok().unwrap();
    let ((lender, lends), (borrower, borrows)) =
        (Home::at(&serving.address), Home::at(&serving.address));
    mint(&bank, &borrows, "10");
    let file = borrower.path("note");
    let file = file.to_str().unwrap();
    let note = ["loan", "note", "--lender", &lends, "--principal=1", "--bytes=1000", "-o", file];
    let note = borrower.run(&note).report();
    assert_eq!(note["owed"], "1.1");
    let id = text(&note, "loan");
    bank.run(&["loan", "accept", file]).refused(65, "bad_input");
    lender.run(&["loan", "accept", "00ff"]).refused(65, "bad_input");
    let accepted = lender.run(&["loan", "accept", text(&note, "note")]).report();
    assert_eq!(accepted["outstanding"], "1.1");
    lender.run(&["loan", "default", id]).refused(77, "ledger_refused");
    assert_eq!(borrower.run(&["loan", "repay", id, "0.1"]).report()["outstanding"], "1");
    assert_eq!(borrower.run(&["wallet", "balance"]).report()["debts"], "1");
    assert_eq!(borrower.run(&["loan", "list"]).report()["owed"][0]["outstanding"], "1");
    assert_eq!(lender.run(&["loan", "list"]).report()["lent"][0]["loan"], id);
    assert_eq!(borrower.run(&["loan", "repay", id]).report()["outstanding"], "0");
    assert_eq!(lender.run(&["wallet", "balance"]).report()["balance"], "1.1");

    let overdue = ["loan", "note", "--lender", &lends, "--principal=1", "--bytes=1", "--days=0"];
    let overdue = borrower.run(&overdue).report();
    lender.run(&["loan", "accept", text(&overdue, "note")]).report();
    let declared = lender.run(&["loan", "default", text(&overdue, "loan")]).report();
    assert_eq!(declared["defaulted"], true);
    let next = ["loan", "note", "--lender", &lends, "--principal=1", "--bytes=2"];
    let next = borrower.run(&next).report();
    let accept = ["loan", "accept", text(&next, "note")];
    let warned = lender.run(&accept).refused(65, "bad_input");
    assert!(warned.contains("1 defaults"), "{warned}");
    lender.run(&[&accept[..], &["--despite-defaults"]].concat()).report();
}

#[test]
fn a_pool_is_shared_by_what_was_served() {
    let (bank, banker) = founder();
    let serving = bank.serve(&["--serve-ledger", "--no-stake"]).ok().unwrap();
    let ((one, first), (two, second)) = (Home::at(&serving.address), Home::at(&serving.address));
    mint(&bank, &banker, "20");
    let members = format!("{first},{second}");
    let pool = bank.run(&["pool", "create", "--members", &members]).report();
    let id = text(&pool, "pool").to_owned();
    assert_eq!(pool["quorum"], 2);
    let other = bank.run(&["pool", "create", "--members", &members]).report();
    assert_ne!(other["pool"], id.as_str());
    assert_eq!(bank.run(&["pool", "deposit", &id, "10"]).report()["balance"], "10");
    let served = format!("{first}=300,{second}=100");
    let epoch = [id.as_str(), "0", "--total=8", "--served", &served];
    let with = |verb: &'static str| [&["pool", verb], &epoch[..]].concat();
    assert_eq!(one.run(&with("approve")).report()["closed"], false);
    one.run(&with("claim")).refused(77, "ledger_refused");
    assert_eq!(two.run(&with("approve")).report()["closed"], true);
    assert_eq!(one.run(&with("claim")).report()["paid"], "6");
    let member = [&with("claim")[..], &["--member", &second]].concat();
    assert_eq!(one.run(&member).report()["claimed"], "8");
    one.run(&member).refused(77, "ledger_refused");
    assert_eq!(two.run(&["wallet", "balance"]).report()["balance"], "2");
    bank.run(&["pool", "reclaim", &id]).refused(77, "ledger_refused");
    assert_eq!(bank.run(&["pool", "show", &id, "--epoch=0"]).report()["claimed"], "8");
}

#[test]
fn a_bounty_is_claimed_in_secret_shown_judged_and_paid() {
    let (bank, banker) = founder();
    let serving = bank.serve(&["--serve-ledger", "--no-stake"]).ok().unwrap();
    let ((judge, judges), (hunter, hunts)) =
        (Home::at(&serving.address), Home::at(&serving.address));
    mint(&bank, &banker, "7");
    let open = ["bounty", "open", "--wanted", "a film", "--reward=7", "--judges", &judges];
    let id = text(&bank.run(&open).report(), "bounty").to_owned();
    let content = pop_wire::ContentId([3; 32]).to_string();
    hunter.run(&["bounty", "reveal", &id]).refused(65, "bad_input");
    let claim = ["bounty", "claim", &id, &content];
    let claimed = hunter.run(&claim).report();
    assert_eq!(hunter.run(&claim).report()["own_claim"], claimed["own_claim"], "the same salt");
    let shown = hunter.run(&["bounty", "reveal", &id]).report();
    assert_eq!(shown["own_claim_shown"], content.as_str());
    hunter.run(&["bounty", "approve", &id, &hunts]).refused(77, "ledger_refused");
    assert_eq!(judge.run(&["bounty", "approve", &id, &hunts]).report()["state"], "approved");
    bank.run(&["bounty", "refund", &id]).refused(77, "ledger_refused");
    assert_eq!(judge.run(&["bounty", "settle", &id]).report()["state"], "paid");
    assert_eq!(hunter.run(&["wallet", "balance"]).report()["balance"], "7");
    assert_eq!(bank.run(&["bounty", "show", &id]).report()["claimant"], hunts.as_str());
}

#[test]
fn a_journal_that_was_cut_or_rolled_back_is_served_to_nobody() {
    let (bank, banker) = founder();
    mint(&bank, &banker, "1");
    let (journal, old) = (bank.data().join("ledger/journal.redb"), bank.path("old"));
    copy(&journal, &old);
    mint(&bank, &banker, "1");
    let whole = bank.path("whole");
    copy(&journal, &whole);
    let refused = |what: &str| {
        for arguments in [&["--serve-ledger"][..], &["--serve-ledger", "--no-stake"]] {
            let outcome = bank.serve(arguments).err().unwrap();
            let said = outcome.refused(74, "ledger_journal");
            assert!(said.contains("don't delete anything"), "{what}: {said}");
        }
        bank.run(&["ledger", "verify"]).refused(74, "ledger_journal");
    };
    copy(&old, &journal);
    refused("rolled back");
    let bytes = std::fs::read(&whole).unwrap();
    std::fs::write(&journal, &bytes[..bytes.len() / 2]).unwrap();
    refused("cut");
    std::fs::remove_file(&journal).unwrap();
    refused("removed");
    copy(&whole, &journal);
    assert_eq!(bank.run(&["ledger", "verify"]).report()["emitted"], "2");
}
