//! The payer's half: carries what the purse of `pop-incentive` says to sources, the disk and the
//! ledger.

use std::collections::VecDeque;

use bytes::Bytes;
use pop_incentive::exposure::{ExposureLimits, IpPrefix};
use pop_incentive::ids::LineId;
use pop_incentive::message::PaymentMessage;
use pop_incentive::purse::{
    Purse as Machine, PurseError, PurseInput, PurseOutput, Traffic, Wanted,
};
use pop_incentive::quote::Demand;
use pop_incentive::rate::Rate;
use pop_incentive::record::PayerRecord;
use pop_incentive::typed_data::LedgerDomain;
use pop_incentive::voucher::VaultInfo;
use pop_wire::sorted::SortedMap;
use pop_wire::{Amount, Instant, PeerId, UnixTime, WalletAddress};

use super::Word;
use crate::engine::hub::Hub;
use crate::engine::{EngineError, Event, LinkId};

/// What is to be done.
#[derive(Debug)]
pub(super) enum Act {
    Word(Word),
    Event(Event),
    Persist(PayerRecord),
}

pub(super) struct Purse {
    rate_max: Rate,
    machine: Machine,
    peers: SortedMap<WalletAddress, PeerId>,
    look_at: Option<Instant>,
    /// That the vault is short, or not there, was said.
    said: Option<EngineError>,
    acts: VecDeque<Act>,
}

impl Purse {
    /// A purse with the promises of before, if anything is to be paid.
    pub(super) fn new(
        hub: &Hub,
        limits: ExposureLimits,
        records: Vec<PayerRecord>,
    ) -> Option<Self> {
        Some(Self {
            rate_max: Rate::new(hub.config.price_max)?,
            machine: Machine::new(hub.keypair.clone(), limits, records),
            peers: SortedMap::new(),
            look_at: None,
            said: None,
            acts: VecDeque::new(),
        })
    }

    /// It is known for which ledger is signed.
    pub(super) fn open(&mut self, hub: &Hub, domain: LedgerDomain) {
        self.tell((hub.now, hub.wall), PurseInput::Ledger(domain));
    }

    pub(super) fn promised(&self) -> Amount {
        self.machine.promised()
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
        wanted: Wanted,
        now: (Instant, UnixTime),
    ) {
        let seller = peer.wallet_address();
        let demand = Demand { rate_max: self.rate_max, ..wanted.demand };
        let (line, wanted) = (LineId(link.0), Wanted { demand, ..wanted });
        self.tell(now, PurseInput::LineUp { line, seller, prefix, wanted });
        if self.machine.is_linked(seller) {
            self.peers.insert(seller, peer);
        }
    }

    pub(super) fn closed(&mut self, link: LinkId, now: (Instant, UnixTime)) {
        self.tell(now, PurseInput::LineDown { line: LineId(link.0) });
        let machine = &self.machine;
        self.peers.retain(|seller, _| machine.is_linked(*seller));
    }

    pub(super) fn traffic(
        &mut self,
        peer: PeerId,
        (asked, received): (u64, u64),
        now: (Instant, UnixTime),
    ) {
        let (seller, traffic) = (peer.wallet_address(), Traffic { asked, received, on_credit: 0 });
        self.tell(now, PurseInput::Traffic { seller, traffic });
    }

    /// A source said something about payment. Nonsense is answered by silence.
    pub(super) fn heard(&mut self, link: LinkId, body: &[u8], now: (Instant, UnixTime)) {
        if let Ok(message) = PaymentMessage::decode(body) {
            self.tell(now, PurseInput::Heard { line: LineId(link.0), message });
        }
    }

    /// What the ledger says of the vault; nothing if it gave no answer to that.
    pub(super) fn looked_up(
        &mut self,
        answer: Option<Option<VaultInfo>>,
        now: (Instant, UnixTime),
    ) {
        let input = match answer {
            Some(Some(info)) => PurseInput::Vault(info),
            Some(None) => PurseInput::NoVault,
            None => PurseInput::LedgerAway,
        };
        // Whoever waits to be paid waits for a deposit.
        if matches!(input, PurseInput::NoVault) && self.machine.has_sellers() {
            // Who promised something had a vault.
            let never = self.machine.promised() == Amount::ZERO;
            self.say(if never { EngineError::Unfunded } else { EngineError::VaultLow });
        }
        self.tell(now, input);
    }

    /// A promise is safe on disk, and may be sent.
    pub(super) fn persisted(&mut self, seller: WalletAddress, now: (Instant, UnixTime)) {
        self.tell(now, PurseInput::Persisted { seller });
    }

    /// Say once what is wrong, until something is paid.
    fn say(&mut self, error: EngineError) {
        if self.said.as_ref() != Some(&error) {
            self.said = Some(error.clone());
            self.acts.push_back(Act::Event(Event::Problem { error }));
        }
    }

    fn tell(&mut self, (now, wall): (Instant, UnixTime), input: PurseInput) {
        if let Err(PurseError::Records(_)) = self.machine.handle(wall, input) {
            let error = EngineError::Records;
            self.acts.push_back(Act::Event(Event::Problem { error }));
        }
        // What else the machine refuses changes nothing: a source that claims too much isn't paid.
        while let Some(output) = self.machine.poll() {
            self.carry_out(now, output);
        }
    }

    fn carry_out(&mut self, now: Instant, output: PurseOutput) {
        match output {
            PurseOutput::Say { line, message } => {
                let word = Word::Say(LinkId(line.0), Bytes::from(message.encode()));
                self.acts.push_back(Act::Word(word));
            }
            PurseOutput::LookUp { after_ms, .. } => self.look_at = Some(now.after_ms(after_ms)),
            PurseOutput::Persist(record) => {
                if let Some(peer) = self.peers.get(&record.payee).copied() {
                    let event = Event::Spent { peer, total: record.amount };
                    self.acts.push_back(Act::Event(event));
                }
                self.said = None;
                self.acts.push_back(Act::Persist(record));
            }
            PurseOutput::Accepted { seller, offer } => {
                if let Some(peer) = self.peers.get(&seller).copied() {
                    self.acts.push_back(Act::Word(Word::Price(peer, offer.tariff.rank())));
                }
            }
            PurseOutput::VaultLow { .. } => self.say(EngineError::VaultLow),
            _ => {}
        }
    }
}
