use std::str::FromStr;

use pop_erasure::ContentLink;
use pop_incentive::planner::{Candidate, Pick, plan};
use pop_incentive::scarcity::Supply;
use pop_wire::{ContentId, Keypair};

use super::Context;
use super::facts::{Fact, Facts, report, text};
use super::names::bad_input;
use super::outlook::{Assumptions, kbps, refused};
use crate::clock;
use crate::disk::{self, ColumnStore, StoreError};
use crate::error::NodeError;
use crate::node::Node;
use crate::settings::{Layer, Settings};
use crate::supply::ContentSupply;

#[derive(Debug, clap::Args)]
pub(super) struct Plan {
    /// Contents or links, each with how often it will be seen until the horizon, if that is known
    #[arg(value_name = "CONTENT[=VIEWS]")]
    contents: Vec<Wanted>,
    /// How often each content will be seen of which nothing else is said
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    views: u64,
    #[command(flatten)]
    assumed: Assumptions,
    #[command(flatten)]
    settings: Layer,
}

/// A content, and how often somebody watches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wanted {
    content: ContentId,
    views: Option<u64>,
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(given: &str) -> Result<Self, String> {
        // A link has an equals sign of its own, before its key.
        let (name, views) = match given.rsplit_once('=') {
            Some((name, views)) if views.bytes().all(|digit| digit.is_ascii_digit()) => {
                (name, Some(views.parse().map_err(|_| format!("too many views in `{given}`"))?))
            }
            _ => (given, None),
        };
        let content = match name.parse::<ContentLink>() {
            Ok(link) => link.content,
            Err(_) => name.parse().map_err(|_| format!("expected a content id, got `{name}`"))?,
        };
        Ok(Self { content, views })
    }
}

impl Plan {
    pub(super) async fn run(self, context: &Context) -> Result<(), NodeError> {
        let mut settings = context.settings(&self.settings)?;
        settings.http_listen = None;
        // Nothing is asked of the ledger.
        (settings.ledger, settings.serve_ledger) = (None, false);
        let own = disk::load_identity(&settings.data_dir)?.peer_id();
        let mut wanted = self.contents.clone();
        for content in kept(&settings) {
            if wanted.iter().all(|other| other.content != content) {
                wanted.push(Wanted { content, views: None });
            }
        }
        if wanted.is_empty() {
            return Err(bad_input("contents", "expected at least one: name those to weigh"));
        }
        let kept_settings = settings.clone();
        let nobody = clock::random_bytes().map_err(StoreError::from)?;
        let node = Node::client(Keypair::from_secret_bytes(&nobody)?, settings).await?;
        let mut found = Vec::new();
        for wanted in &wanted {
            match node.supply(wanted.content, own).await {
                Ok(supply) => found.push((supply, wanted.views.unwrap_or(self.views))),
                Err(NodeError::UnknownContent { content }) => {
                    tracing::warn!(%content, "nobody knows it");
                }
                Err(error) => {
                    node.shutdown().await;
                    return Err(error);
                }
            }
        }
        node.shutdown().await;
        report(&self.facts(&found, &kept_settings)?, NEXT, context.json);
        Ok(())
    }

    fn facts(
        &self,
        found: &[(ContentSupply, u64)],
        settings: &Settings,
    ) -> Result<Facts, NodeError> {
        let quota_bytes = settings.quota_bytes;
        let candidate = |(supply, views): &(_, u64)| self.candidate(settings, supply, *views);
        let candidates = found.iter().map(candidate);
        let candidates: Vec<Candidate> = candidates.collect::<Result<_, _>>()?;
        let planned = plan(&candidates, &self.assumed.budget(quota_bytes)).map_err(refused)?;
        let contents = candidates.iter().map(|candidate| {
            let pick = planned.picks.iter().find(|pick| pick.content == candidate.content);
            about(candidate, pick)
        });
        Ok(vec![
            ("contents", Fact::List(contents.collect())),
            ("quota_bytes", Fact::Number(quota_bytes)),
            ("bytes", Fact::Number(planned.bytes)),
            ("served_bytes", Fact::Number(planned.served_bytes)),
            ("revenue", Fact::Amount(planned.revenue)),
            ("cost", Fact::Amount(planned.cost)),
            ("profit", Fact::Amount(planned.profit())),
        ])
    }

    fn candidate(
        &self,
        settings: &Settings,
        it: &ContentSupply,
        views: u64,
    ) -> Result<Candidate, NodeError> {
        let base = self.assumed.tariff(settings, kbps(it.length_bytes, it.duration_ms))?;
        let too_much = || bad_input("assumptions", "more than an amount can be");
        let no_code = || bad_input("content", "its k and n can't be");
        Ok(Candidate {
            content: it.content,
            supply: Supply::new(it.live, it.k, it.n).ok_or_else(no_code)?,
            copies: it.copies,
            held: it.held,
            column_bytes: it.column_bytes,
            demand_bytes: it.length_bytes.saturating_mul(views),
            base,
            acquire: base.price(it.column_bytes).ok_or_else(too_much)?,
        })
    }
}

const NEXT: &str = "A guess: that demand, prices and what others hold stay as they are. Where \
                    fewer than all columns live, holders may ask more, up to four times as much.";

/// What this node holds, unless it is running and has its store in its own hands.
fn kept(settings: &Settings) -> Vec<ContentId> {
    if !settings.data_dir.join("columns.redb").exists() {
        return Vec::new();
    }
    match ColumnStore::open(&settings.data_dir, settings.quota_bytes) {
        Ok(store) => store.contents(),
        Err(error) => {
            tracing::warn!(%error, "only the contents that are named are weighed");
            Vec::new()
        }
    }
}

fn about(candidate: &Candidate, pick: Option<&Pick>) -> Facts {
    let supply = candidate.supply;
    let amount = |read: fn(&Pick) -> pop_wire::Amount| {
        Fact::Amount(pick.map_or(pop_wire::Amount::ZERO, read))
    };
    vec![
        ("content", text(candidate.content)),
        ("live", Fact::Number(supply.live().into())),
        ("n", Fact::Number(supply.n().into())),
        ("k", Fact::Number(supply.k().into())),
        ("copies", Fact::Number(candidate.copies.into())),
        ("column_bytes", Fact::Number(candidate.column_bytes)),
        ("held", Fact::Number(candidate.held.into())),
        ("hold", Fact::Number(pick.map_or(0, |pick| pick.columns).into())),
        ("served_bytes", Fact::Number(pick.map_or(0, |pick| pick.served_bytes))),
        ("revenue", amount(|pick| pick.revenue)),
        ("cost", amount(|pick| pick.cost)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_named_with_or_without_how_often_they_are_seen() {
        let content = ContentId([9; 32]);
        let read = |given: String| given.parse::<Wanted>();
        assert_eq!(read(content.to_string()), Ok(Wanted { content, views: None }));
        assert_eq!(read(format!("{content}=12")), Ok(Wanted { content, views: Some(12) }));
        let key = ContentId([3; 32]);
        let link = format!("pop:{content}?k={key}");
        assert_eq!(read(link.clone()), Ok(Wanted { content, views: None }));
        assert_eq!(read(format!("{link}=7")), Ok(Wanted { content, views: Some(7) }));
        for wrong in ["", "=5", "film", "99999999999999999999999"] {
            assert!(wrong.parse::<Wanted>().is_err(), "{wrong}");
        }
        assert!(read(format!("{content}=99999999999999999999999")).is_err());
    }
}
