use serde_json::json;

use super::{Context, output};
use crate::disk;
use crate::error::NodeError;
use crate::settings::Layer;

/// Create this node's identity.
#[derive(Debug, clap::Args)]
pub(super) struct Init {
    #[command(flatten)]
    settings: Layer,
}

impl Init {
    pub(super) fn run(self, context: &Context) -> Result<(), NodeError> {
        let settings = context.settings(&self.settings)?;
        let keypair = disk::create_identity(&settings.data_dir)?;
        let peer = keypair.peer_id();
        let wallet = peer.wallet_address();
        if context.json {
            output::json(&json!({
                "peer": peer.to_string(),
                "wallet": wallet.to_string(),
                "data_dir": settings.data_dir,
            }));
        } else {
            println!("peer    {peer}");
            println!("wallet  {wallet}");
            println!("data    {}", settings.data_dir.display());
            println!(
                "\nidentity.key in there is node and wallet in one: back it up, show it nobody."
            );
            println!("Next: `pop-node run --bootstrap /ip4/…/tcp/4700/p2p/…`");
        }
        Ok(())
    }
}
