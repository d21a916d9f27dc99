//! The node's settings: flags over environment over file over defaults.
//!
//! Every setting has one name. `http_listen` is `--http-listen` on the command line,
//! `POP_HTTP_LISTEN` in the environment and `http_listen` in the TOML file; lists are separated by
//! commas in the first two. A key nobody knows is an error, because a misspelt quota that is
//! silently ignored costs an operator a disk.

mod layer;
mod value;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use libp2p::Multiaddr;
use pop_wire::{Amount, WalletAddress};

pub use layer::Layer;
pub use value::{ByteSize, ListenAddress, LogFormat};

/// All settings of one node, resolved. `Settings::default()` is what a node runs with when nobody
/// says anything.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// Where the identity, the columns and the journals live. Default: `$STATE_DIRECTORY` when
    /// systemd sets it, else `pop-node` in the XDG data directory.
    pub data_dir: PathBuf,
    /// Addresses to listen on for peers. Default: TCP and QUIC on port 4700 of every interface.
    pub listen: Vec<Multiaddr>,
    /// Addresses to announce besides the observed ones, for a node behind a forwarded port.
    pub external: Vec<Multiaddr>,
    /// Peers to contact first, each ending in `/p2p/<peer id>`.
    pub bootstrap: Vec<Multiaddr>,
    /// Where the HTTP gateway listens, `None` for no gateway. Default: `127.0.0.1:4780`.
    pub http_listen: Option<SocketAddr>,
    /// Host names besides the loopback ones and IP addresses under which the gateway may be
    /// asked. Guards against DNS rebinding.
    pub http_hosts: Vec<String>,
    /// HTTP connections open at once; further ones wait in the listen queue. Default: 512.
    pub http_connections_max: u32,
    /// Where a masternode takes browsers' links, `None` for nowhere. Default: port 4782 of every
    /// address of IPv4: a node is of use to browsers unless its operator says otherwise.
    pub web_listen: Option<SocketAddr>,
    /// Bytes of columns this node will keep. Default: 10 GiB.
    pub quota_bytes: u64,
    /// Wallet that owns this node and its collateral, if it is not the node's own.
    pub operator: Option<WalletAddress>,
    /// The node that serves the ledger, ending in `/p2p/<peer id>`. Default: none.
    pub ledger: Option<Multiaddr>,
    /// Serve the ledger in the data directory to others, and use it. Default: off.
    pub serve_ledger: bool,
    /// Asked for serving where there is a ledger, in POP per megabit and started 100 kbit/s; zero
    /// to serve for free. Default: 0.00000002, which is 0.0032 for a gigabyte at 2 Mbit/s.
    pub price: Amount,
    /// Paid at most for fetching, in the same unit; zero to pay nothing. Default: five times the
    /// default price.
    pub price_max: Amount,
    /// Vouchers of one payer that may wait to be redeemed, in POP: what its overspending can cost
    /// at most. Default: 10.
    pub unredeemed_max: Amount,
    /// Asked at most for a content of which few columns live, in the same unit; no more than
    /// `price` to ask the same for all. Default: four times the default price.
    pub price_scarce_max: Amount,
    /// Seconds between two counts of the live columns of what this node holds; 0 to count none.
    /// Default: an hour.
    pub scarcity_interval_s: u64,
    /// Seconds between two redemptions of vouchers; more make an operation on the ledger cheaper a
    /// voucher, and delay income. Default: an hour.
    pub redeem_interval_s: u64,
    /// Seconds between two looks at the ledger for money that waits for keys that are sold here; 0
    /// to sell none. Nothing is asked while no key is on sale. Default: 10.
    pub key_sale_interval_s: u64,
    /// Fetch on credit while the vault has nothing, or there is none. Default: on.
    pub borrow: bool,
    /// Interest that is offered for it, in 10,000 parts, once. Default: 1,000, so 1.1 for 1.
    pub interest_bps_max: u64,
    /// Serve on credit who has no vault yet, within the limits of `pop_incentive::lending`.
    /// Default: on.
    pub lend: bool,
    /// Interest that is taken at least for it, in 10,000 parts. Default: 1,000.
    pub lend_interest_bps: u64,
    /// Bytes that a borrower without age may owe; one with age may owe twice as many. Default:
    /// 256 MiB.
    pub lend_fresh_bytes: u64,
    /// Bytes that all borrowers may owe together. Default: 16 GiB.
    pub lend_total_bytes: u64,
    /// Exchange links open at once. Default: 1,024.
    pub links_max: u32,
    /// Shard payload held in memory for all peers that are being served, in bytes: the bound on
    /// what serving costs in memory. Default: 64 MiB.
    pub serve_bytes_max: u64,
    /// Shard payload held or on its way for one content that is being fetched, in bytes. Default:
    /// 64 MiB. Two segments always fit, whatever is set.
    pub fetch_bytes_max: u64,
    /// Shard payload that one upload may have on its way before more credit is granted, in bytes.
    /// Default: 1 MiB.
    pub link_credit_bytes: u64,
    /// How logs are written to standard error. Default: text.
    pub log_format: LogFormat,
    /// Leave loopback addresses out of the limits on peers per IP prefix: for local networks and
    /// tests only, since it also admits any number of identities from this machine. Default: off.
    pub diversity_exempt_loopback: bool,
}

