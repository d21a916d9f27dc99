//! One source's say on the settings: what it leaves out, the next source decides.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use libp2p::Multiaddr;
use pop_wire::{Amount, WalletAddress};
use serde::Deserialize;
use toml::de::DeTable;

use super::value::{self, ByteSize, ListenAddress, LogFormat};
use super::{Origin, Resolved, SettingsError};

/// The settings that one source gives. It is also the group of flags that the command line takes.
#[derive(Clone, Debug, Default, Deserialize, clap::Args)]
#[serde(default)]
#[non_exhaustive]
pub struct Layer {
    /// Directory of the identity, the columns and the journals
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Addresses to listen on for peers
    #[arg(long, value_name = "MULTIADDR", value_delimiter = ',')]
    pub listen: Option<Vec<Multiaddr>>,
    /// Further addresses to announce
    #[arg(long, value_name = "MULTIADDR", value_delimiter = ',')]
    pub external: Option<Vec<Multiaddr>>,
    /// Peers to contact first
    #[arg(long, value_name = "MULTIADDR", value_delimiter = ',')]
    pub bootstrap: Option<Vec<Multiaddr>>,
    /// Address of the HTTP gateway, or `off`
    #[arg(long, value_name = "ADDRESS")]
    #[serde(deserialize_with = "value::text")]
    pub http_listen: Option<ListenAddress>,
    /// Further host names of the HTTP gateway
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub http_hosts: Option<Vec<String>>,
    /// HTTP connections open at once
    #[arg(long, value_name = "COUNT")]
    pub http_connections_max: Option<u32>,
    /// Address for browsers' links, or `off`
    #[arg(long, value_name = "ADDRESS")]
    #[serde(deserialize_with = "value::text")]
    pub web_listen: Option<ListenAddress>,
    /// Bytes of columns to keep, such as 500GB
    #[arg(long, value_name = "SIZE")]
    pub quota_bytes: Option<ByteSize>,
    /// Wallet address of the owner
    #[arg(long, value_name = "ADDRESS")]
    #[serde(deserialize_with = "value::text")]
    pub operator: Option<WalletAddress>,
    /// Node that serves the ledger
    #[arg(long, value_name = "MULTIADDR")]
    pub ledger: Option<Multiaddr>,
    /// Serve the ledger in the data directory to others
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub serve_ledger: Option<bool>,
    /// Asked for serving, in POP per megabit and 100 kbit/s; 0 to serve for free
    #[arg(long, value_name = "POP")]
    #[serde(deserialize_with = "value::text")]
    pub price: Option<Amount>,
    /// Paid at most for fetching, in POP per megabit and 100 kbit/s; 0 to pay nothing
    #[arg(long, value_name = "POP")]
    #[serde(deserialize_with = "value::text")]
    pub price_max: Option<Amount>,
    /// Vouchers that one payer may leave unredeemed, in POP
    #[arg(long, value_name = "POP")]
    #[serde(deserialize_with = "value::text")]
    pub unredeemed_max: Option<Amount>,
    /// Asked at most for a content of which few columns live
    #[arg(long, value_name = "POP")]
    #[serde(deserialize_with = "value::text")]
    pub price_scarce_max: Option<Amount>,
    /// Seconds between counts of the live columns of what is held; 0 counts none
    #[arg(long, value_name = "SECONDS")]
    pub scarcity_interval_s: Option<u64>,
    /// Seconds between redemptions of vouchers
    #[arg(long, value_name = "SECONDS")]
    pub redeem_interval_s: Option<u64>,
    /// Seconds between looks at the ledger for buyers of keys; 0 sells none
    #[arg(long, value_name = "SECONDS")]
    pub key_sale_interval_s: Option<u64>,
    /// Fetch on credit while there is nothing to pay with
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub borrow: Option<bool>,
    /// Interest offered for credit, in 10,000 parts
    #[arg(long, value_name = "BPS")]
    pub interest_bps_max: Option<u64>,
    /// Serve on credit who has nothing to pay with yet
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub lend: Option<bool>,
    /// Interest taken at least for credit, in 10,000 parts
    #[arg(long, value_name = "BPS")]
    pub lend_interest_bps: Option<u64>,
    /// Bytes that a new borrower may owe
    #[arg(long, value_name = "SIZE")]
    pub lend_fresh_bytes: Option<ByteSize>,
    /// Bytes that all borrowers may owe together
    #[arg(long, value_name = "SIZE")]
    pub lend_total_bytes: Option<ByteSize>,
    /// Exchange links open at once
    #[arg(long, value_name = "COUNT")]
    pub links_max: Option<u32>,
    /// Memory for shards being served, over all peers
    #[arg(long, value_name = "SIZE")]
    pub serve_bytes_max: Option<ByteSize>,
    /// Memory for shards of one content being fetched
    #[arg(long, value_name = "SIZE")]
    pub fetch_bytes_max: Option<ByteSize>,
    /// Shard bytes one upload may send ahead
    #[arg(long, value_name = "SIZE")]
    pub link_credit_bytes: Option<ByteSize>,
    /// Format of the logs: text or json
    #[arg(long, value_name = "FORMAT")]
    #[serde(deserialize_with = "value::text")]
    pub log_format: Option<LogFormat>,
    /// Do not count loopback peers per IP prefix (local networks only)
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub diversity_exempt_loopback: Option<bool>,
}

