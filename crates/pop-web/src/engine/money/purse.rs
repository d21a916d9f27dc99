//! The payer's half: asks sources for quotes, takes them, and promises ahead of what comes.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use pop_incentive::exposure::{ExposureLimits, IpPrefix};
use pop_incentive::ledger::names::vault_id;
use pop_incentive::message::{Objection, PaymentMessage, Terms};
use pop_incentive::payer::{Payer, PayerInput, PayerOutput};
use pop_incentive::quote::{Demand, SignedQuote};
use pop_incentive::rate::{Rate, Tariff};
use pop_incentive::record::PayerRecord;
use pop_incentive::typed_data::LedgerDomain;
use pop_incentive::voucher::VaultInfo;
use pop_wire::{Amount, Instant, Keypair, PeerId, UnixTime, WalletAddress};

use super::Word;
use crate::engine::hub::Hub;
use crate::engine::limits::{QUESTIONS_PER_SELLER_MAX, SELLERS_MAX, VAULT_LOOK_MS};
use crate::engine::{EngineError, Event, LinkId};

/// Bytes of 10^6 bits.
const MEGABIT_BYTES: u64 = 125_000;

/// What is to be done.
#[derive(Debug)]
pub(super) enum Act {
    Word(Word),
    Event(Event),
    Persist(PayerRecord),
}

/// A source that may be paid.
#[derive(Debug)]
struct Seller {
    peer: PeerId,
    prefix: IpPrefix,
    lines: BTreeMap<LinkId, Demand>,
    /// Accepted last: on which line, of what number, at what tariff.
    offer: Option<(LinkId, u64, Tariff)>,
    /// Came before it was known for which ledger it must be signed.
    early: Option<(LinkId, SignedQuote)>,
    is_open: bool,
    /// Bytes asked and received before that.
    before: (u64, u64),
    questions: u32,
}

pub(super) struct Purse {
    owner: WalletAddress,
    rate_max: Rate,
    domain: Option<LedgerDomain>,
    limits: ExposureLimits,
    records: Vec<PayerRecord>,
    /// There as soon as the ledger said what is in the vault.
    payer: Option<Payer>,
    sellers: BTreeMap<WalletAddress, Seller>,
    look_at: Option<Instant>,
    /// That the vault is short, or not there, was said.
    is_low: bool,
    acts: VecDeque<Act>,
}

impl Purse {
    /// A purse, if anything is to be paid.
    pub(super) fn new(hub: &Hub) -> Option<Self> {
        Some(Self {
            owner: hub.own_peer().wallet_address(),
            rate_max: Rate::new(hub.config.price_max)?,
            domain: None,
            limits: ExposureLimits::default(),
            records: Vec::new(),
            payer: None,
            sellers: BTreeMap::new(),
            look_at: Some(hub.now),
            is_low: false,
            acts: VecDeque::new(),
        })
    }

    /// It is known for which ledger is signed; these are the promises of before.
    pub(super) fn open(
        &mut self,
        domain: LedgerDomain,
        limits: ExposureLimits,
        records: Vec<PayerRecord>,
    ) {
        (self.domain, self.limits, self.records) = (Some(domain), limits, records);
    }

    pub(super) fn promised(&self) -> Amount {
        self.payer.as_ref().map_or(Amount::ZERO, Payer::promised)
    }

    pub(super) fn poll(&mut self) -> Option<Act> {
        self.acts.pop_front()
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.look_at
    }

    /// Whether the vault is to be looked up now.
    pub(super) fn is_look_due(&mut self, now: Instant) -> bool {
        self.look_at.take_if(|at| now >= *at).is_some()
    }

    /// There is a link to a source of what is wanted.
    pub(super) fn opened(
        &mut self,
        (link, peer): (LinkId, PeerId),
        prefix: IpPrefix,
        content: Demand,
        now: Instant,
    ) {
        let payee = peer.wallet_address();
        if self.sellers.len() >= SELLERS_MAX && !self.sellers.contains_key(&payee) {
            return;
        }
        let demand = Demand { rate_max: self.rate_max, ..content };
        let fresh = || Seller {
            peer,
            prefix,
            lines: BTreeMap::new(),
            offer: None,
            early: None,
            is_open: false,
            before: (0, 0),
            questions: 0,
        };
        self.sellers.entry(payee).or_insert_with(fresh).lines.insert(link, demand);
        self.say(link, &PaymentMessage::Ask(demand));
        if self.payer.is_none() {
            self.look_at.get_or_insert(now);
        }
    }

