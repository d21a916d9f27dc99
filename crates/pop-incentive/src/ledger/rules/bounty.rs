//! Bounties: a reward for content that somebody wants.
//!
//! ```text
//!          quorum approves            time for a dispute passes
//!  open -------------------> approved -------------------------> paid
//!   |  ^                        |
//!   |  +------------------------+  the opener disputes, once
//!   +--------------------------------------> refunded, after the deadline
//! ```

use pop_wire::{Amount, ContentId, Digest, UnixTime, WalletAddress};

use crate::ids::BountyId;
use crate::ledger::account::Account;
use crate::ledger::names::{bounty_id, claim_commitment};
use crate::ledger::refusal::Refusal;
use crate::ledger::rules::check_panel;
use crate::ledger::state::{Call, LedgerState};

/// A bounty.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bounty {
    /// Who offers.
    pub opener: WalletAddress,
    /// Hash of what is wanted, or the content id.
    pub wanted: Digest,
    /// What is offered.
    pub reward: Amount,
    /// Who decides, ascending.
    pub judges: Vec<WalletAddress>,
    /// How many of them must agree.
    pub quorum: u64,
    /// From when on the opener can have the reward back.
    pub deadline: UnixTime,
    /// Whether the opener has objected, which can be done once.
    pub disputed: bool,
    /// How far it is.
    pub state: BountyState,
}

/// How far a bounty is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BountyState {
    /// Takes claims and votes.
    Open,
    /// Judges decided.
    Approved {
        /// For whom.
        claimant: WalletAddress,
        /// From when on it is paid.
        payable: UnixTime,
    },
    /// Over.
    Paid {
        /// To whom.
        claimant: WalletAddress,
    },
    /// Over.
    Refunded,
}

/// A claim to a bounty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Claim {
    /// What the claimant committed to.
    pub commitment: Digest,
    /// When.
    pub committed: UnixTime,
    /// Place of the commitment in the journal: the earlier one has the content.
    pub order: u64,
    /// What it showed.
    pub content: Option<ContentId>,
}

impl LedgerState {
    pub(super) fn open_bounty(
        &mut self,
        call: Call,
        (index, wanted, reward): (u64, Digest, Amount),
        judges: &[WalletAddress],
        (quorum, deadline_s): (u64, u64),
    ) -> Result<(), Refusal> {
        let id = bounty_id(&self.domain, call.actor, index);
        if self.books.bounties.contains(&id) {
            return Err(Refusal::Exists { what: "bounty" });
        }
        let count = u64::try_from(judges.len()).unwrap_or(u64::MAX);
        check_panel("judges", judges, (quorum, count / 2 + 1))?;
        let deadline = UnixTime(deadline_s);
        if call.now >= deadline {
            return Err(Refusal::TooLate { what: "bounty", until: deadline, now: call.now });
        }
        let bounty = Bounty {
            opener: call.actor,
            wanted,
            reward,
            judges: judges.to_vec(),
            quorum,
            deadline,
            disputed: false,
            state: BountyState::Open,
        };
        self.books.bounties.set(id, bounty);
        self.post(Account::Wallet(call.actor), Account::Bounty(id), reward)
    }

    pub(super) fn commit_claim(
        &mut self,
        call: Call,
        id: BountyId,
        commitment: Digest,
    ) -> Result<(), Refusal> {
        self.open_one(call, id)?;
        if self.claim(id, call.actor).is_some_and(|claim| claim.content.is_some()) {
            return Err(Refusal::Exists { what: "revealed claim" });
        }
        let order = self.sequence();
        let claim = Claim { commitment, committed: call.now, order, content: None };
        self.books.claims.set((id, call.actor), claim);
        Ok(())
    }

    pub(super) fn reveal_claim(
        &mut self,
        call: Call,
        id: BountyId,
        content: ContentId,
        salt: Digest,
    ) -> Result<(), Refusal> {
        self.open_one(call, id)?;
        let unknown = Refusal::Unknown { what: "claim" };
        let mut claim = self.claim(id, call.actor).ok_or(unknown)?;
        if claim.content.is_some() {
            return Err(Refusal::Exists { what: "revealed claim" });
        }
        let from = claim.committed.after_s(self.parameters.reveal_s);
        if call.now < from {
            return Err(Refusal::TooEarly { what: "reveal", from, now: call.now });
        }
        if claim_commitment(id, call.actor, content, salt) != claim.commitment {
            return Err(Refusal::Hash { what: "claim" });
        }
        // A copy was committed to after the original was shown, so the original came before it.
        let holder = self.books.claimants.get(&(id, content));
        let holder = holder.and_then(|wallet| self.claim(id, *wallet));
        if holder.is_some_and(|earlier| earlier.order < claim.order) {
            return Err(Refusal::Exists { what: "claim to this content" });
        }
        claim.content = Some(content);
        self.books.claims.set((id, call.actor), claim);
        self.books.claimants.set((id, content), call.actor);
        Ok(())
    }

