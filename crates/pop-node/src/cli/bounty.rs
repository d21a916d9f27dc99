use std::fs;
use std::path::{Path, PathBuf};

use pop_incentive::ids::BountyId;
use pop_incentive::ledger::names::{bounty_id, claim_commitment};
use pop_incentive::ledger::{BountyState, Operation};
use pop_incentive::typed_data::keccak;
use pop_wire::{Amount, ContentId, Digest, WalletAddress};

use super::Context;
use super::facts::{Fact, Facts, maybe, report, text};
use super::names::{INDICES_MAX, bad_input, name, panel, quorum};
use super::purse::{Purse, in_days};
use crate::clock;
use crate::disk::{StoreError, create_private, write_once};
use crate::error::NodeError;
use crate::settings::Layer;

/// Rewards for content that somebody wants.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Bounty {
    /// Offer a reward; judges decide who has it
    ///
    /// It leaves the wallet now and comes back after the deadline if nobody has it.
    Open(Open),
    /// Commit to a content without showing it, so that nobody can copy the claim
    ///
    /// The secret that shows it later is kept in the data directory.
    Claim(Claim),
    /// Show the claim, after the ledger's reveal delay
    Reveal(One),
    /// As a judge: say that a claim is what is wanted
    Approve(Approve),
    /// As the opener: object to an approval, once; the judges decide anew
    Dispute(One),
    /// Have an approved claim paid, after the time for a dispute
    Settle(One),
    /// Give the reward back to the opener, after the deadline
    Refund(One),
    /// Show a bounty, and this wallet's claim to it
    Show(One),
}

#[derive(Debug, clap::Args)]
pub(super) struct Open {
    /// What is wanted: a content id, 64 hex digits, or words, of which the hash is kept
    #[arg(long, value_name = "TEXT")]
    wanted: String,
    /// What it is worth, in POP
    #[arg(long, value_name = "POP")]
    reward: Amount,
    /// Who decides, separated by commas
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',', required = true)]
    judges: Vec<WalletAddress>,
    /// How many judges must agree; the least majority if absent
    #[arg(long, value_name = "COUNT")]
    quorum: Option<u64>,
    /// Days until the reward can be had back
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    days: u64,
    #[command(flatten)]
    settings: Layer,
}

#[derive(Debug, clap::Args)]
pub(super) struct Claim {
    /// The bounty's id
    #[arg(value_parser = name::<BountyId>)]
    bounty: BountyId,
    /// The content that is what is wanted
    content: ContentId,
    #[command(flatten)]
    settings: Layer,
}

/// Say that a claim is good.
#[derive(Debug, clap::Args)]
pub(super) struct Approve {
    /// The bounty's id
    #[arg(value_parser = name::<BountyId>)]
    bounty: BountyId,
    /// Whose claim
    claimant: WalletAddress,
    #[command(flatten)]
    settings: Layer,
}

/// One bounty.
#[derive(Debug, clap::Args)]
pub(super) struct One {
    /// The bounty's id
    #[arg(value_parser = name::<BountyId>)]
    bounty: BountyId,
    #[command(flatten)]
    settings: Layer,
}

impl Bounty {
    pub(super) async fn run(self, context: &Context) -> Result<(), NodeError> {
        match self {
            Self::Open(verb) => verb.run(context).await,
            Self::Claim(verb) => verb.run(context).await,
            Self::Reveal(verb) => verb.reveal(context).await,
            Self::Approve(verb) => verb.run(context).await,
            Self::Dispute(verb) => {
                let next = "The judges vote anew, and what they decide then is final.";
                verb.perform(context, next, |bounty| Operation::DisputeClaim { bounty }).await
            }
            Self::Settle(verb) => {
                verb.perform(context, "", |bounty| Operation::SettleBounty { bounty }).await
            }
            Self::Refund(verb) => {
                verb.perform(context, "", |bounty| Operation::RefundBounty { bounty }).await
            }
            Self::Show(verb) => verb.show(context).await,
        }
    }
}

