//! A ledger's life: each operation at least once, then what is refused in the end.

use std::collections::BTreeMap;

use pop_incentive::evidence::DoubleQuoteEvidence;
use pop_incentive::ledger::{
    Evidence, LedgerParameters, LedgerState, LoanNote, Operation, SignedNote, SignedOperation,
    names, no_equivocation_check, shares,
};
use pop_incentive::quote::{Quote, SignedQuote};
use pop_incentive::rate::Rate;
use pop_incentive::typed_data::LedgerDomain;
use pop_incentive::voucher::{SignedVoucher, Voucher};
use pop_wire::{Amount, ContentId, Digest, Keypair, UnixTime, WalletAddress};
use serde_json::{Value, json};

use crate::{Failure, domain_value, refusal_name};

const START: u64 = 1_800_000_000;
const DAY_S: u64 = 86_400;
/// Who acts, by the byte of which the secret consists.
const ACTORS: [(&str, u8); 6] = [
    ("operator", 0x51),
    ("payer", 0x11),
    ("payee", 0x22),
    ("other", 0x33),
    ("owner", 0x44),
    ("node", 0x55),
];

struct Scenario {
    ledger: LedgerState,
    domain: LedgerDomain,
    keys: BTreeMap<&'static str, Keypair>,
    now: u64,
    steps: Vec<Value>,
}

pub(crate) fn vectors() -> Result<Value, Failure> {
    let domain = LedgerDomain::new(5_000_000_001, WalletAddress([0xbb; 20]));
    let mut keys = BTreeMap::new();
    for (name, byte) in ACTORS {
        keys.insert(name, Keypair::from_secret_bytes(&[byte; 32])?);
    }
    let parameters = LedgerParameters::new(keys["operator"].peer_id().wallet_address());
    let ledger = LedgerState::new(domain, parameters, no_equivocation_check)?;
    let mut scenario = Scenario { ledger, domain, keys, now: START, steps: Vec::new() };
    scenario.money()?;
    scenario.loans_and_vaults()?;
    scenario.collateral()?;
    scenario.pools()?;
    scenario.bounties()?;
    scenario.locks()?;
    let actors = ACTORS.map(|(name, byte)| (name.to_owned(), hex::encode([byte; 32]).into()));
    Ok(json!({
        "domain": domain_value(&domain),
        "about": "The parameters are the defaults of §12.10, with this operator and epochs from \
                  0 on.",
        "actors": Value::Object(actors.into_iter().collect()),
        "refused": scenario.refused()?,
        "operations": scenario.steps,
    }))
}

fn pop(count: u128) -> Amount {
    Amount::from_base_units(count * Amount::ONE_POP.base_units())
}

impl Scenario {
    fn wallet(&self, name: &str) -> WalletAddress {
        self.keys[name].peer_id().wallet_address()
    }

    fn sign(&self, actor: &str, operation: Operation) -> SignedOperation {
        let nonce = self.ledger.nonce(self.wallet(actor));
        SignedOperation::sign(operation, nonce, &self.keys[actor], &self.domain)
    }

    fn act(&mut self, actor: &'static str, operation: Operation) -> Result<(), Failure> {
        let signed = self.sign(actor, operation);
        let receipt = self.ledger.apply(UnixTime(self.now), &signed)?;
        let entry = |entry: &pop_incentive::ledger::Entry| {
            json!({
                "debit": entry.debit.to_string(),
                "credit": entry.credit.to_string(),
                "amount": entry.amount.base_units().to_string(),
            })
        };
        let id = signed.id().0;
        self.steps.push(json!({
            "time": self.now.to_string(),
            "actor": actor,
            "nonce": signed.nonce.to_string(),
            "type": signed.operation.encoded_type(),
            "struct_hash": hex::encode(id),
            "digest": hex::encode(self.domain.digest(&id)),
            "signature": hex::encode(signed.signature.to_bytes()),
            "encoded": hex::encode(signed.encode()),
            "entries": receipt.entries.iter().map(entry).collect::<Vec<_>>(),
        }));
        Ok(self.ledger.audit()?)
    }

