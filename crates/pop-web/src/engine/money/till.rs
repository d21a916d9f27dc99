//! The payee's half: carries what the till of `pop-incentive` says to viewers, the disk and the
//! ledger.

mod record;

use std::collections::VecDeque;

use bytes::Bytes;
use pop_incentive::exposure::{ExposureLimits, IpPrefix};
use pop_incentive::ids::{LineId, VaultId};
use pop_incentive::message::{Objection, PaymentMessage};
use pop_incentive::payee::PayeePolicy;
use pop_incentive::rate::Rate;
use pop_incentive::record::PayeeRecord;
use pop_incentive::till::{Till as Machine, TillInput, TillOutput};
use pop_incentive::typed_data::LedgerDomain;
use pop_incentive::voucher::{SignedVoucher, VaultInfo};
use pop_wire::sorted::SortedMap;
use pop_wire::{Amount, ContentId, Instant, PeerId, UnixTime, WalletAddress};

use super::Word;
use crate::engine::hub::Hub;
use crate::engine::limits::SECOND_MS;
use crate::engine::{Event, LinkId};

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

pub(super) struct Till {
    rate: Rate,
    machine: Machine,
    /// Of viewers that are linked.
    wallets: SortedMap<PeerId, WalletAddress>,
    /// Bitrates of what can be served, in kbit/s.
    shelves: SortedMap<ContentId, u32>,
    /// When a second has gone by that somebody waits for.
    second_at: Option<Instant>,
    acts: VecDeque<Act>,
}

impl Till {
    /// A till with the vouchers of before, if anything is to be earned.
    pub(super) fn new(
        hub: &Hub,
        exposure: ExposureLimits,
        records: Vec<(VaultInfo, PayeeRecord)>,
    ) -> Option<Self> {
        let rate = Rate::new(hub.config.price)?;
        let policy = PayeePolicy { exposure, unredeemed_max: hub.config.unredeemed_max };
        Some(Self {
            rate,
            machine: Machine::new(hub.keypair.clone(), policy, records),
            wallets: SortedMap::new(),
            shelves: SortedMap::new(),
            second_at: None,
            acts: VecDeque::new(),
        })
    }

    /// What was stored of one payer; `None` if it is damaged.
    pub(super) fn decode(stored: &[u8]) -> Option<(VaultInfo, PayeeRecord)> {
        record::decode(stored)
    }

    /// It is known for which ledger is signed. `false` if the vouchers of before don't fit.
    pub(super) fn open(&mut self, hub: &Hub, domain: LedgerDomain) -> bool {
        // No number is used twice, not even after a restart: far fewer than a thousand a second.
        let serial = hub.wall.0.saturating_mul(1_000);
        self.tell((hub.now, hub.wall), TillInput::Ledger { domain, serial })
    }

    pub(super) fn shelve(&mut self, content: ContentId, kbps: u32) {
        self.shelves.insert(content, kbps);
    }

    pub(super) fn poll(&mut self) -> Option<Act> {
        self.acts.pop_front()
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.second_at
    }

    /// Do what is due.
    pub(super) fn pass_time(&mut self, now: (Instant, UnixTime)) {
        if self.second_at.take_if(|at| now.0 >= *at).is_some() {
            self.tell(now, TillInput::Second);
        }
    }

    /// Promised by all, and not void, in base units.
    pub(super) fn promised(&self) -> Amount {
        self.machine.promised()
    }

    /// Vouchers that are worth more than what was paid of them.
    pub(super) fn unredeemed(&self) -> Vec<SignedVoucher> {
        self.machine.unredeemed().collect()
    }

    /// What a viewer may take beyond what it took, in bytes.
    pub(super) fn allowed(&self, peer: &PeerId) -> u64 {
        self.wallets.get(peer).map_or(0, |wallet| self.machine.allowed(*wallet))
    }

    pub(super) fn link_up(&mut self, link: LinkId, peer: PeerId, now: (Instant, UnixTime)) {
        let customer = peer.wallet_address();
        // No address of a browser is known.
        let (line, prefix) = (LineId(link.0), IpPrefix::Unknown);
        self.tell(now, TillInput::LineUp { line, customer, prefix });
        if self.machine.is_linked(customer) {
            self.wallets.insert(peer, customer);
        }
    }

