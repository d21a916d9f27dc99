use std::path::PathBuf;
use std::process::ExitCode;

use pop_erasure::ContentLink;
use pop_wire::{ContentId, PeerId};
use serde_json::json;

use super::{Context, output, payer};
use crate::audit::{AuditOptions, Audited, HolderAudit, SAMPLES_MAX};
use crate::error::NodeError;
use crate::evidence;
use crate::node::Node;
use crate::settings::Layer;

/// As for every broken protocol.
const WRONG_ANSWER: u8 = 76;

/// Ask holders of a content to prove that they have what they say.
///
/// A wrong answer is signed, and its proof is written into a file that `pop-node report` hands in.
/// Silence costs a holder nothing here.
#[derive(Debug, clap::Args)]
pub(super) struct Audit {
    /// The content id, or a link; its key is not needed and not used
    content: String,
    /// Only this holder
    #[arg(long, value_name = "PEER")]
    holder: Option<PeerId>,
    /// Random places that each holder is asked about
    #[arg(long, value_name = "N", default_value_t = 4,
          value_parser = clap::value_parser!(u64).range(1..=SAMPLES_MAX))]
    samples: u64,
    /// Of the segments that were asked about, how many are fetched to check the answers
    #[arg(long, value_name = "N", default_value_t = 2)]
    check: u64,
    #[command(flatten)]
    settings: Layer,
}

impl Audit {
    pub(super) async fn run(self, context: &Context) -> Result<ExitCode, NodeError> {
        let mut settings = context.settings(&self.settings)?;
        settings.http_listen = None;
        let content = match self.content.parse::<ContentId>() {
            Ok(content) => content,
            Err(_) => self.content.parse::<ContentLink>()?.content,
        };
        let directory = settings.data_dir.join(evidence::DIRECTORY);
        let keypair = payer::key(&mut settings)?;
        let node = Node::client(keypair, settings).await?;
        let options =
            AuditOptions { holder: self.holder, samples: self.samples, checked: self.check };
        let audited = node.audit(content, options).await;
        node.settle().await;
        node.shutdown().await;
        let mut audited = audited?;
        let mut proofs = Vec::new();
        for failed in audited.holders.iter_mut().flat_map(|it| std::mem::take(&mut it.evidence)) {
            proofs.push(evidence::keep_failed_audit(&directory, failed)?);
        }
        print(&audited, &proofs, context.json);
        let all_well = audited.holders.iter().all(|holder| holder.wrong == 0);
        Ok(if all_well { ExitCode::SUCCESS } else { ExitCode::from(WRONG_ANSWER) })
    }
}

fn print(audited: &Audited, proofs: &[PathBuf], as_json: bool) {
    if as_json {
        let holder = |holder: &HolderAudit| {
            json!({
                "peer": holder.peer.to_string(),
                "columns": holder.columns.len(),
                "right": holder.right,
                "wrong": holder.wrong,
                "unchecked": holder.unchecked,
                "silent": holder.silences(),
                "silent_because": holder.silent,
                "median_ms": holder.median_ms(),
            })
        };
        output::json(&json!({
            "content": audited.content.to_string(),
            "checked_segments": audited.checked.iter().map(|it| it.0).collect::<Vec<_>>(),
            "holders": audited.holders.iter().map(holder).collect::<Vec<_>>(),
            "proofs": proofs,
        }));
        return;
    }
    println!("right  wrong  unchecked  silent      ms  holder");
    for holder in &audited.holders {
        let ms = holder.median_ms().map_or_else(|| "-".to_owned(), |ms| ms.to_string());
        let (right, wrong, unchecked) = (holder.right, holder.wrong, holder.unchecked);
        let silent = holder.silences();
        println!("{right:>5}  {wrong:>5}  {unchecked:>9}  {silent:>6}  {ms:>6}  {}", holder.peer);
        for (why, count) in &holder.silent {
            println!("{:>38}  {count} x {why}", "");
        }
    }
    for proof in proofs {
        println!("\nproof      {}", proof.display());
    }
    if !proofs.is_empty() {
        println!("\n`pop-node report PROOF` costs the holder collateral.");
    }
}
