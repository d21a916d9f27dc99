//! A purse, a till, their disks, a ledger that takes its time, and links that break.

use std::collections::BTreeMap;

use pop_incentive::exposure::{ExposureLimits, IpPrefix};
use pop_incentive::ids::LineId;
use pop_incentive::ledger::names::vault_id;
use pop_incentive::message::{Objection, PaymentMessage};
use pop_incentive::payee::PayeePolicy;
use pop_incentive::purse::{Purse, PurseInput, PurseOutput, Traffic, Wanted};
use pop_incentive::quote::Demand;
use pop_incentive::rate::{Rate, Tariff, Tier};
use pop_incentive::record::{PayeeRecord, PayerRecord};
use pop_incentive::refusal::Refusal;
use pop_incentive::till::{Till, TillInput, TillOutput};
use pop_incentive::typed_data::LedgerDomain;
use pop_incentive::voucher::VaultInfo;
use pop_wire::{Amount, ContentId, Keypair, UnixTime, WalletAddress};

const PIECE_BYTES: u64 = 16 * 1024;
const KBPS: u32 = 500;
const HOUR_MS: u64 = 3_600_000;

/// Longest that anything takes but an answer of the ledger, in milliseconds.
const LATENCY_MS_MAX: u64 = 40;

pub(crate) fn domain() -> LedgerDomain {
    LedgerDomain::new(7, WalletAddress([7; 20]))
}

pub(crate) fn keypair(number: u8) -> Keypair {
    Keypair::from_secret_bytes(&[number; 32]).unwrap()
}

pub(crate) fn address(number: u8) -> WalletAddress {
    keypair(number).peer_id().wallet_address()
}

pub(crate) fn rate() -> Rate {
    Rate::new(Amount::from_base_units(1_000_003)).unwrap()
}

pub(crate) fn tariff() -> Tariff {
    Tariff { rate: rate(), tier: Tier::of_kbps(KBPS).unwrap() }
}

pub(crate) fn price(bytes: u64) -> Amount {
    tariff().price(bytes).unwrap()
}

pub(crate) fn demand() -> Demand {
    Demand { content: ContentId([5; 32]), rate_max: rate(), peak_min_kbps: KBPS }
}

pub(crate) fn wanted() -> Wanted {
    Wanted { demand: demand(), shard_bytes: PIECE_BYTES }
}

pub(crate) fn vault(owner: u8, funded: Amount) -> VaultInfo {
    VaultInfo {
        vault: vault_id(&domain(), address(owner), 0),
        owner: address(owner),
        epoch: 0,
        funded,
        redeemed: Amount::ZERO,
        penalty: Amount::ZERO,
        closes: None,
    }
}

pub(crate) struct Random(pub u64);

impl Random {
    /// SplitMix64.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Purse,
    Till,
    Link,
}

/// What differs between worlds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    /// When the buyer knows which ledger it is, in milliseconds.
    pub(crate) ledger_known_ms: u64,
    /// When the vault is there, in milliseconds.
    pub(crate) funded_ms: u64,
    pub(crate) funded: Amount,
    pub(crate) unredeemed_max: Amount,
    /// Longest that the ledger takes to answer, in milliseconds.
    pub(crate) ledger_ms_max: u64,
}

