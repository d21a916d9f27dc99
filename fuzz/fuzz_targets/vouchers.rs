//! A payer and two payees, their disks and the links between them, driven by any order of
//! operations: records that are written late or not at all, crashes of either side, words that are
//! lost, replayed or forged, a vault that is funded, closed and emptied. No promise is sent before
//! it is stored, taken back, or beyond the vault; nothing is paid for that can't have come; no
//! byte is served that neither a stored voucher nor the float covers; nobody honest is blamed.

#![no_main]

use std::cell::LazyCell;
use std::collections::{BTreeMap, VecDeque};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use pop_incentive::balance::Balance;
use pop_incentive::exposure::{ExposureLimits, IpPrefix};
use pop_incentive::ids::VaultId;
use pop_incentive::limits::{STEP_BYTES_MAX, TRANSPORT_LOSS_DIVISOR};
use pop_incentive::payee::{Payee, PayeeInput, PayeeOutput, PayeePolicy};
use pop_incentive::payer::{Payer, PayerInput, PayerOutput};
use pop_incentive::rate::{Meter, Rate, Tariff, Tier};
use pop_incentive::record::{PayeeRecord, PayerRecord};
use pop_incentive::refusal::Blame;
use pop_incentive::typed_data::LedgerDomain;
use pop_incentive::voucher::{SignedVoucher, VaultInfo, Voucher};
use pop_wire::{Amount, Keypair, UnixTime, WalletAddress};

const OPERATIONS_MAX: usize = 256;
const VAULT: VaultId = VaultId([5; 32]);
/// Base units that a byte costs, so that amounts can be read.
const UNITS_PER_BYTE: u128 = 1_000;

thread_local! {
    static KEYS: LazyCell<[Keypair; 4]> = LazyCell::new(|| {
        [1, 2, 3, 4].map(|byte| Keypair::from_secret_bytes(&[byte; 32]).expect("valid"))
    });
}

#[derive(Debug, Arbitrary)]
enum Operation {
    /// The payer comes, or comes back, or changes the tariff.
    Open {
        payee: bool,
        dearer: bool,
    },
    Want {
        payee: bool,
        bytes: u32,
    },
    /// The payee sends some of what was asked for and is allowed.
    Serve {
        payee: bool,
        bytes: u32,
    },
    /// The oldest word on its way arrives.
    Arrive {
        payee: bool,
        at_payer: bool,
    },
    /// The oldest record on its way is on the disk.
    Persist {
        payee: bool,
        by_payer: bool,
    },
    /// All of this happens, in turn, until nothing is on its way.
    Settle {
        payee: bool,
    },
    CrashPayer {
        wrote: bool,
    },
    CrashPayee {
        payee: bool,
        wrote: bool,
    },
    LinkDown {
        payee: bool,
    },
    Close {
        payee: bool,
    },
    /// The payee claims to have served any number of bytes.
    Claim {
        payee: bool,
        bytes: u64,
    },
    /// A voucher comes that the payer's machine didn't make.
    Forge {
        payee: bool,
        signer: u8,
        epoch: u8,
        amount: u64,
        bytes: u64,
    },
    /// One that it made comes again.
    Replay {
        payee: bool,
        back: u8,
    },
    Balance {
        payee: bool,
        at_payer: bool,
        owed: u64,
        promised: u64,
    },
    Redeem {
        payee: bool,
    },
    Fund {
        bytes: u32,
    },
    Unlock,
    /// A new epoch begins.
    Withdraw {
        bytes: u32,
    },
}

enum ToPayee {
    Terms { meter: Meter, position: u64 },
    Voucher(SignedVoucher),
}

enum ToPayer {
    Served(u64),
    Data(u64),
}

/// One payee, what it has stored, and its link.
struct Seller {
    address: WalletAddress,
    payee: Payee,
    disk: Option<PayeeRecord>,
    writing: VecDeque<PayeeRecord>,
    to_payee: VecDeque<ToPayee>,
    to_payer: VecDeque<ToPayer>,
    /// What is said on a link that is down is lost.
    is_linked: bool,
    allowance: u64,
    /// What the payer's application still wants, and has got in this epoch.
    wanted: u64,
    got: u64,
    /// All vouchers that were sent, and the greatest of this epoch.
    sent: Vec<SignedVoucher>,
    greatest: Amount,
    redeemed: Amount,
}

impl Seller {
    /// The payer says this.
    fn say(&mut self, word: ToPayee) {
        if self.is_linked {
            self.to_payee.push_back(word);
        }
    }
}