/// Who gave a setting its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Nobody: the default.
    Default,
    /// The TOML file.
    File,
    /// A `POP_…` variable.
    Environment,
    /// The command line.
    Flag,
}

/// Settings with the origin of every one of them.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The values.
    pub settings: Settings,
    /// Setting name to who set it, for every setting.
    pub origins: BTreeMap<&'static str, Origin>,
}

/// Why the settings cannot be used. The messages are for the operator.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read the settings file {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A key that is no setting.
    #[error("{path}:{line}: unknown setting `{key}`{}", did_you_mean(*.nearest))]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// Line of the key, from 1.
        line: usize,
        /// The key.
        key: String,
        /// The setting whose name is nearest, if one is near at all.
        nearest: Option<&'static str>,
    },
    /// The file is no TOML, or a value has the wrong type.
    #[error("{path}:{line}: {message}")]
    BadFile {
        /// The file.
        path: PathBuf,
        /// Line of the fault, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// A variable whose value cannot be read.
    #[error("{variable}: {message}")]
    BadVariable {
        /// The variable's name.
        variable: String,
        /// What is wrong.
        message: String,
    },
    /// A value that is well formed but cannot work.
    #[error("setting `{key}`: {message}")]
    Unusable {
        /// The setting.
        key: &'static str,
        /// What is wrong and what would do.
        message: &'static str,
    },
}

fn did_you_mean(nearest: Option<&'static str>) -> String {
    nearest.map_or_else(String::new, |name| format!(", did you mean `{name}`?"))
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            data_dir: default_data_dir(),
            listen: vec![tcp_any(), quic_any()],
            external: Vec::new(),
            bootstrap: Vec::new(),
            http_listen: Some(SocketAddr::from(([127, 0, 0, 1], 4780))),
            http_hosts: Vec::new(),
            http_connections_max: 512,
            web_listen: Some(SocketAddr::from(([0, 0, 0, 0], 4782))),
            quota_bytes: 10 << 30,
            operator: None,
            ledger: None,
            serve_ledger: false,
            price: Amount::from_base_units(20_000_000_000),
            price_max: Amount::from_base_units(100_000_000_000),
            unredeemed_max: Amount::from_base_units(10 * Amount::ONE_POP.base_units()),
            price_scarce_max: Amount::from_base_units(80_000_000_000),
            scarcity_interval_s: 3_600,
            redeem_interval_s: 3_600,
            key_sale_interval_s: 10,
            borrow: true,
            interest_bps_max: 1_000,
            lend: true,
            lend_interest_bps: 1_000,
            lend_fresh_bytes: 256 << 20,
            lend_total_bytes: 16 << 30,
            links_max: 1024,
            serve_bytes_max: 64 << 20,
            fetch_bytes_max: 64 << 20,
            link_credit_bytes: 1 << 20,
            log_format: LogFormat::Text,
            diversity_exempt_loopback: false,
        }
    }
}

