use pop_incentive::ids::PoolId;
use pop_incentive::ledger::names::{pool_id, share_leaf, share_tree};
use pop_incentive::ledger::{Account, Operation, shares};
use pop_wire::{Amount, Digest, WalletAddress};

use super::Context;
use super::facts::{Fact, Facts, maybe, report, text};
use super::names::{INDICES_MAX, bad_input, name, panel, quorum};
use super::purse::{Purse, in_days};
use crate::error::NodeError;
use crate::settings::Layer;

/// Money that members share by the bytes that they served.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Pool {
    /// Open a pool: its members decide together how each epoch is shared
    ///
    /// Costs nothing; only a majority of the members can move what is in it.
    Create(Create),
    /// Put money into a pool; what no epoch took comes back after the deadline
    Deposit(Deposit),
    /// As a member: agree on how an epoch is shared; the quorum's same words close it
    Approve(Approve),
    /// Have a member's share of a closed epoch paid
    ///
    /// Anybody may; the money goes to the member.
    Claim(Claim),
    /// As a depositor: have one's part of the rest back after the deadline
    Reclaim(Reclaim),
    /// Show a pool, and one of its epochs
    Show(Show),
}

#[derive(Debug, clap::Args)]
pub(super) struct Create {
    /// Who earns from it, separated by commas
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',', required = true)]
    members: Vec<WalletAddress>,
    /// How many members must agree on an epoch; the least majority if absent
    #[arg(long, value_name = "COUNT")]
    quorum: Option<u64>,
    /// Days until no further epoch is closed and the rest goes back
    #[arg(long, value_name = "DAYS", default_value_t = 90)]
    days: u64,
    #[command(flatten)]
    settings: Layer,
}

/// Put money in.
#[derive(Debug, clap::Args)]
pub(super) struct Deposit {
    /// The pool's id
    #[arg(value_parser = name::<PoolId>)]
    pool: PoolId,
    /// How much, in POP
    amount: Amount,
    #[command(flatten)]
    settings: Layer,
}

/// What each member served in an epoch: the same for all members, or they don't agree.
#[derive(Debug, clap::Args)]
struct Epoch {
    /// The pool's id
    #[arg(value_parser = name::<PoolId>)]
    pool: PoolId,
    /// Number of the epoch
    epoch: u64,
    /// What is shared, in POP
    #[arg(long, value_name = "POP")]
    total: Amount,
    /// Verified bytes of a member; once for each, or separated by commas
    #[arg(long, value_name = "ADDRESS=BYTES", value_delimiter = ',', required = true,
        value_parser = served)]
    served: Vec<(WalletAddress, u64)>,
}

/// Agree on an epoch.
#[derive(Debug, clap::Args)]
pub(super) struct Approve {
    #[command(flatten)]
    epoch: Epoch,
    #[command(flatten)]
    settings: Layer,
}

#[derive(Debug, clap::Args)]
pub(super) struct Claim {
    #[command(flatten)]
    epoch: Epoch,
    /// Whose share; this wallet's if absent
    #[arg(long, value_name = "ADDRESS")]
    member: Option<WalletAddress>,
    #[command(flatten)]
    settings: Layer,
}

/// Have the rest back.
#[derive(Debug, clap::Args)]
pub(super) struct Reclaim {
    /// The pool's id
    #[arg(value_parser = name::<PoolId>)]
    pool: PoolId,
    #[command(flatten)]
    settings: Layer,
}

/// Show a pool.
#[derive(Debug, clap::Args)]
pub(super) struct Show {
    /// The pool's id
    #[arg(value_parser = name::<PoolId>)]
    pool: PoolId,
    /// One of its epochs
    #[arg(long, value_name = "NUMBER")]
    epoch: Option<u64>,
    #[command(flatten)]
    settings: Layer,
}

