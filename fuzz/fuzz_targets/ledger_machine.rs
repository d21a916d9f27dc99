//! The ledger under any list of operations over a few people and names, and under any bytes as an
//! operation. What it refuses changes nothing; what it takes twice has one effect and one receipt;
//! every account covers what it owes and all of them add up to what was emitted, after each
//! operation; the state is the fold of what was taken; whatever decodes has one form in bytes.

#![no_main]

use std::cell::LazyCell;
use std::collections::BTreeMap;

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use pop_fuzz::memory::peak_bytes;
use pop_incentive::evidence::DoubleVoucherEvidence;
use pop_incentive::ledger::{
    Account, Entry, Evidence, LedgerParameters, LedgerState, LoanNote, Operation, SignedNote,
    SignedOperation, names, no_equivocation_check, shares,
};
use pop_incentive::typed_data::{LedgerDomain, MoneySignature};
use pop_incentive::voucher::{SignedVoucher, Voucher};
use pop_wire::{Amount, ContentId, Digest, Keypair, PeerId, UnixTime, WalletAddress};

const OPERATIONS_MAX: usize = 96;
const PEOPLE: usize = 4;
const DAY_S: u64 = 86_400;
/// What decoding may take: the decoded lists are a few times as large as their bytes.
const DECODE_BYTES_MAX: usize = 64 * 1024;

thread_local! {
    static PEERS: LazyCell<[PeerId; PEOPLE]> = LazyCell::new(|| {
        [1, 2, 3, 4].map(|byte| Keypair::from_secret_bytes(&[byte; 32]).expect("valid").peer_id())
    });
}

fn domain() -> LedgerDomain {
    LedgerDomain::new(1, WalletAddress([0xaa; 20]))
}

/// The form of a signature. Rules are driven without looking at whose it is.
fn form() -> MoneySignature {
    let mut bytes = [1; 65];
    bytes[64] = 27;
    MoneySignature::from_bytes(bytes).expect("a low s")
}

struct World<'a> {
    peers: &'a [PeerId; PEOPLE],
    people: [WalletAddress; PEOPLE],
    state: LedgerState,
    empty: LedgerState,
    taken: Vec<(UnixTime, SignedOperation)>,
    now: u64,
}

impl<'a> World<'a> {
    fn new(peers: &'a [PeerId; PEOPLE]) -> Self {
        let people = peers.each_ref().map(PeerId::wallet_address);
        let mut parameters = LedgerParameters::new(people[0]);
        parameters.genesis_supply = Amount::from_base_units(1_000_000);
        parameters.emission_per_epoch = Amount::from_base_units(1_000);
        parameters.collateral_min = Amount::from_base_units(50);
        let empty = LedgerState::new(domain(), parameters, no_equivocation_check);
        let empty = empty.expect("sound parameters");
        let (state, taken) = (empty.clone(), Vec::new());
        let mut world = Self { peers, people, state, empty, taken, now: 0 };
        for to in people {
            let amount = Amount::from_base_units(1_000);
            world.apply(people[0], Operation::Mint { to, amount });
        }
        world
    }

    fn apply(&mut self, actor: WalletAddress, operation: Operation) {
        let nonce = self.state.nonce(actor);
        let mints = matches!(operation, Operation::Mint { .. } | Operation::Emit { .. });
        let signed = SignedOperation { actor, nonce, operation, signature: form() };
        let (before, now) = (self.state.clone(), UnixTime(self.now));
        // Nobody signed it: it must not pass where signatures are looked at, which takes long.
        if self.taken.len().is_multiple_of(16) {
            assert!(self.state.apply(now, &signed).is_err());
            assert!(self.state == before, "a refusal changes nothing");
        }
        // What has no form in bytes is in no journal.
        let Ok(stored) = SignedOperation::decode(&signed.encode()) else { return };
        assert!(stored == signed);
        let Ok(receipt) = self.state.replay(now, &signed) else {
            assert!(self.state == before, "a refusal changes nothing");
            return;
        };
        self.state.audit().expect("every account covers what it owes");
        let supply = |state: &LedgerState| state.balance(Account::Emission);
        assert!(mints || supply(&self.state) == supply(&before), "money from nowhere");
        assert_eq!(receipt.sequence, before.sequence());
        for entry in &receipt.entries {
            assert!(entry.amount > Amount::ZERO && entry.debit != entry.credit);
        }
        if let Operation::Redeem { vouchers } = &signed.operation {
            check_redemption(&before, &self.state, vouchers, &receipt.entries);
        }
        let after = self.state.clone();
        let again = self.state.replay(UnixTime(self.now + DAY_S), &signed);
        assert_eq!(again.as_ref(), Ok(&receipt), "the same operation has the same receipt");
        assert!(self.state == after, "and no second effect");
        self.taken.push((now, signed));
    }

