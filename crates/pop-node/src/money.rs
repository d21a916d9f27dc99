//! The node's money: it pays for what it fetches and is paid for what it serves, by the machines of
//! `pop-incentive`, over the links of `pop-exchange`. Nothing here decides what anything costs or
//! who may be trusted with how much: it carries messages, records and the ledger's answers.

mod purse;
mod report;
mod store;
mod till;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use pop_incentive::exposure::{ExposureLimits, IpPrefix};
use pop_incentive::ledger::LoanNote;
use pop_incentive::ledger::names::vault_id;
use pop_incentive::lending::LenderPolicy;
use pop_incentive::rate::Rate;
use pop_incentive::typed_data::LedgerDomain;
use pop_incentive::voucher::{SignedVoucher, VaultInfo};
use pop_wire::{Amount, Keypair, Manifest, WalletAddress};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::store::{Loaded, MoneyStore, Writer};
use crate::error::NodeError;
use crate::ledger::LedgerClient;
use crate::settings::Settings;
use crate::stats::Stats;

pub(crate) use self::purse::{Purse, Traffic, Wanted, Word};
pub use self::report::{Earnings, LoanRow, Row};
pub use self::store::Earned;
pub(crate) use self::till::{Action, News, Till};

/// Bitrate that is paid for when a content doesn't say how long it plays: one tier.
const KBPS_UNKNOWN: u32 = 100;

/// What the operator decided about money.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    /// Asked per megabit and tier; none to serve for free.
    pub(crate) price: Option<Rate>,
    /// Paid at most per megabit and tier; none to pay nothing.
    pub(crate) price_max: Option<Rate>,
    /// Asked at most where few columns live.
    price_scarce_max: Option<Rate>,
    unredeemed_max: Amount,
    redeem_interval_s: u64,
    loopback_is_exempt: bool,
    /// Offered for credit, in 10,000 parts; none to fetch nothing on credit.
    borrow_bps: Option<u64>,
    /// Whom to lend to; none to lend to nobody.
    lend: Option<LenderPolicy>,
}

impl Terms {
    fn of(settings: &Settings) -> Self {
        Self {
            price: Rate::new(settings.price),
            price_max: Rate::new(settings.price_max),
            price_scarce_max: Rate::new(settings.price_scarce_max),
            unredeemed_max: settings.unredeemed_max,
            redeem_interval_s: settings.redeem_interval_s,
            loopback_is_exempt: settings.diversity_exempt_loopback,
            borrow_bps: settings.borrow.then_some(settings.interest_bps_max),
            lend: settings.lend.then(|| lender_policy(settings)),
        }
    }
}

fn lender_policy(settings: &Settings) -> LenderPolicy {
    let mut policy = LenderPolicy::default();
    policy.interest_bps = settings.lend_interest_bps;
    policy.fresh_bytes = settings.lend_fresh_bytes;
    policy.aged_bytes = settings.lend_fresh_bytes.saturating_mul(2);
    policy.total_bytes = settings.lend_total_bytes;
    if settings.diversity_exempt_loopback {
        policy.prefix_bytes = policy.total_bytes;
    }
    policy
}

/// What payer and payee share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Bank {
    keypair: Arc<Keypair>,
    domain: LedgerDomain,
    settings: Terms,
    ledger: LedgerClient,
    writer: Writer,
    stats: Arc<Stats>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// The money of one node.
#[derive(Debug)]
pub(crate) struct Money {
    /// Pays for what is fetched; none if the operator pays nothing.
    pub(crate) purse: Option<Purse>,
    /// The most that is paid, per megabit and tier.
    pub(crate) price_max: Option<Rate>,
    store: Arc<MoneyStore>,
    writing: Mutex<Option<JoinHandle<()>>>,
}

impl Money {
    /// Open the node's records and start paying and being paid; the till is for whoever serves.
    pub(crate) async fn open(
        (keypair, settings): (&Keypair, &Settings),
        ledger: &LedgerClient,
        stats: &Arc<Stats>,
        (tasks, stop): (&TaskTracker, &CancellationToken),
    ) -> Result<(Self, Bank, Books), NodeError> {
        let domain = ledger.domain().await?;
        let store = Arc::new(MoneyStore::open(&settings.data_dir)?);
        let loaded = store.load()?;
        let (writer, thread) = Arc::clone(&store).start_writing()?;
        let bank = Bank {
            keypair: Arc::new(keypair.clone()),
            domain,
            settings: Terms::of(settings),
            ledger: ledger.clone(),
            writer,
            stats: Arc::clone(stats),
            tasks: tasks.clone(),
            stop: stop.clone(),
        };
        let mut books = loaded;
        let payers = core::mem::take(&mut books.payers);
        // All vaults but our own are those of our payers.
        let vault = vault_id(&bank.domain, bank.address(), 0);
        let vaults = books.vaults.remove_entry(&vault).into_iter().collect();
        let own = Loaded { payers, vaults, ..Loaded::default() };
        let purse = bank.settings.price_max.map(|_| Purse::start(bank.clone(), own));
        let price_max = bank.settings.price_max;
        let writing = Mutex::new(Some(thread));
        let books = Books { loaded: books, purse: purse.clone() };
        Ok((Self { purse, price_max, store, writing }, bank, books))
    }