impl Layer {
    /// Every setting's name, in alphabetical order.
    pub const NAMES: &'static [&'static str] = &[
        "bootstrap",
        "borrow",
        "data_dir",
        "diversity_exempt_loopback",
        "external",
        "fetch_bytes_max",
        "http_connections_max",
        "http_hosts",
        "http_listen",
        "interest_bps_max",
        "key_sale_interval_s",
        "ledger",
        "lend",
        "lend_fresh_bytes",
        "lend_interest_bps",
        "lend_total_bytes",
        "link_credit_bytes",
        "links_max",
        "listen",
        "log_format",
        "operator",
        "price",
        "price_max",
        "price_scarce_max",
        "quota_bytes",
        "redeem_interval_s",
        "scarcity_interval_s",
        "serve_bytes_max",
        "serve_ledger",
        "unredeemed_max",
        "web_listen",
    ];

    /// Reads a settings file's text; `path` is for the messages.
    ///
    /// # Errors
    ///
    /// [`SettingsError::UnknownKey`] and [`SettingsError::BadFile`].
    pub fn from_toml(text: &str, path: &Path) -> Result<Self, SettingsError> {
        let bad_file = |error: &toml::de::Error| SettingsError::BadFile {
            path: path.to_path_buf(),
            line: line_of(text, error.span().map_or(0, |span| span.start)),
            message: error.message().to_owned(),
        };
        let table = DeTable::parse(text).map_err(|error| bad_file(&error))?;
        for key in table.get_ref().keys() {
            let name = key.get_ref().as_ref();
            if !Self::NAMES.contains(&name) {
                return Err(SettingsError::UnknownKey {
                    path: path.to_path_buf(),
                    line: line_of(text, key.span().start),
                    key: name.to_owned(),
                    nearest: nearest(name),
                });
            }
        }
        toml::from_str(text).map_err(|error| bad_file(&error))
    }

    /// Reads the `POP_…` variables that `variable` knows.
    ///
    /// # Errors
    ///
    /// [`SettingsError::BadVariable`].
    pub fn from_environment(
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, SettingsError> {
        let variables = Variables(&variable);
        Ok(Self {
            data_dir: variables.one("POP_DATA_DIR")?,
            listen: variables.list("POP_LISTEN")?,
            external: variables.list("POP_EXTERNAL")?,
            bootstrap: variables.list("POP_BOOTSTRAP")?,
            http_listen: variables.one("POP_HTTP_LISTEN")?,
            http_hosts: variables.list("POP_HTTP_HOSTS")?,
            http_connections_max: variables.one("POP_HTTP_CONNECTIONS_MAX")?,
            web_listen: variables.one("POP_WEB_LISTEN")?,
            quota_bytes: variables.one("POP_QUOTA_BYTES")?,
            operator: variables.one("POP_OPERATOR")?,
            ledger: variables.one("POP_LEDGER")?,
            serve_ledger: variables.one("POP_SERVE_LEDGER")?,
            price: variables.one("POP_PRICE")?,
            price_max: variables.one("POP_PRICE_MAX")?,
            unredeemed_max: variables.one("POP_UNREDEEMED_MAX")?,
            price_scarce_max: variables.one("POP_PRICE_SCARCE_MAX")?,
            scarcity_interval_s: variables.one("POP_SCARCITY_INTERVAL_S")?,
            redeem_interval_s: variables.one("POP_REDEEM_INTERVAL_S")?,
            key_sale_interval_s: variables.one("POP_KEY_SALE_INTERVAL_S")?,
            borrow: variables.one("POP_BORROW")?,
            interest_bps_max: variables.one("POP_INTEREST_BPS_MAX")?,
            lend: variables.one("POP_LEND")?,
            lend_interest_bps: variables.one("POP_LEND_INTEREST_BPS")?,
            lend_fresh_bytes: variables.one("POP_LEND_FRESH_BYTES")?,
            lend_total_bytes: variables.one("POP_LEND_TOTAL_BYTES")?,
            links_max: variables.one("POP_LINKS_MAX")?,
            serve_bytes_max: variables.one("POP_SERVE_BYTES_MAX")?,
            fetch_bytes_max: variables.one("POP_FETCH_BYTES_MAX")?,
            link_credit_bytes: variables.one("POP_LINK_CREDIT_BYTES")?,
            log_format: variables.one("POP_LOG_FORMAT")?,
            diversity_exempt_loopback: variables.one("POP_DIVERSITY_EXEMPT_LOOPBACK")?,
        })
    }

    /// Writes what this layer says over `resolved`.
    pub(super) fn apply(&self, origin: Origin, resolved: &mut Resolved) {
        let settings = &mut resolved.settings;
        let origins = &mut resolved.origins;
        let mut put = |name, given: bool| {
            if given {
                origins.insert(name, origin);
            }
        };
        put("data_dir", set(&self.data_dir, &mut settings.data_dir));
        put("listen", set(&self.listen, &mut settings.listen));
        put("external", set(&self.external, &mut settings.external));
        put("bootstrap", set(&self.bootstrap, &mut settings.bootstrap));
        let http_listen = self.http_listen.map(|listen| listen.0);
        put("http_listen", set(&http_listen, &mut settings.http_listen));
        put("http_hosts", set(&self.http_hosts, &mut settings.http_hosts));
        put(
            "http_connections_max",
            set(&self.http_connections_max, &mut settings.http_connections_max),
        );
        let web_listen = self.web_listen.map(|listen| listen.0);
        put("web_listen", set(&web_listen, &mut settings.web_listen));
        let quota_bytes = self.quota_bytes.map(|size| size.0);
        put("quota_bytes", set(&quota_bytes, &mut settings.quota_bytes));
        put("operator", set(&self.operator.map(Some), &mut settings.operator));
        put("ledger", set(&self.ledger.clone().map(Some), &mut settings.ledger));
        put("serve_ledger", set(&self.serve_ledger, &mut settings.serve_ledger));
        put("price", set(&self.price, &mut settings.price));
        put("price_max", set(&self.price_max, &mut settings.price_max));
        put("unredeemed_max", set(&self.unredeemed_max, &mut settings.unredeemed_max));
        put("price_scarce_max", set(&self.price_scarce_max, &mut settings.price_scarce_max));
        put(
            "scarcity_interval_s",
            set(&self.scarcity_interval_s, &mut settings.scarcity_interval_s),
        );
        put("redeem_interval_s", set(&self.redeem_interval_s, &mut settings.redeem_interval_s));
        put(
            "key_sale_interval_s",
            set(&self.key_sale_interval_s, &mut settings.key_sale_interval_s),
        );
        put("borrow", set(&self.borrow, &mut settings.borrow));
        put("interest_bps_max", set(&self.interest_bps_max, &mut settings.interest_bps_max));
        put("lend", set(&self.lend, &mut settings.lend));
        put("lend_interest_bps", set(&self.lend_interest_bps, &mut settings.lend_interest_bps));
        let lend_fresh_bytes = self.lend_fresh_bytes.map(|size| size.0);
        put("lend_fresh_bytes", set(&lend_fresh_bytes, &mut settings.lend_fresh_bytes));
        let lend_total_bytes = self.lend_total_bytes.map(|size| size.0);
        put("lend_total_bytes", set(&lend_total_bytes, &mut settings.lend_total_bytes));
        put("links_max", set(&self.links_max, &mut settings.links_max));
        let fetch_bytes_max = self.fetch_bytes_max.map(|size| size.0);
        put("fetch_bytes_max", set(&fetch_bytes_max, &mut settings.fetch_bytes_max));
        let serve_bytes_max = self.serve_bytes_max.map(|size| size.0);
        put("serve_bytes_max", set(&serve_bytes_max, &mut settings.serve_bytes_max));
        let link_credit_bytes = self.link_credit_bytes.map(|size| size.0);
        put("link_credit_bytes", set(&link_credit_bytes, &mut settings.link_credit_bytes));
        put("log_format", set(&self.log_format, &mut settings.log_format));
        put(
            "diversity_exempt_loopback",
            set(&self.diversity_exempt_loopback, &mut settings.diversity_exempt_loopback),
        );
    }
}

