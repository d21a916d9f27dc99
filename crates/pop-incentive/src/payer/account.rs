//! What a payer knows of one payee.

use pop_wire::Amount;

use crate::balance::Balance;
use crate::limits::{FLOAT_BYTES_SEEN, STEP_BYTES_MAX, TRANSPORT_LOSS_DIVISOR};
use crate::rate::Meter;
use crate::record::PayerRecord;

/// The payer's side of one payee.
#[derive(Debug, Clone)]
pub(super) struct Account {
    /// The newest decision.
    pub(super) record: PayerRecord,
    /// The decision that was last given out to be stored.
    pub(super) given: PayerRecord,
    /// Base units that vouchers which were sent promise.
    pub(super) sent: Amount,
    /// Whether `given` is still on its way to the disk.
    pub(super) storing: bool,
    /// Bytes to ask for in all.
    pub(super) wanted: u64,
    /// Bytes that came and passed verification, in all.
    pub(super) verified: u64,
    pub(super) balance: Balance,
    /// Bytes that may be paid before they come.
    pub(super) ahead: u64,
    /// Bytes that may be owed before they are paid; none unless the payee nets.
    pub(super) band: u64,
    /// Nothing more is wanted for now: whatever is owed is due.
    pub(super) resting: bool,
    /// The most that came unpaid since the link is up.
    pub(super) unpaid_max: u64,
    pub(super) open: bool,
    /// Said once that the vault doesn't cover the next step.
    pub(super) low: bool,
    /// Back from a restart, so that bytes that came before it may be forgotten.
    pub(super) restored: bool,
}

impl Account {
    pub(super) fn new(record: PayerRecord, restored: bool) -> Self {
        Self {
            record,
            given: record,
            sent: record.amount,
            storing: false,
            wanted: record.bytes.saturating_add(record.conceded).saturating_add(record.forgotten),
            verified: record.bytes,
            balance: Balance::default(),
            unpaid_max: 0,
            ahead: 0,
            band: 0,
            resting: false,
            open: false,
            low: false,
            restored,
        }
    }

    /// Bytes that must be paid: what came, remembered or not, and what was lost on the way.
    pub(super) fn position(&self) -> u64 {
        let known = self.verified.saturating_add(self.record.forgotten);
        known.saturating_add(self.record.conceded)
    }

    /// Bytes that are paid by the newest decision.
    pub(super) fn covered(&self) -> Option<u64> {
        self.covered_by(self.record.amount)
    }

    fn covered_by(&self, amount: Amount) -> Option<u64> {
        let paid = self.balance.counts_as_paid(amount)?;
        Some(self.record.meter.bytes_for(paid))
    }

    /// What must be promised in all, if it is time to promise more. An amount that doesn't fit is
    /// the greatest one, which no vault covers.
    ///
    /// Never paid for are more bytes than came, the usual loss, and what may be ahead: what a payee
    /// says was lost beyond that is its own loss.
    pub(super) fn next_amount(&self) -> Option<Amount> {
        let covered = self.covered().unwrap_or(0);
        let position = self.position();
        let came = self.verified.saturating_add(self.record.forgotten);
        let lost = self.record.conceded.min(self.verified / TRANSPORT_LOSS_DIVISOR);
        // Two that serve each other give each other credit: paying ahead would only be paid back.
        let ahead = if self.is_mutual() { 0 } else { self.ahead };
        let target = came.saturating_add(lost).saturating_add(ahead).min(self.wanted);
        let is_early = match self.is_mutual() {
            true => self.open && !self.resting && target.saturating_sub(covered) < self.band,
            false if self.goes_on_unpaid(target) => {
                position < covered.saturating_add(self.unpaid_max / 4)
            }
            false => covered.saturating_sub(position) > ahead / 4,
        };
        if covered >= target || is_early {
            return None;
        }
        let needed = self.record.meter.price(target).and_then(|price| self.balance.needed(price));
        let needed = needed.unwrap_or(Amount::from_base_units(u128::MAX));
        (needed > self.record.amount).then_some(needed)
    }

    /// Whether the payee goes on when all that it was promised has come, for it did so before on this
    /// link, and is to go on beyond `target`: then its float bridges the voucher's way, and fewer
    /// vouchers do.
    fn goes_on_unpaid(&self, target: u64) -> bool {
        self.open && target < self.wanted && self.unpaid_max >= FLOAT_BYTES_SEEN
    }

    /// Take note of how much came that no voucher paid which was sent: so much float there is.
    pub(super) fn see_float(&mut self) {
        let covered = self.covered_by(self.sent).unwrap_or(u64::MAX);
        let unpaid = self.position().saturating_sub(covered).min(STEP_BYTES_MAX);
        // Among those who net out it is credit, not float.
        self.unpaid_max = if self.is_mutual() { 0 } else { self.unpaid_max.max(unpaid) };
    }

    /// Whether the payee takes its debt to us as payment, and gives us credit as we give it.
    pub(super) fn is_mutual(&self) -> bool {
        self.band > 0
    }

    /// Whether it is time to acknowledge what came without promising more: so that what the payee
    /// owes by its own count is what we owe by ours.
    pub(super) fn owes_receipt(&self) -> bool {
        let unacknowledged = self.verified.saturating_sub(self.record.bytes);
        let due = if self.resting { 1 } else { (self.band / 2).max(1) };
        self.is_mutual() && self.record.epoch == self.given.epoch && unacknowledged >= due
    }

    /// What we owe the payee, and what of that we promised.
    pub(super) fn debt(&self) -> Balance {
        let owed = self.record.meter.price(self.position()).unwrap_or(Amount::ZERO);
        Balance { owed, promised: self.record.amount.min(owed) }
    }

    /// Every promise is void; what no voucher paid that was sent is still owed. What the payee owes
    /// us still counts as paid.
    pub(super) fn begin_epoch(&mut self, epoch: u64) {
        self.unpaid_max = 0;
        let position = self.position();
        let owed = position.saturating_sub(self.record.meter.bytes_for(self.sent));
        self.sent = Amount::ZERO;
        let meter = Meter::new(self.record.meter.tariff());
        self.wanted = self.wanted.saturating_sub(position).saturating_add(owed);
        self.verified = 0;
        self.low = false;
        self.record = PayerRecord::new(self.record.vault, epoch, self.record.payee, meter);
        self.record.conceded = owed;
    }
}
