//! What would be worth its place on a disk, by what the network says of its contents.

use crate::support::{Cluster, program, sample};

#[test]
fn a_plan_weighs_what_is_named_and_fetches_nothing() {
    let cluster = Cluster::shared();
    let client = cluster.client();
    let link = client.publish_link(&client.file("film", &sample("planned", 300_000)));
    let plan = |more: &[&str]| program::run(client.verb("plan").args(more));
    let report = plan(&[&format!("{link}=1000000"), "--quota-bytes=1GB"]).report();
    let content = &report["contents"][0];
    assert_eq!(content["live"], content["n"], "{report}");
    assert_eq!(content["copies"], content["n"]);
    assert_eq!(content["held"], 0);
    // Fewer than k, and more than none: it is seen a million times.
    let hold = content["hold"].as_u64().unwrap();
    assert!(hold > 0 && hold < content["k"].as_u64().unwrap(), "{report}");
    assert_eq!(report["bytes"], hold * content["column_bytes"].as_u64().unwrap());
    assert_ne!(report["profit"], "0");

    // Nobody sees it: it isn't worth what its disk costs.
    let report = plan(&[&format!("{link}=0")]).report();
    assert_eq!((&report["bytes"], &report["profit"]), (&0.into(), &"0".into()));
    plan(&[]).refused(65, "bad_input");
    let unheard_of = pop_wire::ContentId([7; 32]).to_string();
    assert_eq!(plan(&[&unheard_of]).report()["contents"].as_array().unwrap().len(), 0);
}
