//! Who holds what others let go asks more for it.

use std::time::Duration;

use pop_wire::Amount;

use crate::network::{Network, fetch, pop, tariff};

/// What `viewer`, a new one, promised the holder of this number for a film, and what it got of it.
async fn buy(network: &Network, viewer: u8, holder: usize) -> (Amount, u64) {
    let link = network.link.clone().unwrap();
    network.endow(viewer, pop(10)).await;
    let before = network.holders[holder].stats().served_bytes();
    let node = network.viewer(viewer).await;
    assert!(fetch(&node, &link).await.unwrap() == network.film);
    node.settle().await;
    let payee = network.holders[holder].peer_id().wallet_address();
    let promises = node.promises().await;
    let promised = promises.iter().find(|it| it.0 == payee).map_or(Amount::ZERO, |it| it.1);
    node.shutdown().await;
    (promised, network.holders[holder].stats().served_bytes() - before)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_holders_of_a_content_ask_four_times_as_much() {
    let mut network = Network::start(4).await;
    network.link = Some(network.publish().await);
    let (price, bytes) = buy(&network, 1, 0).await;
    assert_eq!(Some(price), tariff().price(bytes), "all columns live");
    // Two are left, without either of which the film is lost. One of them counts.
    for holder in network.holders.split_off(2) {
        holder.shutdown().await;
    }
    network.holders.remove(0).shutdown().await;
    network.scarcity_interval_s = 1;
    let holder = network.start_holder(0).await;
    network.holders.insert(0, holder);
    let four_times = |price: Amount| price.checked_mul(4);
    for viewer in 2..20 {
        let (asked, bytes) = buy(&network, viewer, 0).await;
        assert!(bytes > 0);
        if four_times(tariff().price(bytes).unwrap()) == Some(asked) {
            let (asked, bytes) = buy(&network, viewer + 20, 1).await;
            assert_eq!(Some(asked), tariff().price(bytes), "the other counts nothing");
            return;
        }
        assert_eq!(Some(asked), tariff().price(bytes), "neither once nor four times");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    panic!("it never asked more");
}
