//! A payer, a payee, their disks, and the link between them, one event at a time.

use std::collections::VecDeque;

use pop_incentive::exposure::{ExposureLimits, IpPrefix};
use pop_incentive::ids::VaultId;
use pop_incentive::limits::STEP_BYTES_MAX;
use pop_incentive::payee::{Payee, PayeeInput, PayeeOutput, PayeePolicy};
use pop_incentive::payer::{Payer, PayerInput, PayerOutput};
use pop_incentive::rate::{Meter, Rate, Tariff, Tier};
use pop_incentive::record::{PayeeRecord, PayerRecord};
use pop_incentive::typed_data::LedgerDomain;
use pop_incentive::voucher::{SignedVoucher, VaultInfo};
use pop_wire::{Amount, Keypair, WalletAddress};

pub(crate) const PIECE_BYTES: u64 = 16 * 1024;

pub(crate) fn domain() -> LedgerDomain {
    LedgerDomain::new(7, WalletAddress([7; 20]))
}

pub(crate) fn keypair(number: u32) -> Keypair {
    let mut secret = [1; 32];
    secret[..4].copy_from_slice(&number.to_be_bytes());
    Keypair::from_secret_bytes(&secret).unwrap()
}

pub(crate) fn address(number: u32) -> WalletAddress {
    keypair(number).peer_id().wallet_address()
}

pub(crate) fn pop(count: u128) -> Amount {
    Amount::ONE_POP.checked_mul(count).unwrap()
}

pub(crate) fn tariff() -> Tariff {
    let rate = Rate::new(Amount::from_base_units(1_000_003)).unwrap();
    Tariff { rate, tier: Tier::of_kbps(500).unwrap() }
}

pub(crate) fn vault(owner: u32, funded: Amount) -> VaultInfo {
    VaultInfo {
        vault: VaultId([owner.to_be_bytes()[3]; 32]),
        owner: address(owner),
        epoch: 0,
        funded,
        redeemed: Amount::ZERO,
        penalty: pop(100),
        closes: None,
    }
}

pub(crate) fn prefix(number: u8) -> IpPrefix {
    IpPrefix::V4([10, 0, number])
}

pub(crate) fn policy() -> PayeePolicy {
    PayeePolicy { exposure: ExposureLimits::default(), unredeemed_max: pop(1_000_000) }
}

pub(crate) struct Random(pub u64);

impl Random {
    /// SplitMix64.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

#[derive(Debug, Clone, Copy)]
enum ToPayee {
    Terms { meter: Meter, position: u64 },
    Voucher(SignedVoucher),
}

#[derive(Debug, Clone, Copy)]
enum ToPayer {
    Served(u64),
    Data(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Payer,
    Payee,
    Link,
}

pub(crate) struct World {
    pub(crate) info: VaultInfo,
    pub(crate) tariff: Tariff,
    pub(crate) payer: Payer,
    pub(crate) payee: Payee,
    pub(crate) payer_disk: Option<PayerRecord>,
    pub(crate) payee_disk: Option<PayeeRecord>,
    payer_writing: VecDeque<PayerRecord>,
    payee_writing: VecDeque<PayeeRecord>,
    to_payee: VecDeque<ToPayee>,
    to_payer: VecDeque<ToPayer>,
    /// What the application wants and has got; it keeps what it got.
    pub(crate) total: u64,
    pub(crate) got: u64,
    pub(crate) lost: u64,
    allowance: u64,
    asked: u64,
    greatest_sent: Amount,
    pub(crate) vouchers: u64,
    /// The most by which either side was ever ahead of the other, in bytes.
    pub(crate) worst_unpaid: u64,
    pub(crate) worst_prepaid: u64,
    /// If set, data arrives at once: nothing is ever on its way.
    pub(crate) at_once: bool,
    pub(crate) payee_serves: bool,
    pub(crate) payer_pays: bool,
}

impl World {
    pub(crate) fn new(total: u64) -> Self {
        let info = vault(1, pop(1_000_000));
        let mut world = Self {
            info,
            tariff: tariff(),
            payer: Self::payer(info, None),
            payee: Self::payee(info, None),
            payer_disk: None,
            payee_disk: None,
            payer_writing: VecDeque::new(),
            payee_writing: VecDeque::new(),
            to_payee: VecDeque::new(),
            to_payer: VecDeque::new(),
            total,
            got: 0,
            lost: 0,
            allowance: 0,
            asked: 0,
            greatest_sent: Amount::ZERO,
            vouchers: 0,
            worst_unpaid: 0,
            worst_prepaid: 0,
            at_once: false,
            payee_serves: true,
            payer_pays: true,
        };
        world.connect();
        world.want();
        world
    }

