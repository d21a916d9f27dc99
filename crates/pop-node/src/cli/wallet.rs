use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

use pop_incentive::ledger::names::vault_id;
use pop_incentive::ledger::{Account, Operation};
use pop_incentive::voucher::VaultInfo;
use pop_incentive::wallet::{Mnemonic, Role, ScryptParameters};
use pop_wire::{Amount, WalletAddress};
use zeroize::Zeroizing;

use super::Context;
use super::facts::{Fact, Facts, maybe, report, text, when};
use super::purse::Purse;
use super::secret::{self, PassphraseSource};
use super::status::of_running_node;
use crate::clock;
use crate::disk::{self, StoreError};
use crate::error::NodeError;
use crate::money::Idle;
use crate::settings::{Layer, Settings};
use crate::wallet::{self as keys, WalletError};

/// Time that a node that may be running has to say what it promised.
const STATUS_TIMEOUT: Duration = Duration::from_secs(2);

/// Which of a wallet's vaults the node pays from.
const VAULT_INDEX: u64 = 0;

/// Keys, and the money that they can move.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Wallet {
    /// Make a new wallet: words for paper, the owner's keystore, and this node's key
    ///
    /// Its words are shown once and kept nowhere: write them down.
    Create(Create),
    /// Make the same from the words on paper
    Restore(Restore),
    /// Show this node's address and the owner's, without asking anybody
    Show(Show),
    /// Show what the wallet has, has in its vault, has as collateral, and owes
    Balance(Balance),
    /// Put money into this node's vault, from which it pays for what it watches
    ///
    /// It can be taken back after the ledger's unlock delay.
    Deposit(Deposit),
    /// Take all that is left out of the vault: once to ask, and again after the delay
    ///
    /// Payees have the ledger's unlock delay to take what they were promised.
    Withdraw(Withdraw),
    /// Give money to another wallet
    ///
    /// There is no way to have it back.
    Send(Send),
}

#[derive(Debug, clap::Args)]
struct KeyFiles {
    /// The owner's keystore [default: owner.json in the data directory; better on another disk]
    #[arg(long, value_name = "FILE")]
    keystore: Option<PathBuf>,
    /// Which of the wallet's operator keys becomes this node's, if it has none yet
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    number: u32,
    /// Encrypt with 4 MiB instead of 256 MiB of memory: a passphrase is guessed ten times as
    /// cheaply
    #[arg(long)]
    light: bool,
    #[command(flatten)]
    passphrase: PassphraseSource,
    #[command(flatten)]
    settings: Layer,
}

#[derive(Debug, clap::Args)]
pub(super) struct Create {
    /// How many words: 12 or 24
    #[arg(long, value_name = "COUNT", default_value_t = 24, value_parser = word_count)]
    words: u8,
    #[command(flatten)]
    files: KeyFiles,
}

#[derive(Debug, clap::Args)]
pub(super) struct Restore {
    /// File with the words; asked for on the terminal if absent
    #[arg(long, value_name = "FILE")]
    mnemonic_file: Option<PathBuf>,
    #[command(flatten)]
    files: KeyFiles,
}

/// Show addresses.
#[derive(Debug, clap::Args)]
pub(super) struct Show {
    /// The owner's keystore [default: owner.json in the data directory]
    #[arg(long, value_name = "FILE")]
    keystore: Option<PathBuf>,
    #[command(flatten)]
    settings: Layer,
}

/// Show what there is.
#[derive(Debug, clap::Args)]
pub(super) struct Balance {
    #[command(flatten)]
    settings: Layer,
}

#[derive(Debug, clap::Args)]
pub(super) struct Deposit {
    /// How much to pay from, in POP
    amount: Amount,
    /// How much more to lose if this node ever promises more than it has
    #[arg(long, value_name = "POP", default_value = "0")]
    penalty: Amount,
    #[command(flatten)]
    settings: Layer,
}

#[derive(Debug, clap::Args)]
pub(super) struct Withdraw {
    #[command(flatten)]
    settings: Layer,
}

#[derive(Debug, clap::Args)]
pub(super) struct Send {
    /// Who gets it
    to: WalletAddress,
    /// How much, in POP
    amount: Amount,
    #[command(flatten)]
    settings: Layer,
}

fn word_count(text: &str) -> Result<u8, String> {
    match text {
        "12" => Ok(12),
        "24" => Ok(24),
        other => Err(format!("expected 12 or 24, got `{other}`")),
    }
}

impl Wallet {
    pub(super) async fn run(self, context: &Context) -> Result<(), NodeError> {
        match self {
            Self::Create(verb) => verb.run(context),
            Self::Restore(verb) => verb.run(context),
            Self::Show(verb) => verb.run(context),
            Self::Balance(verb) => verb.run(context).await,
            Self::Deposit(verb) => verb.run(context).await,
            Self::Withdraw(verb) => verb.run(context).await,
            Self::Send(verb) => verb.run(context).await,
        }
    }
}

