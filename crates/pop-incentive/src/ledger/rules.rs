//! What each operation does, by subject.
//!
//! A rule may write as it goes: whatever it wrote is taken back if it refuses in the end.

pub(crate) mod bounty;
pub(crate) mod collateral;
pub(crate) mod loan;
pub(crate) mod lock;
pub(crate) mod money;
pub(crate) mod pool;
pub(crate) mod vault;

use pop_wire::WalletAddress;

use crate::ledger::limits::LIST_LEN_MAX;
use crate::ledger::operation::Operation;
use crate::ledger::refusal::Refusal;
use crate::ledger::state::{Call, LedgerState};

impl LedgerState {
    pub(crate) fn perform(&mut self, call: Call, operation: &Operation) -> Result<(), Refusal> {
        use Operation as Op;
        match operation {
            Op::Transfer { to, amount } => self.transfer(call, *to, *amount),
            Op::Mint { to, amount } => self.mint(call, *to, *amount),
            Op::Emit { epoch, payees, amounts } => self.emit(call, *epoch, payees, amounts),
            Op::OpenVault { index, deposit, penalty } => {
                self.open_vault(call, *index, *deposit, *penalty)
            }
            Op::FundVault { vault, deposit, penalty } => {
                self.fund_vault(call, *vault, *deposit, *penalty)
            }
            Op::RequestUnlock { vault } => self.request_unlock(call, *vault),
            Op::WithdrawVault { vault } => self.withdraw_vault(call, *vault),
            Op::Redeem { vouchers } => self.redeem(call, vouchers),
            Op::ReportOverspend { vouchers } => self.report_overspend(call, vouchers),
            Op::RegisterCollateral { operator, amount } => {
                self.register_collateral(call, *operator, *amount)
            }
            Op::TopUpCollateral { operator, amount } => {
                self.top_up_collateral(call, *operator, *amount)
            }
            Op::Unbond { operator } => self.unbond(call, *operator),
            Op::WithdrawCollateral { operator } => self.withdraw_collateral(call, *operator),
            Op::Slash { owner, operator, evidence } => {
                self.slash(call, *owner, *operator, evidence)
            }
            Op::Lend { note } => self.lend(call, note),
            Op::Repay { loan, amount } => self.repay(call, *loan, *amount),
            Op::DeclareDefault { loan } => self.declare_default(call, *loan),
            _ => self.perform_shared(call, operation),
        }
    }

    /// The operations on what many people share.
    fn perform_shared(&mut self, call: Call, operation: &Operation) -> Result<(), Refusal> {
        use Operation as Op;
        match operation {
            Op::CreatePool { index, members, quorum, deadline_s } => {
                self.create_pool(call, *index, members, (*quorum, *deadline_s))
            }
            Op::DepositPool { pool, amount } => self.deposit_pool(call, *pool, *amount),
            Op::ApproveEpoch { pool, epoch, root, total } => {
                self.approve_epoch(call, (*pool, *epoch), *root, *total)
            }
            Op::ClaimShare { pool, epoch, member, bytes, amount, path } => {
                self.claim_share((*pool, *epoch, *member), (*bytes, *amount), path)
            }
            Op::ReclaimDeposit { pool } => self.reclaim_deposit(call, *pool),
            Op::OpenBounty { index, wanted, reward, judges, quorum, deadline_s } => {
                self.open_bounty(call, (*index, *wanted, *reward), judges, (*quorum, *deadline_s))
            }
            Op::CommitClaim { bounty, commitment } => self.commit_claim(call, *bounty, *commitment),
            Op::RevealClaim { bounty, content, salt } => {
                self.reveal_claim(call, *bounty, *content, *salt)
            }
            Op::ApproveClaim { bounty, claimant } => self.approve_claim(call, *bounty, *claimant),
            Op::DisputeClaim { bounty } => self.dispute_claim(call, *bounty),
            Op::SettleBounty { bounty } => self.settle_bounty(call, *bounty),
            Op::RefundBounty { bounty } => self.refund_bounty(call, *bounty),
            Op::OpenLock { index, payee, amount, salt, commitment, deadline_s } => {
                self.open_lock(call, (*index, *deadline_s), (*payee, *amount), [*salt, *commitment])
            }
            Op::ClaimLock { lock, key } => self.claim_lock(call, *lock, *key),
            Op::RefundLock { lock } => self.refund_lock(call, *lock),
            _ => Err(Refusal::Unknown { what: "operation" }),
        }
    }
}

/// Members or judges: ascending, not too many, and a quorum that they can reach.
fn check_panel(
    what: &'static str,
    panel: &[WalletAddress],
    (quorum, least): (u64, u64),
) -> Result<(), Refusal> {
    let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
    let (got, most) = (count(panel.len()), count(LIST_LEN_MAX));
    if got < 1 || got > most {
        return Err(Refusal::Count { what, least: 1, most, got });
    }
    if !panel.is_sorted_by(|one, next| one < next) {
        return Err(Refusal::Order { what });
    }
    if quorum < least || quorum > got {
        return Err(Refusal::Count { what: "quorum", least, most: got, got: quorum });
    }
    Ok(())
}
