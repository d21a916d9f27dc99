use std::path::PathBuf;

use bytes::Bytes;
use pop_erasure::EquivocationProof;
use pop_incentive::ledger::{Account, Evidence, Operation};
use pop_wire::limits::EQUIVOCATION_PROOF_BYTES_MAX;
use pop_wire::{Amount, WalletAddress};

use super::Context;
use super::facts::{Fact, report, text};
use super::names::bad_input;
use super::purse::Purse;
use crate::error::NodeError;
use crate::settings::Layer;

/// Hand in the proof that a publisher signed shards that are no codeword, as `get` and `repair` write
/// it. It costs the publisher a part of its collateral, of which whoever reports it gets a tenth.
#[derive(Debug, clap::Args)]
pub(super) struct Report {
    /// The proof, NAME.pop-proof
    proof: PathBuf,
    /// Wallet that owns the publisher's collateral, if it is not the publisher's own
    #[arg(long, value_name = "ADDRESS")]
    owner: Option<WalletAddress>,
    #[command(flatten)]
    settings: Layer,
}

impl Report {
    pub(super) async fn run(self, context: &Context) -> Result<(), NodeError> {
        let settings = context.settings(&self.settings)?;
        let bytes = self.read()?;
        let (proof, operator) = EquivocationProof::verify(Bytes::copy_from_slice(&bytes))
            .map_err(|error| bad_input("proof", error))?;
        let owner = self.owner.unwrap_or(operator.wallet_address());
        let done = Purse::with(settings, async |purse| {
            let account = Account::Wallet(purse.wallet());
            let before = purse.ledger.balance(account).await?;
            let collateral = Account::Collateral { owner, operator };
            let unbonding = Account::Unbonding { owner, operator };
            let bound = async || -> Result<Amount, NodeError> {
                let there = purse.ledger.balance(collateral).await?;
                let leaving = purse.ledger.balance(unbonding).await?;
                Ok(there.checked_add(leaving).unwrap_or(there))
            };
            let had = bound().await?;
            let evidence = Evidence::Equivocation(bytes);
            let slash = Operation::Slash { owner, operator, evidence };
            purse.ledger.perform(&purse.keypair, slash).await?;
            let slashed = had.checked_sub(bound().await?).unwrap_or(Amount::ZERO);
            let after = purse.ledger.balance(account).await?;
            let reward = after.checked_sub(before).unwrap_or(Amount::ZERO);
            Ok(vec![
                ("publisher", text(operator)),
                ("content", text(proof.content())),
                ("slashed", Fact::Amount(slashed)),
                ("reward", Fact::Amount(reward)),
            ])
        });
        report(&done.await?, "It stands on the publisher's record for ever.", context.json);
        Ok(())
    }

    fn read(&self) -> Result<Vec<u8>, NodeError> {
        let failed = |source| NodeError::Input { path: self.proof.clone(), source };
        let length = std::fs::metadata(&self.proof).map_err(failed)?.len();
        if usize::try_from(length).is_ok_and(|length| length <= EQUIVOCATION_PROOF_BYTES_MAX) {
            return std::fs::read(&self.proof).map_err(failed);
        }
        let most = EQUIVOCATION_PROOF_BYTES_MAX;
        Err(bad_input("proof", format!("expected at most {most} bytes, got {length}")))
    }
}