    pub(super) fn closed(&mut self, link: LinkId) {
        let of_link = |(_, seller): &(&WalletAddress, &Seller)| seller.lines.contains_key(&link);
        let Some(payee) = self.sellers.iter().find(of_link).map(|(payee, _)| *payee) else {
            return;
        };
        let Some(seller) = self.sellers.get_mut(&payee) else { return };
        seller.lines.remove(&link);
        if seller.lines.is_empty() {
            let was_open = seller.is_open;
            self.sellers.remove(&payee);
            if was_open {
                self.pay(PayerInput::Close { payee });
            }
        }
    }

    pub(super) fn traffic(&mut self, peer: PeerId, asked: u64, received: u64) {
        let payee = peer.wallet_address();
        let Some(seller) = self.sellers.get_mut(&payee) else { return };
        if !seller.is_open {
            seller.before.0 = seller.before.0.saturating_add(asked);
            seller.before.1 = seller.before.1.saturating_add(received);
            return;
        }
        if asked > 0 {
            self.pay(PayerInput::Want { payee, bytes: asked });
        }
        if received > 0 {
            self.pay(PayerInput::Verified { payee, bytes: received });
        }
    }

    /// A source said something about payment. Nonsense is answered by silence.
    pub(super) fn heard(
        &mut self,
        (link, peer): (LinkId, PeerId),
        body: &[u8],
        (now, wall): (Instant, UnixTime),
    ) {
        let payee = peer.wallet_address();
        let own = self.domain.map(|domain| vault_id(&domain, self.owner, 0));
        match PaymentMessage::decode(body) {
            Ok(PaymentMessage::Quote(quote)) => self.quoted(link, payee, quote, wall),
            Ok(PaymentMessage::Served { vault, bytes }) if Some(vault) == own => {
                self.pay(PayerInput::Served { payee, bytes });
            }
            Ok(PaymentMessage::Objection(objection)) => {
                self.objected(link, payee, objection, now);
            }
            _ => {}
        }
    }

    fn quoted(&mut self, link: LinkId, payee: WalletAddress, signed: SignedQuote, wall: UnixTime) {
        let Some(seller) = self.sellers.get_mut(&payee) else { return };
        let Some(demand) = seller.lines.get(&link).copied() else { return };
        let Some(domain) = self.domain else {
            seller.early = Some((link, signed));
            return;
        };
        if signed.quote.payee != payee {
            return;
        }
        let Ok(tariff) = signed.accept(&domain, wall, &demand) else { return };
        seller.offer = Some((link, signed.quote.serial, tariff));
        let price = tariff.price(MEGABIT_BYTES).map_or(u128::MAX, |price| price.base_units());
        let rank = u64::try_from(price).unwrap_or(u64::MAX);
        self.acts.push_back(Act::Word(Word::Price(seller.peer, rank)));
        self.take_offer(payee);
    }

    /// Open the account by the quote that was accepted, and catch up with what went on before.
    fn take_offer(&mut self, payee: WalletAddress) {
        if self.payer.is_none() {
            return;
        }
        let Some(seller) = self.sellers.get_mut(&payee) else { return };
        let Some((_, _, tariff)) = seller.offer else { return };
        let prefix = seller.prefix;
        seller.is_open = true;
        let (asked, received) = core::mem::take(&mut seller.before);
        self.pay(PayerInput::Open { payee, tariff, prefix });
        self.pay(PayerInput::Want { payee, bytes: asked });
        self.pay(PayerInput::Verified { payee, bytes: received });
    }