    fn check_fold(&self) {
        let mut state = self.empty.clone();
        for (time, signed) in &self.taken {
            let bytes = signed.encode();
            let signed = SignedOperation::decode(&bytes).expect("what was taken can be stored");
            state.replay(*time, &signed).expect("it was taken before");
        }
        assert!(state == self.state, "the state is the fold of what was taken");
    }
}

/// What left the vaults is what is recorded as redeemed, and no payee got more than it was promised.
fn check_redemption(
    before: &LedgerState,
    after: &LedgerState,
    vouchers: &[SignedVoucher],
    entries: &[Entry],
) {
    let mut promised = BTreeMap::new();
    for SignedVoucher { voucher, .. } in vouchers {
        let slot = (voucher.vault, voucher.payee, voucher.epoch);
        let most = promised.entry(slot).or_insert(voucher.amount);
        *most = voucher.amount.max(*most);
    }
    let mut recorded = 0;
    for ((vault, payee, epoch), most) in promised {
        let [old, new] = [before, after].map(|state| state.redeemed(vault, payee, epoch));
        assert!(new == old || new <= most, "more than was promised");
        recorded += new.base_units() - old.base_units();
    }
    let left: u128 = entries.iter().map(|entry| entry.amount.base_units()).sum();
    assert!(entries.iter().all(|entry| matches!(entry.debit, Account::Vault(_))));
    assert_eq!(left, recorded, "what left the vaults is what is recorded");
}

/// Picks what operations are made of.
struct Pick<'a, 'b> {
    input: &'a mut Unstructured<'b>,
    people: [WalletAddress; PEOPLE],
    peers: [PeerId; PEOPLE],
    now: u64,
}

type Picked<T> = arbitrary::Result<T>;

impl Pick<'_, '_> {
    fn wallet(&mut self) -> Picked<WalletAddress> {
        Ok(self.people[self.input.choose_index(PEOPLE)?])
    }

    fn peer(&mut self) -> Picked<PeerId> {
        Ok(self.peers[self.input.choose_index(PEOPLE)?])
    }

    /// Small, so that sums meet their bounds; at times any.
    fn amount(&mut self) -> Picked<Amount> {
        let any = self.input.ratio(1, 16)?;
        let units =
            if any { u128::arbitrary(self.input)? } else { u8::arbitrary(self.input)?.into() };
        Ok(Amount::from_base_units(units))
    }

    fn number(&mut self) -> Picked<u64> {
        if self.input.ratio(1, 16)? {
            u64::arbitrary(self.input)
        } else {
            self.input.int_in_range(0..=2)
        }
    }

    fn digest(&mut self) -> Picked<Digest> {
        Ok(Digest([self.input.int_in_range(0..=2)?; 32]))
    }

    /// Some days from now, or any time.
    fn time(&mut self) -> Picked<u64> {
        if self.input.ratio(1, 8)? {
            return u64::arbitrary(self.input);
        }
        Ok(self.now.saturating_add(DAY_S * self.input.int_in_range(0..=20)?))
    }

    /// Ascending, as most operations want it; or not.
    fn wallets(&mut self) -> Picked<Vec<WalletAddress>> {
        let length = if self.input.ratio(1, 32)? { 70 } else { self.input.int_in_range(0..=4)? };
        let mut wallets = (0..length).map(|_| self.wallet()).collect::<Picked<Vec<_>>>()?;
        if !self.input.ratio(1, 8)? {
            wallets.sort();
            wallets.dedup();
        }
        Ok(wallets)
    }

    fn index_of<T>(&mut self, name: impl Fn(&LedgerDomain, WalletAddress, u64) -> T) -> Picked<T> {
        Ok(name(&domain(), self.wallet()?, self.number()?))
    }

    fn voucher(&mut self) -> Picked<SignedVoucher> {
        let voucher = Voucher {
            vault: self.index_of(names::vault_id)?,
            payee: self.wallet()?,
            epoch: self.number()?,
            amount: self.amount()?,
            bytes: self.number()?,
        };
        Ok(SignedVoucher { voucher, signature: form() })
    }