struct World<'a> {
    keys: &'a [Keypair; 4],
    domain: LedgerDomain,
    vault: VaultInfo,
    payer: Payer,
    payer_disk: BTreeMap<WalletAddress, PayerRecord>,
    payer_writing: VecDeque<PayerRecord>,
    sellers: [Seller; 2],
    restarts: u64,
    /// Whether all words were made by the machines, all at one tariff and without netting.
    honest: bool,
    /// Whether the vault's owner signed something that its machine didn't.
    forged: bool,
    plain: bool,
}

fn tariff(dearer: bool) -> Tariff {
    // Per megabit and tier: 8 bits a byte, one tier.
    let rate = UNITS_PER_BYTE * 125_000 * if dearer { 3 } else { 1 };
    Tariff {
        rate: Rate::new(Amount::from_base_units(rate)).expect("not zero"),
        tier: Tier::of_kbps(100).expect("a tier"),
    }
}

fn worth(bytes: u64) -> Amount {
    Amount::from_base_units(u128::from(bytes) * UNITS_PER_BYTE)
}

fn prefix(payee: bool) -> IpPrefix {
    IpPrefix::V4([10, 0, u8::from(payee)])
}

fn make_payer(world: (LedgerDomain, &Keypair, VaultInfo), records: Vec<PayerRecord>) -> Payer {
    let (domain, owner, vault) = world;
    // Through their bytes, as a disk has them.
    let read = |record: PayerRecord| PayerRecord::decode(&record.encode()).expect("our own");
    let records = records.into_iter().map(read);
    Payer::new(domain, owner.clone(), vault, ExposureLimits::default(), records)
        .expect("its own records")
}

fn make_payee(
    (domain, address, vault): (LedgerDomain, WalletAddress, VaultInfo),
    record: Option<PayeeRecord>,
) -> Payee {
    let policy = PayeePolicy {
        exposure: ExposureLimits::default(),
        unredeemed_max: Amount::from_base_units(u128::MAX),
    };
    let record = record.map(|it| (vault, PayeeRecord::decode(&it.encode()).expect("our own")));
    let is_known = record.is_some();
    let mut payee = Payee::new(domain, address, policy, record).expect("its own record");
    if !is_known {
        payee.handle(PayeeInput::Vault(vault)).expect("a new vault");
    }
    payee
}

impl<'a> World<'a> {
    fn new(keys: &'a [Keypair; 4]) -> Self {
        let domain = LedgerDomain::new(7, WalletAddress([7; 20]));
        let vault = VaultInfo {
            vault: VAULT,
            owner: keys[0].peer_id().wallet_address(),
            epoch: 0,
            funded: worth(1 << 22),
            redeemed: Amount::ZERO,
            penalty: Amount::ZERO,
            closes: None,
        };
        let seller = |key: &Keypair| {
            let address = key.peer_id().wallet_address();
            Seller {
                address,
                payee: make_payee((domain, address, vault), None),
                disk: None,
                writing: VecDeque::new(),
                to_payee: VecDeque::new(),
                to_payer: VecDeque::new(),
                is_linked: false,
                allowance: 0,
                wanted: 0,
                got: 0,
                sent: Vec::new(),
                greatest: Amount::ZERO,
                redeemed: Amount::ZERO,
            }
        };
        Self {
            keys,
            domain,
            vault,
            payer: make_payer((domain, &keys[0], vault), Vec::new()),
            payer_disk: BTreeMap::new(),
            payer_writing: VecDeque::new(),
            sellers: [seller(&keys[1]), seller(&keys[2])],
            restarts: 0,
            honest: true,
            forged: false,
            plain: true,
        }
    }

    fn seller(&mut self, payee: bool) -> &mut Seller {
        &mut self.sellers[usize::from(payee)]
    }

    fn seller_at(&mut self, address: WalletAddress) -> &mut Seller {
        let found = self.sellers.iter_mut().find(|seller| seller.address == address);
        found.expect("one of the two")
    }