    pub(super) fn approve_claim(
        &mut self,
        call: Call,
        id: BountyId,
        claimant: WalletAddress,
    ) -> Result<(), Refusal> {
        let mut bounty = self.open_one(call, id)?;
        if bounty.judges.binary_search(&call.actor).is_err() {
            return Err(Refusal::Actor { expected: "bounty's judge" });
        }
        let content = self.claim(id, claimant).and_then(|claim| claim.content);
        let content = content.ok_or(Refusal::Unknown { what: "revealed claim" })?;
        if self.books.claimants.get(&(id, content)) != Some(&claimant) {
            return Err(Refusal::Exists { what: "earlier claim to this content" });
        }
        let vote = |judge: WalletAddress| (id, bounty.disputed, claimant, judge);
        self.books.votes.set(vote(call.actor), ());
        let agrees = |judge: &&WalletAddress| self.books.votes.contains(&vote(**judge));
        let votes = bounty.judges.iter().filter(agrees).count();
        if u64::try_from(votes).unwrap_or(u64::MAX) < bounty.quorum {
            return Ok(());
        }
        // The second decision is final.
        let wait = if bounty.disputed { 0 } else { self.parameters.dispute_s };
        bounty.state = BountyState::Approved { claimant, payable: call.now.after_s(wait) };
        self.books.bounties.set(id, bounty);
        Ok(())
    }

    pub(super) fn dispute_claim(&mut self, call: Call, id: BountyId) -> Result<(), Refusal> {
        let mut bounty = self.known_bounty(id)?;
        if call.actor != bounty.opener {
            return Err(Refusal::Actor { expected: "bounty's opener" });
        }
        let approved = Refusal::State { what: "bounty", expected: "approved for the first time" };
        let BountyState::Approved { payable, .. } = bounty.state else {
            return Err(approved);
        };
        if bounty.disputed {
            return Err(approved);
        }
        if call.now >= payable {
            return Err(Refusal::TooLate { what: "dispute", until: payable, now: call.now });
        }
        bounty.state = BountyState::Open;
        bounty.disputed = true;
        // The opener must not win by running out the clock.
        bounty.deadline = bounty.deadline.max(call.now.after_s(self.parameters.dispute_s));
        self.books.bounties.set(id, bounty);
        Ok(())
    }

    pub(super) fn settle_bounty(&mut self, call: Call, id: BountyId) -> Result<(), Refusal> {
        let mut bounty = self.known_bounty(id)?;
        let BountyState::Approved { claimant, payable } = bounty.state else {
            return Err(Refusal::State { what: "bounty", expected: "approved" });
        };
        if call.now < payable {
            return Err(Refusal::TooEarly { what: "payment", from: payable, now: call.now });
        }
        bounty.state = BountyState::Paid { claimant };
        let reward = bounty.reward;
        self.books.bounties.set(id, bounty);
        self.pay_earnings(Account::Bounty(id), claimant, reward)
    }

    pub(super) fn refund_bounty(&mut self, call: Call, id: BountyId) -> Result<(), Refusal> {
        let mut bounty = self.known_bounty(id)?;
        if bounty.state != BountyState::Open {
            return Err(Refusal::State { what: "bounty", expected: "open" });
        }
        if call.now < bounty.deadline {
            let (from, now) = (bounty.deadline, call.now);
            return Err(Refusal::TooEarly { what: "refund", from, now });
        }
        bounty.state = BountyState::Refunded;
        let (opener, reward) = (bounty.opener, bounty.reward);
        self.books.bounties.set(id, bounty);
        self.post(Account::Bounty(id), Account::Wallet(opener), reward)
    }

    fn open_one(&self, call: Call, id: BountyId) -> Result<Bounty, Refusal> {
        let bounty = self.known_bounty(id)?;
        if bounty.state != BountyState::Open {
            return Err(Refusal::State { what: "bounty", expected: "open" });
        }
        if call.now >= bounty.deadline {
            let (until, now) = (bounty.deadline, call.now);
            return Err(Refusal::TooLate { what: "bounty", until, now });
        }
        Ok(bounty)
    }

    fn known_bounty(&self, id: BountyId) -> Result<Bounty, Refusal> {
        self.bounty(id).cloned().ok_or(Refusal::Unknown { what: "bounty" })
    }
}