    fn vouchers(&mut self) -> Picked<Vec<SignedVoucher>> {
        let length = if self.input.ratio(1, 32)? { 70 } else { self.input.int_in_range(0..=4)? };
        let mut vouchers = (0..length).map(|_| self.voucher()).collect::<Picked<Vec<_>>>()?;
        if bool::arbitrary(self.input)? {
            // As evidence has it: one vault, ascending by payee.
            let first = vouchers.first().map(|it| (it.voucher.vault, it.voucher.epoch));
            for signed in &mut vouchers {
                (signed.voucher.vault, signed.voucher.epoch) = first.expect("there is one");
            }
            vouchers.sort_by_key(|signed| signed.voucher.payee);
        }
        Ok(vouchers)
    }

    fn note(&mut self) -> Picked<SignedNote> {
        let note = LoanNote {
            lender: self.wallet()?,
            borrower: self.wallet()?,
            principal: self.amount()?,
            bytes: self.number()?,
            interest_bps: if self.input.ratio(1, 8)? { self.number()? } else { 1_000 },
            due: UnixTime(self.time()?),
            number: self.number()?,
        };
        Ok(SignedNote { note, lender: form(), borrower: form() })
    }

    fn evidence(&mut self) -> Picked<Evidence> {
        let (dearer, larger) = (self.voucher()?, self.voucher()?);
        Ok(match bool::arbitrary(self.input)? {
            true => Evidence::Equivocation(vec![0; self.input.int_in_range(0..=64)?]),
            false => Evidence::DoubleVoucher(Box::new(DoubleVoucherEvidence { dearer, larger })),
        })
    }

    /// Shares of one epoch as honest members compute them: so that claims meet their root.
    fn share(&mut self, is_claim: bool) -> Picked<Operation> {
        let pool = self.index_of(names::pool_id)?;
        let epoch = self.number()?;
        let bytes = [3, 2, 1, 0];
        let total = Amount::from_base_units(u8::arbitrary(self.input)?.into());
        let amounts = shares(total, &bytes).expect("not all are zero");
        let mut people = self.people;
        people.sort();
        let rows = people.iter().zip(bytes).zip(&amounts);
        let leaves: Vec<_> = rows
            .map(|((member, bytes), amount)| {
                names::share_leaf(pool, epoch, *member, bytes, *amount)
            })
            .collect();
        let (root, paths) = names::share_tree(&leaves).expect("four leaves");
        if !is_claim {
            return Ok(Operation::ApproveEpoch { pool, epoch, root, total });
        }
        let index = self.input.choose_index(PEOPLE)?;
        let mut amount = amounts[index];
        if self.input.ratio(1, 16)? {
            amount = self.amount()?;
        }
        let (member, bytes, path) = (people[index], bytes[index], paths[index].clone());
        Ok(Operation::ClaimShare { pool, epoch, member, bytes, amount, path })
    }

    fn operation(&mut self, open_loans: &[pop_incentive::ids::LoanId]) -> Picked<Operation> {
        let loan = |this: &mut Self| -> Picked<pop_incentive::ids::LoanId> {
            match open_loans {
                [] => Ok(pop_incentive::ids::LoanId([0; 32])),
                loans => this.input.choose(loans).copied(),
            }
        };
        Ok(match self.input.int_in_range(0..=31_u8)? {
            0 => Operation::Transfer { to: self.wallet()?, amount: self.amount()? },
            1 => Operation::Mint { to: self.wallet()?, amount: self.amount()? },
            2 => {
                let payees = self.wallets()?;
                let amounts = payees.iter().map(|_| self.amount()).collect::<Picked<_>>()?;
                Operation::Emit { epoch: self.number()?, payees, amounts }
            }
            3 => Operation::OpenVault {
                index: self.number()?,
                deposit: self.amount()?,
                penalty: self.amount()?,
            },
            4 => Operation::FundVault {
                vault: self.index_of(names::vault_id)?,
                deposit: self.amount()?,
                penalty: self.amount()?,
            },
            5 => Operation::RequestUnlock { vault: self.index_of(names::vault_id)? },
            6 => Operation::WithdrawVault { vault: self.index_of(names::vault_id)? },
            7 => Operation::Redeem { vouchers: self.vouchers()? },
            8 => Operation::ReportOverspend { vouchers: self.vouchers()? },
            9 => Operation::RegisterCollateral { operator: self.peer()?, amount: self.amount()? },
            10 => Operation::TopUpCollateral { operator: self.peer()?, amount: self.amount()? },
            11 => Operation::Unbond { operator: self.peer()? },
            12 => Operation::WithdrawCollateral { operator: self.peer()? },
            13 => Operation::Slash {
                owner: self.wallet()?,
                operator: self.peer()?,
                evidence: self.evidence()?,
            },
            14 => Operation::Lend { note: self.note()? },
            15 => Operation::Repay { loan: loan(self)?, amount: self.amount()? },
            16 => Operation::DeclareDefault { loan: loan(self)? },
            _ => return self.shared_operation(),
        })
    }

