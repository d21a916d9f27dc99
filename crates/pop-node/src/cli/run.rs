use std::io::Read as _;

use serde_json::json;

use super::{Context, output, stake};
use crate::disk::{self, StoreError};
use crate::error::NodeError;
use crate::node::Node;
use crate::settings::Layer;

/// Run a masternode.
#[derive(Debug, clap::Args)]
pub(super) struct Run {
    #[command(flatten)]
    settings: Layer,
    /// Create the identity if there is none
    #[arg(long)]
    init: bool,
    /// Run without collateral: such a node earns no rewards, and lenders see that it risks nothing
    #[arg(long)]
    no_stake: bool,
    /// End when standard input closes: for programs that start nodes and must not leave any behind
    #[arg(long)]
    exit_on_stdin_eof: bool,
}

impl Run {
    pub(super) async fn run(self, context: &Context) -> Result<(), NodeError> {
        let settings = context.settings(&self.settings)?;
        if self.exit_on_stdin_eof {
            end_with_standard_input();
        }
        if self.init {
            match disk::create_identity(&settings.data_dir) {
                Ok(_) | Err(StoreError::IdentityExists { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if !self.no_stake {
            stake::require(&settings).await?;
        }
        let node = Node::masternode(settings).await?;
        tell(&node, context.json);
        wait_for_signal().await?;
        tracing::info!("shutting down");
        tokio::spawn(async {
            if wait_for_signal().await.is_ok() {
                // The operator is in a hurry; whatever is durable stays so.
                std::process::exit(130);
            }
        });
        node.shutdown().await;
        Ok(())
    }
}

/// Say that the node is ready, and where.
fn tell(node: &Node, as_json: bool) {
    let addresses: Vec<String> = node.addresses().iter().map(ToString::to_string).collect();
    let http = node.http_address().map(|address| address.to_string());
    let web: Vec<String> = node.web_addresses().iter().map(ToString::to_string).collect();
    if as_json {
        let peer = node.peer_id().to_string();
        output::json(&json!({ "peer": peer, "addresses": addresses, "http": http, "web": web }));
        return;
    }
    println!("masternode {}", node.peer_id());
    addresses.iter().for_each(|address| println!("  listens on {address}"));
    web.iter().for_each(|address| println!("  browsers   {address}"));
    if let Some(http) = http {
        println!("  gateway    http://{http}");
    }
}

/// On a thread of its own, so that nothing that hangs can keep the process alive.
fn end_with_standard_input() {
    std::thread::spawn(|| {
        let mut sink = [0; 64];
        while matches!(std::io::stdin().read(&mut sink), Ok(bytes) if bytes > 0) {}
        std::process::exit(0);
    });
}

/// SIGTERM or SIGINT.
pub(super) async fn wait_for_signal() -> Result<(), NodeError> {
    use tokio::signal::unix::{SignalKind, signal};
    let failed = |source| NodeError::Io { action: "watch for signals", source };
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
