//! Money: sources are paid by voucher, viewers who are served pay by voucher, and a ledger is asked
//! where it can't be done without. What anything costs and who may be trusted with how much is
//! decided by the machines of `pop-incentive`; nothing is sent before it is stored.

mod counter;
mod purse;
mod till;
mod wallet;

use std::collections::VecDeque;

use bytes::Bytes;
use pop_incentive::exposure::{ExposureLimits, IpPrefix};
use pop_incentive::ids::VaultId;
use pop_incentive::ledger::protocol::LedgerReply;
use pop_incentive::purse::Wanted;
use pop_incentive::record::PayerRecord;
use pop_incentive::typed_data::LedgerDomain;
use pop_wire::sorted::SortedMap;
use pop_wire::{Amount, Instant, Manifest, PeerId, WalletAddress};

use self::counter::{Ask, Counter};
use self::purse::Purse;
use self::till::Till;
use self::wallet::Wallet;
use super::hub::Hub;
use super::limits::PREFIX_FLOAT_BYTES_MAX;
use super::{EngineError, Event, Host, LinkId, Output, Token};

/// Bitrate that is paid for when a content doesn't say how long it plays: one tier, in kbit/s.
const KBPS_UNKNOWN: u32 = 100;

const PAYER_KEY: &[u8] = b"payer ";
const PAYEE_KEY: &[u8] = b"payee ";

/// What others of the engine tell its money.
#[derive(Debug)]
pub(super) enum News {
    /// A source said hello; it may be paid for this.
    SourceUp { link: LinkId, peer: PeerId, prefix: IpPrefix, wanted: Wanted },
    /// A source says something about payment.
    SourceSays { link: LinkId, body: Bytes },
    /// So much more was asked of a source, and came from it.
    Traffic { peer: PeerId, asked: u64, received: u64 },
    /// A viewer that is served is linked.
    ViewerUp { link: LinkId, peer: PeerId },
    /// It says something about payment.
    ViewerSays { link: LinkId, body: Bytes },
    /// So much more was given to it.
    Served { peer: PeerId, bytes: u64 },
    /// A link of either kind is gone.
    LinkDown { link: LinkId },
}

/// What money asks of others of the engine.
#[derive(Debug)]
pub(super) enum Word {
    /// Say this on that link.
    Say(LinkId, Bytes),
    /// What a source asks for a megabit, for choosing among them.
    Price(PeerId, u64),
    /// A viewer may take so much more, in bytes.
    Allow(PeerId, u64),
}

/// What waits until a record is safe.
#[derive(Debug, Clone, Copy)]
enum Persisting {
    Payer(WalletAddress),
    Payee(VaultId),
}

pub(super) struct Money {
    domain: Option<LedgerDomain>,
    counter: Counter,
    purse: Option<Purse>,
    till: Option<Till>,
    wallet: Wallet,
    persisting: SortedMap<Token, Persisting>,
    words: VecDeque<Word>,
    /// Records are damaged: nothing is paid.
    is_broken: bool,
}

impl Money {
    pub(super) fn new(hub: &Hub) -> Self {
        let mut counter = Counter::new(hub);
        let records = stored(hub, PAYER_KEY, |value| PayerRecord::decode(value).ok());
        let vouchers = stored(hub, PAYEE_KEY, Till::decode);
        let is_broken = records.is_none() || vouchers.is_none();
        let (mut purse, mut till) = (None, None);
        if let (true, Some(records), Some(vouchers)) = (counter.is_there(), records, vouchers) {
            purse = Purse::new(hub, exposure(hub), records);
            till = Till::new(hub, exposure(hub), vouchers);
        }
        if hub.config.ledger.is_none() {
            counter.ask(Ask::Info);
        }
        Self {
            domain: None,
            purse,
            till,
            counter,
            wallet: Wallet::default(),
            persisting: SortedMap::new(),
            words: VecDeque::new(),
            is_broken,
        }
    }

    /// Whether viewers are to pay for what they are given.
    pub(super) fn sells(&self) -> bool {
        self.till.is_some()
    }

    /// Whether anything is paid.
    pub(super) fn pays(&self) -> bool {
        self.purse.is_some()
    }

    /// Promised to all in the vault's epoch, and promised by all, in base units.
    pub(super) fn totals(&self) -> (Amount, Amount) {
        let spent = self.purse.as_ref().map_or(Amount::ZERO, Purse::promised);
        let earned = self.till.as_ref().map_or(Amount::ZERO, Till::promised);
        (spent, earned)
    }

    fn set_domain(&mut self, hub: &Hub, domain: LedgerDomain) {
        self.domain = Some(domain);
        if let Some(purse) = &mut self.purse {
            purse.open(hub, domain);
        }
        if let Some(till) = &mut self.till
            && !till.open(hub, domain)
        {
            self.is_broken = true;
            (self.purse, self.till) = (None, None);
        }
    }

