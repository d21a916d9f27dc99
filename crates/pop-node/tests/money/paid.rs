//! Who pays is served, and who serves is paid, to the base unit.

use pop_wire::Amount;

use crate::network::{HANG, Network, fetch, pop, tariff, until};

async fn earned_in_all(network: &Network) -> Amount {
    let mut sum = Amount::ZERO;
    for holder in &network.holders {
        sum = sum.checked_add(network.earned(holder).await).unwrap();
    }
    sum
}

#[tokio::test(flavor = "multi_thread")]
async fn every_byte_that_was_served_is_paid_to_the_base_unit() {
    let network = Network::start(4).await;
    let link = network.publish().await;
    network.endow(1, pop(10)).await;
    let viewer = network.viewer(1).await;
    assert!(fetch(&viewer, &link).await.unwrap() == network.film);
    viewer.settle().await;
    let mut due = Amount::ZERO;
    for holder in &network.holders {
        let served = holder.stats().served_bytes();
        let price = tariff().price(served).unwrap();
        until("a holder is paid for what it served", async || {
            network.earned(holder).await == price
        })
        .await;
        due = due.checked_add(price).unwrap();
        // The books agree with the ledger, by content and payer.
        let earnings = holder.earnings().unwrap();
        let booked = earnings.iter().map(|it| it.amount.base_units()).sum::<u128>();
        assert_eq!(booked, price.base_units(), "{earnings:?}");
        assert!(earnings.iter().all(|it| it.content == link.content));
        assert!(earnings.iter().all(|it| it.payer == viewer.peer_id()));
    }
    assert_eq!(network.paid(1).await, due);
    let promised = viewer.promises().await.iter().map(|it| it.1.base_units()).sum::<u128>();
    assert_eq!(promised, due.base_units());
    let overhead = viewer.stats().payment_bytes();
    println!("{} payment bytes for {}", overhead, viewer.stats().fetched_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_that_comes_back_pays_on_from_where_it_stopped() {
    let network = Network::start(4).await;
    let link = network.publish().await;
    network.endow(1, pop(10)).await;
    for _ in 0..3 {
        let viewer = network.viewer(1).await;
        assert!(fetch(&viewer, &link).await.unwrap() == network.film);
        viewer.settle().await;
        viewer.shutdown().await;
    }
    let served: u64 = network.holders.iter().map(|it| it.stats().served_bytes()).sum();
    let least = tariff().price(served).unwrap();
    // Each price is rounded up to a base unit.
    let most = least.checked_add(Amount::from_base_units(8)).unwrap();
    until("all three are paid", async || {
        let paid = network.paid(1).await;
        assert!(paid <= most, "{paid} paid for {served} bytes, which cost {least}");
        paid >= least
    })
    .await;
    assert_eq!(earned_in_all(&network).await, network.paid(1).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_stops_before_it_redeemed_is_paid_when_it_runs_again() {
    let mut network = Network::start(4).await;
    let link = network.publish().await;
    network.endow(1, pop(10)).await;
    let viewer = network.viewer(1).await;
    assert!(fetch(&viewer, &link).await.unwrap() == network.film);
    viewer.settle().await;
    viewer.shutdown().await;
    let index = network.busiest();
    let holder = network.holders.remove(index);
    let price = tariff().price(holder.stats().served_bytes()).unwrap();
    assert!(price > Amount::ZERO);
    holder.shutdown().await;
    let holder = network.start_holder(index).await;
    until("what was promised before is redeemed", async || network.earned(&holder).await == price)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn holders_that_run_again_go_on_with_a_payer_whose_vault_is_nearly_spent() {
    let mut network = Network::start(4).await;
    let link = network.publish().await;
    let film = tariff().price(network.film.len().try_into().unwrap()).unwrap();
    // Enough for four times and a half.
    let deposit = Amount::from_base_units(film.base_units() * 9 / 2);
    network.endow(1, deposit).await;
    for _ in 0..3 {
        let viewer = network.viewer_without_credit(1).await;
        assert!(fetch(&viewer, &link).await.unwrap() == network.film);
        viewer.settle().await;
        viewer.shutdown().await;
    }
    let served: u64 = network.holders.iter().map(|it| it.stats().served_bytes()).sum();
    let due = tariff().price(served).unwrap();
    until("three times are paid", async || network.paid(1).await >= due).await;
    // What each was promised in all is more than is left. None redeems before the film is over.
    network.redeem_interval_s = 3_600;
    for index in 0..network.holders.len() {
        network.holders.remove(0).shutdown().await;
        let holder = network.start_holder(index).await;
        network.holders.push(holder);
    }
    let viewer = network.viewer_without_credit(1).await;
    let fetching = tokio::time::timeout(HANG, fetch(&viewer, &link));
    assert!(fetching.await.expect("it stands still").unwrap() == network.film);
}