    fn payer(info: VaultInfo, record: Option<PayerRecord>) -> Payer {
        // Through its bytes, as a disk has it.
        let record = record.map(|record| PayerRecord::decode(&record.encode()).unwrap());
        Payer::new(domain(), keypair(1), info, ExposureLimits::default(), record).unwrap()
    }

    fn payee(info: VaultInfo, record: Option<PayeeRecord>) -> Payee {
        let record = record.map(|record| PayeeRecord::decode(&record.encode()).unwrap());
        let known = record.is_some();
        let records = record.map(|record| (info, record));
        let mut payee = Payee::new(domain(), address(2), policy(), records).unwrap();
        if !known {
            payee.handle(PayeeInput::Vault(info)).unwrap();
        }
        payee
    }

    fn connect(&mut self) {
        let (payee, tariff) = (address(2), self.tariff);
        self.payer.handle(PayerInput::Open { payee, tariff, prefix: prefix(2) }).unwrap();
        self.settle();
    }

    fn want(&mut self) {
        let bytes = self.total - self.got;
        self.payer.handle(PayerInput::Want { payee: address(2), bytes }).unwrap();
        self.settle();
    }

    /// Drop what isn't on disk, if `wrote` is false also what was about to be, and start again.
    pub(crate) fn crash(&mut self, side: Side, wrote: bool) {
        self.to_payee.clear();
        let lost: u64 = self
            .to_payer
            .drain(..)
            .map(|message| match message {
                ToPayer::Data(bytes) => bytes,
                ToPayer::Served(_) => 0,
            })
            .sum();
        self.lost += lost;
        self.asked = 0;
        let vault = self.info.vault;
        match side {
            Side::Payer => {
                if let Some(record) = self.payer_writing.drain(..).next().filter(|_| wrote) {
                    self.payer_disk = Some(record);
                }
                self.payer = Self::payer(self.info, self.payer_disk);
            }
            Side::Payee => {
                if let Some(record) = self.payee_writing.drain(..).next().filter(|_| wrote) {
                    self.payee_disk = Some(record);
                }
                self.payee = Self::payee(self.info, self.payee_disk);
                self.allowance = 0;
            }
            Side::Link => {}
        }
        if side != Side::Payee {
            self.payee.handle(PayeeInput::Close { vault }).unwrap();
            self.settle();
            self.allowance = 0;
        }
        self.connect();
        if side == Side::Payer {
            self.want();
        }
    }

    /// Do one thing that can happen, chosen by `choice`; false if nothing can.
    pub(crate) fn step(&mut self, choice: u64) -> bool {
        self.event(choice, self.sendable() > 0)
    }

    /// The same, but the payee serves nothing.
    pub(crate) fn step_without_data(&mut self, choice: u64) -> bool {
        self.event(choice, false)
    }

    /// The payee serves a piece if it may.
    pub(crate) fn serve_one(&mut self) {
        if self.sendable() > 0 {
            self.send_data();
            self.settle();
            self.measure();
        }
    }

    fn event(&mut self, choice: u64, may_serve: bool) -> bool {
        let can = [
            !self.payer_writing.is_empty(),
            !self.payee_writing.is_empty(),
            !self.to_payee.is_empty(),
            !self.to_payer.is_empty(),
            may_serve,
        ];
        let possible: Vec<usize> = (0..5).filter(|index| can[*index]).collect();
        if possible.is_empty() {
            return false;
        }
        match possible[usize::try_from(choice).unwrap() % possible.len()] {
            0 => {
                self.payer_disk = self.payer_writing.pop_front();
                self.payer.handle(PayerInput::Persisted { payee: address(2) }).unwrap();
            }
            1 => {
                self.payee_disk = self.payee_writing.pop_front();
                self.payee.handle(PayeeInput::Persisted { vault: self.info.vault }).unwrap();
            }
            2 => self.at_payee(),
            3 => self.at_payer(),
            _ => self.send_data(),
        }
        self.settle();
        self.measure();
        true
    }