    pub(super) fn learn(&mut self, hub: &mut Hub, news: News) {
        let (purse, till) = (self.purse.as_mut(), self.till.as_mut());
        let now = (hub.now, hub.wall);
        match news {
            News::SourceUp { link, peer, prefix, wanted } => {
                if let Some(purse) = purse {
                    purse.opened((link, peer), prefix, wanted, now);
                }
            }
            News::SourceSays { link, body } => {
                if let Some(purse) = purse {
                    purse.heard(link, &body, now);
                }
            }
            News::Traffic { peer, asked, received } => {
                if let Some(purse) = purse {
                    purse.traffic(peer, (asked, received), now);
                }
            }
            News::ViewerUp { link, peer } => {
                if let Some(till) = till {
                    till.link_up(link, peer, now);
                }
            }
            News::ViewerSays { link, body } => {
                if let Some(till) = till {
                    till.heard(link, &body, now);
                }
            }
            News::Served { peer, bytes } => {
                if let Some(till) = till {
                    till.served(peer, bytes, now);
                }
            }
            News::LinkDown { link } => {
                if let Some(purse) = purse {
                    purse.closed(link, now);
                }
                if let Some(till) = till {
                    till.link_down(link, now);
                }
            }
        }
    }

    /// Something to say about a content that can be served.
    pub(super) fn shelve(&mut self, manifest: &Manifest, content: pop_wire::ContentId) {
        if let Some(till) = &mut self.till {
            till.shelve(content, kbps(manifest));
        }
    }

    pub(super) fn deposit(&mut self, amount: Amount) {
        self.wallet.deposit(&mut self.counter, amount);
    }

    pub(super) fn look_at_wallet(&mut self) {
        self.wallet.look(&mut self.counter);
    }

    /// Cash in every voucher that is worth more than what was paid of it.
    pub(super) fn redeem(&mut self) {
        let vouchers = self.till.as_ref().map(Till::unredeemed).unwrap_or_default();
        self.wallet.redeem(&mut self.counter, vouchers);
    }

    /// A record is safe on disk, or never will be: then nothing that waits for it is sent.
    pub(super) fn persisted(&mut self, hub: &mut Hub, token: Token, is_safe: bool) {
        let Some(persisting) = self.persisting.remove(&token) else { return };
        if !is_safe {
            return hub.event(Event::Problem { error: EngineError::StorageBlocked });
        }
        match persisting {
            Persisting::Payer(payee) => {
                if let Some(purse) = &mut self.purse {
                    purse.persisted(payee, (hub.now, hub.wall));
                }
            }
            Persisting::Payee(vault) => {
                if let Some(till) = &mut self.till {
                    till.persisted(vault, (hub.now, hub.wall));
                }
            }
        }
    }

    /// The ledger proved who it is.
    pub(super) fn counter_up(&mut self, link: LinkId) {
        self.counter.proven(link);
    }

    pub(super) fn counter_down(&mut self, hub: &Hub, link: LinkId) {
        self.counter.down(hub, link);
    }

    /// The ledger answered; whether it was what can be answered.
    pub(super) fn answered(&mut self, hub: &mut Hub, reply: &[u8]) -> bool {
        let Ok(reply) = LedgerReply::decode(reply) else { return false };
        let Some((ask, reply)) = self.counter.answered(hub.now, reply) else { return true };
        match (ask, reply) {
            (Ask::Info, LedgerReply::Info(info)) => {
                if self.domain.is_none() {
                    self.set_domain(hub, info.genesis.domain);
                }
            }
            (Ask::OwnVault, LedgerReply::Vault(info)) => {
                if let Some(purse) = &mut self.purse {
                    purse.looked_up(Some(info), (hub.now, hub.wall));
                }
                self.wallet.vault(hub, info);
            }
            (Ask::PayerVault(vault), LedgerReply::Vault(info)) => {
                if let Some(till) = &mut self.till {
                    till.vault(vault, info, (hub.now, hub.wall));
                }
                if let Some(info) = info {
                    self.counter.ask(Ask::PayerRedeemed(vault, info.epoch));
                }
            }
            (Ask::PayerRedeemed(vault, epoch), LedgerReply::Redeemed(amount)) => {
                if let Some(till) = &mut self.till {
                    till.redeemed((vault, epoch), amount, (hub.now, hub.wall));
                }
            }
            (ask, reply) => {
                if let (Ask::OwnVault, Some(purse)) = (&ask, &mut self.purse) {
                    purse.looked_up(None, (hub.now, hub.wall));
                }
                let domain = self.domain;
                self.wallet.answered(hub, &mut self.counter, (ask, reply), domain);
                for (vault, epoch) in self.wallet.take_paid() {
                    self.counter.ask(Ask::PayerRedeemed(vault, epoch));
                }
            }
        }
        true
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let purse = self.purse.as_ref().and_then(Purse::next_timeout);
        let till = self.till.as_ref().and_then(Till::next_timeout);
        purse.into_iter().chain(till).chain(self.counter.next_timeout()).min()
    }

