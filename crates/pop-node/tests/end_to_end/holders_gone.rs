//! Holders that are gone: an error with a name after a bounded wait, and no loss once they return.

use crate::support::{Cluster, sample};

#[test]
fn without_holders_fetching_fails_and_with_them_nothing_is_lost() {
    let mut cluster = Cluster::start(3);
    let client = cluster.client();
    let content = sample("holders gone", 150_000);
    let link = client.publish_link(&client.file("file", &content));

    // Two of three columns are needed.
    cluster.nodes[1].kill();
    client.assert_gets(&link, &content);
    cluster.nodes[2].kill();
    client.assert_cannot_get(&link, 69, "too_few_holders");
    cluster.client().repair(&link).refused(69, "too_few_holders");

    cluster.nodes[0].kill();
    client.assert_cannot_get(&link, 69, "bootstrap");
    cluster.client().repair(&link).refused(69, "bootstrap");

    cluster.nodes.iter_mut().for_each(|node| node.restart());
    cluster.wait_until_known(2);
    client.assert_gets(&link, &content);
}