    fn shared_operation(&mut self) -> Picked<Operation> {
        let bounty = self.index_of(names::bounty_id)?;
        let content = ContentId([self.input.int_in_range(0..=1)?; 32]);
        let lock = self.index_of(names::lock_id)?;
        Ok(match self.input.int_in_range(0..=14_u8)? {
            0 => Operation::CreatePool {
                index: self.number()?,
                members: self.wallets()?,
                quorum: self.number()?,
                deadline_s: self.time()?,
            },
            1 => Operation::DepositPool {
                pool: self.index_of(names::pool_id)?,
                amount: self.amount()?,
            },
            2 => self.share(false)?,
            3 => self.share(true)?,
            4 => Operation::ReclaimDeposit { pool: self.index_of(names::pool_id)? },
            5 => Operation::OpenBounty {
                index: self.number()?,
                wanted: self.digest()?,
                reward: self.amount()?,
                judges: self.wallets()?,
                quorum: self.number()?,
                deadline_s: self.time()?,
            },
            6 => {
                let (claimant, salt) = (self.wallet()?, self.digest()?);
                let commitment = names::claim_commitment(bounty, claimant, content, salt);
                Operation::CommitClaim { bounty, commitment }
            }
            7 => Operation::RevealClaim { bounty, content, salt: self.digest()? },
            8 => Operation::ApproveClaim { bounty, claimant: self.wallet()? },
            9 => Operation::DisputeClaim { bounty },
            10 => Operation::SettleBounty { bounty },
            11 => Operation::RefundBounty { bounty },
            12 => {
                let (salt, key) = (self.digest()?, self.digest()?);
                Operation::OpenLock {
                    index: self.number()?,
                    payee: self.wallet()?,
                    amount: self.amount()?,
                    salt,
                    commitment: names::key_commitment(salt, key),
                    deadline_s: self.time()?,
                }
            }
            13 => Operation::ClaimLock { lock, key: self.digest()? },
            _ => Operation::RefundLock { lock },
        })
    }
}

fn machine(bytes: &[u8], peers: &[PeerId; PEOPLE]) -> arbitrary::Result<()> {
    let mut input = Unstructured::new(bytes);
    let mut world = World::new(peers);
    let mut loans = Vec::new();
    for _ in 0..OPERATIONS_MAX {
        if input.is_empty() {
            break;
        }
        if input.ratio(1, 8)? {
            world.now += u64::from(u16::arbitrary(&mut input)?) * 100;
        }
        let people = world.people;
        let (now, input) = (world.now, &mut input);
        let mut pick = Pick { input, people, peers: *peers, now };
        let actor = pick.wallet()?;
        let operation = pick.operation(&loans)?;
        if let Operation::Lend { note } = &operation {
            loans.push(note.note.id());
        }
        world.apply(actor, operation);
    }
    world.check_fold();
    Ok(())
}

fn decode(bytes: &[u8], peers: &[PeerId; PEOPLE]) {
    let (decoded, peak) = peak_bytes(|| SignedOperation::decode(bytes));
    assert!(peak <= 8 * bytes.len() + DECODE_BYTES_MAX, "{peak} bytes for {}", bytes.len());
    let Ok(signed) = decoded else { return };
    assert_eq!(signed.encode(), bytes, "one form");
    let mut state = World::new(peers).state;
    let before = state.clone();
    if state.apply(UnixTime(1), &signed).is_err() {
        assert!(state == before, "a refusal changes nothing");
    }
    if state.replay(UnixTime(1), &signed).is_err() {
        assert!(state == before, "a refusal changes nothing");
    }
    state.audit().expect("every account covers what it owes");
}

fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = data.split_first() else { return };
    PEERS.with(|peers| match kind % 4 {
        0 => decode(rest, peers),
        _ => {
            let _too_short = machine(rest, peers);
        }
    });
});