    fn apply(&mut self, operation: &Operation) {
        let payee_of = |payee: bool| usize::from(payee);
        match *operation {
            Operation::Open { payee, dearer } => {
                self.plain &= !dearer;
                self.honest &= !dearer;
                self.link_down(payee);
                self.open(payee, dearer);
            }
            Operation::Want { payee, bytes } => {
                let payee_address = self.sellers[payee_of(payee)].address;
                let want = PayerInput::Want { payee: payee_address, bytes: bytes.into() };
                if self.payer.handle(want).is_ok() {
                    self.seller(payee).wanted += u64::from(bytes);
                }
            }
            Operation::Serve { payee, bytes } => self.serve(payee, bytes.into()),
            Operation::Arrive { payee, at_payer } => self.arrive(payee, at_payer),
            Operation::Persist { payee, by_payer } => self.persist(payee, by_payer),
            Operation::Settle { payee } => self.settle(payee),
            Operation::CrashPayer { wrote } => self.crash_payer(wrote),
            Operation::CrashPayee { payee, wrote } => self.crash_payee(payee, wrote),
            Operation::LinkDown { payee } => self.link_down(payee),
            Operation::Close { payee } => {
                self.link_down(payee);
                let address = self.seller(payee).address;
                if self.payer.handle(PayerInput::Close { payee: address }).is_ok() {
                    self.seller(payee).wanted = 0;
                }
            }
            Operation::Claim { payee, bytes } => {
                self.honest = false;
                let address = self.seller(payee).address;
                let _unknown = self.payer.handle(PayerInput::Served { payee: address, bytes });
            }
            Operation::Balance { payee, at_payer, owed, promised } => {
                (self.honest, self.plain) = (false, false);
                let units = |value: u64| Amount::from_base_units(value.into());
                let balance = Balance { owed: units(owed), promised: units(promised) };
                let seller = &mut self.sellers[payee_of(payee)];
                let address = seller.address;
                if at_payer {
                    let _unknown =
                        self.payer.handle(PayerInput::Balance { payee: address, balance });
                } else {
                    let input = PayeeInput::Balance { vault: VAULT, balance };
                    seller.payee.handle(input).expect("a known vault");
                }
            }
            ref other => self.apply_word_or_ledger(other),
        }
        self.drain();
        self.check();
    }

    fn apply_word_or_ledger(&mut self, operation: &Operation) {
        match *operation {
            Operation::Forge { payee, signer, epoch, amount, bytes } => {
                self.honest = false;
                let key = &self.keys[usize::from(signer) % 4];
                self.forged |= signer.is_multiple_of(4);
                let amount = Amount::from_base_units(amount.into());
                let seller = &mut self.sellers[usize::from(payee)];
                let voucher = Voucher {
                    vault: VAULT,
                    payee: seller.address,
                    epoch: epoch.into(),
                    amount,
                    bytes,
                };
                let signed = voucher.sign(&self.domain, key);
                seller.payee.handle(PayeeInput::Voucher(signed)).expect("never misuse");
            }
            Operation::Replay { payee, back } => {
                self.honest = false;
                let seller = self.seller(payee);
                let index = seller.sent.len().checked_sub(1 + usize::from(back));
                if let Some(index) = index {
                    let signed = seller.sent[index];
                    seller.payee.handle(PayeeInput::Voucher(signed)).expect("never misuse");
                }
            }
            Operation::Redeem { payee } => self.redeem(payee),
            Operation::Fund { bytes } => {
                if self.vault.closes.is_none() {
                    let more = worth(bytes.into());
                    self.vault.funded = self.vault.funded.checked_add(more).expect("small");
                    self.tell_vault();
                }
            }
            Operation::Unlock => {
                self.vault.closes = Some(UnixTime(1));
                self.tell_vault();
            }
            Operation::Withdraw { bytes } => {
                // A payer stops before it withdraws: what is still on its way then would be counted
                // in the new epoch (spec/incentive.md §9).
                self.link_down(false);
                self.link_down(true);
                let epoch = self.vault.epoch + 1;
                let (funded, redeemed) = (worth(bytes.into()), Amount::ZERO);
                self.vault = VaultInfo { epoch, funded, redeemed, closes: None, ..self.vault };
                for seller in &mut self.sellers {
                    (seller.got, seller.greatest) = (0, Amount::ZERO);
                    seller.redeemed = Amount::ZERO;
                }
                self.tell_vault();
            }
            _ => unreachable!("the others are done"),
        }
    }

    fn tell_vault(&mut self) {
        self.payer.handle(PayerInput::Vault(self.vault)).expect("the same vault");
        for seller in &mut self.sellers {
            seller.payee.handle(PayeeInput::Vault(self.vault)).expect("the same vault");
        }
    }

    fn open(&mut self, payee: bool, dearer: bool) {
        let (address, tariff) = (self.seller(payee).address, tariff(dearer));
        self.seller(payee).is_linked = true;
        let open = PayerInput::Open { payee: address, tariff, prefix: prefix(payee) };
        // With netted books the sums may not fit.
        let opened = self.payer.handle(open);
        assert!(opened.is_ok() || !self.plain, "{opened:?}");
    }

