use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use bytes::Bytes;
use futures::StreamExt as _;
use pop_erasure::{ContentKey, ContentLink};
use pop_incentive::ledger::LoanNote;
use pop_wire::{Amount, ContentId};
use serde_json::json;
use tokio::sync::mpsc;

use super::{Context, names, output, payer};
use crate::clock;
use crate::disk;
use crate::error::NodeError;
use crate::fetch::{OpenedContent, Pace};
use crate::key_sale::{self, KEY_LOCK_S, KeyOrder, KeySaleError};
use crate::node::Node;
use crate::settings::Layer;

/// Pieces that wait to be written, each at most a segment.
const PIECES_MAX: usize = 4;

/// Fetch a content, or a range of it.
#[derive(Debug, clap::Args)]
pub(super) struct Get {
    /// The link: pop:<content id>?k=<key>; without the key, or the content id alone, if the key was
    /// bought or is to be
    link: String,
    /// Where to write; standard output if absent
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Bytes A to B, both included and counted from 0; `A-` to the end
    #[arg(long, value_name = "A-B")]
    range: Option<ByteRange>,
    /// Buy the key from the publisher for at most so much, in POP, if there is none
    ///
    /// The price is locked on the ledger and paid only for the key; without it, it comes back. A key
    /// that was bought is kept: getting the content again costs nothing for it.
    #[arg(long, value_name = "MAX")]
    buy_key: Option<Amount>,
    /// Seconds after which the money comes back if no key came; sellers take nothing with less than
    /// a minute left
    #[arg(long, value_name = "SECONDS", default_value_t = KEY_LOCK_S)]
    key_lock_s: u64,
    #[command(flatten)]
    settings: Layer,
}

/// A range as the command line has it: both ends included, the last one optional.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ByteRange {
    first: u64,
    last: Option<u64>,
}

impl FromStr for ByteRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("expected A-B or A- with A <= B, got `{text}`");
        let (first, last) = text.split_once('-').ok_or_else(wrong)?;
        let first = first.parse().map_err(|_| wrong())?;
        let last = match last {
            "" => None,
            last => Some(last.parse().map_err(|_| wrong())?),
        };
        match last {
            Some(last) if last < first => Err(wrong()),
            last => Ok(Self { first, last }),
        }
    }
}

impl ByteRange {
    /// The bytes of a content of `length_bytes`.
    fn within(self, length_bytes: u64) -> Result<Range<u64>, NodeError> {
        let last = self.last.unwrap_or(length_bytes.saturating_sub(1));
        if self.first >= length_bytes || last >= length_bytes {
            return Err(NodeError::Range { length_bytes, start: self.first, end: last });
        }
        Ok(self.first..last + 1)
    }
}

impl Get {
    pub(super) async fn run(self, context: &Context) -> Result<(), NodeError> {
        let mut settings = context.settings(&self.settings)?;
        settings.http_listen = None;
        let link = names::link(&self.link)?;
        let data_dir = settings.data_dir.clone();
        let keypair = payer::key(&mut settings)?;
        let node = Node::client(keypair, settings).await?;
        let promised_before = promised(&node).await;
        let result = self.fetch(&node, link, &data_dir, context.json).await;
        node.settle().await;
        let paid = promised(&node).await.checked_sub(promised_before).unwrap_or(Amount::ZERO);
        let borrowed = node.borrowed().await;
        let stats = node.stats();
        node.shutdown().await;
        let Fetched { bytes, elapsed, key_paid } = result?;
        // Under --json standard output belongs to the report, unless the bytes went there.
        if context.json && self.output.is_some() {
            output::json(&json!({
                "bytes": bytes,
                "seconds": elapsed.as_secs_f64(),
                "output": self.output,
                "shard_bytes": stats.fetched_bytes(),
                "paid": output::plain(paid),
                "key_paid": output::plain(key_paid),
                "vouchers": stats.vouchers_given(),
                "payment_bytes": stats.payment_bytes(),
                "borrowed": output::plain(principal(&borrowed)),
                "owed": output::plain(owed(&borrowed)),
            }));
            return Ok(());
        }
        if key_paid > Amount::ZERO {
            eprintln!("paid {key_paid} for the key, which is kept");
        }
        if paid > Amount::ZERO {
            eprintln!("paid {paid} by {} vouchers", stats.vouchers_given());
        }
        if !borrowed.is_empty() {
            eprintln!(
                "borrowed {} in {} loans: {} are owed, which what this wallet earns pays first",
                principal(&borrowed),
                borrowed.len(),
                owed(&borrowed),
            );
        }
        Ok(())
    }

    async fn fetch(
        &self,
        node: &Node,
        link: ContentLink,
        data_dir: &Path,
        quiet: bool,
    ) -> Result<Fetched, NodeError> {
        let (key, key_paid) = match link.key {
            Some(key) => (key, Amount::ZERO),
            None => self.key(node, link.content, data_dir).await?,
        };
        let started = clock::monotonic_now();
        let link = ContentLink { content: link.content, key: Some(key) };
        let content = node.open(&link).await?;
        let length_bytes = content.length_bytes();
        let range = match self.range {
            Some(range) => range.within(length_bytes)?,
            None => 0..length_bytes,
        };
        let bytes = range.end - range.start;
        match &self.output {
            None => {
                let copied = copy(&content, range, std::io::stdout(), true).await;
                copied.map_err(|error| error.named("-".as_ref()))?;
            }
            Some(path) => write_file(&content, range, path, quiet).await?,
        }
        Ok(Fetched { bytes, elapsed: started.elapsed(), key_paid })
    }