async fn about(purse: &Purse, id: BountyId) -> Result<Facts, NodeError> {
    let bounty = purse.ledger.bounty(id).await?;
    let bounty = bounty.ok_or_else(|| bad_input("bounty", "the ledger knows none of this id"))?;
    let claim = purse.ledger.claim(id, purse.wallet()).await?;
    let (state, claimant, payable) = match bounty.state {
        BountyState::Open => ("open", None, None),
        BountyState::Approved { claimant, payable } => ("approved", Some(claimant), Some(payable)),
        BountyState::Paid { claimant } => ("paid", Some(claimant), None),
        BountyState::Refunded => ("refunded", None, None),
        _ => ("unknown", None, None),
    };
    let judges = bounty.judges.iter().map(|judge| vec![("judge", text(judge))]).collect();
    Ok(vec![
        ("bounty", text(id)),
        ("opener", text(bounty.opener)),
        ("wanted", text(bounty.wanted)),
        ("reward", Fact::Amount(bounty.reward)),
        ("judges", Fact::List(judges)),
        ("quorum", Fact::Number(bounty.quorum)),
        ("deadline", Fact::Time(bounty.deadline)),
        ("disputed", Fact::Flag(bounty.disputed)),
        ("state", text(state)),
        ("claimant", maybe(claimant, text)),
        ("payable", maybe(payable, Fact::Time)),
        ("own_claim", maybe(claim, |claim| text(claim.commitment))),
        ("own_claim_shown", maybe(claim.and_then(|claim| claim.content), text)),
    ])
}

/// A content id or a digest as it is, or the hash of words.
fn wanted(given: &str) -> Digest {
    match given.parse::<ContentId>() {
        Ok(content) => Digest(content.0),
        Err(_) => name(given).unwrap_or_else(|_| Digest(keccak(given.as_bytes()))),
    }
}

impl Open {
    async fn run(self, context: &Context) -> Result<(), NodeError> {
        let settings = context.settings(&self.settings)?;
        let (wanted, reward, judges) = (wanted(&self.wanted), self.reward, panel(self.judges));
        let quorum = quorum(self.quorum, &judges);
        let facts = Purse::with(settings, async |purse| {
            let domain = purse.ledger.domain().await?;
            let mut free = None;
            for index in 0..INDICES_MAX {
                let id = bounty_id(&domain, purse.wallet(), index);
                if purse.ledger.bounty(id).await?.is_none() {
                    free = Some((index, id));
                    break;
                }
            }
            let (index, id) =
                free.ok_or_else(|| bad_input("bounty", "this wallet has too many"))?;
            let deadline_s = in_days(self.days).0;
            let open = Operation::OpenBounty { index, wanted, reward, judges, quorum, deadline_s };
            purse.perform(open).await?;
            about(purse, id).await
        });
        let next = "Whoever has it runs `pop-node bounty claim`. Judges run `pop-node bounty \
                    approve`.";
        report(&facts.await?, next, context.json);
        Ok(())
    }
}

/// Content and salt of a claim that is not shown yet, on this disk.
struct Secret {
    content: ContentId,
    salt: Digest,
}

impl Secret {
    fn path(data_dir: &Path, bounty: BountyId, claimant: WalletAddress) -> PathBuf {
        data_dir.join("claims").join(format!("{bounty}-{claimant}"))
    }

