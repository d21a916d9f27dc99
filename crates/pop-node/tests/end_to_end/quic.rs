//! The same network over QUIC alone.

use crate::support::{Cluster, sample};

#[test]
fn a_film_is_published_fetched_and_repaired_over_quic() {
    let mut cluster = Cluster::start_with(5, |_, node| {
        node.listen = Some("/ip4/127.0.0.1/udp/0/quic-v1");
    });
    assert!(cluster.nodes.iter().all(|node| node.address.contains("/quic-v1/")));
    let client = cluster.client();
    let content = sample("quic", 400_000);
    let link = client.publish_link(&client.file("file", &content));
    client.assert_gets(&link, &content);

    cluster.nodes[4].kill();
    client.assert_gets(&link, &content);
    let repaired = client.repair(&link).report();
    assert_eq!(repaired["repaired_columns"], 1);
    assert_eq!(repaired["live_columns"], 5);
}
