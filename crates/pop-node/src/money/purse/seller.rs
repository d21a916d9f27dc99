use std::collections::BTreeMap;
use std::sync::Arc;

use pop_incentive::exposure::IpPrefix;
use pop_incentive::message::PaymentMessage;
use pop_incentive::quote::Demand;
use pop_incentive::rate::Tariff;
use pop_wire::PeerId;
use tokio::sync::mpsc;

use super::credit::Debt;
use super::{Line, Wanted, Word};
use crate::stats::Stats;

/// Bytes of 10^6 bits.
const MEGABIT_BYTES: u64 = 125_000;

/// Times that one seller is asked for another quote.
const QUESTIONS_MAX: u32 = 16;

/// A holder that we have links to.
#[derive(Debug)]
pub(super) struct Seller {
    pub(super) prefix: IpPrefix,
    lines: BTreeMap<Line, (Demand, mpsc::UnboundedSender<Word>)>,
    /// Accepted last: on which line, of what number, at what tariff.
    pub(super) offer: Option<(Line, u64, Tariff)>,
    /// The payer has an account for it.
    pub(super) is_open: bool,
    /// Bytes asked and received before that.
    before: (u64, u64),
    questions: u32,
    /// What it lends us.
    pub(super) debt: Debt,
    /// Bytes asked of it in all.
    pub(super) asked: u64,
    /// Bytes of the greatest shard that is wanted of it.
    pub(super) shard_bytes: u64,
    stats: Arc<Stats>,
}

impl Seller {
    pub(super) fn new(prefix: IpPrefix, stats: Arc<Stats>) -> Self {
        Self {
            prefix,
            lines: BTreeMap::new(),
            offer: None,
            is_open: false,
            before: (0, 0),
            questions: 0,
            debt: Debt::default(),
            asked: 0,
            shard_bytes: 0,
            stats,
        }
    }

    pub(super) fn open_line(
        &mut self,
        line: Line,
        wanted: Wanted,
        say: mpsc::UnboundedSender<Word>,
    ) {
        self.debt.expect(wanted.column_bytes);
        self.shard_bytes = self.shard_bytes.max(wanted.shard_bytes);
        self.lines.insert(line, (wanted.demand, say));
    }

    /// A line is gone; whether there are others.
    pub(super) fn close_line(&mut self, line: Line) -> bool {
        self.lines.remove(&line);
        !self.lines.is_empty()
    }

    pub(super) fn demand(&self, line: Line) -> Option<Demand> {
        self.lines.get(&line).map(|(demand, _)| *demand)
    }

    pub(super) fn may_ask_again(&mut self) -> bool {
        self.questions += 1;
        self.questions <= QUESTIONS_MAX
    }

    pub(super) fn add_traffic(&mut self, asked: u64, received: u64) {
        self.before.0 = self.before.0.saturating_add(asked);
        self.before.1 = self.before.1.saturating_add(received);
    }

    pub(super) fn take_traffic(&mut self) -> (u64, u64) {
        let (asked, received) = core::mem::take(&mut self.before);
        // What came on credit was asked for, and is not to be paid for.
        (asked - self.debt.forgive(asked.saturating_sub(received)), received)
    }

    pub(super) fn say(&self, line: Line, message: &PaymentMessage) {
        let Some((_, say)) = self.lines.get(&line) else { return };
        let body = message.encode();
        self.stats.payment_said_or_heard(body.len());
        // A session that ended is about to say so.
        let _ended = say.send(Word::Say(line.link, body.into()));
    }

    /// Tell a session what a megabit costs here: the cheaper of two equals is asked first.
    pub(super) fn tell_price(&self, line: Line, peer: PeerId, tariff: Tariff) {
        let Some((_, say)) = self.lines.get(&line) else { return };
        let price = tariff.price(MEGABIT_BYTES).map_or(u128::MAX, |price| price.base_units());
        let rank = u64::try_from(price).unwrap_or(u64::MAX);
        let _ended = say.send(Word::Price(peer, rank));
    }

    pub(super) fn say_anywhere(&self, message: &PaymentMessage) {
        if let Some(line) = self.lines.keys().next() {
            self.say(*line, message);
        }
    }
}