impl Default for Options {
    fn default() -> Self {
        let funded = price(1 << 30);
        Self {
            ledger_known_ms: 0,
            funded_ms: 0,
            funded,
            unredeemed_max: funded,
            ledger_ms_max: 500,
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Event {
    ToTill(LineId, PaymentMessage),
    ToPurse(LineId, PaymentMessage),
    Asked(LineId, u64),
    Data(LineId, u64),
    PurseLedger(u64),
    PurseStored(u64, PayerRecord),
    TillStored(u64, VaultInfo, PayeeRecord),
    PurseLooksUp(u64),
    PurseVault(u64, Option<VaultInfo>),
    TillVault(u64, Option<(VaultInfo, Amount)>),
    TillRedeems(u64),
    TillRedeemed(u64, Amount),
    Second(u64),
}

pub(crate) struct World {
    options: Options,
    random: Random,
    now_ms: u64,
    queue: BTreeMap<(u64, u64), Event>,
    events: u64,
    pub(crate) purse: Purse,
    pub(crate) till: Till,
    pub(crate) purse_disk: Option<PayerRecord>,
    pub(crate) till_disk: Option<(VaultInfo, PayeeRecord)>,
    purse_life: u64,
    till_life: u64,
    line: Option<LineId>,
    lines: u64,
    /// What was said last in either direction arrives then: links keep the order.
    busy_ms: [u64; 2],
    /// Paid by the ledger.
    redeemed: Amount,
    requested: u64,
    total: u64,
    pub(crate) got: u64,
    pub(crate) lost: u64,
    pub(crate) objections: Vec<Objection>,
    pub(crate) refusals: Vec<Refusal>,
    pub(crate) asks: u32,
    /// Whether the ledger takes vouchers.
    pub(crate) redeems: bool,
    greatest_sent: Amount,
}

impl World {
    pub(crate) fn new(seed: u64, total: u64, options: Options) -> Self {
        let mut world = Self {
            purse: Self::purse(None),
            till: Self::till(None, &options),
            options,
            random: Random(seed),
            now_ms: 0,
            queue: BTreeMap::new(),
            events: 0,
            purse_disk: None,
            till_disk: None,
            purse_life: 0,
            till_life: 0,
            line: None,
            lines: 0,
            busy_ms: [0; 2],
            redeemed: Amount::ZERO,
            requested: 0,
            total,
            got: 0,
            lost: 0,
            objections: Vec::new(),
            refusals: Vec::new(),
            asks: 0,
            redeems: true,
            greatest_sent: Amount::ZERO,
        };
        world.at(options.ledger_known_ms, Event::PurseLedger(0));
        world.open_till();
        world.connect();
        world
    }

    fn purse(record: Option<PayerRecord>) -> Purse {
        // Through its bytes, as a disk has it.
        let record = record.map(|record| PayerRecord::decode(&record.encode()).unwrap());
        Purse::new(keypair(1), ExposureLimits::default(), record.into_iter().collect())
    }

    fn till(stored: Option<(VaultInfo, PayeeRecord)>, options: &Options) -> Till {
        let stored = stored.map(|(info, it)| (info, PayeeRecord::decode(&it.encode()).unwrap()));
        let unredeemed_max = options.unredeemed_max;
        let policy = PayeePolicy { exposure: ExposureLimits::default(), unredeemed_max };
        Till::new(keypair(2), policy, stored.into_iter().collect())
    }

    fn open_till(&mut self) {
        let serial = self.till_life * 1_000;
        self.tell_till(TillInput::Ledger { domain: domain(), serial });
    }

    pub(crate) fn wall(&self) -> UnixTime {
        UnixTime(1_800_000_000 + self.now_ms / 1_000)
    }

    fn at(&mut self, ms: u64, event: Event) {
        self.events += 1;
        self.queue.insert((ms, self.events), event);
    }

    /// After something that takes at most so long.
    fn after(&mut self, most_ms: u64, event: Event) {
        let ms = self.now_ms + 1 + self.random.below(most_ms);
        self.at(ms, event);
    }

    fn on_line(&mut self, direction: usize, event: Event) {
        let ms = self.now_ms + 1 + self.random.below(LATENCY_MS_MAX);
        let ms = ms.max(self.busy_ms[direction]);
        self.busy_ms[direction] = ms;
        self.at(ms, event);
    }

    pub(crate) fn connect(&mut self) {
        let line = LineId(self.lines);
        self.lines += 1;
        self.line = Some(line);
        let prefix = IpPrefix::V4([10, 0, 1]);
        self.tell_till(TillInput::LineUp { line, customer: address(1), prefix });
        let seller = address(2);
        let prefix = IpPrefix::V4([10, 0, 2]);
        self.tell_purse(PurseInput::LineUp { line, seller, prefix, wanted: wanted() });
        let asked = self.total - self.got;
        self.on_line(0, Event::Asked(line, asked));
        let traffic = Traffic { asked, ..Traffic::default() };
        self.tell_purse(PurseInput::Traffic { seller, traffic });
    }

    pub(crate) fn disconnect(&mut self) {
        let Some(line) = self.line.take() else { return };
        let on_its_way = |event: &Event| match event {
            Event::Data(of, bytes) if *of == line => *bytes,
            _ => 0,
        };
        self.lost += self.queue.values().map(on_its_way).sum::<u64>();
        self.requested = 0;
        self.tell_till(TillInput::LineDown { line });
        self.tell_purse(PurseInput::LineDown { line });
    }

    /// Break the link; of a side, drop what isn't on disk, if `wrote` is false also what was about
    /// to be, and start it again.
    pub(crate) fn crash(&mut self, side: Side, wrote: bool) {
        match side {
            Side::Purse => {
                let writing = self.queue.values().find_map(|event| match event {
                    Event::PurseStored(life, record) if *life == self.purse_life => Some(*record),
                    _ => None,
                });
                self.purse_disk = writing.filter(|_| wrote).or(self.purse_disk);
                self.purse_life += 1;
                self.purse = Self::purse(self.purse_disk);
                self.disconnect();
                let known_ms = self.now_ms.max(self.options.ledger_known_ms);
                self.at(known_ms, Event::PurseLedger(self.purse_life));
            }
            Side::Till => {
                let writing = self.queue.values().find_map(|event| match event {
                    Event::TillStored(life, info, record) if *life == self.till_life => {
                        Some((*info, *record))
                    }
                    _ => None,
                });
                self.till_disk = writing.filter(|_| wrote).or(self.till_disk);
                self.till_life += 1;
                self.till = Self::till(self.till_disk, &self.options);
                self.open_till();
                self.disconnect();
            }
            Side::Link => self.disconnect(),
        }
        self.connect();
    }

    /// More is wanted, over a new link.
    pub(crate) fn want_more(&mut self, bytes: u64) {
        self.total += bytes;
        self.disconnect();
        self.connect();
    }

    /// Everybody forgets who has gone.
    pub(crate) fn forgive(&mut self) {
        self.tell_till(TillInput::Forgive);
    }

    /// The seller hands in what it has.
    pub(crate) fn redeem_all(&mut self) {
        self.on(Event::TillRedeems(self.till_life));
        self.run();
    }

    /// Do what is next; false if nothing is.
    pub(crate) fn step(&mut self) -> bool {
        let Some(((ms, _), event)) = self.queue.pop_first() else { return false };
        self.now_ms = ms;
        self.on(event);
        self.serve();
        true
    }

    /// Until nothing happens any more.
    pub(crate) fn run(&mut self) {
        while self.step() {
            assert!(self.now_ms < 10 * HOUR_MS, "stuck at {} of {}", self.got, self.total);
        }
        assert_eq!(self.got, self.total, "the delivery is stuck: {:?}", self.refusals);
    }

    fn on(&mut self, event: Event) {
        match event {
            Event::ToTill(line, message) => self.tell_till(TillInput::Heard { line, message }),
            Event::ToPurse(line, message) => {
                if let PaymentMessage::Objection(objection) = message {
                    self.objections.push(objection);
                }
                self.tell_purse(PurseInput::Heard { line, message });
            }
            Event::Asked(line, bytes) if self.line == Some(line) => self.requested = bytes,
            Event::Data(line, bytes) if self.line == Some(line) => {
                self.got += bytes;
                let traffic = Traffic { received: bytes, ..Traffic::default() };
                self.tell_purse(PurseInput::Traffic { seller: address(2), traffic });
            }
            Event::PurseLedger(life) if life == self.purse_life => {
                self.tell_purse(PurseInput::Ledger(domain()));
            }
            Event::PurseStored(life, record) if life == self.purse_life => {
                self.purse_disk = Some(record);
                self.tell_purse(PurseInput::Persisted { seller: record.payee });
            }
            Event::TillStored(life, info, record) if life == self.till_life => {
                self.till_disk = Some((info, record));
                self.tell_till(TillInput::Persisted { vault: info.vault });
            }
            // What the ledger says may be old when it comes.
            Event::PurseLooksUp(life) => {
                let answer = self.ledger().map(|(info, _)| info);
                self.after(self.options.ledger_ms_max, Event::PurseVault(life, answer));
            }
            Event::PurseVault(life, answer) if life == self.purse_life => {
                self.tell_purse(answer.map_or(PurseInput::NoVault, PurseInput::Vault));
            }
            Event::TillVault(life, answer) if life == self.till_life => {
                let vault = vault(1, Amount::ZERO).vault;
                let known = |(info, redeemed)| TillInput::Vault { info, redeemed };
                self.tell_till(answer.map_or(TillInput::NoVault { vault }, known));
            }
            Event::TillRedeems(life) if self.redeems => {
                let paid = self.till.unredeemed().next().map(|signed| signed.voucher.amount);
                self.redeemed = self.redeemed.max(paid.unwrap_or(Amount::ZERO));
                self.after(self.options.ledger_ms_max, Event::TillRedeemed(life, self.redeemed));
            }
            Event::TillRedeemed(life, amount) if life == self.till_life => {
                let vault = vault(1, Amount::ZERO).vault;
                self.tell_till(TillInput::Redeemed { vault, epoch: 0, amount });
            }
            Event::Second(life) if life == self.till_life => {
                self.tell_till(TillInput::Second);
            }
            // Of a life or a link that is over.
            _ => {}
        }
    }

    fn ledger(&self) -> Option<(VaultInfo, Amount)> {
        let info = VaultInfo { redeemed: self.redeemed, ..vault(1, self.options.funded) };
        (self.now_ms >= self.options.funded_ms).then_some((info, self.redeemed))
    }

    fn serve(&mut self) {
        let Some(line) = self.line else { return };
        loop {
            let bytes = self.till.allowed(address(1)).min(self.requested).min(PIECE_BYTES);
            if bytes == 0 {
                return;
            }
            self.requested -= bytes;
            self.tell_till(TillInput::Served { customer: address(1), bytes });
            self.on_line(1, Event::Data(line, bytes));
        }
    }

    fn tell_purse(&mut self, input: PurseInput) {
        self.purse.handle(self.wall(), input).unwrap();
        while let Some(output) = self.purse.poll() {
            match output {
                PurseOutput::Say { line, message } => {
                    self.check_said(&message);
                    if self.line == Some(line) {
                        self.on_line(0, Event::ToTill(line, message));
                    }
                }
                PurseOutput::LookUp { vault, after_ms } => {
                    assert_eq!(vault, self::vault(1, Amount::ZERO).vault);
                    let ms = self.now_ms + after_ms + 1;
                    self.at(ms, Event::PurseLooksUp(self.purse_life));
                }
                PurseOutput::Persist(record) => {
                    self.after(LATENCY_MS_MAX, Event::PurseStored(self.purse_life, record));
                }
                PurseOutput::Accepted { .. }
                | PurseOutput::Objected { .. }
                | PurseOutput::VaultLow { .. } => {}
                other => panic!("an honest seller is blamed: {other:?}"),
            }
        }
    }

    fn check_said(&mut self, message: &PaymentMessage) {
        match message {
            PaymentMessage::Ask(_) => self.asks += 1,
            PaymentMessage::Voucher(signed) => {
                let stored = self.purse_disk.expect("a voucher was sent before its record");
                assert!(stored.voucher() == signed.voucher, "sent what wasn't stored");
                assert!(signed.voucher.amount >= self.greatest_sent, "a lower voucher");
                self.greatest_sent = signed.voucher.amount;
            }
            _ => {}
        }
    }

    fn tell_till(&mut self, input: TillInput) {
        self.till.handle(self.wall(), input).unwrap();
        while let Some(output) = self.till.poll() {
            match output {
                TillOutput::Say { line, message } => {
                    if self.line == Some(line) {
                        self.on_line(1, Event::ToPurse(line, message));
                    }
                }
                TillOutput::Asked { line, demand, .. } => {
                    let (rate, peak_kbps) = (rate(), KBPS);
                    self.tell_till(TillInput::Sell { line, demand, rate, peak_kbps });
                }
                TillOutput::LookUp { .. } => {
                    let answer = self.ledger();
                    let event = Event::TillVault(self.till_life, answer);
                    self.after(self.options.ledger_ms_max, event);
                }
                TillOutput::Persist(record) => {
                    let info = self.till.vault(record.signed.voucher.vault).unwrap();
                    let event = Event::TillStored(self.till_life, info, record);
                    self.after(LATENCY_MS_MAX, event);
                }
                TillOutput::Redeem => {
                    let event = Event::TillRedeems(self.till_life);
                    self.after(self.options.ledger_ms_max, event);
                }
                TillOutput::Forgotten { .. } => self.till_disk = None,
                TillOutput::Refused { refusal, .. } => self.refusals.push(refusal),
                TillOutput::Allow { .. } | TillOutput::Opened { .. } => {}
                other => panic!("unknown: {other:?}"),
            }
        }
        let life = self.till_life;
        let is_due = |event: &Event| matches!(event, Event::Second(it) if *it == life);
        if self.till.is_waiting() && !self.queue.values().any(is_due) {
            self.at(self.now_ms + 1_000, Event::Second(life));
        }
    }

    /// The voucher on the seller's disk pays for what was delivered, and for nothing that wasn't sent.
    pub(crate) fn check(&self, context: &dyn core::fmt::Debug) {
        self.check_but(0, context);
    }

    /// The same, but so many bytes may be unpaid: both sides forgot that they went.
    pub(crate) fn check_but(&self, forgotten: u64, context: &dyn core::fmt::Debug) {
        let (_, record) = self.till_disk.unwrap();
        let amount = record.signed.voucher.amount;
        assert_eq!(
            amount,
            self.purse.promised(),
            "{context:?}: a promise was lost: {:?}",
            self.refusals
        );
        let least = price(self.total.saturating_sub(forgotten));
        let most = price(self.total + self.lost);
        assert!(least <= amount, "{context:?}: underpaid, {least} is due, promised is {amount}");
        assert!(amount <= most, "{context:?}: overpaid, {most} is due, promised is {amount}");
    }
}
