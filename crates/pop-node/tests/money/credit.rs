//! Who has nothing gets a first film on credit, and pays it back out of what it earns.

use std::collections::BTreeMap;
use std::time::Duration;

use pop_incentive::ids::LoanId;
use pop_incentive::ledger::names::vault_id;
use pop_incentive::ledger::{Account, Loan, Operation};
use pop_incentive::limits::{STEP_BYTES_FIRST, STEP_BYTES_MAX};
use pop_incentive::voucher::Voucher;
use pop_wire::{Amount, WalletAddress};
use serde_json::Value;

use crate::network::{FILM_BYTES, HANG, Network, fetch, key, pop, tariff, until};

fn units(amount: u128) -> Amount {
    Amount::from_base_units(amount)
}

fn wallet(number: u8) -> WalletAddress {
    key(number).peer_id().wallet_address()
}

async fn liens(network: &Network, number: u8) -> Vec<(LoanId, Loan)> {
    network.ledger().liens(wallet(number)).await.unwrap()
}

fn owed(loans: &[(LoanId, Loan)]) -> Amount {
    units(loans.iter().map(|(_, loan)| loan.outstanding.base_units()).sum())
}

/// Customer 2, who has money, has paid so much in all for what `number` served it.
async fn earn(network: &Network, number: u8, amount: Amount) {
    let (ledger, customer) = (network.ledger(), key(2));
    let domain = ledger.domain().await.unwrap();
    let vault = vault_id(&domain, wallet(2), 0);
    let payee = wallet(number);
    let voucher = Voucher { vault, payee, epoch: 0, amount, bytes: 0 }.sign(&domain, &customer);
    let redeem = Operation::Redeem { vouchers: vec![voucher] };
    ledger.perform(&key(number), redeem).await.unwrap();
}

