use pop_incentive::ledger::protocol::Genesis;
use pop_incentive::ledger::{LedgerParameters, Operation};
use pop_wire::{Amount, WalletAddress};

use super::Context;
use super::facts::{Fact, Facts, report, text};
use super::purse::Purse;
use crate::error::NodeError;
use crate::settings::Layer;
use crate::{clock, disk, ledger};

/// Found a ledger, make its first money, look through its journal.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Ledger {
    /// Make a ledger in the data directory, once; this node's wallet is its operator
    ///
    /// Its parameters are a part of its name: they never change.
    Create(Create),
    /// Make money, up to the supply that the ledger was created with (its operator only)
    Mint(Mint),
    /// Read the whole journal anew, check every signature in it, count the money (offline)
    ///
    /// No node may have it open.
    Verify(Verify),
    /// Show what the ledger in use is, and how far
    Show(Show),
}

#[derive(Debug, clap::Args)]
pub(super) struct Create {
    /// Most that may ever be minted, in POP
    #[arg(long, value_name = "POP", default_value = "1000000000")]
    supply: Amount,
    /// Least collateral of a masternode, in POP
    #[arg(long, value_name = "POP", default_value = "50000")]
    collateral_min: Amount,
    /// Most that may be emitted as rewards in one epoch, in POP
    #[arg(long, value_name = "POP", default_value = "1000000")]
    emission_per_epoch: Amount,
    /// Length of an emission epoch
    #[arg(long, value_name = "SECONDS", default_value_t = 7 * 86_400)]
    epoch_s: u64,
    /// From leaving to having the collateral back
    #[arg(long, value_name = "SECONDS", default_value_t = 14 * 86_400)]
    unbonding_s: u64,
    /// From asking to having a vault's money back
    #[arg(long, value_name = "SECONDS", default_value_t = 86_400)]
    vault_unlock_s: u64,
    /// Between committing to a claim of a bounty and showing it
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    reveal_s: u64,
    /// Time that the opener of a bounty has to object
    #[arg(long, value_name = "SECONDS", default_value_t = 86_400)]
    dispute_s: u64,
    /// What one wrong costs, in 10,000 parts of the least collateral
    #[arg(long, value_name = "BPS", default_value_t = 2_000)]
    slash_bps: u64,
    /// Greatest interest of a loan, in 10,000 parts
    #[arg(long, value_name = "BPS", default_value_t = 10_000)]
    interest_max_bps: u64,
    #[command(flatten)]
    settings: Layer,
}

/// Make money and give it to a wallet.
#[derive(Debug, clap::Args)]
pub(super) struct Mint {
    /// Who gets it
    #[arg(long, value_name = "ADDRESS")]
    to: WalletAddress,
    /// How much, in POP
    amount: Amount,
    #[command(flatten)]
    settings: Layer,
}

#[derive(Debug, clap::Args)]
pub(super) struct Verify {
    #[command(flatten)]
    settings: Layer,
}

/// Show what the ledger in use is.
#[derive(Debug, clap::Args)]
pub(super) struct Show {
    #[command(flatten)]
    settings: Layer,
}

impl Ledger {
    pub(super) async fn run(self, context: &Context) -> Result<(), NodeError> {
        match self {
            Self::Create(verb) => verb.run(context),
            Self::Mint(verb) => verb.run(context).await,
            Self::Verify(verb) => verb.run(context),
            Self::Show(verb) => verb.run(context).await,
        }
    }
}

impl Create {
    fn run(self, context: &Context) -> Result<(), NodeError> {
        let settings = context.settings(&self.settings)?;
        let operator = disk::load_identity(&settings.data_dir)?;
        let mut parameters = LedgerParameters::new(operator.peer_id().wallet_address());
        parameters.genesis = clock::unix_now();
        parameters.genesis_supply = self.supply;
        parameters.collateral_min = self.collateral_min;
        parameters.emission_per_epoch = self.emission_per_epoch;
        parameters.epoch_s = self.epoch_s;
        parameters.unbonding_s = self.unbonding_s;
        parameters.vault_unlock_s = self.vault_unlock_s;
        parameters.reveal_s = self.reveal_s;
        parameters.dispute_s = self.dispute_s;
        parameters.slash_bps = self.slash_bps;
        parameters.interest_max_bps = self.interest_max_bps;
        let genesis = ledger::create(&settings.data_dir, &operator, parameters)?;
        let next = "Next: `pop-node ledger mint --to ADDRESS AMOUNT`, then `pop-node run \
                    --serve-ledger`; others name this node with --ledger.\nBack up ledger/ in the \
                    data directory: it is all there is of the money.";
        report(&about(&genesis), next, context.json);
        Ok(())
    }
}

impl Mint {
    async fn run(self, context: &Context) -> Result<(), NodeError> {
        let settings = context.settings(&self.settings)?;
        let facts = Purse::with(settings, async |purse| {
            let (to, amount) = (self.to, self.amount);
            purse.perform(Operation::Mint { to, amount }).await?;
            let account = pop_incentive::ledger::Account::Wallet(to);
            let balance = purse.ledger.balance(account).await?;
            Ok(vec![
                ("minted", Fact::Amount(amount)),
                ("to", text(to)),
                ("balance", Fact::Amount(balance)),
            ])
        });
        report(&facts.await?, "", context.json);
        Ok(())
    }
}

impl Verify {
    fn run(self, context: &Context) -> Result<(), NodeError> {
        let settings = context.settings(&self.settings)?;
        let found = ledger::verify(&settings.data_dir)?;
        let mut facts = about(&found.genesis);
        facts.extend([
            ("records", Fact::Number(found.head.count)),
            ("head", text(hex::encode(found.head.hash))),
            ("last_operation", Fact::Time(found.time)),
            ("emitted", Fact::Amount(found.emitted)),
            ("burned", Fact::Amount(found.burned)),
            ("repair_fund", Fact::Amount(found.repair_fund)),
            ("accounts", Fact::Number(found.accounts)),
        ]);
        let next = "Every record follows the one before, is signed by who it says, and makes the \
                    balances there are. Write records and head down elsewhere: they show if the \
                    journal is ever rewritten.";
        report(&facts, next, context.json);
        Ok(())
    }
}

impl Show {
    async fn run(self, context: &Context) -> Result<(), NodeError> {
        let settings = context.settings(&self.settings)?;
        let info = Purse::with(settings, async |purse| Ok(purse.ledger.info().await?)).await?;
        let mut facts = about(&info.genesis);
        facts.extend([
            ("records", Fact::Number(info.head.count)),
            ("head", text(hex::encode(info.head.hash))),
            ("last_operation", Fact::Time(info.time)),
        ]);
        report(&facts, "", context.json);
        Ok(())
    }
}

fn about(genesis: &Genesis) -> Facts {
    let Genesis { domain, parameters } = genesis;
    vec![
        ("ledger", text(hex::encode(genesis.ledger_id()))),
        ("chain_id", Fact::Number(domain.chain_id())),
        ("contract", text(domain.contract())),
        ("operator", text(parameters.operator)),
        ("genesis", Fact::Time(parameters.genesis)),
        ("supply", Fact::Amount(parameters.genesis_supply)),
        ("collateral_min", Fact::Amount(parameters.collateral_min)),
        ("emission_per_epoch", Fact::Amount(parameters.emission_per_epoch)),
        ("epoch_s", Fact::Number(parameters.epoch_s)),
        ("unbonding_s", Fact::Number(parameters.unbonding_s)),
        ("vault_unlock_s", Fact::Number(parameters.vault_unlock_s)),
    ]
}