    /// What is on its way is lost; the payee sees that the payer is gone.
    fn link_down(&mut self, payee: bool) {
        let seller = self.seller(payee);
        seller.to_payee.clear();
        seller.to_payer.clear();
        (seller.is_linked, seller.allowance) = (false, 0);
        seller.payee.handle(PayeeInput::Close { vault: VAULT }).expect("a known vault");
    }

    fn serve(&mut self, payee: bool, bytes: u64) {
        let seller = self.seller(payee);
        let on_its_way: u64 = seller
            .to_payer
            .iter()
            .map(|word| if let ToPayer::Data(bytes) = word { *bytes } else { 0 })
            .sum();
        let allowed = seller.allowance.saturating_sub(seller.payee.served_bytes(VAULT));
        let asked = seller.wanted.saturating_sub(on_its_way);
        let bytes = bytes.min(allowed).min(asked);
        if bytes > 0 && seller.payee.handle(PayeeInput::Served { vault: VAULT, bytes }).is_ok() {
            seller.to_payer.push_back(ToPayer::Data(bytes));
        }
    }

    fn arrive(&mut self, payee: bool, at_payer: bool) {
        let seller = &mut self.sellers[usize::from(payee)];
        let address = seller.address;
        if at_payer {
            match seller.to_payer.pop_front() {
                Some(ToPayer::Served(bytes)) => {
                    let input = PayerInput::Served { payee: address, bytes };
                    self.payer.handle(input).expect("it was opened");
                }
                Some(ToPayer::Data(bytes)) => {
                    seller.got += bytes;
                    seller.wanted -= bytes;
                    let input = PayerInput::Verified { payee: address, bytes };
                    self.payer.handle(input).expect("it was asked for");
                }
                None => {}
            }
            return;
        }
        match seller.to_payee.pop_front() {
            Some(ToPayee::Terms { meter, position }) => {
                let prefix = prefix(!payee);
                let open = PayeeInput::Open { vault: VAULT, meter, position, prefix };
                seller.payee.handle(open).expect("a known vault");
                let served = seller.payee.served_bytes(VAULT);
                seller.to_payer.push_back(ToPayer::Served(served));
            }
            Some(ToPayee::Voucher(signed)) => {
                let signed = SignedVoucher::decode(&signed.encode()).expect("our own");
                seller.payee.handle(PayeeInput::Voucher(signed)).expect("never misuse");
            }
            None => {}
        }
    }

    fn persist(&mut self, payee: bool, by_payer: bool) {
        let seller = &mut self.sellers[usize::from(payee)];
        if by_payer {
            if let Some(record) = self.payer_writing.pop_front() {
                self.payer_disk.insert(record.payee, record);
                let input = PayerInput::Persisted { payee: record.payee };
                self.payer.handle(input).expect("it was to be stored");
            }
        } else if let Some(record) = seller.writing.pop_front() {
            seller.disk = Some(record);
            seller.payee.handle(PayeeInput::Persisted { vault: VAULT }).expect("was to be stored");
        }
    }

    fn settle(&mut self, payee: bool) {
        for _ in 0..64 {
            self.persist(payee, true);
            self.drain();
            self.arrive(payee, false);
            self.drain();
            self.persist(payee, false);
            self.drain();
            self.serve(payee, 100_000);
            self.arrive(payee, true);
            self.drain();
        }
    }

    fn crash_payer(&mut self, wrote: bool) {
        if let Some(record) = self.payer_writing.drain(..).next().filter(|_| wrote) {
            self.payer_disk.insert(record.payee, record);
        }
        self.restarts += 1;
        let records = self.payer_disk.values().copied().collect();
        self.payer = make_payer((self.domain, &self.keys[0], self.vault), records);
        for payee in [false, true] {
            self.link_down(payee);
            self.seller(payee).wanted = 0;
        }
    }

    fn crash_payee(&mut self, payee: bool, wrote: bool) {
        let (domain, vault) = (self.domain, self.vault);
        let seller = self.seller(payee);
        if let Some(record) = seller.writing.drain(..).next().filter(|_| wrote) {
            seller.disk = Some(record);
        }
        seller.payee = make_payee((domain, seller.address, vault), seller.disk);
        self.link_down(payee);
    }

