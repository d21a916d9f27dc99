//! A publisher that signed shards which are no codeword is found out by whoever reads or repairs,
//! and convicted by a file that anybody can check.

use pop_erasure::{EquivocationProof, Geometry};
use pop_wire::SegmentIndex;

use crate::support::publisher::Inconsistent;
use crate::support::{Client, Cluster, files_below, sample};

#[track_caller]
fn assert_convicted(client: &Client, forged: &Inconsistent, segment: u64, message: &str) {
    let proofs = files_below(&client.home().join("proofs"));
    let [proof] = &proofs[..] else { panic!("{proofs:?}") };
    assert!(message.contains(proof.to_str().unwrap()), "{message}");
    let bytes = std::fs::read(proof).unwrap();
    let (proof, culprit) = EquivocationProof::verify(bytes.into()).unwrap();
    assert_eq!(culprit, forged.content.manifest().publisher);
    assert_eq!(proof.content(), forged.content.id());
    assert_eq!(proof.segment(), SegmentIndex(segment));
}

#[test]
fn shards_that_are_no_codeword_convict_their_publisher() {
    let mut cluster = Cluster::start(5);
    let geometry = Geometry::for_network(5).unwrap();
    let forged = Inconsistent::new(&sample("forged", 20_000), geometry, SegmentIndex(2));
    let holders: Vec<String> = cluster.nodes.iter().map(|node| node.address.clone()).collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(forged.upload(&holders));
    assert_eq!(cluster.columns(), 5);
    let link = forged.link.to_string();

    let reader = cluster.client();
    let output = reader.path("never");
    let message = reader.get(&link, &output, &[]).refused(76, "equivocation");
    assert!(!output.exists());
    assert_convicted(&reader, &forged, 2, &message);

    // What lies before the forged segment is good, and can be read.
    reader.get(&link, &output, &["--range", "0-2999"]).report();
    assert!(std::fs::read(&output).unwrap() == sample("forged", 20_000)[..3000]);

    cluster.nodes[4].kill();
    let repairer = cluster.client();
    let message = repairer.repair(&link).refused(76, "equivocation");
    assert_convicted(&repairer, &forged, 2, &message);
    assert_eq!(cluster.columns(), 4, "a bad column was made");
}
