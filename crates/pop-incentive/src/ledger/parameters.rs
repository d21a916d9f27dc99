//! What the founders of a ledger agree on: [`LedgerParameters`].

use pop_wire::{Amount, UnixTime, WalletAddress};

use crate::ledger::codec::Field;
use crate::ledger::limits::WHOLE_BPS;
use crate::typed_data::{LedgerDomain, keccak};

/// Numbers that all users of one ledger agree on, set once. They are part of the ledger's name: a
/// journal is read under the parameters that it was written under, or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LedgerParameters {
    /// Who may mint and emit, within the two limits below and no further.
    pub operator: WalletAddress,
    /// Base units that may be minted in all.
    pub genesis_supply: Amount,
    /// When epoch 0 begins.
    pub genesis: UnixTime,
    /// Seconds of an emission epoch. A week: audits of a node are worth judging by then.
    pub epoch_s: u64,
    /// New base units per epoch, at most.
    pub emission_per_epoch: Amount,
    /// Least collateral of a masternode. 50,000 POP: what DESIGN's cost of an attack is made of.
    pub collateral_min: Amount,
    /// Seconds from leaving to having the collateral back. 14 days: longer than a proof of what a
    /// node did takes to reach somebody.
    pub unbonding_s: u64,
    /// Seconds from announcing to making a withdrawal from a vault. A day: every payee that looks
    /// at its vaults once in that time is paid.
    pub vault_unlock_s: u64,
    /// Part of the least collateral that one wrong costs, in 10,000. A fifth, as Codex has it:
    /// five wrongs take everything.
    pub slash_bps: u64,
    /// Part of a slash that goes to who reports it, in 10,000. A tenth: enough to pay for looking,
    /// too little to make reporting oneself worth it.
    pub reporter_bps: u64,
    /// Part of a slash that is burned, in 10,000. Half. The rest goes to the repair fund.
    pub burn_bps: u64,
    /// Greatest interest of a note, in 10,000. All of the principal: above it the note is a trap.
    pub interest_max_bps: u64,
    /// Seconds between committing to a claim and showing it. A minute: a copier who sees a
    /// revealed claim comes later than its commitment by at least this.
    pub reveal_s: u64,
    /// Seconds that the opener of a bounty has to object. A day.
    pub dispute_s: u64,
}

impl LedgerParameters {
    /// The defaults, with the wallet that may mint and emit.
    pub fn new(operator: WalletAddress) -> Self {
        let pop = |count: u128| Amount::ONE_POP.checked_mul(count).unwrap_or(Amount::ZERO);
        Self {
            operator,
            genesis_supply: pop(1_000_000_000),
            genesis: UnixTime(0),
            epoch_s: 7 * 86_400,
            emission_per_epoch: pop(1_000_000),
            collateral_min: pop(50_000),
            unbonding_s: 14 * 86_400,
            vault_unlock_s: 86_400,
            slash_bps: 2_000,
            reporter_bps: 1_000,
            burn_bps: 5_000,
            interest_max_bps: WHOLE_BPS,
            reveal_s: 60,
            dispute_s: 86_400,
        }
    }

    /// Name of a ledger: a hash of its domain and parameters.
    pub fn ledger_id(&self, domain: &LedgerDomain) -> [u8; 32] {
        let mut bytes = b"POP ledger v1".to_vec();
        bytes.extend_from_slice(&domain.separator());
        self.operator.put(&mut bytes);
        for amount in [self.genesis_supply, self.emission_per_epoch, self.collateral_min] {
            amount.put(&mut bytes);
        }
        for number in [
            self.genesis.0,
            self.epoch_s,
            self.unbonding_s,
            self.vault_unlock_s,
            self.slash_bps,
            self.reporter_bps,
            self.burn_bps,
            self.interest_max_bps,
            self.reveal_s,
            self.dispute_s,
        ] {
            number.put(&mut bytes);
        }
        keccak(&bytes)
    }

    /// Shares must leave something to burn or repair with.
    pub(crate) fn are_sound(&self) -> bool {
        self.slash_bps <= WHOLE_BPS
            && self.reporter_bps.checked_add(self.burn_bps).is_some_and(|sum| sum <= WHOLE_BPS)
            && self.reporter_bps < WHOLE_BPS / 2
            && self.epoch_s > 0
    }
}