    fn objected(&mut self, link: LinkId, payee: WalletAddress, objection: Objection, now: Instant) {
        match objection {
            Objection::Vault | Objection::Ledger | Objection::Closing => self.look_again(now),
            Objection::Terms => {
                // A quote ran out, say: ask for another.
                let Some(seller) = self.sellers.get_mut(&payee) else { return };
                seller.questions += 1;
                let may_ask = seller.questions <= QUESTIONS_PER_SELLER_MAX;
                if let Some(demand) = seller.lines.get(&link).copied().filter(|_| may_ask) {
                    self.say(link, &PaymentMessage::Ask(demand));
                }
            }
            _ => {}
        }
    }

    fn look_again(&mut self, now: Instant) {
        self.look_at.get_or_insert(now.after_ms(VAULT_LOOK_MS));
    }

    /// What the ledger says of the vault.
    pub(super) fn looked_up(&mut self, info: Option<VaultInfo>, now: Instant, owner: Keypair) {
        let Some(info) = info else {
            // Whoever waits to be paid waits for a deposit.
            if !self.sellers.is_empty() {
                self.look_again(now);
                self.low();
            }
            return;
        };
        if self.payer.is_some() {
            return self.pay(PayerInput::Vault(info));
        }
        let Some(domain) = self.domain else { return };
        let records = core::mem::take(&mut self.records);
        match Payer::new(domain, owner, info, self.limits, records.iter().copied()) {
            Ok(payer) => self.payer = Some(payer),
            Err(_) => {
                self.records = records;
                let error = EngineError::Records;
                return self.acts.push_back(Act::Event(Event::Problem { error }));
            }
        }
        let waiting: Vec<_> = self.sellers.keys().copied().collect();
        waiting.into_iter().for_each(|payee| self.take_offer(payee));
    }

    /// Take in the quotes that came too early.
    pub(super) fn take_early(&mut self, wall: UnixTime) {
        let early = |(payee, seller): (&WalletAddress, &mut Seller)| {
            seller.early.take().map(|(link, quote)| (link, *payee, quote))
        };
        let early: Vec<_> = self.sellers.iter_mut().filter_map(early).collect();
        early.into_iter().for_each(|(link, payee, quote)| self.quoted(link, payee, quote, wall));
    }

    /// A promise is safe on disk, and may be sent.
    pub(super) fn persisted(&mut self, payee: WalletAddress) {
        self.pay(PayerInput::Persisted { payee });
    }

    fn low(&mut self) {
        if !core::mem::replace(&mut self.is_low, true) {
            let error = EngineError::VaultLow;
            self.acts.push_back(Act::Event(Event::Problem { error }));
        }
    }

    fn pay(&mut self, input: PayerInput) {
        let Some(payer) = self.payer.as_mut() else { return };
        // What the machine refuses changes nothing: a source that claims too much isn't paid.
        let _refused = payer.handle(input);
        while let Some(output) = self.payer.as_mut().and_then(Payer::poll) {
            self.carry_out(output);
        }
    }

    fn carry_out(&mut self, output: PayerOutput) {
        match output {
            PayerOutput::Persist(record) => {
                if let Some(seller) = self.sellers.get(&record.payee) {
                    let event = Event::Spent { peer: seller.peer, total: record.amount };
                    self.acts.push_back(Act::Event(event));
                }
                self.is_low = false;
                self.acts.push_back(Act::Persist(record));
            }
            PayerOutput::Terms { payee, meter, position } => {
                let Some(domain) = self.domain else { return };
                let offer = self.sellers.get(&payee).and_then(|seller| seller.offer);
                let Some((link, serial, _)) = offer else { return };
                let vault = vault_id(&domain, self.owner, 0);
                self.say(link, &PaymentMessage::Terms(Terms { vault, serial, meter, position }));
            }
            PayerOutput::Send(voucher) => {
                let seller = self.sellers.get(&voucher.voucher.payee);
                if let Some(link) = seller.and_then(|it| it.lines.keys().next().copied()) {
                    self.say(link, &PaymentMessage::Voucher(voucher));
                }
            }
            PayerOutput::VaultLow { .. } => self.low(),
            PayerOutput::Overclaimed { .. } => {}
            _ => {}
        }
    }

    fn say(&mut self, link: LinkId, message: &PaymentMessage) {
        let body = Bytes::from(message.encode());
        self.acts.push_back(Act::Word(Word::Say(link, body)));
    }
}