/// Where the owner's keystore is.
fn keystore_path(given: Option<PathBuf>, settings: &Settings) -> PathBuf {
    given.unwrap_or_else(|| settings.data_dir.join("owner.json"))
}

impl Create {
    fn run(self, context: &Context) -> Result<(), NodeError> {
        if !context.json && !std::io::stdout().is_terminal() {
            return Err(WalletError::WordsWouldStay.into());
        }
        let entropy = Zeroizing::new(clock::random_bytes().map_err(WalletError::from)?);
        let mut half = Zeroizing::new([0; 16]);
        half.copy_from_slice(&entropy[..16]);
        let mnemonic = match self.words {
            12 => Mnemonic::of_12_words(&half),
            _ => Mnemonic::of_24_words(&entropy),
        };
        let mut facts = self.files.keep(context, &mnemonic)?;
        let words = Zeroizing::new(mnemonic.words().collect::<Vec<_>>().join(" "));
        facts.push(("mnemonic", text(words.as_str())));
        let next = "Write the words down now, on paper: they are shown this once, and whoever has \
                    them has the money. Keep the keystore away from the node.";
        report(&facts, next, context.json);
        Ok(())
    }
}

impl Restore {
    fn run(self, context: &Context) -> Result<(), NodeError> {
        let mnemonic = secret::mnemonic(self.mnemonic_file.as_deref())?;
        let facts = self.files.keep(context, &mnemonic)?;
        let next = "If the owner's address is not the one you know, a word is wrong in a way that \
                    no checksum sees, or the wallet had a BIP-39 passphrase.";
        report(&facts, next, context.json);
        Ok(())
    }
}

impl KeyFiles {
    /// Write the owner's keystore, and the node's key if it has none.
    fn keep(self, context: &Context, mnemonic: &Mnemonic) -> Result<Facts, NodeError> {
        let settings = context.settings(&self.settings)?;
        let keystore = keystore_path(self.keystore, &settings);
        if keystore.exists() {
            return Err(WalletError::Exists { path: keystore }.into());
        }
        let seed = mnemonic.seed(&pop_incentive::wallet::Passphrase::default());
        let owner = seed.key(Role::Owner).map_err(WalletError::from)?;
        let operator = seed.key(Role::Operator(self.number)).map_err(WalletError::from)?;
        let passphrase = self.passphrase.new_one(&keystore)?;
        let cost = if self.light { ScryptParameters::LIGHT } else { ScryptParameters::STANDARD };
        keys::write_keystore(&keystore, &owner, &passphrase, cost)?;
        let new_identity = match disk::keep_identity(&settings.data_dir, &operator) {
            Ok(()) => true,
            Err(StoreError::IdentityExists { .. }) => false,
            Err(error) => return Err(error.into()),
        };
        let node = disk::load_identity(&settings.data_dir)?.peer_id();
        Ok(vec![
            ("owner", text(owner.peer_id().wallet_address())),
            ("keystore", text(keystore.display())),
            ("peer", text(node)),
            ("wallet", text(node.wallet_address())),
            ("identity_from_words", Fact::Flag(new_identity)),
        ])
    }
}

impl Show {
    fn run(self, context: &Context) -> Result<(), NodeError> {
        let settings = context.settings(&self.settings)?;
        let node = disk::load_identity(&settings.data_dir)?.peer_id();
        let mut facts: Facts = vec![("peer", text(node)), ("wallet", text(node.wallet_address()))];
        let given = self.keystore.is_some();
        let keystore = keystore_path(self.keystore, &settings);
        if given || keystore.exists() {
            let owner = keys::read_keystore(&keystore)?.address();
            facts.push(("owner", maybe(owner, text)));
            facts.push(("keystore", text(keystore.display())));
        }
        report(&facts, "", context.json);
        Ok(())
    }
}

