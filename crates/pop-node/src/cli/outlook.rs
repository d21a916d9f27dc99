//! What the money verbs assume about prices and demand, which nobody can know, and what follows.

use pop_incentive::ledger::LedgerParameters;
use pop_incentive::planner::{Assignment, Forecast, NodeBudget, PlanError, forecast};
use pop_incentive::rate::{Rate, Tariff, Tier};
use pop_incentive::rewards::{RewardPolicy, StorageAudit};
use pop_incentive::storage_cost::StorageCost;
use pop_wire::{Amount, PeerId, WalletAddress};

use super::facts::{Fact, Facts};
use super::names::bad_input;
use crate::clock;
use crate::error::NodeError;
use crate::settings::{ByteSize, Settings};

/// Assumptions, each of them the operator's own.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Assumptions {
    /// What is paid for bytes, in POP per megabit and started 100 kbit/s; the setting `price` if
    /// absent
    #[arg(long, value_name = "POP")]
    assume_price: Option<Amount>,
    /// What the disk costs, in POP per gigabyte and month
    #[arg(long, value_name = "POP", default_value = "0.004")]
    assume_storage_cost: Amount,
    /// Bytes that the node can send until the horizon
    #[arg(long, value_name = "SIZE", default_value = "1000TB")]
    assume_upload: ByteSize,
    /// Days that are looked ahead
    #[arg(long, value_name = "DAYS", default_value_t = 365)]
    assume_days: u64,
}

impl Assumptions {
    /// The price of bytes of a content that plays at so many kbit/s.
    pub(super) fn tariff(&self, settings: &Settings, kbps: u32) -> Result<Tariff, NodeError> {
        let rate = Rate::new(self.assume_price.unwrap_or(settings.price));
        let tier = Tier::of_kbps(kbps.max(1));
        let tariff = rate.zip(tier).map(|(rate, tier)| Tariff { rate, tier });
        tariff.ok_or_else(|| bad_input("assumed price", "expected more than 0"))
    }

    /// What the node has until the horizon.
    pub(super) fn budget(&self, quota_bytes: u64) -> NodeBudget {
        NodeBudget {
            quota_bytes,
            upload_bytes: self.assume_upload.0,
            horizon_s: self.assume_days.saturating_mul(86_400),
            storage: StorageCost::per_gigabyte_month(self.assume_storage_cost),
        }
    }

    /// What a masternode may expect that stakes so much and keeps all that it is given room for,
    /// beside so many others of its kind.
    pub(super) fn masternode(
        &self,
        parameters: &LedgerParameters,
        (node, owner): (PeerId, WalletAddress),
        stake: Amount,
        (settings, others, served_bytes): (&Settings, u64, u64),
    ) -> Result<Forecast, NodeError> {
        let quota_bytes = settings.quota_bytes;
        let policy = RewardPolicy::new(parameters);
        let audit = |stake| StorageAudit {
            operator: node,
            owner,
            stake,
            assigned_bytes: quota_bytes,
            asked: policy.asked_min,
            passed: policy.asked_min,
            proven_wrong: false,
        };
        let since_genesis = clock::unix_now().0.saturating_sub(parameters.genesis.0);
        let budget = self.budget(quota_bytes);
        let other = policy.weight(&audit(parameters.collateral_min));
        let assignment = Assignment {
            stake,
            assigned_bytes: quota_bytes,
            served_bytes,
            tariff: self.tariff(settings, 100)?,
            policy,
            // The parameters are another node's word.
            epoch: since_genesis.checked_div(parameters.epoch_s).unwrap_or(0),
            epochs: budget.horizon_s.checked_div(parameters.epoch_s).unwrap_or(0),
            others_weight: other.saturating_mul(others.into()),
        };
        forecast(&[], &budget, Some(&assignment)).map_err(refused)
    }
}

/// Plans fail by what was assumed.
pub(super) fn refused(error: PlanError) -> NodeError {
    bad_input("assumptions", error)
}

/// A forecast as it is reported.
pub(super) fn about(forecast: &Forecast, assumed: &Assumptions) -> Facts {
    let earned = forecast.earned();
    let (gain, loss) = match forecast.net() {
        Some(Ok(gain)) => (gain, Amount::ZERO),
        Some(Err(loss)) => (Amount::ZERO, loss),
        None => (Amount::ZERO, Amount::ZERO),
    };
    vec![
        ("days", Fact::Number(assumed.assume_days)),
        ("stake", Fact::Amount(forecast.stake)),
        ("rewards", Fact::Amount(forecast.emission)),
        ("served_bytes", Fact::Number(forecast.assigned_served_bytes)),
        ("served_revenue", Fact::Amount(forecast.assigned_revenue)),
        ("earned", super::facts::maybe(earned, Fact::Amount)),
        ("disk_cost", Fact::Amount(forecast.cost)),
        ("gain", Fact::Amount(gain)),
        ("loss", Fact::Amount(loss)),
    ]
}

/// Playing speed in kbit/s, rounded up; 0 of what has no playing time.
pub(super) fn kbps(length_bytes: u64, duration_ms: u64) -> u32 {
    let bits = u128::from(length_bytes) * 8;
    let kbps = if duration_ms == 0 { 0 } else { bits.div_ceil(duration_ms.into()) };
    u32::try_from(kbps).unwrap_or(u32::MAX)
}