fn served(text: &str) -> Result<(WalletAddress, u64), String> {
    let wrong = || format!("expected ADDRESS=BYTES, got `{text}`");
    let (wallet, bytes) = text.split_once('=').ok_or_else(wrong)?;
    let wallet = wallet.parse().map_err(|error| format!("{}: {error}", wrong()))?;
    Ok((wallet, bytes.parse().map_err(|_| wrong())?))
}

impl Pool {
    pub(super) async fn run(self, context: &Context) -> Result<(), NodeError> {
        match self {
            Self::Create(verb) => verb.run(context).await,
            Self::Deposit(verb) => verb.run(context).await,
            Self::Approve(verb) => verb.run(context).await,
            Self::Claim(verb) => verb.run(context).await,
            Self::Reclaim(verb) => verb.run(context).await,
            Self::Show(verb) => verb.run(context).await,
        }
    }
}

async fn about(purse: &Purse, id: PoolId, epoch: Option<u64>) -> Result<Facts, NodeError> {
    let pool = purse.ledger.pool(id).await?;
    let pool = pool.ok_or_else(|| bad_input("pool", "the ledger knows none of this id"))?;
    let members = pool.members.iter().map(|member| vec![("member", text(member))]).collect();
    let mut facts = vec![
        ("pool", text(id)),
        ("members", Fact::List(members)),
        ("quorum", Fact::Number(pool.quorum)),
        ("deadline", Fact::Time(pool.deadline)),
        ("deposited", Fact::Amount(pool.deposited)),
        ("balance", Fact::Amount(purse.ledger.balance(Account::Pool(id)).await?)),
        ("reserved", Fact::Amount(pool.reserved)),
        ("returned", maybe(pool.returned, Fact::Amount)),
    ];
    if let Some(number) = epoch {
        let closed = purse.ledger.pool_epoch(id, number).await?;
        facts.extend([
            ("epoch", Fact::Number(number)),
            ("closed", Fact::Flag(closed.is_some())),
            ("root", maybe(closed, |epoch| text(epoch.root))),
            ("total", maybe(closed, |epoch| Fact::Amount(epoch.total))),
            ("claimed", maybe(closed, |epoch| Fact::Amount(epoch.claimed))),
        ]);
    }
    Ok(facts)
}

impl Create {
    async fn run(self, context: &Context) -> Result<(), NodeError> {
        let settings = context.settings(&self.settings)?;
        let members = panel(self.members);
        let quorum = quorum(self.quorum, &members);
        let facts = Purse::with(settings, async |purse| {
            let domain = purse.ledger.domain().await?;
            let mut free = None;
            for index in 0..INDICES_MAX {
                let id = pool_id(&domain, purse.wallet(), index);
                if purse.ledger.pool(id).await?.is_none() {
                    free = Some((index, id));
                    break;
                }
            }
            let (index, id) = free.ok_or_else(|| bad_input("pool", "this wallet has too many"))?;
            let deadline_s = in_days(self.days).0;
            let operation = Operation::CreatePool { index, members, quorum, deadline_s };
            purse.perform(operation).await?;
            about(purse, id, None).await
        });
        let next = "Next: `pop-node pool deposit`. Members close an epoch with `pop-node pool \
                    approve`.";
        report(&facts.await?, next, context.json);
        Ok(())
    }
}

impl Deposit {
    async fn run(self, context: &Context) -> Result<(), NodeError> {
        let settings = context.settings(&self.settings)?;
        let (pool, amount) = (self.pool, self.amount);
        let facts = Purse::with(settings, async |purse| {
            purse.perform(Operation::DepositPool { pool, amount }).await?;
            about(purse, pool, None).await
        });
        let next = "The members' majority shares it. What they leave comes back after the \
                    deadline: `pop-node pool reclaim`.";
        report(&facts.await?, next, context.json);
        Ok(())
    }
}

/// The shares of an epoch, and the tree over them.
struct Shared {
    root: Digest,
    /// Member, bytes, share and path, ascending by member.
    members: Vec<(WalletAddress, u64, Amount, Vec<Digest>)>,
}

