//! Random streams of vouchers, replayed, reordered, merged from several payers, forged, with
//! crashes of the payee, against a model that only knows the rule.
//!
//! 1e5 in the suite. For 1e7:
//! `POP_VOUCHERS=10000000 cargo test --release -p pop-incentive --test vouchers streams --
//! --nocapture`; `POP_SEED` sets the seed.

use std::collections::VecDeque;

use pop_incentive::payee::{Payee, PayeeInput, PayeeOutput};
use pop_incentive::rate::Meter;
use pop_incentive::record::PayeeRecord;
use pop_incentive::typed_data::LedgerDomain;
use pop_incentive::voucher::{SignedVoucher, VaultInfo, Voucher};
use pop_wire::{Amount, WalletAddress};

use crate::world::{Random, address, domain, keypair, policy, pop, prefix, tariff, vault};

const PAYERS: usize = 4;
const VOUCHERS_PER_PAYER: usize = 150;

#[test]
fn a_random_voucher_stream_is_neither_overpaid_nor_underpaid() {
    let number = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
    };
    let (count, seed) = (number("POP_VOUCHERS", 100_000), number("POP_SEED", 1));
    let pool = Pool::new();
    let mut random = Random(seed);
    let mut totals = Totals::default();
    while totals.delivered < count {
        let mut stream = Stream::new(&pool);
        while !stream.is_used_up() && totals.delivered < count {
            stream.event(&mut random, &mut totals);
        }
        stream.end(&mut totals, seed);
    }
    println!("n {count}, seed {seed}: {totals:?}, 0 over- and 0 underpayments");
    assert!(totals.accepted > count / 20 && totals.crashes > count / 200, "{totals:?}");
}

#[derive(Debug, Default)]
struct Totals {
    delivered: u64,
    accepted: u64,
    refused: u64,
    crashes: u64,
    streams: u64,
    settled: Amount,
}

/// Signed once, used in every stream.
struct Pool {
    infos: Vec<VaultInfo>,
    honest: Vec<Vec<SignedVoucher>>,
    forged: Vec<SignedVoucher>,
}

impl Pool {
    fn new() -> Self {
        let infos: Vec<_> =
            (1..=PAYERS).map(|n| vault(u32::try_from(n).unwrap(), pop(1000))).collect();
        let honest: Vec<Vec<_>> = infos
            .iter()
            .enumerate()
            .map(|(payer, info)| {
                (0..VOUCHERS_PER_PAYER)
                    .map(|index| {
                        let owner = keypair(u32::try_from(payer + 1).unwrap());
                        honest(info, u64::try_from(index).unwrap()).sign(&domain(), &owner)
                    })
                    .collect()
            })
            .collect();
        let forged = infos
            .iter()
            .zip(&honest)
            .flat_map(|(info, honest)| {
                let voucher = Voucher { amount: pop(999), ..honest[5].voucher };
                let other = LedgerDomain::new(8, WalletAddress([7; 20]));
                let owner = keypair(u32::from(info.vault.0[0]));
                [
                    voucher.sign(&domain(), &keypair(66)),
                    voucher.sign(&other, &owner),
                    Voucher { payee: address(3), ..voucher }.sign(&domain(), &owner),
                    Voucher { epoch: 1, ..voucher }.sign(&domain(), &owner),
                    Voucher { amount: pop(1001), ..voucher }.sign(&domain(), &owner),
                    SignedVoucher { voucher, ..honest[7] },
                ]
            })
            .collect();
        Self { infos, honest, forged }
    }
}

/// The payer's voucher of this number: acknowledges so many steps of 16 KiB and promises four more.
fn honest(info: &VaultInfo, index: u64) -> Voucher {
    Voucher {
        vault: info.vault,
        payee: address(2),
        epoch: 0,
        amount: tariff().price((index + 4) * 16_384).unwrap(),
        bytes: index * 16_384,
    }
}

/// What the rule says about one payer: the greatest voucher, in memory and on disk.
#[derive(Clone, Copy, Default)]
struct Model {
    newest: (Amount, u64),
    stored: (Amount, u64),
    /// The payer's next voucher, and what it has truly got.
    next: usize,
    got: u64,
}

struct Stream<'a> {
    pool: &'a Pool,
    payee: Payee,
    disk: Vec<Option<PayeeRecord>>,
    writing: VecDeque<PayeeRecord>,
    allowance: Vec<u64>,
    models: Vec<Model>,
}

impl<'a> Stream<'a> {
    fn new(pool: &'a Pool) -> Self {
        let mut stream = Self {
            pool,
            payee: Payee::new(domain(), address(2), policy(), []).unwrap(),
            disk: vec![None; PAYERS],
            writing: VecDeque::new(),
            allowance: vec![0; PAYERS],
            models: vec![Model::default(); PAYERS],
        };
        stream.restart();
        stream
    }

    fn is_used_up(&self) -> bool {
        self.models.iter().any(|model| model.next >= VOUCHERS_PER_PAYER)
    }

