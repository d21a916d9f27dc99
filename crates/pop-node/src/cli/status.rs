use super::{Context, output};
use crate::error::NodeError;
use crate::gateway;
use crate::http_client;
use crate::settings::{Layer, Settings};
use crate::status::Status as Report;

/// Show what a running node is doing.
#[derive(Debug, clap::Args)]
pub(super) struct Status {
    #[command(flatten)]
    settings: Layer,
}

impl Status {
    pub(super) async fn run(self, context: &Context) -> Result<(), NodeError> {
        let settings = context.settings(&self.settings)?;
        let report = of_running_node(&settings).await?;
        let foreign = |error: serde_json::Error| NodeError::Io {
            action: "write the report",
            source: error.into(),
        };
        if context.json {
            println!("{}", serde_json::to_string(&report).map_err(foreign)?);
        } else {
            print(&report);
        }
        Ok(())
    }
}

/// Ask the node that runs with these settings how it is.
pub(super) async fn of_running_node(settings: &Settings) -> Result<Report, NodeError> {
    let none = || NodeError::NoNode {
        address: "off".to_owned(),
        reason: "the settings switch the gateway off".to_owned(),
    };
    let address = gateway::address_of(settings).ok_or_else(none)?;
    let response = http_client::get(address, "/api/v1/status", None).await?;
    let body = response.all().await?;
    serde_json::from_slice(&body).map_err(|error| NodeError::NoNode {
        address: address.to_string(),
        reason: format!("something answers there that is no POP node ({error})"),
    })
}

fn print(report: &Report) {
    println!("{} {}", report.role, report.peer);
    println!("wallet      {}", report.wallet);
    report.addresses.iter().for_each(|address| println!("listens on  {address}"));
    println!("masternodes {} known", report.known_masternodes);
    println!(
        "stored      {} columns of {} contents, {} of {}{}",
        report.columns,
        report.contents,
        output::megabytes(report.used_bytes),
        output::megabytes(report.quota_bytes),
        if report.writable { "" } else { "  (NOT WRITABLE: see the log, then restart)" },
    );
    if report.damaged_columns > 0 {
        println!("damaged     {} columns: repair their contents", report.damaged_columns);
    }
    println!(
        "served      {}, fetched {}, {} peers broke a rule",
        output::megabytes(report.served_bytes),
        output::megabytes(report.fetched_bytes),
        report.peer_faults,
    );
}