impl Balance {
    async fn run(self, context: &Context) -> Result<(), NodeError> {
        let settings = context.settings(&self.settings)?;
        let running = tokio::time::timeout(STATUS_TIMEOUT, of_running_node(&settings)).await;
        let facts = Purse::with(settings, async |purse| {
            let (ledger, wallet, owner) = (&purse.ledger, purse.wallet(), purse.owner());
            let balance = ledger.balance(Account::Wallet(wallet)).await?;
            let mut facts: Facts =
                vec![("wallet", text(wallet)), ("balance", Fact::Amount(balance))];
            if owner != wallet {
                let balance = ledger.balance(Account::Wallet(owner)).await?;
                facts.push(("owner", text(owner)));
                facts.push(("owner_balance", Fact::Amount(balance)));
            }
            facts.extend(about_vault(vault(purse).await?.as_ref()));
            // Only the node that pays knows what it has promised and nobody redeemed yet.
            let own = running.ok().and_then(Result::ok);
            let own = own.filter(|status| status.wallet == wallet.to_string());
            let promised = own.and_then(|status| status.promised?.parse().ok());
            facts.push(("vault_promised", maybe(promised, Fact::Amount)));
            let node = ledger.registration(owner, purse.keypair.peer_id()).await?;
            facts.push(("collateral", maybe(node, |node| Fact::Amount(node.collateral))));
            let leaves = node.and_then(|node| node.registration.withdrawable);
            facts.push(("collateral_withdrawable", maybe(leaves, Fact::Time)));
            let loans = ledger.liens(wallet).await?;
            let owed = loans
                .iter()
                .try_fold(Amount::ZERO, |sum, (_, loan)| sum.checked_add(loan.outstanding));
            facts.push(("debts", maybe(owed, Fact::Amount)));
            Ok(facts)
        });
        report(&facts.await?, "", context.json);
        Ok(())
    }
}

/// The vault that this node pays from, if there is one.
async fn vault(purse: &Purse) -> Result<Option<VaultInfo>, NodeError> {
    let domain = purse.ledger.domain().await?;
    Ok(purse.ledger.vault(vault_id(&domain, purse.wallet(), VAULT_INDEX)).await?)
}

fn about_vault(vault: Option<&VaultInfo>) -> Facts {
    let amount = |read: fn(&VaultInfo) -> Amount| maybe(vault, |it| Fact::Amount(read(it)));
    vec![
        ("vault", maybe(vault, |vault| text(vault.vault))),
        ("vault_balance", amount(VaultInfo::balance)),
        ("vault_funded", amount(|vault| vault.funded)),
        ("vault_redeemed", amount(|vault| vault.redeemed)),
        ("vault_penalty", amount(|vault| vault.penalty)),
        ("vault_epoch", maybe(vault, |vault| Fact::Number(vault.epoch))),
        ("vault_closes", maybe(vault.and_then(|vault| vault.closes), Fact::Time)),
    ]
}

impl Deposit {
    async fn run(self, context: &Context) -> Result<(), NodeError> {
        let settings = context.settings(&self.settings)?;
        let (deposit, penalty) = (self.amount, self.penalty);
        let facts = Purse::with(settings, async |purse| {
            let operation = match vault(purse).await? {
                None => Operation::OpenVault { index: VAULT_INDEX, deposit, penalty },
                Some(it) => Operation::FundVault { vault: it.vault, deposit, penalty },
            };
            purse.perform(operation).await?;
            Ok(about_vault(vault(purse).await?.as_ref()))
        });
        let next = "The node pays from it for what it watches. `pop-node wallet withdraw` takes \
                    back what is left.";
        report(&facts.await?, next, context.json);
        Ok(())
    }
}

impl Withdraw {
    async fn run(self, context: &Context) -> Result<(), NodeError> {
        let settings = context.settings(&self.settings)?;
        let done = Purse::with(settings, async |purse| {
            let none = || NodeError::BadInput {
                what: "vault",
                problem: "this wallet has none: `pop-node wallet deposit` opens one".to_owned(),
            };
            let before = vault(purse).await?.ok_or_else(none)?;
            let id = before.vault;
            let idle = Idle::hold(&purse.settings.data_dir)?;
            let next = match before.closes {
                None => {
                    purse.perform(Operation::RequestUnlock { vault: id }).await?;
                    let closes = vault(purse).await?.and_then(|vault| vault.closes);
                    let closes = closes.map(when).unwrap_or_default();
                    format!(
                        "Asked for. Payees may take what they were promised until {closes}; run \
                         `pop-node wallet withdraw` again then."
                    )
                }
                Some(_) => {
                    purse.perform(Operation::WithdrawVault { vault: id }).await?;
                    "The money is in the wallet.".to_owned()
                }
            };
            let after = vault(purse).await?;
            after.map_or(Ok(()), |info| idle.vault_is(info))?;
            let mut facts = about_vault(after.as_ref());
            facts.push(("withdrawn", Fact::Flag(before.closes.is_some())));
            Ok((facts, next))
        });
        let (facts, next) = done.await?;
        report(&facts, &next, context.json);
        Ok(())
    }
}

impl Send {
    async fn run(self, context: &Context) -> Result<(), NodeError> {
        let settings = context.settings(&self.settings)?;
        let (to, amount) = (self.to, self.amount);
        let left = Purse::with(settings, async |purse| {
            purse.perform(Operation::Transfer { to, amount }).await?;
            Ok(purse.ledger.balance(Account::Wallet(purse.wallet())).await?)
        });
        let facts = vec![
            ("sent", Fact::Amount(amount)),
            ("to", text(to)),
            ("balance", Fact::Amount(left.await?)),
        ];
        report(&facts, "", context.json);
        Ok(())
    }
}
