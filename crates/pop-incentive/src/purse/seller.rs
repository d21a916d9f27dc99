//! What a purse knows of one seller.

use pop_wire::WalletAddress;

use super::{Offer, Traffic, Wanted};
use crate::exposure::IpPrefix;
use crate::ids::LineId;
use crate::limits::QUESTIONS_PER_SELLER_MAX;
use crate::quote::{Demand, SignedQuote};
use crate::voucher::SignedVoucher;

/// Somebody to whom there is at least one link.
#[derive(Debug)]
pub(super) struct Seller {
    pub(super) wallet: WalletAddress,
    pub(super) prefix: IpPrefix,
    /// By number, with what is wanted there.
    pub(super) lines: Vec<(LineId, Demand)>,
    /// Accepted last.
    pub(super) offer: Option<Offer>,
    /// Came before it was known for which ledger it must be signed.
    pub(super) early: Option<(LineId, SignedQuote)>,
    /// The last voucher, and where it was said.
    pub(super) said: Option<(LineId, SignedVoucher)>,
    /// The payer has an account for it.
    pub(super) is_open: bool,
    /// It said what it served, with the visit in it.
    pub(super) is_counted: bool,
    /// The position before the visit.
    began_at: Option<u64>,
    /// What went on before the account was open.
    before: Traffic,
    /// Bytes that came on credit, and of which it is not yet said that they were asked for.
    on_credit: u64,
    questions: u32,
    /// Bytes of the greatest shard that is wanted of it.
    shard_bytes: u64,
}

impl Seller {
    pub(super) fn new(wallet: WalletAddress, prefix: IpPrefix) -> Self {
        Self {
            wallet,
            prefix,
            lines: Vec::new(),
            offer: None,
            early: None,
            said: None,
            is_open: false,
            is_counted: false,
            began_at: None,
            before: Traffic::default(),
            on_credit: 0,
            questions: 0,
            shard_bytes: 0,
        }
    }

    pub(super) fn add_line(&mut self, line: LineId, wanted: &Wanted) {
        self.shard_bytes = self.shard_bytes.max(wanted.shard_bytes);
        self.lines.push((line, wanted.demand));
    }

    pub(super) fn demand(&self, line: LineId) -> Option<Demand> {
        self.lines.iter().find(|(it, _)| *it == line).map(|(_, demand)| *demand)
    }

    /// The newest link, which is the least likely to be about to end.
    pub(super) fn newest_line(&self) -> Option<LineId> {
        self.lines.last().map(|(line, _)| *line)
    }

    pub(super) fn may_be_asked_again(&mut self) -> bool {
        self.questions = self.questions.saturating_add(1);
        self.questions <= QUESTIONS_PER_SELLER_MAX
    }

    /// Count what went on before the account was open.
    pub(super) fn put_off(&mut self, traffic: Traffic) {
        let before = &mut self.before;
        before.asked = before.asked.saturating_add(traffic.asked);
        before.received = before.received.saturating_add(traffic.received);
        self.on_credit = self.on_credit.saturating_add(traffic.on_credit);
    }

    /// The position to be said with terms: what comes as a visit isn't in it until the seller has
    /// counted that, else it would count twice.
    pub(super) fn position(&mut self, position: u64) -> u64 {
        match self.is_counted {
            true => position,
            false => *self.began_at.get_or_insert(position),
        }
    }

    /// What was put off: bytes asked and received that are to be paid for.
    pub(super) fn catch_up(&mut self) -> (u64, u64) {
        let Traffic { asked, received, .. } = core::mem::take(&mut self.before);
        (asked - self.forgive(asked.saturating_sub(received)), received)
    }

    /// How many of so many bytes that were asked for came on credit. Each counts once.
    pub(super) fn forgive(&mut self, asked: u64) -> u64 {
        let forgiven = asked.min(self.on_credit);
        self.on_credit -= forgiven;
        forgiven
    }

    /// Count what went on with an open account; how many of the bytes asked for are to be paid.
    pub(super) fn count(&mut self, traffic: Traffic) -> u64 {
        self.on_credit = self.on_credit.saturating_add(traffic.on_credit);
        traffic.asked - self.forgive(traffic.asked)
    }

    /// Bytes that may be owed to it, if it lets us leave `float` unpaid while it owes us too. As
    /// much is used as leaves it room to send a shard: else both could wait for each other.
    pub(super) fn band(&self, float: u64) -> u64 {
        (float / 2).min(float.saturating_sub(self.shard_bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_on_credit_is_paid_by_nothing_else_and_nothing_else_is_forgiven() {
        for opens_at in [0, 50, 200_u64] {
            let mut seller = Seller::new(WalletAddress([1; 20]), IpPrefix::Unknown);
            let (mut asked, mut came, mut lent) = (0_u64, 0_u64, 1_000_u64);
            let (mut to_pay, mut paid) = (0, 0);
            // What is asked for is ahead of what comes, by another stretch each time.
            for step in 0..200_u64 {
                let (more, bytes) = (step * 7 % 90, (asked - came) * (step % 3) / 2);
                let on_credit = bytes.min(lent);
                lent -= on_credit;
                (asked, came) = (asked + more, came + bytes);
                let traffic = Traffic { asked: more, received: bytes - on_credit, on_credit };
                if step < opens_at {
                    seller.put_off(traffic);
                    continue;
                }
                let (asked_before, received_before) = seller.catch_up();
                to_pay += asked_before + seller.count(traffic);
                paid += received_before + traffic.received;
                assert!(paid <= to_pay);
            }
            let (asked_before, received_before) = seller.catch_up();
            (to_pay, paid) = (to_pay + asked_before, paid + received_before);
            assert_eq!((lent, seller.on_credit), (0, 0));
            assert_eq!((to_pay + 1_000, paid + 1_000), (asked, came));
        }
    }
}
