//! Any part of a content, over the command line and over HTTP.

use crate::support::http::{get, request};
use crate::support::program;
use crate::support::{Cluster, sample};

#[test]
fn any_range_is_fetched_from_the_command_line() {
    let cluster = Cluster::shared();
    let client = cluster.client();
    let content = sample("ranges", 300_000);
    let link = client.publish_link(&client.file("file", &content));
    let output = client.path("part");
    // Within a segment, across a border of two, over many, the ends.
    for (first, last) in [(0, 0), (49_135, 49_136), (1_000, 250_000), (299_999, 299_999)] {
        let range = format!("{first}-{last}");
        client.get(&link, &output, &["--range", &range]).report();
        assert!(std::fs::read(&output).unwrap() == content[first..=last], "{range}");
    }
    let to_the_end = program::run(client.verb("get").arg(&link).args(["--range", "200000-"]));
    assert_eq!(to_the_end.code, Some(0), "{}", to_the_end.stderr);
    assert!(to_the_end.stdout == content[200_000..], "standard output");
}

#[test]
fn a_masternodes_gateway_serves_ranges_of_what_others_hold() {
    let cluster = Cluster::shared();
    let client = cluster.client();
    let content = sample("gateway", 300_000);
    let file = client.file("film.mp4", &content);
    let link = client.publish_link(&file);
    let path = format!("/content/{}", link.strip_prefix("pop:").unwrap());
    let gateway = cluster.nodes[2].http;

    let part = get(gateway, &path, &["Range: bytes=49000-200000"]);
    assert_eq!(part.status, 206);
    assert_eq!(part.header("content-range"), Some("bytes 49000-200000/300000"));
    assert_eq!(part.header("content-type"), Some("video/mp4"));
    assert!(part.body == content[49_000..=200_000], "the bytes differ");

    let tail = get(gateway, &path, &["Range: bytes=-10"]);
    assert_eq!(tail.status, 206);
    assert!(tail.body == content[299_990..], "the bytes differ");

    let whole = get(gateway, &path, &[]);
    assert_eq!((whole.status, whole.header("content-length")), (200, Some("300000")));
    assert!(whole.body == content, "the bytes differ");

    let head = request("HEAD", gateway, &path, &[]);
    assert_eq!((head.status, head.header("content-length")), (200, Some("300000")));
    assert_eq!(head.header("accept-ranges"), Some("bytes"));
    assert!(head.body.is_empty());

    let outside = get(gateway, &path, &["Range: bytes=300000-"]);
    assert_eq!(outside.status, 416);
    assert_eq!(outside.header("content-range"), Some("bytes */300000"));
}
