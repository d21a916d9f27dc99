//! Who holds what others let go asks more for it.

use std::time::Duration;

use pop_incentive::rate::Tariff;
use pop_incentive::scarcity::Supply;
use pop_wire::Amount;

use crate::network::{Network, fetch, pop, tariff};

/// A new viewer fetches the film: of each holder, what it was promised and what it served.
async fn buy(network: &Network, viewer: u8) -> (Supply, Vec<(Amount, u64)>) {
    let link = network.link.clone().unwrap();
    network.endow(viewer, pop(10)).await;
    let served = || network.holders.iter().map(|it| it.stats().served_bytes());
    let before: Vec<_> = served().collect();
    let node = network.viewer(viewer).await;
    assert!(fetch(&node, &link).await.unwrap() == network.film);
    node.settle().await;
    let promises = node.promises().await;
    let found = node.supply(link.content, node.peer_id()).await.unwrap();
    node.shutdown().await;
    let promised = network.holders.iter().map(|holder| {
        let payee = holder.peer_id().wallet_address();
        promises.iter().find(|it| it.0 == payee).map_or(Amount::ZERO, |it| it.1)
    });
    let bytes = served().zip(before).map(|(now, before)| now - before);
    let supply = Supply::new(found.live, found.k, found.n).unwrap();
    (supply, promised.zip(bytes).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn holders_ask_more_for_a_content_of_which_columns_are_lost() {
    let mut network = Network::start(4).await;
    network.link = Some(network.publish().await);
    let (supply, bought) = buy(&network, 1).await;
    assert_eq!(supply.live(), supply.n());
    let base = tariff();
    assert!(bought.iter().all(|(price, bytes)| base.price(*bytes) == Some(*price)), "{bought:?}");
    // One is gone for good, and the others count.
    network.scarcity_interval_s = 1;
    for holder in network.holders.drain(..).collect::<Vec<_>>() {
        holder.shutdown().await;
    }
    for index in 0..3 {
        let holder = network.start_holder(index).await;
        network.holders.push(holder);
    }
    for viewer in 2..20 {
        let (supply, bought) = buy(&network, viewer).await;
        let dear = Tariff { rate: supply.asked(base.rate).unwrap(), ..base };
        println!("{supply:?}: {bought:?}");
        if supply.live() < supply.n()
            && bought.iter().all(|(price, bytes)| dear.price(*bytes) == Some(*price))
        {
            assert!(dear.rate > base.rate);
            return;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    panic!("they never asked more");
}
