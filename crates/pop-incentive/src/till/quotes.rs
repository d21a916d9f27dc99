//! Quotes that were given, so that terms can name them by their serial.

use std::collections::VecDeque;

use pop_wire::{ContentId, Keypair, UnixTime};

use crate::limits::{QUOTE_LIFE_S, QUOTES_MAX};
use crate::quote::{Quote, SignedQuote};
use crate::rate::Rate;
use crate::typed_data::LedgerDomain;

/// Seconds that a viewer's clock may be behind.
const CLOCK_SLACK_S: u64 = 60;

#[derive(Debug, Default)]
pub(super) struct QuoteBook {
    /// Of the next quote.
    pub(super) serial: u64,
    /// By serial.
    given: VecDeque<SignedQuote>,
}

impl QuoteBook {
    /// A quote that is valid for at least half of the usual time from now on: one signature serves
    /// all who ask for the same meanwhile.
    pub(super) fn quote(
        &mut self,
        (domain, owner): (&LedgerDomain, &Keypair),
        (content, rate, peak_kbps): (ContentId, Rate, u32),
        now: UnixTime,
    ) -> SignedQuote {
        let lasts = now.0.saturating_add(QUOTE_LIFE_S / 2);
        let known = self.given.iter().rev().find(|it| {
            let it = &it.quote;
            (it.content, it.rate, it.peak_kbps) == (content, rate, peak_kbps)
                && it.valid_until.0 >= lasts
        });
        if let Some(quote) = known {
            return *quote;
        }
        let quote = Quote {
            content,
            payee: owner.peer_id().wallet_address(),
            rate,
            peak_kbps,
            serial: self.serial,
            valid_from: UnixTime(now.0.saturating_sub(CLOCK_SLACK_S)),
            valid_until: now.after_s(QUOTE_LIFE_S),
        };
        let signed = quote.sign(domain, owner);
        self.serial = self.serial.saturating_add(1);
        if self.given.len() >= QUOTES_MAX {
            self.given.pop_front();
        }
        self.given.push_back(signed);
        signed
    }

    /// The quote of this number, if it is still valid.
    pub(super) fn valid(&self, serial: u64, now: UnixTime) -> Option<Quote> {
        let at = self.given.binary_search_by_key(&serial, |it| it.quote.serial).ok()?;
        Some(self.given[at].quote).filter(|quote| now <= quote.valid_until)
    }
}