impl Epoch {
    fn share(&self) -> Result<Shared, NodeError> {
        let mut served = self.served.clone();
        served.sort_unstable();
        if served.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(bad_input("served", "a member is there twice"));
        }
        let bytes: Vec<u64> = served.iter().map(|(_, bytes)| *bytes).collect();
        let shares = shares(self.total, &bytes)
            .ok_or_else(|| bad_input("served", "nobody has served anything"))?;
        let leaf = |((member, bytes), amount): (&(WalletAddress, u64), &Amount)| {
            share_leaf(self.pool, self.epoch, *member, *bytes, *amount)
        };
        let leaves: Vec<Digest> = served.iter().zip(&shares).map(leaf).collect();
        let (root, paths) =
            share_tree(&leaves).ok_or_else(|| bad_input("served", "expected 1 to 64 members"))?;
        let members = served.into_iter().zip(shares).zip(paths);
        let members =
            members.map(|(((member, bytes), amount), path)| (member, bytes, amount, path));
        Ok(Shared { root, members: members.collect() })
    }
}

impl Approve {
    async fn run(self, context: &Context) -> Result<(), NodeError> {
        let settings = context.settings(&self.settings)?;
        let shared = self.epoch.share()?;
        let Epoch { pool, epoch, total, .. } = self.epoch;
        let facts = Purse::with(settings, async |purse| {
            let root = shared.root;
            purse.perform(Operation::ApproveEpoch { pool, epoch, root, total }).await?;
            let mut facts = about(purse, pool, Some(epoch)).await?;
            let share = |(member, bytes, amount, _): &(WalletAddress, u64, Amount, _)| {
                let amount = Fact::Amount(*amount);
                vec![("member", text(member)), ("bytes", Fact::Number(*bytes)), ("share", amount)]
            };
            facts.push(("approved_root", text(root)));
            facts.push(("shares", Fact::List(shared.members.iter().map(share).collect())));
            Ok(facts)
        });
        let next = "The epoch is closed as soon as the quorum has said exactly this; then each \
                    share can be had: `pop-node pool claim` with the same numbers.";
        report(&facts.await?, next, context.json);
        Ok(())
    }
}

impl Claim {
    async fn run(self, context: &Context) -> Result<(), NodeError> {
        let settings = context.settings(&self.settings)?;
        let shared = self.epoch.share()?;
        let Epoch { pool, epoch, .. } = self.epoch;
        let facts = Purse::with(settings, async |purse| {
            let member = self.member.unwrap_or_else(|| purse.wallet());
            let mut members = shared.members.into_iter();
            let (_, bytes, amount, path) = members
                .find(|(wallet, ..)| *wallet == member)
                .ok_or_else(|| bad_input("member", "has no share in this epoch"))?;
            let claim = Operation::ClaimShare { pool, epoch, member, bytes, amount, path };
            purse.perform(claim).await?;
            let mut facts = about(purse, pool, Some(epoch)).await?;
            facts.extend([("member", text(member)), ("paid", Fact::Amount(amount))]);
            Ok(facts)
        });
        report(&facts.await?, "", context.json);
        Ok(())
    }
}

impl Reclaim {
    async fn run(self, context: &Context) -> Result<(), NodeError> {
        let settings = context.settings(&self.settings)?;
        let facts = Purse::with(settings, async |purse| {
            purse.perform(Operation::ReclaimDeposit { pool: self.pool }).await?;
            about(purse, self.pool, None).await
        });
        report(&facts.await?, "", context.json);
        Ok(())
    }
}

impl Show {
    async fn run(self, context: &Context) -> Result<(), NodeError> {
        let settings = context.settings(&self.settings)?;
        let show = async |purse: &Purse| about(purse, self.pool, self.epoch).await;
        report(&Purse::with(settings, show).await?, "", context.json);
        Ok(())
    }
}