    /// The ledger pays what is on the payee's disk, and tells everybody.
    fn redeem(&mut self, payee: bool) {
        let (balance, epoch) = (self.vault.balance(), self.vault.epoch);
        let seller = &mut self.sellers[usize::from(payee)];
        let Some(record) = seller.disk else { return };
        let voucher = record.signed.voucher;
        if voucher.epoch != epoch {
            return;
        }
        let due = voucher.amount.checked_sub(seller.redeemed).unwrap_or(Amount::ZERO);
        assert!(due <= balance || self.forged, "an honest promise is not covered");
        let paid = due.min(balance);
        seller.redeemed = seller.redeemed.checked_add(paid).expect("fits");
        assert!(seller.redeemed <= seller.greatest || self.forged, "paid more than was promised");
        self.vault.redeemed = self.vault.redeemed.checked_add(paid).expect("fits");
        let input = PayeeInput::Redeemed { vault: VAULT, amount: seller.redeemed };
        seller.payee.handle(input).expect("a known vault");
        self.tell_vault();
    }

    /// Carry out what the machines ask for, checking what they promise.
    fn drain(&mut self) {
        while let Some(output) = self.payer.poll() {
            self.from_payer(output);
        }
        for index in 0..2 {
            while let Some(output) = self.sellers[index].payee.poll() {
                self.from_payee(index, output);
            }
        }
    }

    fn from_payer(&mut self, output: PayerOutput) {
        match output {
            PayerOutput::Persist(record) => self.payer_writing.push_back(record),
            PayerOutput::Terms { payee, meter, position } => {
                self.seller_at(payee).say(ToPayee::Terms { meter, position });
            }
            PayerOutput::Send(signed) => {
                let voucher = signed.voucher;
                let stored = self.payer_disk.get(&voucher.payee).expect("stored before sent");
                assert_eq!(stored.voucher(), voucher, "what was sent is what was stored");
                assert_eq!(voucher.epoch, self.vault.epoch, "a void promise");
                let seller = self.seller_at(voucher.payee);
                assert!(voucher.amount >= seller.greatest, "a promise was taken back");
                assert!(voucher.bytes <= seller.got, "a receipt for what never came");
                seller.greatest = voucher.amount;
                seller.sent.push(signed);
                seller.say(ToPayee::Voucher(signed));
            }
            PayerOutput::Overclaimed { .. } => assert!(!self.honest, "an honest payee is blamed"),
            _ => {}
        }
    }

    fn from_payee(&mut self, index: usize, output: PayeeOutput) {
        let seller = &mut self.sellers[index];
        match output {
            PayeeOutput::Persist(record) => {
                let signed = record.signed;
                assert_eq!(signed.verify(&self.domain, self.vault.owner), Ok(()));
                assert_eq!(signed.voucher.payee, seller.address);
                seller.writing.push_back(record);
            }
            PayeeOutput::Allowance { bytes, .. } => {
                let paid = seller
                    .disk
                    .filter(|record| record.signed.voucher.epoch == self.vault.epoch)
                    .map_or(0, |record| record.meter.bytes_for(record.signed.voucher.amount));
                let covered = paid.saturating_add(STEP_BYTES_MAX);
                assert!(bytes <= covered || !self.plain, "allowed before it was stored");
                seller.allowance = bytes;
            }
            PayeeOutput::Redeem(signed) => {
                assert_eq!(Some(signed), seller.disk.map(|record| record.signed));
            }
            PayeeOutput::Refused { refusal, .. } => {
                let is_blamed = refusal.blame() == Blame::Payer;
                assert!(!is_blamed || !self.honest, "an honest payer is blamed: {refusal:?}");
            }
            _ => {}
        }
    }

    fn check(&self) {
        assert!(self.payer.promised() <= self.vault.funded, "promised more than the vault holds");
        let sent = self
            .sellers
            .iter()
            .try_fold(Amount::ZERO, |sum, seller| sum.checked_add(seller.greatest));
        assert!(sent.is_some_and(|sent| sent <= self.vault.funded), "sent more than it holds");
        assert!(self.payer_writing.len() <= 2);
        for seller in &self.sellers {
            assert!(seller.writing.len() <= 1);
            let came = seller.got + seller.got / TRANSPORT_LOSS_DIVISOR;
            let most = worth(came + STEP_BYTES_MAX + self.restarts * 2 * STEP_BYTES_MAX);
            assert!(seller.greatest <= most || !self.plain, "paid for what can't have come");
            let bound = seller.payee.bound();
            assert!(bound.now_bytes <= bound.limits.total_bytes);
        }
    }
}

fuzz_target!(|operations: Vec<Operation>| {
    KEYS.with(|keys| {
        let mut world = World::new(keys);
        world.open(false, false);
        world.open(true, false);
        world.drain();
        for operation in operations.iter().take(OPERATIONS_MAX) {
            world.apply(operation);
        }
    });
});