    fn load(path: &Path) -> Result<Option<Self>, NodeError> {
        let bytes = match fs::read(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|source| NodeError::Input { path: path.to_path_buf(), source })?,
        };
        let bytes: [u8; 64] = bytes.try_into().map_err(|_| {
            bad_input("claim", format!("{} is damaged: it can't be shown", path.display()))
        })?;
        let (mut content, mut salt) = ([0; 32], [0; 32]);
        content.copy_from_slice(&bytes[..32]);
        salt.copy_from_slice(&bytes[32..]);
        Ok(Some(Self { content: ContentId(content), salt: Digest(salt) }))
    }

    /// The secret of before, or a new one, which is on the disk before anybody hears of it.
    fn keep(path: &Path, content: ContentId) -> Result<Self, NodeError> {
        if let Some(known) = Self::load(path)? {
            if known.content == content {
                return Ok(known);
            }
            let problem = format!("this wallet has claimed {} already", known.content);
            return Err(bad_input("claim", problem));
        }
        let salt = Digest(clock::random_bytes().map_err(StoreError::from)?);
        if let Some(folder) = path.parent() {
            create_private(folder)?;
        }
        let failed = |source| NodeError::Output { path: path.to_path_buf(), source };
        write_once(path, &[content.0, salt.0].concat()).map_err(failed)?;
        Ok(Self { content, salt })
    }
}

impl Claim {
    async fn run(self, context: &Context) -> Result<(), NodeError> {
        let settings = context.settings(&self.settings)?;
        let (bounty, content) = (self.bounty, self.content);
        let facts = Purse::with(settings, async |purse| {
            let wallet = purse.wallet();
            let path = Secret::path(&purse.settings.data_dir, bounty, wallet);
            let secret = Secret::keep(&path, content)?;
            let commitment = claim_commitment(bounty, wallet, content, secret.salt);
            let there = purse.ledger.claim(bounty, wallet).await?;
            if there.is_none_or(|claim| claim.commitment != commitment) {
                purse.perform(Operation::CommitClaim { bounty, commitment }).await?;
            }
            about(purse, bounty).await
        });
        let next = "Show it after the ledger's reveal delay: `pop-node bounty reveal`. Until then \
                    nobody knows what it is.";
        report(&facts.await?, next, context.json);
        Ok(())
    }
}

impl Approve {
    async fn run(self, context: &Context) -> Result<(), NodeError> {
        let settings = context.settings(&self.settings)?;
        let (bounty, claimant) = (self.bounty, self.claimant);
        let facts = Purse::with(settings, async |purse| {
            purse.perform(Operation::ApproveClaim { bounty, claimant }).await?;
            about(purse, bounty).await
        });
        let next = "With the quorum it is approved, and paid after the time for a dispute: \
                    `pop-node bounty settle`.";
        report(&facts.await?, next, context.json);
        Ok(())
    }
}

impl One {
    async fn reveal(self, context: &Context) -> Result<(), NodeError> {
        let settings = context.settings(&self.settings)?;
        let bounty = self.bounty;
        let facts = Purse::with(settings, async |purse| {
            let path = Secret::path(&purse.settings.data_dir, bounty, purse.wallet());
            let none =
                || bad_input("claim", "none is kept here: `pop-node bounty claim` makes one");
            let Secret { content, salt } = Secret::load(&path)?.ok_or_else(none)?;
            purse.perform(Operation::RevealClaim { bounty, content, salt }).await?;
            about(purse, bounty).await
        });
        report(&facts.await?, "Next: the judges look at it.", context.json);
        Ok(())
    }

    async fn perform(
        self,
        context: &Context,
        next: &str,
        operation: impl FnOnce(BountyId) -> Operation,
    ) -> Result<(), NodeError> {
        let settings = context.settings(&self.settings)?;
        let operation = operation(self.bounty);
        let facts = Purse::with(settings, async |purse| {
            purse.perform(operation).await?;
            about(purse, self.bounty).await
        });
        report(&facts.await?, next, context.json);
        Ok(())
    }

    async fn show(self, context: &Context) -> Result<(), NodeError> {
        let settings = context.settings(&self.settings)?;
        let show = async |purse: &Purse| about(purse, self.bounty).await;
        report(&Purse::with(settings, show).await?, "", context.json);
        Ok(())
    }
}
