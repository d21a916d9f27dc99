use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::json;

use super::{Context, output};
use pop_wire::Amount;

use crate::disk;
use crate::error::NodeError;
use crate::node::Node;
use crate::publish::{PublishOptions, PublishProgress, Published};
use crate::settings::Layer;

/// Encrypt, encode and scatter a file; print its link.
#[derive(Debug, clap::Args)]
pub(super) struct Publish {
    /// The file
    file: PathBuf,
    /// Shards that rebuild a segment; chosen by the number of masternodes if absent
    #[arg(long, requires = "total_shards", value_name = "K")]
    data_shards: Option<u16>,
    /// Shards of a segment
    #[arg(long, requires = "data_shards", value_name = "N")]
    total_shards: Option<u16>,
    /// Media type, such as video/mp4; guessed from the name if absent
    #[arg(long, value_name = "TYPE")]
    media_type: Option<String>,
    /// Playing time in milliseconds; read from the file if absent
    #[arg(long, value_name = "MS")]
    duration_ms: Option<u64>,
    /// Sell the content key for so much, in POP: buyers need only the link without a key
    ///
    /// It is sold by `pop-node run` with the same data directory and a ledger.
    #[arg(long, value_name = "POP", value_parser = price)]
    sell_key: Option<Amount>,
    #[command(flatten)]
    settings: Layer,
}

/// What a key is sold for.
fn price(text: &str) -> Result<Amount, String> {
    match text.parse::<Amount>() {
        Ok(Amount::ZERO) => Err("expected more than 0: the link gives the key for nothing".into()),
        price => price.map_err(|error| error.to_string()),
    }
}

impl Publish {
    pub(super) async fn run(self, context: &Context) -> Result<(), NodeError> {
        let mut settings = context.settings(&self.settings)?;
        settings.http_listen = None;
        // Uploading costs nothing, and a running node may be paying from the same wallet.
        settings.price_max = Amount::ZERO;
        let mut options = PublishOptions::for_file(&self.file)?;
        options.geometry = self.data_shards.zip(self.total_shards);
        if let Some(media_type) = self.media_type {
            options.media_type = media_type;
        }
        if let Some(duration_ms) = self.duration_ms {
            options.duration_ms = duration_ms;
        }
        options.key_price = self.sell_key.unwrap_or(Amount::ZERO);
        let keypair = disk::load_identity(&settings.data_dir)?;
        let bytes = std::fs::metadata(&self.file).map_or(0, |it| it.len());
        let encoding = output::byte_bar(bytes, "encode", context.json);
        let uploading = output::byte_bar(0, "upload", context.json);
        let node = Node::client(keypair, settings).await?;
        let published = node
            .publish(&self.file, options, |progress| match progress {
                PublishProgress::Encoded { bytes } => encoding.set_position(bytes),
                PublishProgress::Uploaded { bytes, total_bytes } => {
                    uploading.set_length(total_bytes);
                    uploading.set_position(bytes);
                }
            })
            .await;
        encoding.finish_and_clear();
        uploading.finish_and_clear();
        node.shutdown().await;
        print(&published?, context.json);
        Ok(())
    }
}

fn print(published: &Published, as_json: bool) {
    let Published { geometry, durability, placement, .. } = published;
    let sale_link = published.sale_link().map(|link| link.to_string());
    if as_json {
        let placement: BTreeMap<String, String> =
            placement.iter().map(|(c, peer)| (c.get().to_string(), peer.to_string())).collect();
        output::json(&json!({
            "link": published.link.to_string(),
            "content": published.content.to_string(),
            "key_price": sale_link.as_ref().map(|_| output::plain(published.key_price)),
            "sale_link": sale_link,
            "k": geometry.k(),
            "n": geometry.n(),
            "segments": published.segments,
            "shard_bytes": published.shard_bytes,
            "nodes": durability.nodes,
            "any_nodes_may_vanish": durability.tolerated_columns,
            "survives_any_29_57_percent": durability.is_certain(),
            "loss_probability_at_random_29_57_percent": durability.loss_probability,
            "placement": placement,
        }));
        return;
    }
    describe(published);
    println!("link       {}", published.link);
    if let Some(sale_link) = sale_link {
        let price = published.key_price;
        println!("           opens it: keep that one to yourself");
        println!("sale link  {sale_link}");
        println!("           has no key: `pop-node run` here, with a ledger, sells it for {price}");
    }
}

/// Geometry, promises and placement, for people.
pub(super) fn describe(published: &Published) {
    let Published { geometry, durability, placement, .. } = published;
    println!(
        "geometry   any {} of {} shards rebuild a segment; {} segments, shards of {} bytes",
        geometry.k(),
        geometry.n(),
        published.segments,
        published.shard_bytes,
    );
    let certain = if durability.is_certain() { "survived with certainty" } else { "not certain" };
    println!(
        "promise 1  any {} of {} nodes (29.57 %) may vanish at once: {certain}",
        durability.lost_nodes, durability.nodes,
    );
    println!(
        "promise 2  {} nodes drawn at random vanish at once: lost with probability {:.1e}",
        durability.lost_nodes, durability.loss_probability,
    );
    let mut holders: BTreeMap<_, usize> = BTreeMap::new();
    placement.values().for_each(|peer| *holders.entry(*peer).or_default() += 1);
    let most = holders.values().max().copied().unwrap_or(0);
    println!(
        "placement  {} columns on {} nodes, at most {most} each ({} would rebuild it)",
        placement.len(),
        holders.len(),
        geometry.k(),
    );
    for (column, peer) in placement {
        println!("           {:>3}  {peer}", column.get());
    }
}
