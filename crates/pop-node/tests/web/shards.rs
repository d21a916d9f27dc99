//! A film over WebSockets.

use pop_wire::Keypair;

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
