//! Quotes that were given, so that terms can name them by their serial.

use std::collections::BTreeMap;

use pop_incentive::quote::{Quote, SignedQuote};
use pop_incentive::rate::{Rate, Tariff};
use pop_wire::{ContentId, UnixTime};

use crate::money::Bank;

/// How long a quote is valid, in seconds.
const LIFE_S: u64 = 3_600;

/// Quotes that are remembered; the oldest go first.
const QUOTES_MAX: usize = 4_096;

#[derive(Debug)]
pub(super) struct QuoteBook {
    serial: u64,
    given: BTreeMap<u64, SignedQuote>,
    /// The newest for a content, rate and peak: one signature serves all who ask meanwhile.
    newest: BTreeMap<(ContentId, Rate, u32), u64>,
}

impl QuoteBook {
    /// A book whose next quote has this number.
    pub(super) fn new(serial: u64) -> Self {
        Self { serial, given: BTreeMap::new(), newest: BTreeMap::new() }
    }

    /// A quote that is valid for at least half of the usual time from now on.
    pub(super) fn quote(
        &mut self,
        bank: &Bank,
        (content, rate, peak_kbps): (ContentId, Rate, u32),
        now: UnixTime,
    ) -> SignedQuote {
        let key = (content, rate, peak_kbps);
        let known = self.newest.get(&key).and_then(|serial| self.given.get(serial));
        let lasts = |it: &&SignedQuote| it.quote.valid_until.0 >= now.0.saturating_add(LIFE_S / 2);
        if let Some(quote) = known.filter(lasts) {
            return *quote;
        }
        let quote = Quote {
            content,
            payee: bank.address(),
            rate,
            peak_kbps,
            serial: self.serial,
            valid_from: UnixTime(now.0.saturating_sub(60)),
            valid_until: UnixTime(now.0.saturating_add(LIFE_S)),
        };
        let signed = quote.sign(&bank.domain, &bank.keypair);
        self.given.insert(self.serial, signed);
        self.newest.insert(key, self.serial);
        self.serial += 1;
        while self.given.len() > QUOTES_MAX {
            let Some((serial, old)) = self.given.pop_first() else { break };
            let old = (old.quote.content, old.quote.rate, old.quote.peak_kbps);
            if self.newest.get(&old) == Some(&serial) {
                self.newest.remove(&old);
            }
        }
        signed
    }

    /// What a byte costs by the quote of this number, if it is still valid.
    pub(super) fn tariff(&self, serial: u64, now: UnixTime) -> Option<Tariff> {
        let quote = &self.given.get(&serial)?.quote;
        (now <= quote.valid_until).then(|| quote.tariff())?
    }

    /// What the quote of this number is for.
    pub(super) fn content(&self, serial: u64) -> Option<ContentId> {
        Some(self.given.get(&serial)?.quote.content)
    }
}
