use pop_erasure::ContentLink;
use serde_json::json;

use super::{Context, output, payer};
use crate::error::NodeError;
use crate::node::Node;
use crate::repair::{RepairProgress, Repaired};
use crate::settings::Layer;

/// Restore every missing column of a content onto live nodes.
#[derive(Debug, clap::Args)]
pub(super) struct Repair {
    /// The link; its key is not needed and not used
    link: String,
    #[command(flatten)]
    settings: Layer,
}

impl Repair {
    pub(super) async fn run(self, context: &Context) -> Result<(), NodeError> {
        let mut settings = context.settings(&self.settings)?;
        settings.http_listen = None;
        let link: ContentLink = self.link.parse()?;
        let keypair = payer::key(&mut settings)?;
        let node = Node::client(keypair, settings).await?;
        let rebuilding = output::count_bar(0, "rebuild", context.json);
        let storing = output::count_bar(0, "store", context.json);
        let repaired = node
            .repair(link.content, |progress| match progress {
                RepairProgress::Rebuilt { segments, total_segments } => {
                    rebuilding.set_length(total_segments);
                    rebuilding.set_position(segments);
                }
                RepairProgress::Stored { columns, total_columns } => {
                    storing.set_length(u64::try_from(total_columns).unwrap_or(0));
                    storing.set_position(u64::try_from(columns).unwrap_or(0));
                }
            })
            .await;
        rebuilding.finish_and_clear();
        storing.finish_and_clear();
        node.settle().await;
        node.shutdown().await;
        print(&repaired?, context.json);
        Ok(())
    }
}

fn print(repaired: &Repaired, as_json: bool) {
    let live = repaired.live_columns().len();
    if as_json {
        let restored: std::collections::BTreeMap<String, String> = repaired
            .restored
            .iter()
            .map(|(column, peer)| (column.get().to_string(), peer.to_string()))
            .collect();
        output::json(&json!({
            "repaired_columns": restored.len(),
            "live_columns": live,
            "live_holders": repaired.holdings.len(),
            "restored": restored,
        }));
        return;
    }
    for (column, peer) in &repaired.restored {
        println!("restored {:>3}  {peer}", column.get());
    }
    println!(
        "{} columns restored; {live} columns live on {} nodes",
        repaired.restored.len(),
        repaired.holdings.len(),
    );
}
