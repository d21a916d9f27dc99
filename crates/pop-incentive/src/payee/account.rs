//! What a payee knows of one payer.

use pop_wire::Amount;

use crate::balance::Balance;
use crate::limits::STEP_BYTES_MAX;
use crate::rate::Meter;
use crate::record::PayeeRecord;
use crate::refusal::Refusal;
use crate::typed_data::KnownWallet;
use crate::voucher::{SignedVoucher, VaultInfo, Voucher};

/// The payee's side of one payer.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub(super) info: VaultInfo,
    /// Who signs; the key is known from its first voucher on.
    pub(super) owner: KnownWallet,
    /// What is stored, and may be relied on.
    pub(super) stored: Option<SignedVoucher>,
    /// What is being stored.
    pub(super) storing: Option<SignedVoucher>,
    /// The greatest valid voucher; it waits while another is being stored.
    pub(super) newest: Option<SignedVoucher>,
    pub(super) meter: Option<Meter>,
    /// Counts from the amount on at which it begins.
    pub(super) next_meter: Option<Meter>,
    pub(super) served: u64,
    pub(super) float: u64,
    pub(super) balance: Balance,
    /// It serves us too.
    pub(super) nets: bool,
    /// Bytes that the payer acknowledged in earlier epochs, and no voucher paid.
    pub(super) carried: u64,
    pub(super) redeemed: Amount,
    /// Redemption was asked for up to here.
    pub(super) asked: Amount,
    pub(super) open: bool,
    /// Nothing was stored since this side started, which may have been a restart: bytes may have
    /// been served that aren't counted.
    pub(super) restored: bool,
}

impl Account {
    pub(super) fn new(info: VaultInfo) -> Self {
        Self {
            info,
            owner: KnownWallet::new(info.owner),
            stored: None,
            storing: None,
            newest: None,
            meter: None,
            next_meter: None,
            served: 0,
            float: 0,
            balance: Balance::default(),
            nets: false,
            carried: 0,
            redeemed: Amount::ZERO,
            asked: Amount::ZERO,
            open: false,
            restored: true,
        }
    }

    pub(super) fn restored(info: VaultInfo, record: &PayeeRecord) -> Self {
        let mut account = Self {
            stored: Some(record.signed),
            newest: Some(record.signed),
            meter: Some(record.meter),
            served: record.served,
            ..Self::new(info)
        };
        if record.signed.voucher.epoch < info.epoch {
            account.begin_epoch();
        }
        account
    }

    /// Every voucher is void; what none paid is still owed, and what we owe the payer still counts.
    pub(super) fn begin_epoch(&mut self) {
        let paid = self.promised_bytes();
        self.carried = self.acknowledged().saturating_sub(paid);
        self.served = self.served.saturating_sub(paid);
        self.meter = self.meter.map(|meter| Meter::new(meter.tariff()));
        self.next_meter = None;
        (self.stored, self.newest) = (None, None);
        (self.redeemed, self.asked) = (Amount::ZERO, Amount::ZERO);
    }

    /// Bytes that the stored voucher alone pays for.
    fn promised_bytes(&self) -> u64 {
        let amount = self.stored.map_or(Amount::ZERO, |signed| signed.voucher.amount);
        self.meter.map_or(0, |meter| meter.bytes_for(amount))
    }

    /// Bytes that the payer says it got, and has not paid for in an earlier epoch.
    fn acknowledged(&self) -> u64 {
        self.carried.saturating_add(self.stored.map_or(0, |signed| signed.voucher.bytes))
    }

    /// What the payer owes for what it was served, and what of that it promised. What it has not
    /// acknowledged yet counts up to a quarter of the float, between two receipts (§7): more may
    /// have been lost on the way.
    pub(super) fn debt(&self) -> Balance {
        let got = self.served.min(self.acknowledged().saturating_add(self.float / 4));
        let price = self.meter.and_then(|meter| meter.price(got));
        let promised = self.stored.map_or(Amount::ZERO, |signed| signed.voucher.amount);
        let owed = price.unwrap_or(Amount::ZERO);
        Balance { owed, promised: promised.min(owed) }
    }

    /// Bytes that the stored voucher, and what we owe the payer, pay for.
    pub(super) fn covered(&self) -> u64 {
        let amount = self.stored.map_or(Amount::ZERO, |signed| signed.voucher.amount);
        match (self.meter, self.balance.counts_as_paid(amount)) {
            (Some(meter), Some(paid)) => meter.bytes_for(paid),
            _ => 0,
        }
    }

