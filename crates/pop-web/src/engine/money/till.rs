//! The payee's half: quotes for viewers who ask, allowances for those who pay, their vouchers kept.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use pop_incentive::exposure::{ExposureLimits, IpPrefix};
use pop_incentive::ids::VaultId;
use pop_incentive::ledger::names::vault_id;
use pop_incentive::message::{Objection, PaymentMessage, Terms};
use pop_incentive::payee::{Payee, PayeeInput, PayeeOutput, PayeePolicy};
use pop_incentive::quote::{Demand, Quote};
use pop_incentive::rate::{Rate, Tariff};
use pop_incentive::record::PayeeRecord;
use pop_incentive::refusal::Refusal;
use pop_incentive::typed_data::LedgerDomain;
use pop_incentive::voucher::{SignedVoucher, VaultInfo};
use pop_wire::{Amount, ContentId, Keypair, PeerId, UnixTime, WalletAddress};

use super::Word;
use super::counter::{Ask, Counter};
use crate::engine::hub::Hub;
use crate::engine::limits::{PAYERS_KEPT_MAX, QUOTE_LIFE_S, QUOTES_MAX};
use crate::engine::{Event, LinkId};

mod record;

/// What is to be done.
#[derive(Debug)]
pub(super) enum Act {
    Word(Word),
    Event(Event),
    /// Ask the ledger about a vault.
    LookUp(VaultId),
    /// Cash in what there is.
    Redeem,
    Persist(VaultId, Vec<u8>),
}

/// How a viewer that is served stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Nothing,
    Visitor,
    /// Its vault is being looked up.
    Waiting,
    Account(VaultId),
}

#[derive(Debug)]
struct Customer {
    links: BTreeSet<LinkId>,
    payer: WalletAddress,
    standing: Standing,
    /// Stated on this link, and not in force yet.
    terms: Option<(LinkId, Terms)>,
    /// Came before its vault was known.
    voucher: Option<SignedVoucher>,
    /// Bytes that it may take in all, in its account or as a visitor.
    allowed: u64,
    visited: u64,
}

pub(super) struct Till {
    own: WalletAddress,
    rate: Rate,
    unredeemed_max: Amount,
    domain: Option<LedgerDomain>,
    payee: Option<Payee>,
    customers: BTreeMap<PeerId, Customer>,
    /// Who pays from a vault, while it is linked.
    payers: BTreeMap<VaultId, PeerId>,
    /// What the ledger said last.
    vaults: BTreeMap<VaultId, VaultInfo>,
    /// Bitrates of what can be served, in kbit/s.
    shelves: BTreeMap<ContentId, u32>,
    /// Quotes that were given, by number.
    quotes: BTreeMap<u64, Quote>,
    serial: u64,
    acts: VecDeque<Act>,
}

impl Till {
    /// A till, if anything is to be earned.
    pub(super) fn new(hub: &Hub) -> Option<Self> {
        let rate = Rate::new(hub.config.price)?;
        Some(Self {
            own: hub.own_peer().wallet_address(),
            rate,
            unredeemed_max: hub.config.unredeemed_max,
            domain: None,
            payee: None,
            customers: BTreeMap::new(),
            payers: BTreeMap::new(),
            vaults: BTreeMap::new(),
            shelves: BTreeMap::new(),
            quotes: BTreeMap::new(),
            serial: 0,
            acts: VecDeque::new(),
        })
    }

