//! Who doesn't pay, and what waits for no ledger.

use futures::StreamExt as _;
use pop_incentive::limits::STEP_BYTES_FIRST;
use pop_node::fetch::Pace;

use crate::network::{Network, fetch, pop, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_without_money_gets_the_first_step_of_each_holder_and_nothing_more() {
    let network = Network::start(4).await;
    let link = network.publish().await;
    let viewer = network.viewer_without_credit(1).await;
    let before: Vec<u64> = network.holders.iter().map(|it| it.stats().served_bytes()).collect();
    let fetching = fetch(&viewer, &link);
    let patience = std::time::Duration::from_secs(6);
    assert!(tokio::time::timeout(patience, fetching).await.is_err(), "3 MB without paying");
    let mut served_in_all = 0;
    for (holder, before) in network.holders.iter().zip(before) {
        let served = holder.stats().served_bytes() - before;
        assert!(served <= STEP_BYTES_FIRST, "{served}");
        served_in_all += served;
    }
    assert!(served_in_all > 0);
    // With money it goes on.
    network.endow(1, pop(10)).await;
    assert!(fetch(&viewer, &link).await.unwrap() == network.film);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_byte_comes_without_a_trip_to_the_ledger() {
    let network = Network::start(4).await;
    let link = network.publish().await;
    network.endow(1, pop(10)).await;
    // It learns which ledger it is, once.
    network.viewer(1).await.shutdown().await;
    let asked: Vec<u64> = network.holders.iter().map(|it| it.stats().ledger_requests()).collect();
    let viewer = network.viewer(1).await;
    // The ledger is gone: a byte that needed it would never come.
    network.keeper.clone().shutdown().await;
    let content = viewer.open(&link).await.unwrap();
    let pieces = content.read(0..1_000, Pace::Playback).unwrap();
    let first = std::pin::pin!(pieces).next().await.unwrap().unwrap();
    assert_eq!(first, network.film[..first.len()]);
    // A visitor's vault is looked up after it was served, not before.
    for (holder, asked) in network.holders.iter().zip(asked) {
        println!("{} trips by then", holder.stats().ledger_requests() - asked);
    }
    assert!(!first.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_asks_more_than_the_viewer_pays_is_not_paid() {
    let network = Network::start(4).await;
    let link = network.publish().await;
    network.endow(1, pop(10)).await;
    let viewer = network.thrifty_viewer(1).await;
    let fetching = fetch(&viewer, &link);
    let patience = std::time::Duration::from_secs(4);
    assert!(tokio::time::timeout(patience, fetching).await.is_err());
    assert_eq!(viewer.stats().vouchers_given(), 0);
    until("nothing is paid", async || network.paid(1).await == pop_wire::Amount::ZERO).await;
}