    fn sendable(&self) -> u64 {
        if !self.payee_serves {
            return 0;
        }
        let allowed = self.allowance.saturating_sub(self.payee.served_bytes(self.info.vault));
        allowed.min(self.asked).min(PIECE_BYTES)
    }

    fn send_data(&mut self) {
        let bytes = self.sendable();
        self.payee.handle(PayeeInput::Served { vault: self.info.vault, bytes }).unwrap();
        self.asked -= bytes;
        self.to_payer.push_back(ToPayer::Data(bytes));
        if self.at_once {
            while !self.to_payer.is_empty() {
                self.at_payer();
            }
        }
    }

    fn at_payee(&mut self) {
        let vault = self.info.vault;
        match self.to_payee.pop_front().unwrap() {
            ToPayee::Terms { meter, position } => {
                let prefix = prefix(1);
                self.payee.handle(PayeeInput::Open { vault, meter, position, prefix }).unwrap();
                self.to_payer.push_back(ToPayer::Served(self.payee.served_bytes(vault)));
                self.asked = self.total - self.got;
            }
            ToPayee::Voucher(signed) => {
                let signed = SignedVoucher::decode(&signed.encode()).unwrap();
                self.payee.handle(PayeeInput::Voucher(signed)).unwrap();
            }
        }
    }

    fn at_payer(&mut self) {
        let payee = address(2);
        match self.to_payer.pop_front().unwrap() {
            ToPayer::Served(bytes) => {
                self.payer.handle(PayerInput::Served { payee, bytes }).unwrap();
            }
            ToPayer::Data(bytes) => {
                self.got += bytes;
                self.payer.handle(PayerInput::Verified { payee, bytes }).unwrap();
            }
        }
    }

    /// Carry out what the machines ask for, checking what they promise.
    fn settle(&mut self) {
        while let Some(output) = self.payer.poll() {
            match output {
                PayerOutput::Persist(record) => self.payer_writing.push_back(record),
                PayerOutput::Terms { meter, position, .. } => {
                    self.to_payee.push_back(ToPayee::Terms { meter, position });
                }
                PayerOutput::Send(signed) => {
                    let stored = self.payer_disk.expect("a voucher was sent before its record");
                    assert!(stored.voucher() == signed.voucher, "sent what wasn't stored");
                    assert!(signed.voucher.amount >= self.greatest_sent, "a lower voucher");
                    self.greatest_sent = signed.voucher.amount;
                    self.vouchers += 1;
                    if self.payer_pays {
                        self.to_payee.push_back(ToPayee::Voucher(signed));
                    }
                }
                other => panic!("an honest payee is blamed: {other:?}"),
            }
        }
        while let Some(output) = self.payee.poll() {
            match output {
                PayeeOutput::Persist(record) => self.payee_writing.push_back(record),
                PayeeOutput::Allowance { bytes, .. } => {
                    let stored = self
                        .payee_disk
                        .map_or(0, |record| record.meter.bytes_for(record.signed.voucher.amount));
                    assert!(bytes <= stored + STEP_BYTES_MAX, "allowed before it was stored");
                    self.allowance = bytes;
                }
                PayeeOutput::Redeem(_) => {}
                other => panic!("an honest payer is refused: {other:?}"),
            }
        }
        assert!(self.payer_writing.len() <= 1 && self.payee_writing.len() <= 1);
    }

    fn measure(&mut self) {
        let promised = self.tariff.bytes_for(self.greatest_sent);
        let paid =
            self.payee_disk.map_or(0, |record| self.tariff.bytes_for(record.signed.voucher.amount));
        let served = self.payee.served_bytes(self.info.vault);
        self.worst_unpaid = self.worst_unpaid.max(served.saturating_sub(paid));
        self.worst_prepaid = self.worst_prepaid.max(promised.saturating_sub(self.got + self.lost));
    }

    /// Let everything that can happen happen, in a fair order.
    pub(crate) fn run(&mut self, random: &mut Random) {
        while self.step(random.next() >> 32) {}
    }

    /// The application has what it wanted: the last receipt.
    pub(crate) fn finish(&mut self, random: &mut Random) {
        self.run(random);
        assert_eq!(self.got, self.total, "the delivery is stuck");
        self.payer.handle(PayerInput::Close { payee: address(2) }).unwrap();
        self.settle();
        self.run(random);
    }
}