    fn money(&mut self) -> Result<(), Failure> {
        for (name, count) in [("payer", 1_000), ("owner", 60_000)] {
            let mint = Operation::Mint { to: self.wallet(name), amount: pop(count) };
            self.act("operator", mint)?;
        }
        let (to, amount) = (self.wallet("payee"), Amount::from_base_units(1));
        self.act("payer", Operation::Transfer { to, amount })?;
        let payees = vec![self.wallet("owner"), self.wallet("other")];
        let epoch = START / self.ledger.parameters().epoch_s - 1;
        let amounts = vec![pop(3), Amount::from_base_units(u128::from(u64::MAX))];
        self.act("operator", Operation::Emit { epoch, payees, amounts })
    }

    fn voucher(&self, payee: &str, amount: Amount, bytes: u64) -> SignedVoucher {
        let vault = names::vault_id(&self.domain, self.wallet("payer"), 0);
        let payee = self.wallet(payee);
        Voucher { vault, payee, epoch: 0, amount, bytes }.sign(&self.domain, &self.keys["payer"])
    }

    fn note(&self, number: u64) -> SignedNote {
        let note = LoanNote {
            lender: self.wallet("other"),
            borrower: self.wallet("payee"),
            principal: pop(1),
            bytes: 25_000_000,
            interest_bps: 1_000,
            due: UnixTime(START + DAY_S),
            number,
        };
        SignedNote {
            note,
            lender: note.sign(&self.domain, &self.keys["other"]),
            borrower: note.sign(&self.domain, &self.keys["payee"]),
        }
    }

    fn loans_and_vaults(&mut self) -> Result<(), Failure> {
        let vault = names::vault_id(&self.domain, self.wallet("payer"), 0);
        let (first, second) = (self.note(0), self.note(1));
        let open = Operation::OpenVault { index: 0, deposit: pop(100), penalty: pop(10) };
        self.act("payer", open)?;
        let fund = Operation::FundVault { vault, deposit: pop(5), penalty: pop(1) };
        self.act("payer", fund)?;
        self.act("other", Operation::Lend { note: first })?;
        self.act("other", Operation::Lend { note: second })?;
        // The first loan and a part of the second are paid out of what the borrower earns.
        let vouchers = vec![self.voucher("payee", pop(2), 50_000_000)];
        self.act("payee", Operation::Redeem { vouchers })?;
        let amount = Amount::from_base_units(Amount::ONE_POP.base_units() / 10);
        let loan = second.note.id();
        self.act("payer", Operation::Repay { loan, amount })?;
        let mut vouchers =
            vec![self.voucher("payee", pop(80), 1 << 31), self.voucher("node", pop(26), 1 << 30)];
        vouchers.sort_by_key(|signed| signed.voucher.payee);
        self.act("payee", Operation::ReportOverspend { vouchers })?;
        self.act("payer", Operation::RequestUnlock { vault })?;
        self.now += DAY_S;
        self.act("other", Operation::DeclareDefault { loan })?;
        self.act("payer", Operation::WithdrawVault { vault })
    }

    fn quote(&self, rate: u128) -> Result<SignedQuote, Failure> {
        let quote = Quote {
            content: ContentId([0x66; 32]),
            payee: self.wallet("node"),
            rate: Rate::new(Amount::from_base_units(rate)).ok_or("a rate of zero")?,
            peak_kbps: 5_000,
            serial: 1,
            valid_from: UnixTime(START),
            valid_until: UnixTime(START + 3_600),
        };
        Ok(quote.sign(&self.domain, &self.keys["node"]))
    }