    /// The key that the link lacks, and what was paid for it: as it is kept, or bought.
    async fn key(
        &self,
        node: &Node,
        content: ContentId,
        data_dir: &Path,
    ) -> Result<(ContentKey, Amount), NodeError> {
        if let Some(key) = key_sale::kept_key(data_dir, content)? {
            return Ok((key, Amount::ZERO));
        }
        if self.buy_key.is_none() && !key_sale::is_waiting_for_key(data_dir, content)? {
            return Err(match node.key_price(content).await? {
                Some(price) => KeySaleError::ForSale { content, price }.into(),
                None => NodeError::KeyMissing,
            });
        }
        let wallet = disk::load_identity(data_dir)?;
        let mut order = KeyOrder::default();
        (order.max, order.lock_s) = (self.buy_key, self.key_lock_s);
        let bought = node.buy_key(&wallet, content, order, |amount, until| {
            // Also under --json: whoever stops it should know what it was waiting for.
            eprintln!("{}", key_sale::waiting_line(amount, until));
        });
        let bought = bought.await?;
        Ok((bought.key, bought.paid))
    }
}

/// What came of a fetch.
struct Fetched {
    bytes: u64,
    elapsed: std::time::Duration,
    /// What the key cost; zero if it was there.
    key_paid: Amount,
}

/// What the node's vouchers promise, over all payees. A sum of promises within one vault fits.
async fn promised(node: &Node) -> Amount {
    let promises = node.promises().await.into_iter().map(|(_, amount)| amount);
    promises.fold(Amount::ZERO, |sum, amount| sum.checked_add(amount).unwrap_or(sum))
}

/// What the bytes on credit are worth.
fn principal(notes: &[LoanNote]) -> Amount {
    Amount::from_base_units(notes.iter().map(|note| note.principal.base_units()).sum())
}

/// The same with interest.
fn owed(notes: &[LoanNote]) -> Amount {
    let owed = notes.iter().filter_map(LoanNote::owed);
    Amount::from_base_units(owed.map(Amount::base_units).sum())
}

/// Write into a file beside `path` and give it its name when it is whole, so that an error never
/// leaves half a file under the name that was asked for.
async fn write_file(
    content: &OpenedContent,
    range: Range<u64>,
    path: &Path,
    quiet: bool,
) -> Result<(), NodeError> {
    let failed = |source| NodeError::Output { path: path.to_path_buf(), source };
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let scratch =
        tempfile::Builder::new().prefix(".pop-get-").tempfile_in(directory).map_err(failed)?;
    let file = scratch.reopen().map_err(failed)?;
    let file = copy(content, range, file, quiet).await.map_err(|error| error.named(path))?;
    tokio::task::block_in_place(|| file.sync_all()).map_err(failed)?;
    scratch.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// Why copying stopped.
enum CopyError {
    Fetch(NodeError),
    Write(std::io::Error),
}

impl CopyError {
    fn named(self, path: &Path) -> NodeError {
        match self {
            Self::Fetch(error) => error,
            Self::Write(source) => NodeError::Output { path: path.to_path_buf(), source },
        }
    }
}

/// Copy `range` to `out` and return it flushed. A thread of its own writes: pieces go to the
/// operating system as they are, without a buffer between.
async fn copy<W: Write + Send + 'static>(
    content: &OpenedContent,
    range: Range<u64>,
    mut out: W,
    quiet: bool,
) -> Result<W, CopyError> {
    let bar = output::byte_bar(range.end - range.start, "fetch", quiet);
    let (to_write, mut pieces_to_write) = mpsc::channel::<Bytes>(PIECES_MAX);
    let writer = tokio::task::spawn_blocking(move || {
        while let Some(piece) = pieces_to_write.blocking_recv() {
            out.write_all(&piece)?;
        }
        out.flush().map(|()| out)
    });
    let pieces = content.read(range, Pace::Bulk).map_err(CopyError::Fetch)?;
    let mut pieces = std::pin::pin!(pieces);
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(CopyError::Fetch)?;
        let bytes = u64::try_from(piece.len()).unwrap_or(0);
        if to_write.send(piece).await.is_err() {
            // The writer failed, and says below why.
            break;
        }
        bar.inc(bytes);
    }
    drop(to_write);
    let out = writer.await.map_err(|error| CopyError::Write(std::io::Error::other(error)))?;
    bar.finish_and_clear();
    out.map_err(CopyError::Write)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_with_both_ends_included() {
        let within = |text: &str| text.parse::<ByteRange>().unwrap().within(100).ok();
        assert_eq!(within("0-0"), Some(0..1));
        assert_eq!(within("10-99"), Some(10..100));
        assert_eq!(within("10-"), Some(10..100));
        assert_eq!(within("10-100"), None);
        assert_eq!(within("100-"), None);
        for wrong in ["", "-", "5", "9-8", "a-b", "1-2-3", "-5"] {
            assert!(wrong.parse::<ByteRange>().is_err(), "{wrong}");
        }
    }
}