/// What each lender gets if so much is earned, and what is left.
fn shares(loans: &[(LoanId, Loan)], earned: Amount) -> (BTreeMap<WalletAddress, u128>, u128) {
    let mut rest = earned.base_units();
    let mut shares = BTreeMap::new();
    for (_, loan) in loans {
        let part = rest.min(loan.outstanding.base_units());
        *shares.entry(loan.note.lender).or_default() += part;
        rest -= part;
    }
    (shares, rest)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_gets_a_film_on_credit_and_its_lenders_are_paid_first_to_the_base_unit() {
    let network = Network::start(4).await;
    let link = network.publish().await;
    let viewer = network.viewer(1).await;
    assert!(fetch(&viewer, &link).await.unwrap() == network.film);
    let borrowed = viewer.borrowed().await;
    assert_eq!(viewer.stats().vouchers_given(), 0);
    viewer.shutdown().await;
    // What is being lent when the film is there is not lent any more.
    for holder in &network.holders {
        holder.clone().shutdown().await;
    }
    // What is owed is on the ledger: the price of the bytes, and a tenth, rounded up.
    let loans = liens(&network, 1).await;
    assert!(!borrowed.is_empty());
    assert!(borrowed.iter().all(|note| loans.iter().any(|(id, _)| *id == note.id())));
    for (_, Loan { note, outstanding, .. }) in &loans {
        assert_eq!(note.principal, tariff().price(note.bytes).unwrap());
        let principal = note.principal.base_units();
        assert_eq!(*outstanding, units(principal + principal.div_ceil(10)));
    }
    // Nobody gave more than the first step beyond what it lent.
    for holder in &network.holders {
        let lender = holder.peer_id().wallet_address();
        let lent = loans.iter().filter(|(_, loan)| loan.note.lender == lender);
        let lent: u64 = lent.map(|(_, loan)| loan.note.bytes).sum();
        assert!(holder.stats().served_bytes() <= lent + STEP_BYTES_FIRST);
        assert_eq!(network.earned(holder).await, Amount::ZERO);
    }

    // It earns: first what the first lender gets and five base units, then all and nine.
    network.endow(2, pop(10)).await;
    let (first, all) = (loans[0].1.outstanding.base_units(), owed(&loans).base_units());
    for earned in [units(first + 5), units(all + 9)] {
        earn(&network, 1, earned).await;
        let (shares, rest) = shares(&loans, earned);
        for (lender, share) in shares {
            let has = network.ledger().balance(Account::Wallet(lender)).await.unwrap();
            assert_eq!(has, units(share));
        }
        let has = network.ledger().balance(Account::Wallet(wallet(1))).await.unwrap();
        assert_eq!(has, units(rest));
    }
    assert!(liens(&network, 1).await.is_empty());
    let record = network.ledger().record(wallet(1)).await.unwrap();
    assert_eq!(usize::try_from(record.loans_repaid).unwrap(), loans.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_film_beyond_the_limit_is_refused_until_the_first_is_paid_back() {
    // Four lend 1.6 films together.
    let limit = u64::try_from(FILM_BYTES).unwrap() * 2 / 5;
    let mut network = Network::start_lending(4, limit).await;
    let link = network.publish().await;
    let viewer = network.viewer(1).await;
    assert!(fetch(&viewer, &link).await.unwrap() == network.film);
    let loans = liens(&network, 1).await;
    let refused = tokio::time::timeout(Duration::from_secs(6), fetch(&viewer, &link)).await;
    assert!(refused.is_err(), "a second film on credit");
    for (_, loan) in liens(&network, 1).await {
        let same = |it: &&Loan| it.note.lender == loan.note.lender;
        let lent = loans.iter().map(|(_, loan)| loan).filter(same).map(|it| it.note.bytes);
        assert!(lent.sum::<u64>() <= limit);
    }
    viewer.shutdown().await;
    // A lender that was started anew knows what it lent.
    network.holders.remove(0).shutdown().await;
    let holder = network.start_holder(0).await;
    network.holders.insert(0, holder);
    let viewer = network.viewer(1).await;
    let mut fetching = std::pin::pin!(fetch(&viewer, &link));
    let refused = tokio::time::timeout(Duration::from_secs(6), &mut fetching).await;
    assert!(refused.is_err(), "a second film on credit, after a restart");

    // Lenders see that they were paid, and lend again to who never went away.
    network.endow(2, pop(10)).await;
    let paid_back = owed(&liens(&network, 1).await);
    earn(&network, 1, paid_back).await;
    let film = tokio::time::timeout(HANG, fetching).await.expect("refused for ever");
    match film {
        Ok(film) => assert!(film == network.film),
        // A reader gives up after a while without holders, which its session doesn't.
        Err(error) => {
            println!("{error}");
            let again = tokio::time::timeout(HANG, fetch(&viewer, &link)).await;
            assert!(again.expect("refused for ever").unwrap() == network.film);
        }
    }
    viewer.clone().shutdown().await;
    the_operators_see(&mut network, paid_back).await;
}

/// By the verbs: so much was paid back to all holders, and what the ledger says is out.
async fn the_operators_see(network: &mut Network, paid_back: Amount) {
    let sum = |amounts: Vec<Amount>| units(amounts.iter().map(|it| it.base_units()).sum());
    until("the lenders know what was paid back, and what not", async || {
        let reports = network.holders.iter().map(|holder| holder.earnings_report().unwrap());
        let (repaid, out): (Vec<_>, Vec<_>) = reports
            .map(|it| {
                (it.repaid.parse::<Amount>().unwrap(), it.outstanding.parse::<Amount>().unwrap())
            })
            .unzip();
        (sum(repaid), sum(out)) == (paid_back, owed(&liens(network, 1).await))
    })
    .await;
    let loans = liens(network, 1).await;
    assert!(!loans.is_empty());
    let (mut repaid, mut out, mut listed) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(holder) = network.holders.pop() {
        let index = network.holders.len();
        holder.shutdown().await;
        let report: Value =
            serde_json::from_str(&network.verb(index, &["earnings", "--json"]).await).unwrap();
        let amount = |name: &str| report[name].as_str().unwrap().parse::<Amount>().unwrap();
        repaid.push(amount("repaid"));
        out.push(amount("outstanding"));
        let text = network.verb(index, &["earnings"]).await;
        if amount("repaid") > Amount::ZERO {
            let said = report["repaid"].as_str().unwrap();
            assert!(text.contains(&format!("repaid      {said} POP")), "{text}");
        }
        let list = network.verb(index, &["loan", "list", "--json"]).await;
        let list: Value = serde_json::from_str(&list).unwrap();
        for loan in list["lent"].as_array().unwrap() {
            let id = loan["loan"].as_str().unwrap().to_owned();
            assert!(network.verb(index, &["loan", "list"]).await.contains(&id));
            listed.push(id);
        }
    }
    assert_eq!((sum(repaid), sum(out)), (paid_back, owed(&loans)));
    // What nobody accepted by hand, the nodes did by themselves.
    let mut on_ledger: Vec<_> = loans.iter().map(|(id, _)| id.to_string()).collect();
    on_ledger.sort();
    listed.sort();
    assert_eq!(listed, on_ledger);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_vault_has_no_more_the_rest_comes_on_credit() {
    let network = Network::start(4).await;
    let link = network.publish().await;
    let deposit = tariff().price(1_000_000).unwrap();
    network.endow(1, deposit).await;
    let viewer = network.viewer(1).await;
    assert!(fetch(&viewer, &link).await.unwrap() == network.film);
    viewer.settle().await;
    let promised = viewer.promises().await;
    viewer.shutdown().await;
    for holder in &network.holders {
        holder.clone().shutdown().await;
    }
    assert!(promised.iter().map(|it| it.1.base_units()).sum::<u128>() <= deposit.base_units());
    let loans = liens(&network, 1).await;
    assert!(!loans.is_empty());
    for holder in &network.holders {
        let wallet = holder.peer_id().wallet_address();
        let lent = loans.iter().filter(|(_, loan)| loan.note.lender == wallet);
        let lent: u64 = lent.map(|(_, loan)| loan.note.bytes).sum();
        let paid = promised.iter().find(|it| it.0 == wallet).map_or(0, |it| it.1.base_units());
        let served = holder.stats().served_bytes();
        let unpaid = tariff().price(served.saturating_sub(lent)).unwrap().base_units();
        let ahead = tariff().price(STEP_BYTES_MAX).unwrap().base_units();
        assert!(unpaid <= paid + ahead, "{served} served, {lent} lent, {paid} paid");
    }
}