    fn collateral(&mut self) -> Result<(), Failure> {
        let operator = self.keys["node"].peer_id();
        let owner = self.wallet("owner");
        let register = Operation::RegisterCollateral { operator, amount: pop(50_000) };
        self.act("owner", register)?;
        let top_up = Operation::TopUpCollateral { operator, amount: pop(7) };
        self.act("owner", top_up)?;
        let pair = DoubleQuoteEvidence { first: self.quote(1)?, second: self.quote(2)? };
        let evidence = Evidence::DoubleQuote(Box::new(pair));
        self.act("other", Operation::Slash { owner, operator, evidence })?;
        self.act("owner", Operation::Unbond { operator })?;
        self.now += 14 * DAY_S;
        self.act("owner", Operation::WithdrawCollateral { operator })
    }

    fn pools(&mut self) -> Result<(), Failure> {
        let pool = names::pool_id(&self.domain, self.wallet("payer"), 0);
        let mut members = ["payee", "other", "node"];
        members.sort_by_key(|name| self.wallet(name));
        let wallets: Vec<_> = members.iter().map(|name| self.wallet(name)).collect();
        let deadline_s = self.now + DAY_S;
        let create =
            Operation::CreatePool { index: 0, members: wallets.clone(), quorum: 2, deadline_s };
        self.act("payer", create)?;
        self.act("payer", Operation::DepositPool { pool, amount: pop(10) })?;
        let (epoch, total, bytes) = (7, pop(9), [3_000, 2_000, 2_000]);
        let amounts = shares(total, &bytes).ok_or("somebody delivered")?;
        let rows = wallets.iter().zip(bytes).zip(&amounts);
        let leaves: Vec<_> = rows
            .map(|((member, bytes), amount)| {
                names::share_leaf(pool, epoch, *member, bytes, *amount)
            })
            .collect();
        let (root, paths) = names::share_tree(&leaves).ok_or("three leaves")?;
        for member in &members[..2] {
            self.act(member, Operation::ApproveEpoch { pool, epoch, root, total })?;
        }
        for (index, member) in wallets.iter().enumerate() {
            let (bytes, amount, path) = (bytes[index], amounts[index], paths[index].clone());
            let member = *member;
            let claim = Operation::ClaimShare { pool, epoch, member, bytes, amount, path };
            self.act("payer", claim)?;
        }
        self.now += DAY_S;
        self.act("payer", Operation::ReclaimDeposit { pool })
    }

    fn bounties(&mut self) -> Result<(), Failure> {
        let bounty = |index| names::bounty_id(&self.domain, self.wallet("payer"), index);
        let [bounty, unwanted] = [0, 1].map(bounty);
        let (claimant, judge) = (self.wallet("payee"), self.wallet("other"));
        let open = |index, deadline_s| Operation::OpenBounty {
            index,
            wanted: Digest([0x77; 32]),
            reward: pop(4),
            judges: vec![judge],
            quorum: 1,
            deadline_s,
        };
        let (soon, later) = (self.now + DAY_S, self.now + 30 * DAY_S);
        self.act("payer", open(0, later))?;
        self.act("payer", open(1, soon))?;
        let (content, salt) = (ContentId([0x77; 32]), Digest([0x88; 32]));
        let commitment = names::claim_commitment(bounty, claimant, content, salt);
        self.act("payee", Operation::CommitClaim { bounty, commitment })?;
        self.now += 60;
        self.act("payee", Operation::RevealClaim { bounty, content, salt })?;
        self.act("other", Operation::ApproveClaim { bounty, claimant })?;
        self.act("payer", Operation::DisputeClaim { bounty })?;
        self.act("other", Operation::ApproveClaim { bounty, claimant })?;
        self.now += DAY_S;
        self.act("other", Operation::SettleBounty { bounty })?;
        self.act("payer", Operation::RefundBounty { bounty: unwanted })
    }

    fn locks(&mut self) -> Result<(), Failure> {
        let (salt, key) = (Digest([0x99; 32]), Digest([0xaa; 32]));
        let (payee, deadline_s) = (self.wallet("owner"), self.now + DAY_S);
        let commitment = names::key_commitment(salt, key);
        for index in 0..2 {
            let amount = pop(6);
            let open = Operation::OpenLock { index, payee, amount, salt, commitment, deadline_s };
            self.act("payer", open)?;
        }
        let lock = |index| names::lock_id(&self.domain, self.wallet("payer"), index);
        let [lock, unclaimed] = [0, 1].map(lock);
        self.act("owner", Operation::ClaimLock { lock, key })?;
        self.now += DAY_S;
        self.act("payer", Operation::RefundLock { lock: unclaimed })
    }

