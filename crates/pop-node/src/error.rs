//! What can go wrong, whose fault it is, and what to do next.

use std::io;
use std::path::PathBuf;

use pop_erasure::{EncodeError, GeometryError, LinkError};
use pop_wire::{Amount, ContentId, PeerId, SegmentIndex, WalletAddress, WireError};

use crate::chromium::ChromiumError;
use crate::disk::StoreError;
use crate::key_sale::KeySaleError;
use crate::ledger::{LedgerClientError, LedgerFileError};
use crate::settings::SettingsError;
use crate::wallet::WalletError;

/// Why a verb or a call of [`Node`](crate::Node) failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The settings can't be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The disk refused or failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The ledger refused, or did not answer.
    #[error(transparent)]
    Ledger(#[from] LedgerClientError),
    /// A content key can't be sold or bought.
    #[error(transparent)]
    KeySale(#[from] KeySaleError),
    /// The ledger on this disk can't be created or opened.
    #[error(transparent)]
    LedgerFile(#[from] LedgerFileError),
    /// No ledger is named, and this needs one.
    #[error("no ledger is configured")]
    NoLedger,
    /// A masternode needs collateral, and this node has none or too little.
    #[error(
        "no masternode: {node} has {have} of {need} collateral by {owner} on the ledger{leaving}"
    )]
    NotStaked {
        /// The node.
        node: PeerId,
        /// Whose collateral it should be.
        owner: WalletAddress,
        /// What there is.
        have: Amount,
        /// What there must be.
        need: Amount,
        /// That it is on its way back, if it is.
        leaving: &'static str,
    },
    /// There is no key, or it can't be had.
    #[error(transparent)]
    Wallet(#[from] WalletError),
    /// Something that was given to a verb can't be used.
    #[error("{what}: {problem}")]
    BadInput {
        /// What was given.
        what: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The link is no link.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The link has no key, and reading needs one.
    #[error("link: it names the content but carries no key")]
    KeyMissing,
    /// The key is not the one that the manifest commits to.
    #[error("the key in the link does not open {content}")]
    WrongKey {
        /// The content.
        content: ContentId,
    },
    /// The range lies outside the content.
    #[error("range: expected bytes below {length_bytes}, got {start} to {end}")]
    Range {
        /// Length of the content.
        length_bytes: u64,
        /// First byte asked for.
        start: u64,
        /// Last byte asked for.
        end: u64,
    },
    /// An input file can't be read.
    #[error("cannot read {path}: {source}")]
    Input {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// An input file changed while it was being published.
    #[error("{path} changed while it was being published")]
    InputChanged {
        /// The file.
        path: PathBuf,
    },
    /// An output file can't be written.
    #[error("cannot write {path}: {source}")]
    Output {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// k and n can't be used, or the network is too small for any.
    #[error(transparent)]
    Geometry(#[from] GeometryError),
    /// The content can't be encoded.
    #[error("encode: {0}")]
    Encode(#[from] EncodeError),
    /// There is no way to place the columns on the nodes there are.
    #[error("placement: {0}")]
    Placement(#[from] pop_dht::PlacementError),
    /// Too few masternodes answered.
    #[error("expected at least {need} masternodes, found {have}")]
    TooFewNodes {
        /// Nodes found.
        have: usize,
        /// Nodes needed.
        need: usize,
    },
    /// Nobody knows the content.
    #[error("{content}: nobody who was asked knows it")]
    UnknownContent {
        /// The content.
        content: ContentId,
    },
    /// Too few columns are within reach to rebuild anything.
    #[error("{content}, {segment}: expected {need} shards, only {have} are within reach")]
    TooFewHolders {
        /// The content.
        content: ContentId,
        /// First segment that can't be rebuilt.
        segment: SegmentIndex,
        /// Shards within reach.
        have: usize,
        /// Shards needed: k.
        need: usize,
    },
    /// Not every column could be stored.
    #[error("{missing} of {total} columns found no holder: {last_reason}")]
    NotPlaced {
        /// Columns without a holder.
        missing: usize,
        /// Columns of the content.
        total: usize,
        /// What the last holder that refused said.
        last_reason: String,
    },
    /// The publisher signed an inconsistent encoding; the proof is in a file.
    #[error("{content}: its publisher signed shards that are no codeword; proof: {proof}")]
    Equivocation {
        /// The content.
        content: ContentId,
        /// Where the portable proof was written.
        proof: PathBuf,
    },
    /// The shards are authentic and open to nothing.
    #[error("{content}, {segment}: the shards are authentic and do not decrypt")]
    Undecryptable {
        /// The content.
        content: ContentId,
        /// The segment.
        segment: SegmentIndex,
    },
    /// A message or record that we made is not valid.
    #[error("wire: {0}")]
    Wire(#[from] WireError),
    /// The records of payments can't be read or written.
    #[error("{path}: the records of payments can't be used: {problem}")]
    MoneyStore {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// The records of payments contradict themselves.
    #[error("the records of payments are damaged: {problem}")]
    MoneyRecords {
        /// How.
        problem: String,
    },
    /// Another process pays from this wallet; two at once would promise the same money twice.
    #[error("{path} is in use by another process, which pays from the same wallet")]
    WalletInUse {
        /// The records of its payments.
        path: PathBuf,
    },
    /// An address to listen on can't be used.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// The address.
        address: String,
        /// Why.
        reason: String,
    },
    /// No peer that we were told to contact first answered.
    #[error("none of {count} bootstrap peers answered")]
    Bootstrap {
        /// Peers tried.
        count: usize,
    },
    /// No running node answers under the address.
    #[error("no node answers at {address}: {reason}")]
    NoNode {
        /// Where it was looked for.
        address: String,
        /// Why.
        reason: String,
    },
    /// The operating system refused.
    #[error("cannot {action}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// A browser of the demo's can't be started, or broke off.
    #[error(transparent)]
    Browser(#[from] ChromiumError),
    /// The demonstration did not show what it promises.
    #[error("demo: {0}")]
    Demo(String),
    /// The node is going down.
    #[error("the node is shutting down")]
    ShuttingDown,
}

impl NodeError {
    /// The process's exit code (`sysexits.h` where one fits).
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Settings(_) => 78,
            Self::Ledger(error) => error.exit_code(),
            Self::LedgerFile(error) => error.exit_code(),
            Self::KeySale(error) => error.exit_code(),
            Self::NoLedger => 78,
            Self::NotStaked { .. } => 77,
            Self::Wallet(error) => error.exit_code(),
            Self::BadInput { .. } => 65,
            Self::Link(_) | Self::KeyMissing | Self::WrongKey { .. } | Self::Range { .. } => 65,
            Self::InputChanged { .. } | Self::Geometry(_) | Self::Encode(_) => 65,
            Self::Input { .. } => 66,
            Self::Store(error) if error.is_full() => 73,
            Self::Store(_) | Self::MoneyStore { .. } | Self::MoneyRecords { .. } => 74,
            Self::WalletInUse { .. } => 75,
            Self::Output { .. } => 73,
            Self::Placement(_)
            | Self::TooFewNodes { .. }
            | Self::UnknownContent { .. }
            | Self::TooFewHolders { .. }
            | Self::NotPlaced { .. }
            | Self::Listen { .. }
            | Self::Bootstrap { .. }
            | Self::NoNode { .. }
            | Self::Browser(ChromiumError::Missing { .. })
            | Self::ShuttingDown => 69,
            Self::Equivocation { .. } | Self::Undecryptable { .. } => 76,
            Self::Wire(_) | Self::Io { .. } | Self::Browser(_) | Self::Demo(_) => 1,
        }
    }

    /// A short name for programs; never changes its meaning.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Settings(_) => "settings",
            Self::Ledger(error) => error.code(),
            Self::LedgerFile(error) => error.code(),
            Self::KeySale(error) => error.code(),
            Self::NoLedger => "no_ledger",
            Self::NotStaked { .. } => "not_staked",
            Self::Wallet(error) => error.code(),
            Self::BadInput { .. } => "bad_input",
            Self::Store(error) if error.is_full() => "disk_full",
            Self::Store(_) => "store",
            Self::MoneyStore { .. } | Self::MoneyRecords { .. } => "money_store",
            Self::WalletInUse { .. } => "wallet_in_use",
            Self::Link(_) => "bad_link",
            Self::KeyMissing => "key_missing",
            Self::WrongKey { .. } => "wrong_key",
            Self::Range { .. } => "bad_range",
            Self::Input { .. } => "input",
            Self::InputChanged { .. } => "input_changed",
            Self::Output { .. } => "output",
            Self::Geometry(_) => "geometry",
            Self::Encode(_) => "encode",
            Self::Placement(_) => "placement",
            Self::TooFewNodes { .. } => "too_few_nodes",
            Self::UnknownContent { .. } => "unknown_content",
            Self::TooFewHolders { .. } => "too_few_holders",
            Self::NotPlaced { .. } => "not_placed",
            Self::Equivocation { .. } => "equivocation",
            Self::Undecryptable { .. } => "undecryptable",
            Self::Wire(_) => "wire",
            Self::Listen { .. } => "listen",
            Self::Bootstrap { .. } => "bootstrap",
            Self::NoNode { .. } => "no_node",
            Self::Io { .. } => "io",
            Self::Browser(_) => "browser",
            Self::Demo(_) => "demo",
            Self::ShuttingDown => "shutting_down",
        }
    }

    /// What the operator does next, where the message alone doesn't say it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Ledger(error) => return error.hint(),
            Self::LedgerFile(error) => return error.hint(),
            Self::KeySale(error) => error.hint(),
            Self::NoLedger => {
                "name the node that serves it: --ledger /ip4/…/tcp/4700/p2p/<peer id>; or make one \
                 with `pop-node ledger create` and run with --serve-ledger; a node that earns \
                 nothing needs none: `pop-node run --no-stake`"
            }
            Self::NotStaked { .. } => {
                "`pop-node stake` locks what is missing; if another wallet holds it, name that in \
                 the setting `operator`; or run with --no-stake, which earns no rewards"
            }
            Self::Wallet(error) => return error.hint(),
            Self::Link(_) => {
                "a link looks like pop:<52 characters>?k=<52 characters>; copy it whole"
            }
            Self::MoneyStore { .. } | Self::MoneyRecords { .. } => {
                "check the disk, and restore the file from a backup only if no other copy paid since"
            }
            Self::WalletInUse { .. } => {
                "ask the node that runs there, at its gateway, or stop it; or give another --data-dir"
            }
            Self::KeyMissing => "ask whoever gave you the link for the part after `?k=`",
            Self::WrongKey { .. } => {
                "copy the link again; a single wrong character changes the key"
            }
            Self::Range { .. } => {
                "give --range A-B with A and B inside the content, counted from 0"
            }
            Self::Input { .. } => "check the path and its permissions",
            Self::InputChanged { .. } => "publish it again when nothing writes to it any more",
            Self::TooFewNodes { .. } | Self::Geometry(_) => {
                "name more bootstrap peers with --bootstrap, or wait until more masternodes joined"
            }
            Self::UnknownContent { .. } => {
                "check the link, and that --bootstrap leads into its network"
            }
            Self::TooFewHolders { .. } => {
                "try again later: the content is whole again as soon as enough holders are back"
            }
            Self::NotPlaced { .. } => "run the same command again: it uploads only what is missing",
            Self::Equivocation { .. } => {
                "keep the proof: anybody can check it, and `pop-node report PROOF` costs the \
                                          publisher collateral"
            }
            Self::Bootstrap { .. } => "check --bootstrap: /ip4/…/tcp/4700/p2p/<peer id>",
            Self::Browser(ChromiumError::Missing { .. }) => {
                "install one (Debian: apt-get install chromium), or name it with --chromium FILE \
                 or in POP_CHROMIUM"
            }
            Self::NoNode { .. } => "start one with `pop-node run`, or give its --http-listen",
            Self::Listen { .. } => "another program may use the port; choose one with --listen",
            _ => return None,
        })
    }
}