    /// Do what is due. Links that are of no use any more are given back.
    pub(super) fn settle(&mut self, hub: &mut Hub) -> Option<LinkId> {
        if core::mem::take(&mut self.is_broken) {
            hub.event(Event::Problem { error: EngineError::Records });
        }
        if let (None, Some(it)) = (self.domain, hub.config.ledger) {
            // Not before the time is known.
            self.set_domain(hub, LedgerDomain::new(it.chain_id, it.contract));
        }
        if let Some(purse) = &mut self.purse {
            if purse.is_look_due(hub.now) && !self.counter.ask(Ask::OwnVault) {
                purse.looked_up(None, (hub.now, hub.wall));
            }
            while let Some(act) = purse.poll() {
                match act {
                    purse::Act::Word(word) => self.words.push_back(word),
                    purse::Act::Event(event) => hub.event(event),
                    purse::Act::Persist(record) => {
                        let key = [PAYER_KEY, &record.payee.0].concat();
                        let token = persist(hub, key, &record.encode());
                        self.persisting.insert(token, Persisting::Payer(record.payee));
                    }
                }
            }
        }
        if let Some(till) = &mut self.till {
            till.pass_time((hub.now, hub.wall));
            while let Some(act) = till.poll() {
                match act {
                    till::Act::Word(word) => self.words.push_back(word),
                    till::Act::Event(event) => hub.event(event),
                    till::Act::LookUp(vault) => _ = self.counter.ask(Ask::PayerVault(vault)),
                    till::Act::Redeem => {
                        let vouchers = till.unredeemed();
                        self.wallet.redeem(&mut self.counter, vouchers);
                    }
                    till::Act::Persist(vault, value) => {
                        let key = [PAYEE_KEY, &vault.0].concat();
                        let token = persist(hub, key, &value);
                        self.persisting.insert(token, Persisting::Payee(vault));
                    }
                }
            }
        }
        self.counter.settle(hub, self.domain)
    }

    /// What to tell others; allowances are counted when they are taken.
    pub(super) fn poll(&mut self) -> Option<Word> {
        Some(match self.words.pop_front()? {
            Word::Allow(peer, _) => {
                let bytes = self.till.as_ref().map_or(0, |till| till.allowed(&peer));
                Word::Allow(peer, bytes)
            }
            other => other,
        })
    }
}

/// What was stored under keys that begin so; `None` if any of it is damaged.
fn stored<T>(hub: &Hub, key: &[u8], decode: impl Fn(&[u8]) -> Option<T>) -> Option<Vec<T>> {
    let of_kind = hub.config.records.iter().filter(|(it, _)| it.starts_with(key));
    of_kind.map(|(_, value)| decode(value)).collect()
}

fn persist(hub: &mut Hub, key: Vec<u8>, value: &[u8]) -> Token {
    let token = hub.new_token();
    let value = Bytes::copy_from_slice(value);
    hub.outbox.push(Output::Persist { token, key: key.into(), value });
    token
}

/// Average bitrate of a content in kbit/s: what its tier is taken from.
pub(super) fn kbps(manifest: &Manifest) -> u32 {
    match (manifest.length_bytes.checked_mul(8), manifest.duration_ms) {
        (Some(bits), 1..) => {
            u32::try_from(bits.div_ceil(manifest.duration_ms)).unwrap_or(u32::MAX).max(1)
        }
        _ => KBPS_UNKNOWN,
    }
}

/// Where a peer is, as far as its address says.
pub(super) fn prefix_of(host: Option<&Host>) -> IpPrefix {
    match host {
        Some(Host::Ip4(ip)) => IpPrefix::from(core::net::IpAddr::from(*ip)),
        Some(Host::Ip6(ip)) => IpPrefix::from(core::net::IpAddr::from(*ip)),
        Some(Host::Name(_)) | None => IpPrefix::Unknown,
    }
}

/// On a network on one machine everybody has one prefix: there it bounds nothing.
fn exposure(hub: &Hub) -> ExposureLimits {
    let limits = ExposureLimits::default();
    let is_here = |host: &Host| match host {
        Host::Ip4(ip) => ip.is_loopback(),
        Host::Ip6(ip) => ip.is_loopback(),
        Host::Name(_) => false,
    };
    let mut entries = hub.config.entries.iter();
    match !hub.config.entries.is_empty() && entries.all(|entry| is_here(&entry.host)) {
        true => ExposureLimits { prefix_bytes: limits.total_bytes, ..limits },
        false => ExposureLimits { prefix_bytes: PREFIX_FLOAT_BYTES_MAX, ..limits },
    }
}
