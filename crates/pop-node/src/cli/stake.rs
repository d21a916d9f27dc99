use std::path::PathBuf;

use pop_incentive::ledger::Operation;
use pop_incentive::ledger::protocol::RegistrationInfo;
use pop_wire::{Amount, Keypair, WalletAddress};

use super::Context;
use super::facts::{Fact, Facts, maybe, report, text, when};
use super::outlook::{self, Assumptions};
use super::purse::Purse;
use super::secret::PassphraseSource;
use crate::error::NodeError;
use crate::settings::{ByteSize, Layer, Settings};

#[derive(Debug, clap::Args)]
struct Owner {
    /// Keystore of the wallet that owns the collateral; this node's own wallet if absent
    #[arg(long, value_name = "FILE")]
    owner_keystore: Option<PathBuf>,
    #[command(flatten)]
    passphrase: PassphraseSource,
}

#[derive(Debug, clap::Args)]
pub(super) struct Stake {
    /// How much, in POP; what is missing to the least collateral if absent
    #[arg(long, value_name = "POP")]
    amount: Option<Amount>,
    /// Show what the node may expect to earn, and stake nothing
    #[arg(long)]
    forecast: bool,
    /// Other masternodes of the same size, among whom rewards are shared
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    assume_others: u64,
    /// Bytes that viewers take from the node until the horizon, at 100 kbit/s
    #[arg(long, value_name = "SIZE", default_value = "0")]
    assume_served: ByteSize,
    #[command(flatten)]
    assumed: Assumptions,
    #[command(flatten)]
    owner: Owner,
    #[command(flatten)]
    settings: Layer,
}

#[derive(Debug, clap::Args)]
pub(super) struct Unstake {
    #[command(flatten)]
    owner: Owner,
    #[command(flatten)]
    settings: Layer,
}

impl Owner {
    /// The key that owns the collateral: the cold one of a keystore, or the node's own.
    fn key(&self) -> Result<Option<Keypair>, NodeError> {
        let key = self.owner_keystore.as_deref().map(|path| self.passphrase.unlock(path));
        key.transpose()
    }
}

fn wallet(key: &Keypair) -> WalletAddress {
    key.peer_id().wallet_address()
}

fn about(owner: WalletAddress, purse: &Purse, node: Option<&RegistrationInfo>) -> Facts {
    let leaves = node.and_then(|node| node.registration.withdrawable);
    vec![
        ("node", text(purse.keypair.peer_id())),
        ("owner", text(owner)),
        ("collateral", maybe(node, |node| Fact::Amount(node.collateral))),
        ("masternode", Fact::Flag(node.is_some_and(|node| node.is_masternode))),
        ("withdrawable", maybe(leaves, Fact::Time)),
    ]
}

impl Stake {
    pub(super) async fn run(self, context: &Context) -> Result<(), NodeError> {
        let settings = context.settings(&self.settings)?;
        let cold = self.owner.key()?;
        let done = Purse::with(settings, async |purse| {
            let owner_key = cold.as_ref().unwrap_or(&purse.keypair);
            let (owner, operator) = (wallet(owner_key), purse.keypair.peer_id());
            let parameters = purse.ledger.genesis().await?.parameters;
            let least = parameters.collateral_min;
            let before = purse.ledger.registration(owner, operator).await?;
            let have = before.map_or(Amount::ZERO, |node| node.collateral);
            let missing = least.checked_sub(have).unwrap_or(Amount::ZERO);
            let amount = self.amount.unwrap_or(missing);
            let room = (&purse.settings, self.assume_others, self.assume_served.0);
            let stake = have.checked_add(amount).unwrap_or(have);
            let outlook = self.assumed.masternode(&parameters, (operator, owner), stake, room)?;
            let outlook = outlook::about(&outlook, &self.assumed);
            let operation = match before {
                _ if self.forecast => None,
                None => Some(Operation::RegisterCollateral { operator, amount }),
                Some(_) if amount == Amount::ZERO => None,
                Some(_) => Some(Operation::TopUpCollateral { operator, amount }),
            };
            if let Some(operation) = operation {
                purse.ledger.perform(owner_key, operation).await?;
            }
            let after = purse.ledger.registration(owner, operator).await?;
            let mut facts = about(owner, purse, after.as_ref());
            facts.push(("forecast", Fact::List(vec![outlook])));
            let staked = if self.forecast { Amount::ZERO } else { amount };
            facts.push(("staked", Fact::Amount(staked)));
            let next = if self.forecast {
                "Nothing was staked. The forecast is a guess: that every audit passes, and that \
                 nothing changes but what --assume-… says."
                    .to_owned()
            } else if owner == purse.owner() {
                "Next: `pop-node run`.".to_owned()
            } else {
                format!("Next: set `operator = \"{owner}\"` in the settings, then `pop-node run`.")
            };
            Ok((facts, next))
        });
        let (facts, next) = done.await?;
        report(&facts, &next, context.json);
        Ok(())
    }
}

impl Unstake {
    pub(super) async fn run(self, context: &Context) -> Result<(), NodeError> {
        let settings = context.settings(&self.settings)?;
        let cold = self.owner.key()?;
        let done = Purse::with(settings, async |purse| {
            let owner_key = cold.as_ref().unwrap_or(&purse.keypair);
            let (owner, operator) = (wallet(owner_key), purse.keypair.peer_id());
            let before = purse.ledger.registration(owner, operator).await?;
            let leaving = before.is_some_and(|node| node.registration.withdrawable.is_some());
            let operation = if leaving {
                Operation::WithdrawCollateral { operator }
            } else {
                Operation::Unbond { operator }
            };
            purse.ledger.perform(owner_key, operation).await?;
            let after = purse.ledger.registration(owner, operator).await?;
            let mut facts = about(owner, purse, after.as_ref());
            facts.push(("withdrawn", Fact::Flag(leaving)));
            let next = match after.and_then(|node| node.registration.withdrawable) {
                Some(from) => format!(
                    "Leaving. The collateral can be had back from {} on: run `pop-node unstake` \
                     again then.",
                    when(from)
                ),
                None => "The collateral is back in the owner's wallet.".to_owned(),
            };
            Ok((facts, next))
        });
        let (facts, next) = done.await?;
        report(&facts, &next, context.json);
        Ok(())
    }
}

/// Refuse to go on unless this node has its collateral on the ledger.
pub(super) async fn require(settings: &Settings) -> Result<(), NodeError> {
    // `run` serves only what it is told to; a ledger that happens to be here doesn't count.
    if settings.ledger.is_none() && !settings.serve_ledger {
        return Err(NodeError::NoLedger);
    }
    Purse::with(settings.clone(), async |purse| {
        let (owner, node) = (purse.owner(), purse.keypair.peer_id());
        let found = purse.ledger.registration(owner, node).await?;
        if found.is_some_and(|node| node.is_masternode) {
            return Ok(());
        }
        let need = purse.ledger.genesis().await?.parameters.collateral_min;
        let have = found.map_or(Amount::ZERO, |node| node.collateral);
        let leaves = found.is_some_and(|node| node.registration.withdrawable.is_some());
        let leaving = if leaves { ", and is leaving" } else { "" };
        Err(NodeError::NotStaked { node, owner, have, need, leaving })
    })
    .await
}
