//! What is stored of a payer: its greatest voucher, and what the ledger said of its vault.

use pop_incentive::ids::VaultId;
use pop_incentive::limits::PAYEE_RECORD_BYTES;
use pop_incentive::record::PayeeRecord;
use pop_incentive::voucher::VaultInfo;
use pop_wire::{Amount, UnixTime, WalletAddress};

const VAULT_BYTES: usize = 32 + 20 + 8 + 3 * 16 + 8;

pub(super) fn encode(info: &VaultInfo, record: &PayeeRecord) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(VAULT_BYTES + PAYEE_RECORD_BYTES);
    bytes.extend_from_slice(&info.vault.0);
    bytes.extend_from_slice(&info.owner.0);
    bytes.extend_from_slice(&info.epoch.to_be_bytes());
    for amount in [info.funded, info.redeemed, info.penalty] {
        bytes.extend_from_slice(&amount.base_units().to_be_bytes());
    }
    // Zero for a vault that is not being closed: nothing closes in 1970.
    bytes.extend_from_slice(&info.closes.map_or(0, |closes| closes.0).to_be_bytes());
    bytes.extend_from_slice(&record.encode());
    bytes
}

pub(super) fn decode(bytes: &[u8]) -> Option<(VaultInfo, PayeeRecord)> {
    let (info, record) = bytes.split_first_chunk::<VAULT_BYTES>()?;
    let number = |at: usize| info[at..at + 8].try_into().ok().map(u64::from_be_bytes);
    let amount = |at: usize| {
        let units = info[at..at + 16].try_into().ok().map(u128::from_be_bytes);
        units.map(Amount::from_base_units)
    };
    let info = VaultInfo {
        vault: VaultId(info[..32].try_into().ok()?),
        owner: WalletAddress(info[32..52].try_into().ok()?),
        epoch: number(52)?,
        funded: amount(60)?,
        redeemed: amount(76)?,
        penalty: amount(92)?,
        closes: number(108).filter(|closes| *closes != 0).map(UnixTime),
    };
    Some((info, PayeeRecord::decode(record).ok()?))
}