    /// Wait until everything that was to be stored is; nobody stores more any more.
    pub(crate) async fn finish(&self) {
        let thread = self.writing.lock().ok().and_then(|mut writing| writing.take());
        if let Some(thread) = thread {
            let _panicked = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }

    /// What was borrowed since the start.
    pub(crate) async fn borrowed(&self) -> Vec<LoanNote> {
        match &self.purse {
            Some(purse) => purse.borrowed().await,
            None => Vec::new(),
        }
    }

    /// What was earned, by content and payer.
    pub(crate) fn earnings(&self) -> Result<Vec<Earned>, NodeError> {
        self.store.earnings()
    }

    /// What was earned and lent, for the operator.
    pub(crate) fn report(&self) -> Result<Earnings, NodeError> {
        Ok(Earnings::of(&self.store.earnings()?).with_loans(&self.store.lent()?))
    }
}

/// What a till remembers from before, and who pays for what its node fetches.
#[derive(Debug)]
pub(crate) struct Books {
    loaded: Loaded,
    purse: Option<Purse>,
}

/// The vouchers that a node which doesn't run any more has stored: anybody may redeem them for it.
pub(crate) fn stored_vouchers(data_dir: &Path) -> Result<Vec<SignedVoucher>, NodeError> {
    if !store::path_in(data_dir).exists() {
        return Ok(Vec::new());
    }
    let loaded = MoneyStore::open(data_dir)?.load()?;
    Ok(loaded.payees.into_iter().map(|record| record.signed).collect())
}

/// The records of a wallet that nobody pays from meanwhile: bytes on their way while its vault begins
/// a new epoch would make an honest payer look wrong (`spec/incentive.md` §9).
pub(crate) struct Idle(MoneyStore);

impl Idle {
    /// Take the records in `data_dir`.
    ///
    /// # Errors
    /// [`NodeError::WalletInUse`] while a process pays from the wallet, or could.
    pub(crate) fn hold(data_dir: &Path) -> Result<Self, NodeError> {
        Ok(Self(MoneyStore::open(data_dir)?))
    }

    /// Write down what the ledger says now, for the next who pays to begin with.
    pub(crate) fn vault_is(&self, info: VaultInfo) -> Result<(), NodeError> {
        self.0.store_vault(info)
    }
}

impl Bank {
    /// Whether what is served is to be paid.
    pub(crate) fn sells(&self) -> bool {
        self.settings.price.is_some()
    }

    fn address(&self) -> WalletAddress {
        self.keypair.peer_id().wallet_address()
    }

    /// On a local network everybody has one prefix: there it bounds nothing.
    fn exposure(&self) -> ExposureLimits {
        let limits = ExposureLimits::default();
        match self.settings.loopback_is_exempt {
            true => ExposureLimits { prefix_bytes: limits.total_bytes, ..limits },
            false => limits,
        }
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move { stop.run_until_cancelled(work).await });
    }
}

impl core::fmt::Debug for Bank {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Bank").field("address", &self.address()).finish_non_exhaustive()
    }
}

/// Average bitrate of a content in kbit/s: what its tier is taken from.
pub(crate) fn kbps(manifest: &Manifest) -> u32 {
    match (manifest.length_bytes.checked_mul(8), manifest.duration_ms) {
        (Some(bits), 1..) => {
            u32::try_from(bits.div_ceil(manifest.duration_ms)).unwrap_or(u32::MAX).max(1)
        }
        _ => KBPS_UNKNOWN,
    }
}

/// Where a peer is, as far as its address says.
pub(crate) fn prefix_of(address: Option<&Multiaddr>) -> IpPrefix {
    let ip = address.and_then(|address| {
        address.iter().find_map(|part| match part {
            Protocol::Ip4(ip) => Some(std::net::IpAddr::from(ip)),
            Protocol::Ip6(ip) => Some(std::net::IpAddr::from(ip)),
            _ => None,
        })
    });
    ip.map_or(IpPrefix::Unknown, IpPrefix::from)
}