fn set<T: Clone>(given: &Option<T>, target: &mut T) -> bool {
    if let Some(value) = given {
        target.clone_from(value);
    }
    given.is_some()
}

struct Variables<'a, F>(&'a F);

impl<F: Fn(&str) -> Option<String>> Variables<'_, F> {
    fn one<T>(&self, name: &str) -> Result<Option<T>, SettingsError>
    where
        T: FromStr,
        T::Err: Display,
    {
        (self.0)(name).map(|text| parse(name, &text)).transpose()
    }

    fn list<T>(&self, name: &str) -> Result<Option<Vec<T>>, SettingsError>
    where
        T: FromStr,
        T::Err: Display,
    {
        (self.0)(name)
            .map(|text| {
                text.split(',')
                    .map(str::trim)
                    .filter(|item| !item.is_empty())
                    .map(|item| parse(name, item))
                    .collect()
            })
            .transpose()
    }
}

fn parse<T>(name: &str, text: &str) -> Result<T, SettingsError>
where
    T: FromStr,
    T::Err: Display,
{
    text.parse().map_err(|error: T::Err| SettingsError::BadVariable {
        variable: name.to_owned(),
        message: error.to_string(),
    })
}

fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or_default();
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}

/// The setting with the smallest edit distance to `key`, if a third of its letters still match.
fn nearest(key: &str) -> Option<&'static str> {
    let key = key.to_ascii_lowercase().replace('-', "_");
    Layer::NAMES
        .iter()
        .map(|name| (edit_distance(&key, name), *name))
        .min()
        .filter(|(distance, name)| distance * 3 <= name.len().max(key.len()) * 2)
        .map(|(_, name)| name)
}

/// Levenshtein's distance between two short ASCII words.
fn edit_distance(left: &str, right: &str) -> usize {
    let mut previous: Vec<usize> = (0..=right.len()).collect();
    for (row, a) in left.bytes().enumerate() {
        let mut diagonal = row;
        if let Some(first) = previous.first_mut() {
            *first = row + 1;
        }
        for (column, b) in right.bytes().enumerate() {
            let above = previous[column + 1];
            let best = (diagonal + usize::from(a != b)).min(above + 1).min(previous[column] + 1);
            diagonal = above;
            previous[column + 1] = best;
        }
    }
    previous.last().copied().unwrap_or_default()
}