    fn event(&mut self, random: &mut Random, totals: &mut Totals) {
        let payer = usize::try_from(random.below(4)).unwrap();
        let model = self.models[payer];
        match random.below(100) {
            0..25 => {
                // The payer has got what it acknowledges.
                let signed = self.pool.honest[payer][model.next];
                if model.got >= signed.voucher.bytes {
                    self.models[payer].next += 1;
                    // One of ten is lost on the way: the next one says all that it said.
                    if random.below(10) > 0 {
                        self.deliver(payer, signed, totals);
                    }
                }
            }
            25..75 if model.next > 0 => {
                // Old ones, more often the newest of them.
                let back = usize::try_from(random.below(6) * random.below(6)).unwrap();
                let index = (model.next - 1).saturating_sub(back);
                self.deliver(payer, self.pool.honest[payer][index], totals);
            }
            75..82 => {
                let index = random.below(u64::try_from(self.pool.forged.len()).unwrap());
                let signed = self.pool.forged[usize::try_from(index).unwrap()];
                self.deliver_forged(signed, totals);
            }
            82..83 => {
                let wrote = random.below(2) == 0;
                if let Some(record) = self.writing.pop_front().filter(|_| wrote) {
                    self.write(record);
                }
                self.writing.clear();
                totals.crashes += 1;
                self.restart();
            }
            _ => self.persist_one(),
        }
        self.serve(payer, random);
    }

    fn restart(&mut self) {
        let records: Vec<_> = self
            .disk
            .iter()
            .zip(&self.pool.infos)
            .filter_map(|(record, info)| record.map(|record| (*info, record)))
            .collect();
        self.payee = Payee::new(domain(), address(2), policy(), records).unwrap();
        for payer in 0..PAYERS {
            let (info, model) = (self.pool.infos[payer], &mut self.models[payer]);
            model.newest = model.stored;
            let meter = Meter::new(tariff());
            let (position, prefix) = (model.got, prefix(u8::try_from(payer).unwrap()));
            self.payee.handle(PayeeInput::Vault(info)).unwrap();
            let open = PayeeInput::Open { vault: info.vault, meter, position, prefix };
            self.payee.handle(open).unwrap();
        }
        self.drain();
    }

    fn deliver(&mut self, payer: usize, signed: SignedVoucher, totals: &mut Totals) {
        let model = &mut self.models[payer];
        let (amount, bytes) = (signed.voucher.amount, signed.voucher.bytes);
        let expected = amount >= model.newest.0 && bytes >= model.newest.1;
        if expected {
            model.newest = (amount, bytes);
        }
        totals.delivered += 1;
        self.payee.handle(PayeeInput::Voucher(signed)).unwrap();
        let accepted = !self.drain();
        assert_eq!(accepted, expected, "{signed:?}");
        totals.accepted += u64::from(accepted);
        totals.refused += u64::from(!accepted);
    }

    fn deliver_forged(&mut self, signed: SignedVoucher, totals: &mut Totals) {
        totals.delivered += 1;
        totals.refused += 1;
        self.payee.handle(PayeeInput::Voucher(signed)).unwrap();
        assert!(self.drain(), "accepted: {signed:?}");
    }

    fn serve(&mut self, payer: usize, random: &mut Random) {
        let vault = self.pool.infos[payer].vault;
        let room = self.allowance[payer].saturating_sub(self.payee.served_bytes(vault));
        let bytes = room.min(16_384 * random.below(3));
        self.payee.handle(PayeeInput::Served { vault, bytes }).unwrap();
        self.models[payer].got += bytes;
    }

    fn persist_one(&mut self) {
        if let Some(record) = self.writing.pop_front() {
            self.write(record);
            let vault = record.signed.voucher.vault;
            self.payee.handle(PayeeInput::Persisted { vault }).unwrap();
            self.drain();
        }
    }

    fn write(&mut self, record: PayeeRecord) {
        let payer = self.payer(record.signed.voucher.vault.0);
        self.disk[payer] = Some(record);
        let voucher = record.signed.voucher;
        self.models[payer].stored = (voucher.amount, voucher.bytes);
    }

    fn payer(&self, vault: [u8; 32]) -> usize {
        self.pool.infos.iter().position(|info| info.vault.0 == vault).unwrap()
    }

    /// True if something was refused.
    fn drain(&mut self) -> bool {
        let mut refused = false;
        while let Some(output) = self.payee.poll() {
            match output {
                PayeeOutput::Persist(record) => self.writing.push_back(record),
                PayeeOutput::Allowance { vault, bytes } => {
                    let payer = self.payer(vault.0);
                    self.allowance[payer] = bytes;
                }
                PayeeOutput::Refused { .. } => refused = true,
                other => panic!("not expected: {other:?}"),
            }
        }
        refused
    }

    /// Everything is stored, and the ledger pays what is on disk: exactly what the greatest
    /// voucher promised that came.
    fn end(&mut self, totals: &mut Totals, seed: u64) {
        while !self.writing.is_empty() {
            self.persist_one();
        }
        totals.streams += 1;
        for (payer, model) in self.models.iter().enumerate() {
            let redeemed = self.disk[payer].map_or(Amount::ZERO, |disk| disk.signed.voucher.amount);
            assert_eq!(redeemed, model.newest.0, "seed {seed}, stream {}", totals.streams);
            // Never more than the payer signed, and never less than what it acknowledged.
            let signed =
                model.next.checked_sub(1).map(|last| self.pool.honest[payer][last].voucher);
            assert!(redeemed <= signed.map_or(Amount::ZERO, |voucher| voucher.amount));
            assert!(redeemed >= tariff().price(model.newest.1).unwrap());
            totals.settled = totals.settled.checked_add(redeemed).unwrap();
        }
    }
}
