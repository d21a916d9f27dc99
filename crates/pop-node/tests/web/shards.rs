//! A film over WebSockets.

use std::collections::BTreeSet;

use pop_wire::Keypair;
use pop_wire::message::{GetHolders, Message, RefusalReason};

use crate::browser::{Link, fetch};
use crate::network::Network;

#[tokio::test]
async fn a_browser_fetches_a_film_over_websockets() {
    let network = Network::start(5).await;
    let film = network.publish().await;
    let keypair = Keypair::from_secret_bytes(&[77; 32]).unwrap();
    let mut links = Vec::new();
    for node in &network.nodes {
        links.push(Link::dial(&node.web_addresses()[0], &keypair).await);
    }
    assert!(fetch(&film, &mut links).await == film.bytes);
}

#[tokio::test]
async fn a_browser_learns_who_holds_a_film_until_it_asks_too_often() {
    let network = Network::start(5).await;
    let film = network.publish().await;
    let keypair = Keypair::from_secret_bytes(&[76; 32]).unwrap();
    let mut link = Link::dial(&network.nodes[0].web_addresses()[0], &keypair).await;
    let expected: BTreeSet<_> = network.nodes.iter().map(pop_node::Node::peer_id).collect();
    let mut found = BTreeSet::new();
    // What was published this moment may not be everywhere yet.
    while found != expected {
        let id = link.id();
        link.say(&Message::GetHolders(GetHolders { id, content: film.link.content })).await;
        match link.hear().await {
            Some(Message::Holders(holders)) => {
                let verified = holders.providers.into_iter().map(|it| it.verify().unwrap());
                found = verified.map(|record| record.peer).collect();
                assert!(holders.masternodes.len() <= 5);
                let masternode = holders.masternodes[0].clone().verify().unwrap();
                assert!(masternode.seal_key.is_some() && expected.contains(&masternode.peer));
            }
            Some(Message::Refusal(_)) => {}
            other => panic!("{other:?}"),
        }
        assert!(found.is_subset(&expected));
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let mut refused = false;
    for number in 0..=255_u8 {
        let id = link.id();
        let content = pop_wire::ContentId([number; 32]);
        link.say(&Message::GetHolders(GetHolders { id, content })).await;
        match link.hear().await {
            Some(Message::Holders(holders)) => assert!(holders.providers.is_empty()),
            Some(Message::Refusal(refusal)) => {
                assert_eq!(refusal.reason, RefusalReason::Busy);
                refused = true;
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(refused, "nothing bounds it");
}