    /// It is known for which ledger is signed; these are the vouchers of before. `false` if they
    /// are damaged.
    pub(super) fn open<'a>(
        &mut self,
        domain: LedgerDomain,
        exposure: ExposureLimits,
        stored: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    ) -> bool {
        let Some(known) =
            stored.map(|(_, value)| record::decode(value)).collect::<Option<Vec<_>>>()
        else {
            return false;
        };
        self.vaults = known.iter().map(|(info, _)| (info.vault, *info)).collect();
        let policy = PayeePolicy { exposure, unredeemed_max: self.unredeemed_max };
        let Ok(payee) = Payee::new(domain, self.own, policy, known) else { return false };
        (self.domain, self.payee) = (Some(domain), Some(payee));
        true
    }

    pub(super) fn shelve(&mut self, content: ContentId, kbps: u32) {
        self.shelves.insert(content, kbps);
    }

    pub(super) fn poll(&mut self) -> Option<Act> {
        self.acts.pop_front()
    }

    /// Promised by all, and not void, in base units.
    pub(super) fn promised(&self) -> Amount {
        let vouchers = self.vaults.keys().filter_map(|vault| self.payee.as_ref()?.stored(*vault));
        vouchers.fold(Amount::ZERO, |sum, it| sum.checked_add(it.voucher.amount).unwrap_or(sum))
    }

    /// Vouchers that are worth more than what was paid of them.
    pub(super) fn unredeemed(&self) -> Vec<SignedVoucher> {
        let Some(payee) = &self.payee else { return Vec::new() };
        let stored = self.vaults.keys().filter_map(|vault| payee.stored(*vault));
        stored.filter(|it| it.voucher.amount > payee.redeemed(it.voucher.vault)).collect()
    }

    /// What a viewer may take beyond what it took, in bytes.
    pub(super) fn allowed(&self, peer: &PeerId) -> u64 {
        let Some(customer) = self.customers.get(peer) else { return 0 };
        let served = match (customer.standing, &self.payee) {
            (Standing::Account(vault), Some(payee)) => payee.served_bytes(vault),
            _ => customer.visited,
        };
        customer.allowed.saturating_sub(served)
    }

    pub(super) fn link_up(&mut self, link: LinkId, peer: PeerId) {
        let fresh = || Customer {
            links: BTreeSet::new(),
            payer: peer.wallet_address(),
            standing: Standing::Nothing,
            terms: None,
            voucher: None,
            allowed: 0,
            visited: 0,
        };
        self.customers.entry(peer).or_insert_with(fresh).links.insert(link);
    }

    pub(super) fn link_down(&mut self, link: LinkId) {
        let of_link = |(_, it): &(&PeerId, &Customer)| it.links.contains(&link);
        let Some(peer) = self.customers.iter().find(of_link).map(|(peer, _)| *peer) else { return };
        let Some(customer) = self.customers.get_mut(&peer) else { return };
        customer.links.remove(&link);
        if !customer.links.is_empty() {
            return;
        }
        let (payer, standing) = (customer.payer, customer.standing);
        self.customers.remove(&peer);
        match standing {
            Standing::Nothing => {}
            Standing::Visitor | Standing::Waiting => self.tell(PayeeInput::VisitorLeft { payer }),
            Standing::Account(vault) => {
                self.payers.remove(&vault);
                self.tell(PayeeInput::Close { vault });
            }
        }
    }

    pub(super) fn served(&mut self, peer: PeerId, bytes: u64) {
        let Some(customer) = self.customers.get_mut(&peer) else { return };
        let (payer, standing) = (customer.payer, customer.standing);
        match standing {
            Standing::Nothing => {}
            Standing::Visitor | Standing::Waiting => {
                customer.visited += bytes;
                self.tell(PayeeInput::VisitorServed { payer, bytes });
            }
            Standing::Account(vault) => self.tell(PayeeInput::Served { vault, bytes }),
        }
    }

    /// A viewer said something about payment. Nonsense is answered by silence.
    pub(super) fn heard(
        &mut self,
        (link, peer): (LinkId, PeerId),
        body: &[u8],
        wall: UnixTime,
        keypair: &Keypair,
    ) {
        match PaymentMessage::decode(body) {
            Ok(PaymentMessage::Ask(demand)) => self.ask((link, peer), &demand, wall, keypair),
            Ok(PaymentMessage::Terms(terms)) => self.terms(link, peer, terms, wall),
            Ok(PaymentMessage::Voucher(voucher)) => self.voucher(peer, voucher),
            _ => {}
        }
    }

    fn ask(
        &mut self,
        (link, peer): (LinkId, PeerId),
        demand: &Demand,
        wall: UnixTime,
        keypair: &Keypair,
    ) {
        let Some(domain) = self.domain else {
            return self.object(link, Objection::Ledger);
        };
        let Some(kbps) = self.shelves.get(&demand.content).copied() else {
            return self.object(link, Objection::NotForSale);
        };
        if self.rate > demand.rate_max {
            return self.object(link, Objection::OverMaximum);
        }
        let Some(customer) = self.customers.get_mut(&peer) else { return };
        if customer.standing == Standing::Nothing {
            customer.standing = Standing::Visitor;
            let payer = customer.payer;
            // No address of a browser is known.
            self.tell(PayeeInput::Visit { payer, prefix: IpPrefix::Unknown });
        }
        let peak_kbps = kbps.max(demand.peak_min_kbps);
        let quote = self.quote(demand.content, peak_kbps, wall);
        self.say(link, &PaymentMessage::Quote(quote.sign(&domain, keypair)));
    }

    /// A quote that is valid for at least half of the usual time from now on.
    fn quote(&mut self, content: ContentId, peak_kbps: u32, wall: UnixTime) -> Quote {
        let known = self.quotes.values().rev().find(|it| {
            (it.content, it.peak_kbps) == (content, peak_kbps)
                && it.valid_until.0 >= wall.0.saturating_add(QUOTE_LIFE_S / 2)
        });
        if let Some(quote) = known {
            return *quote;
        }
        // No number is used twice, not even after a restart: far fewer than a thousand a second.
        self.serial = self.serial.max(wall.0.saturating_mul(1_000)) + 1;
        let quote = Quote {
            content,
            payee: self.own,
            rate: self.rate,
            peak_kbps,
            serial: self.serial,
            valid_from: UnixTime(wall.0.saturating_sub(60)),
            valid_until: wall.after_s(QUOTE_LIFE_S),
        };
        self.quotes.insert(self.serial, quote);
        while self.quotes.len() > QUOTES_MAX {
            self.quotes.pop_first();
        }
        quote
    }

    fn tariff(&self, serial: u64, wall: UnixTime) -> Option<Tariff> {
        let quote = self.quotes.get(&serial)?;
        (wall <= quote.valid_until).then(|| quote.tariff())?
    }

    fn terms(&mut self, link: LinkId, peer: PeerId, terms: Terms, wall: UnixTime) {
        let Some(domain) = self.domain else { return self.object(link, Objection::Ledger) };
        let tariff = self.tariff(terms.serial, wall);
        let Some(customer) = self.customers.get_mut(&peer) else { return };
        if terms.vault != vault_id(&domain, customer.payer, 0) {
            return self.object(link, Objection::Vault);
        }
        if tariff != Some(terms.meter.tariff()) {
            return self.object(link, Objection::Terms);
        }
        customer.terms = Some((link, terms));
        if let Some(info) = self.vaults.get(&terms.vault).copied() {
            self.begin(peer, info);
        } else if !matches!(customer.standing, Standing::Account(_)) {
            customer.standing = Standing::Waiting;
        }
        // Known or not: the ledger may know better by now.
        self.acts.push_back(Act::LookUp(terms.vault));
    }

    /// Open or change an account by the terms that were stated.
    fn begin(&mut self, peer: PeerId, info: VaultInfo) {
        let Some(customer) = self.customers.get_mut(&peer) else { return };
        let Some((link, terms)) = customer.terms.take() else { return };
        if info.owner != customer.payer || info.vault != terms.vault {
            return self.object(link, Objection::Vault);
        }
        customer.standing = Standing::Account(info.vault);
        let voucher = customer.voucher.take();
        self.payers.insert(info.vault, peer);
        let Terms { vault, meter, position, .. } = terms;
        self.tell(PayeeInput::Vault(info));
        let prefix = IpPrefix::Unknown;
        self.tell(PayeeInput::Open { vault, meter, position, prefix });
        let bytes = self.payee.as_ref().map_or(0, |payee| payee.served_bytes(vault));
        self.say(link, &PaymentMessage::Served { vault, bytes });
        if let Some(voucher) = voucher {
            self.tell(PayeeInput::Voucher(voucher));
        }
    }

    fn voucher(&mut self, peer: PeerId, signed: SignedVoucher) {
        let Some(customer) = self.customers.get_mut(&peer) else { return };
        match customer.standing {
            Standing::Account(vault) if vault == signed.voucher.vault => {
                // Kept until the ledger was asked again, if it is refused for what that said.
                customer.voucher = Some(signed);
                self.tell(PayeeInput::Voucher(signed));
            }
            // The greatest says all that the others said.
            Standing::Waiting => customer.voucher = Some(signed),
            _ => {}
        }
    }

    /// What the ledger says of a vault.
    pub(super) fn vault(&mut self, vault: VaultId, info: Option<VaultInfo>, counter: &mut Counter) {
        let waits = |it: &Customer| it.terms.filter(|(_, terms)| terms.vault == vault);
        let waiting = self.customers.iter().find_map(|(peer, it)| Some((*peer, waits(it)?.0)));
        let Some(info) = info.filter(|info| info.vault == vault) else {
            if let Some((_, link)) = waiting {
                self.object(link, Objection::Vault);
            }
            return;
        };
        let is_known = self.vaults.contains_key(&vault);
        if !is_known && self.vaults.len() >= PAYERS_KEPT_MAX {
            return;
        }
        self.vaults.insert(vault, info);
        counter.ask(Ask::PayerRedeemed(vault, info.epoch));
        if let Some((peer, _)) = waiting {
            return self.begin(peer, info);
        }
        if let Some(peer) = self.payers.get(&vault).copied() {
            self.tell(PayeeInput::Vault(info));
            let voucher = self.customers.get_mut(&peer).and_then(|it| it.voucher.take());
            if let Some(voucher) = voucher {
                self.tell(PayeeInput::Voucher(voucher));
            }
        }
    }

    /// What the ledger paid of a vault's vouchers.
    pub(super) fn redeemed(&mut self, vault: VaultId, amount: Amount) {
        self.tell(PayeeInput::Redeemed { vault, amount });
    }

    /// A voucher is safe on disk: more may be served for it.
    pub(super) fn persisted(&mut self, vault: VaultId) {
        self.tell(PayeeInput::Persisted { vault });
    }

    fn tell(&mut self, input: PayeeInput) {
        let Some(payee) = &mut self.payee else { return };
        // What the machine refuses changes nothing: no more is served then.
        let _refused = payee.handle(input);
        while let Some(output) = self.payee.as_mut().and_then(Payee::poll) {
            self.carry_out(output);
        }
    }

    fn carry_out(&mut self, output: PayeeOutput) {
        match output {
            PayeeOutput::Persist(record) => self.persist(&record),
            PayeeOutput::Allowance { vault, bytes } => {
                if let Some(peer) = self.payers.get(&vault).copied() {
                    self.allow(peer, bytes);
                }
            }
            PayeeOutput::VisitorAllowance { payer, bytes } => {
                let of = |(_, it): &(&PeerId, &Customer)| it.payer == payer;
                if let Some(peer) = self.customers.iter().find(of).map(|(peer, _)| *peer) {
                    self.allow(peer, bytes);
                }
            }
            PayeeOutput::Redeem(_) => self.acts.push_back(Act::Redeem),
            PayeeOutput::Refused { vault, refusal } => self.refused(vault, refusal),
            _ => {}
        }
    }

    fn persist(&mut self, record: &PayeeRecord) {
        let voucher = record.signed.voucher;
        if let Some(peer) = self.payers.get(&voucher.vault).copied() {
            let event = Event::Earned { peer, total: voucher.amount };
            self.acts.push_back(Act::Event(event));
        }
        if let Some(info) = self.vaults.get(&voucher.vault) {
            let value = record::encode(info, record);
            self.acts.push_back(Act::Persist(voucher.vault, value));
        }
    }

    fn allow(&mut self, peer: PeerId, in_all: u64) {
        if let Some(customer) = self.customers.get_mut(&peer) {
            customer.allowed = in_all;
            self.acts.push_back(Act::Word(Word::Allow(peer, 0)));
        }
    }

    fn refused(&mut self, vault: VaultId, refusal: Refusal) {
        let objection = match refusal {
            Refusal::Terms => Objection::Terms,
            Refusal::Closing => Objection::Closing,
            _ => Objection::Voucher,
        };
        // It may have funded its vault, or closed it, since the ledger was asked last.
        let by_ledger = matches!(
            refusal,
            Refusal::OverVault { .. } | Refusal::WrongEpoch { .. } | Refusal::Closing
        );
        if by_ledger {
            self.acts.push_back(Act::LookUp(vault));
        }
        let customer = self.payers.get(&vault).and_then(|peer| self.customers.get(peer));
        if let Some(link) = customer.and_then(|it| it.links.first().copied()) {
            self.object(link, objection);
        }
    }

    fn object(&mut self, link: LinkId, objection: Objection) {
        self.say(link, &PaymentMessage::Objection(objection));
    }

    fn say(&mut self, link: LinkId, message: &PaymentMessage) {
        let body = Bytes::from(message.encode());
        self.acts.push_back(Act::Word(Word::Say(link, body)));
    }
}
