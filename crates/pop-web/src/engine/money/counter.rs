//! The ledger that somebody serves: one question after the other over one link.

use std::collections::VecDeque;

use pop_incentive::ids::VaultId;
use pop_incentive::ledger::Account;
use pop_incentive::ledger::SignedOperation;
use pop_incentive::ledger::names::vault_id;
use pop_incentive::ledger::protocol::{LedgerReply, LedgerRequest};
use pop_incentive::typed_data::LedgerDomain;
use pop_wire::{Instant, WalletAddress};

use crate::engine::LinkId;
use crate::engine::hub::Hub;
use crate::engine::limits::{LEDGER_ASKS_MAX, LEDGER_BUSY_MS, LEDGER_TIMEOUT_MS};
use crate::engine::reach::Reach;
use crate::engine::wire::Purpose;

/// What is asked, and so what the answer is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ask {
    /// Which ledger it is.
    Info,
    /// The vault that this viewer pays from.
    OwnVault,
    /// What this viewer can spend.
    OwnBalance,
    /// The vault that a viewer who is served pays from.
    PayerVault(VaultId),
    /// What was paid of it to this viewer in an epoch.
    PayerRedeemed(VaultId, u64),
    /// The number of this wallet's next operation.
    Nonce,
    /// Do this.
    Submit(Box<SignedOperation>),
}

pub(super) struct Counter {
    reach: Reach,
    own: WalletAddress,
    waiting: VecDeque<Ask>,
    /// Asked, since when.
    asked: Option<(Ask, Instant)>,
    /// When the ledger may be asked again after it was busy.
    not_before: Instant,
}

impl Counter {
    pub(super) fn new(hub: &Hub) -> Self {
        Self {
            reach: Reach::new(hub.dialable(hub.config.ledger_addresses.iter().cloned())),
            own: hub.own_peer().wallet_address(),
            waiting: VecDeque::new(),
            asked: None,
            not_before: Instant::default(),
        }
    }

    /// Whether there is a ledger within reach at all.
    pub(super) fn is_there(&self) -> bool {
        self.reach.address().is_some()
    }

    /// Ask, unless that is being asked already. `false` if it is not asked: too much is.
    pub(super) fn ask(&mut self, ask: Ask) -> bool {
        let is_waiting = self.waiting.contains(&ask);
        let is_room = self.is_there() && self.waiting.len() < LEDGER_ASKS_MAX;
        if is_room && !is_waiting {
            self.waiting.push_back(ask);
        }
        is_room || is_waiting
    }

    pub(super) fn proven(&mut self, link: LinkId) {
        if self.reach.link() == Some(link) {
            self.reach.proven();
        }
    }

    pub(super) fn down(&mut self, hub: &Hub, link: LinkId) {
        if self.reach.link() == Some(link) {
            self.reach.down(hub.now);
            // Asking again is always safe: the same operation takes effect once.
            self.waiting.extend(self.asked.take().map(|(ask, _)| ask));
        }
    }

    /// What a reply answers; `None` if it is to be asked again later.
    pub(super) fn answered(
        &mut self,
        now: Instant,
        reply: LedgerReply,
    ) -> Option<(Ask, LedgerReply)> {
        let (ask, _) = self.asked.take()?;
        self.reach.useful();
        if matches!(reply, LedgerReply::Busy | LedgerReply::Unavailable) {
            self.not_before = now.after_ms(LEDGER_BUSY_MS);
            self.waiting.push_front(ask);
            return None;
        }
        Some((ask, reply))
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let late = self.asked.as_ref().map(|(_, since)| since.after_ms(LEDGER_TIMEOUT_MS));
        let next = (!self.waiting.is_empty() && self.asked.is_none()).then_some(());
        let next = next.and_then(|()| match self.reach.is_up() {
            true => Some(self.not_before),
            false => self.reach.due_at(),
        });
        late.into_iter().chain(next).min()
    }

    /// Ask what is next. A link over which no answer comes is given back to be closed.
    pub(super) fn settle(&mut self, hub: &mut Hub, domain: Option<LedgerDomain>) -> Option<LinkId> {
        if let Some((_, since)) = &self.asked
            && hub.now.since_ms(*since) >= LEDGER_TIMEOUT_MS
        {
            return self.reach.link();
        }
        if self.waiting.is_empty() || self.asked.is_some() {
            return None;
        }
        if self.reach.is_due(hub.now) && hub.may_dial() {
            self.reach.dial(hub, Purpose::Ledger, None);
        }
        let link =
            self.reach.link().filter(|_| self.reach.is_up() && hub.now >= self.not_before)?;
        let at = self.waiting.iter().position(|ask| domain.is_some() || *ask == Ask::Info)?;
        let ask = self.waiting.remove(at)?;
        let request = self.request(&ask, domain)?.encode();
        // spec/incentive.md §12.12: the length in four bytes, then so many bytes.
        let length = u32::try_from(request.len()).unwrap_or(u32::MAX);
        hub.outbox.frame(link, &length.to_be_bytes());
        hub.outbox.frame(link, &request);
        self.asked = Some((ask, hub.now));
        None
    }

    fn request(&self, ask: &Ask, domain: Option<LedgerDomain>) -> Option<LedgerRequest> {
        Some(match ask {
            Ask::Info => LedgerRequest::Info,
            Ask::OwnVault => LedgerRequest::Vault { vault: vault_id(&domain?, self.own, 0) },
            Ask::OwnBalance => LedgerRequest::Balance { account: Account::Wallet(self.own) },
            Ask::PayerVault(vault) => LedgerRequest::Vault { vault: *vault },
            Ask::PayerRedeemed(vault, epoch) => {
                LedgerRequest::Redeemed { vault: *vault, payee: self.own, epoch: *epoch }
            }
            Ask::Nonce => LedgerRequest::Nonce { actor: self.own },
            Ask::Submit(operation) => {
                LedgerRequest::Submit { operations: vec![(**operation).clone()] }
            }
        })
    }
}
