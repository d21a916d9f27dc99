use super::{Context, output};
use crate::error::NodeError;
use crate::money::{Earnings as Report, Row};
use crate::settings::{Layer, Settings};
use crate::{gateway, http_client};

/// Show what this node earned by serving, by content and by peer.
#[derive(Debug, clap::Args)]
pub(super) struct Earnings {
    #[command(flatten)]
    settings: Layer,
}

impl Earnings {
    pub(super) async fn run(self, context: &Context) -> Result<(), NodeError> {
        let settings = context.settings(&self.settings)?;
        let report = report(&settings).await?;
        if context.json {
            output::line(&report);
        } else {
            print(&report);
        }
        Ok(())
    }
}

/// From the records if the node isn't running, else from the node itself.
pub(super) async fn report(settings: &Settings) -> Result<Report, NodeError> {
    let in_use = match Report::stored(&settings.data_dir) {
        Err(error @ NodeError::WalletInUse { .. }) => error,
        read => return read,
    };
    let address = gateway::address_of(settings).ok_or(in_use)?;
    let response = http_client::get(address, "/api/v1/earnings", None).await?;
    serde_json::from_slice(&response.all().await?).map_err(|error| NodeError::NoNode {
        address: address.to_string(),
        reason: format!("something answers there that is no POP node ({error})"),
    })
}

fn print(report: &Report) {
    println!("earned      {} POP for {}", report.earned, output::megabytes(report.bytes));
    if report.repaid != "0" || !report.loans.is_empty() {
        println!("repaid      {} POP of what was served on credit", report.repaid);
        println!("outstanding {} POP of {} loans", report.outstanding, report.loans.len());
    }
    table("content", &report.contents);
    table("peer", &report.peers);
    if report.bytes == 0 {
        println!("\nNothing yet. `pop-node stake --forecast` shows what a masternode may expect.");
    }
}

fn table(title: &str, rows: &[Row]) {
    for Row { name, bytes, earned, .. } in rows {
        println!("{title:<11} {name}  {earned} POP for {}", output::megabytes(*bytes));
    }
}