    /// After all that: what has no form, and what the rules refuse.
    fn refused(&mut self) -> Result<Vec<Value>, Failure> {
        let payer = self.wallet("payer");
        let transfer = |units| Operation::Transfer {
            to: WalletAddress([1; 20]),
            amount: Amount::from_base_units(units),
        };
        let vault = names::vault_id(&self.domain, payer, 0);
        let lock = names::lock_id(&self.domain, payer, 0);
        let key = Digest([0xaa; 32]);
        let operator = self.keys["node"].peer_id();
        let good = self.sign("payer", transfer(1));
        let mut replaced = good.clone();
        replaced.actor = self.wallet("other");
        replaced.nonce = self.ledger.nonce(replaced.actor);
        let mut late = good.clone();
        late.nonce += 1;
        let open = Operation::OpenVault { index: 0, deposit: pop(1), penalty: pop(1) };
        let members = vec![WalletAddress([2; 20]), WalletAddress([1; 20])];
        let create = Operation::CreatePool { index: 1, members, quorum: 2, deadline_s: u64::MAX };
        let single = vec![self.voucher("payee", pop(1), 1)];
        let by_rule = [
            late,
            replaced,
            self.sign("payer", transfer(u128::MAX)),
            self.sign("payer", Operation::Mint { to: payer, amount: pop(1) }),
            self.sign("operator", Operation::Mint { to: payer, amount: pop(1_000_000_000) }),
            self.sign("payer", open),
            self.sign("payer", Operation::WithdrawVault { vault }),
            self.sign("payer", Operation::ReportOverspend { vouchers: single }),
            self.sign("payer", Operation::Redeem { vouchers: Vec::new() }),
            self.sign("payer", Operation::Unbond { operator }),
            self.sign("payer", create),
            self.sign("payer", Operation::ClaimLock { lock, key }),
        ];
        let mut encoded: Vec<Vec<u8>> = by_rule.iter().map(SignedOperation::encode).collect();
        encoded.extend(self.formless(&good));
        encoded.iter().map(|bytes| self.refusal(bytes)).collect()
    }

    /// Bytes that are no operation.
    fn formless(&self, good: &SignedOperation) -> Vec<Vec<u8>> {
        let bytes = good.encode();
        let tag_at = 20 + 8 + 65;
        let mut unknown = bytes.clone();
        unknown[tag_at] = 99;
        let mut high_s = bytes.clone();
        high_s[28 + 32] = 0xff;
        let mut wrong_v = bytes.clone();
        wrong_v[tag_at - 1] = 29;
        let mut long_list = bytes[..tag_at].to_vec();
        long_list.push(14);
        long_list.extend(4_097_u32.to_be_bytes());
        let mut no_point = bytes[..tag_at].to_vec();
        no_point.push(22);
        no_point.extend([5; 33]);
        let shorter = bytes[..bytes.len() - 1].to_vec();
        let longer = [&bytes[..], &[0]].concat();
        vec![Vec::new(), shorter, longer, unknown, high_s, wrong_v, long_list, no_point]
    }

    fn refusal(&mut self, bytes: &[u8]) -> Result<Value, Failure> {
        let name = match SignedOperation::decode(bytes) {
            Err(error) => refusal_name(&error),
            Ok(signed) => match self.ledger.apply(UnixTime(self.now), &signed) {
                Err(refusal) => refusal_name(&refusal),
                Ok(_) => return Err("expected a refusal".into()),
            },
        };
        let time = self.now.to_string();
        Ok(json!({ "time": time, "encoded": hex::encode(bytes), "refusal": name }))
    }
}