impl Settings {
    /// Reads the environment and the settings file, and puts `flags` over both.
    ///
    /// The file is `config`, else `$POP_CONFIG`, else `pop-node/config.toml` in the XDG
    /// configuration directory; only the last may be missing.
    ///
    /// # Errors
    ///
    /// [`SettingsError`], naming file and line or variable.
    pub fn load(flags: &Layer, config: Option<&Path>) -> Result<Resolved, SettingsError> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let named =
            config.map(Path::to_path_buf).or_else(|| variable("POP_CONFIG").map(PathBuf::from));
        let must_exist = named.is_some();
        let path = named.or_else(default_config_path);
        let file = match path {
            Some(path) if must_exist || path.exists() => {
                let text = std::fs::read_to_string(&path)
                    .map_err(|source| SettingsError::Unreadable { path: path.clone(), source })?;
                Layer::from_toml(&text, &path)?
            }
            _ => Layer::default(),
        };
        Self::resolve(flags, &Layer::from_environment(variable)?, &file)
    }

    /// Puts `flags` over `environment` over `file` over the defaults.
    ///
    /// # Errors
    ///
    /// [`SettingsError::Unusable`] for a value that cannot work.
    pub fn resolve(
        flags: &Layer,
        environment: &Layer,
        file: &Layer,
    ) -> Result<Resolved, SettingsError> {
        let mut resolved = Resolved {
            settings: Self::default(),
            origins: Layer::NAMES.iter().map(|name| (*name, Origin::Default)).collect(),
        };
        file.apply(Origin::File, &mut resolved);
        environment.apply(Origin::Environment, &mut resolved);
        flags.apply(Origin::Flag, &mut resolved);
        resolved.settings.refuse_unusable()?;
        Ok(resolved)
    }

    /// A settings file that says what the defaults already say, with a comment on each.
    #[must_use]
    pub fn sample_toml() -> &'static str {
        include_str!("settings/sample.toml")
    }

    fn refuse_unusable(&self) -> Result<(), SettingsError> {
        let shard_bytes_max = u64::try_from(pop_wire::limits::SHARD_BYTES_MAX).unwrap_or(u64::MAX);
        let unusable = |key, message| Err(SettingsError::Unusable { key, message });
        if self.http_connections_max == 0 {
            return unusable("http_connections_max", "expected at least 1, got 0");
        }
        if self.links_max == 0 {
            return unusable("links_max", "expected at least 1, got 0");
        }
        if self.link_credit_bytes < shard_bytes_max {
            return unusable(
                "link_credit_bytes",
                "expected at least one shard of the largest size",
            );
        }
        if self.fetch_bytes_max < shard_bytes_max {
            return unusable("fetch_bytes_max", "expected at least one shard of the largest size");
        }
        if self.serve_bytes_max < shard_bytes_max {
            return unusable("serve_bytes_max", "expected at least one shard of the largest size");
        }
        if self.ledger.as_ref().is_some_and(|it| crate::transport::split_peer(it).is_none()) {
            return unusable("ledger", "expected an address that ends in /p2p/<peer id>");
        }
        if self.ledger.is_some() && self.serve_ledger {
            return unusable("ledger", "this node serves its own: expected no other one");
        }
        Ok(())
    }
}

fn tcp_any() -> Multiaddr {
    "/ip4/0.0.0.0/tcp/4700".parse().expect("a constant that a test parses")
}

fn quic_any() -> Multiaddr {
    "/ip4/0.0.0.0/udp/4700/quic-v1".parse().expect("a constant that a test parses")
}

fn default_data_dir() -> PathBuf {
    // systemd joins several state directories with colons; the first is the unit's own.
    if let Some(joined) = std::env::var_os("STATE_DIRECTORY")
        && let Some(first) = std::env::split_paths(&joined).next()
    {
        return first;
    }
    etcetera::choose_base_strategy().map_or_else(
        |_| PathBuf::from("pop-node-data"),
        |strategy| strategy.data_dir().join("pop-node"),
    )
}

fn default_config_path() -> Option<PathBuf> {
    let strategy = etcetera::choose_base_strategy().ok()?;
    Some(strategy.config_dir().join("pop-node/config.toml"))
}
