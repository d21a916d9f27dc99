//! What the operator is shown.

use std::process::Command;

use pop_wire::Amount;
use serde_json::Value;

use crate::network::{Network, fetch, pop, tariff, until};

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_sees_what_was_earned_by_content_and_by_peer() {
    let mut network = Network::start(4).await;
    let link = network.publish().await;
    network.endow(1, pop(10)).await;
    let viewer = network.viewer(1).await;
    assert!(fetch(&viewer, &link).await.unwrap() == network.film);
    viewer.settle().await;
    let payer = viewer.peer_id();
    viewer.shutdown().await;
    let index = network.busiest();
    let holder = network.holders.remove(index);
    let served = holder.stats().served_bytes();
    let price = tariff().price(served).unwrap();
    until("the holder is paid", async || network.earned(&holder).await == price).await;
    until("the viewer has gone", async || {
        holder.earnings().unwrap().iter().map(|it| it.bytes).sum::<u64>() == served
    })
    .await;
    holder.shutdown().await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_pop-node"));
    command
        .args(["earnings", "--json", "--data-dir"])
        .arg(network.home(&format!("holder-{index}")));
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let amount = |value: &Value| value.as_str().unwrap().parse::<Amount>().unwrap();
    assert_eq!(amount(&report["earned"]), price);
    assert_eq!(report["bytes"], served);
    for (table, name) in [("contents", link.content.to_string()), ("peers", payer.to_string())] {
        let [row] = report[table].as_array().unwrap().as_slice() else { panic!("{report}") };
        assert_eq!(row["name"], name);
        assert_eq!(amount(&row["earned"]), price);
    }
}