    pub(super) fn allowance(&self) -> u64 {
        self.covered().saturating_add(self.float)
    }

    /// Bytes that were delivered, acknowledged and paid.
    pub(super) fn settled(&self) -> u64 {
        let receipt = self.stored.map_or(0, |signed| signed.voucher.bytes);
        receipt.min(self.covered())
    }

    /// The most that can have been served. After a restart this side may have forgotten up to
    /// what it had allowed; what the ledger paid of this payer's vouchers was allowed too.
    pub(super) fn served_max(&self) -> u64 {
        let paid = self.meter.map_or(0, |meter| meter.bytes_for(self.redeemed));
        let allowed = self.covered().max(paid).saturating_add(STEP_BYTES_MAX);
        if self.restored { self.served.max(allowed) } else { self.served }
    }

    /// What counts as paid by an amount that the payer promises.
    pub(super) fn paid(&self, amount: Amount) -> Option<Amount> {
        self.balance.counts_as_paid(amount)
    }

    /// The meter that counts from such an amount on.
    pub(super) fn meter_for(&self, amount: Amount) -> Option<Meter> {
        let paid = self.paid(amount)?;
        self.next_meter.filter(|next| paid >= next.from_amount).or(self.meter)
    }

    /// Take the payer's word for where its tariff begins, as far as it costs us nothing: not
    /// before what it promised, and not with more bytes paid than that pays for.
    pub(super) fn change_meter(&mut self, meter: Meter) -> Result<(), Refusal> {
        let Some(old) = self.meter else {
            // Whatever came before is not known here, and is not counted.
            self.served = self.served.max(meter.from_bytes);
            self.meter = Some(meter);
            return Ok(());
        };
        if meter == old {
            self.next_meter = None;
            return Ok(());
        }
        let promised = self.newest.map_or(Amount::ZERO, |signed| signed.voucher.amount);
        let paid = self.paid(promised).ok_or(Refusal::Overflow)?;
        // Terms that never came into force bind the payer as little as us.
        let proposed = self.next_meter.map_or(0, |next| next.bytes_for(meter.from_amount));
        let paid_bytes = old.bytes_for(meter.from_amount).max(proposed);
        if meter.from_amount < self.least_start(&old, paid) || meter.from_bytes > paid_bytes {
            return Err(Refusal::Terms);
        }
        self.next_meter = Some(meter);
        self.begin_next_meter();
        Ok(())
    }

    /// From what amount on a new tariff may count. While balances are netted, what we owe the
    /// payer beyond what it got may still be paid to it instead, and its books are behind ours by
    /// what is on its way: a step.
    fn least_start(&self, old: &Meter, paid: Amount) -> Amount {
        if !self.nets {
            return paid;
        }
        let got = self.newest.map_or(0, |signed| signed.voucher.bytes);
        let least = paid.min(old.price(got).unwrap_or(paid));
        let step = old.tariff().price(STEP_BYTES_MAX).unwrap_or(Amount::ZERO);
        let promised = self.newest.map_or(Amount::ZERO, |signed| signed.voucher.amount);
        least.checked_sub(step).unwrap_or(Amount::ZERO).max(promised.min(paid))
    }

    /// Terms come into force with the first stored promise from where they begin.
    pub(super) fn begin_next_meter(&mut self) {
        let promised = self.stored.map_or(Amount::ZERO, |signed| signed.voucher.amount);
        let paid = self.paid(promised).unwrap_or(Amount::ZERO);
        if self.next_meter.is_some_and(|next| paid >= next.from_amount) {
            self.meter = self.next_meter.take();
        }
    }

    /// The amount must cover the price of the bytes that it acknowledges, and nobody can have
    /// received what wasn't sent. While balances are netted a receipt may be ahead of the payment:
    /// what is allowed follows the payment alone.
    pub(super) fn check_bytes(&self, voucher: &Voucher) -> Result<(), Refusal> {
        let paid = self.paid(voucher.amount).ok_or(Refusal::Overflow)?;
        let meter = self.meter_for(voucher.amount).ok_or(Refusal::NotOpen)?;
        let (covered_bytes, got_bytes) = (meter.bytes_for(paid), voucher.bytes);
        if covered_bytes < got_bytes && !self.nets {
            return Err(Refusal::Underpaid { covered_bytes, got_bytes });
        }
        let served_bytes = self.served_max();
        if got_bytes > served_bytes {
            return Err(Refusal::NotServed { served_bytes, got_bytes });
        }
        Ok(())
    }
}