    pub(super) fn link_down(&mut self, link: LinkId, now: (Instant, UnixTime)) {
        self.tell(now, TillInput::LineDown { line: LineId(link.0) });
        let machine = &self.machine;
        self.wallets.retain(|_, customer| machine.is_linked(*customer));
    }

    pub(super) fn served(&mut self, peer: PeerId, bytes: u64, now: (Instant, UnixTime)) {
        if let Some(customer) = self.wallets.get(&peer).copied() {
            self.tell(now, TillInput::Served { customer, bytes });
        }
    }

    /// A viewer said something about payment. Nonsense is answered by silence.
    pub(super) fn heard(&mut self, link: LinkId, body: &[u8], now: (Instant, UnixTime)) {
        if let Ok(message) = PaymentMessage::decode(body) {
            self.tell(now, TillInput::Heard { line: LineId(link.0), message });
        }
    }

    /// What the ledger says of a vault; what it paid of that comes later.
    pub(super) fn vault(
        &mut self,
        vault: VaultId,
        info: Option<VaultInfo>,
        now: (Instant, UnixTime),
    ) {
        let input = match info.filter(|info| info.vault == vault) {
            Some(info) => TillInput::Vault { info, redeemed: self.machine.redeemed(vault) },
            None => TillInput::NoVault { vault },
        };
        self.tell(now, input);
    }

    /// What the ledger paid of a vault's vouchers in an epoch.
    pub(super) fn redeemed(
        &mut self,
        (vault, epoch): (VaultId, u64),
        amount: Amount,
        now: (Instant, UnixTime),
    ) {
        self.tell(now, TillInput::Redeemed { vault, epoch, amount });
    }

    /// A voucher is safe on disk: more may be served for it.
    pub(super) fn persisted(&mut self, vault: VaultId, now: (Instant, UnixTime)) {
        self.tell(now, TillInput::Persisted { vault });
    }

    fn peer(&self, wallet: WalletAddress) -> Option<PeerId> {
        self.wallets.iter().find(|(_, it)| **it == wallet).map(|(peer, _)| *peer)
    }

    fn tell(&mut self, now: (Instant, UnixTime), input: TillInput) -> bool {
        // What the machine refuses changes nothing: no more is served then.
        let is_taken = self.machine.handle(now.1, input).is_ok();
        while let Some(output) = self.machine.poll() {
            self.carry_out(now, output);
        }
        if self.machine.is_waiting() {
            self.second_at.get_or_insert(now.0.after_ms(SECOND_MS));
        }
        is_taken
    }

    fn carry_out(&mut self, now: (Instant, UnixTime), output: TillOutput) {
        match output {
            TillOutput::Say { line, message } => {
                let word = Word::Say(LinkId(line.0), Bytes::from(message.encode()));
                self.acts.push_back(Act::Word(word));
            }
            TillOutput::Asked { line, demand, .. } => {
                let input = match self.shelves.get(&demand.content).copied() {
                    Some(peak_kbps) => TillInput::Sell { line, demand, rate: self.rate, peak_kbps },
                    None => TillInput::Refuse { line, objection: Objection::NotForSale },
                };
                self.tell(now, input);
            }
            TillOutput::Allow { customer } => {
                if let Some(peer) = self.peer(customer) {
                    self.acts.push_back(Act::Word(Word::Allow(peer, 0)));
                }
            }
            TillOutput::LookUp { vault } => self.acts.push_back(Act::LookUp(vault)),
            TillOutput::Redeem => self.acts.push_back(Act::Redeem),
            TillOutput::Persist(record) => self.persist(&record),
            _ => {}
        }
    }

    fn persist(&mut self, record: &PayeeRecord) {
        let voucher = record.signed.voucher;
        let Some(info) = self.machine.vault(voucher.vault) else { return };
        if let Some(peer) = self.peer(info.owner) {
            let event = Event::Earned { peer, total: voucher.amount };
            self.acts.push_back(Act::Event(event));
        }
        let value = record::encode(&info, record);
        self.acts.push_back(Act::Persist(voucher.vault, value));
    }
}
