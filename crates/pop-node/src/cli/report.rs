use std::path::PathBuf;

use bytes::Bytes;
use pop_erasure::EquivocationProof;
use pop_incentive::ledger::{Account, Evidence, Operation};
use pop_incentive::typed_data::LedgerDomain;
use pop_wire::limits::EQUIVOCATION_PROOF_BYTES_MAX;
use pop_wire::{Amount, ContentId, PeerId, WalletAddress};

use super::Context;
use super::facts::{Fact, report, text};
use super::names::bad_input;
use super::purse::Purse;
use crate::error::NodeError;
use crate::settings::Layer;

/// First byte of a proof that a holder answered an audit wrongly (spec/incentive.md §16.2). No
/// equivocation proof begins with it: in protobuf it would be a field without a number.
const FAILED_AUDIT: u8 = 4;

/// Hand in a proof: that a publisher signed shards that are no codeword, as `get` and `repair` write
/// it, or that a holder signed a wrong answer, as `audit` does. It costs who is proven wrong a part of
/// its collateral, of which whoever reports it gets a tenth.
#[derive(Debug, clap::Args)]
pub(super) struct Report {
    /// The proof, NAME.pop-proof
    proof: PathBuf,
    /// Wallet that owns the collateral, if it is not the one of who is proven wrong
    #[arg(long, value_name = "ADDRESS")]
    owner: Option<WalletAddress>,
    #[command(flatten)]
    settings: Layer,
}

/// What a proof proves.
struct Proven {
    /// What the offender is to the content.
    role: &'static str,
    offender: PeerId,
    content: ContentId,
    evidence: Evidence,
}

impl Report {
    pub(super) async fn run(self, context: &Context) -> Result<(), NodeError> {
        let settings = context.settings(&self.settings)?;
        let bytes = self.read()?;
        // What proves nothing to anybody is refused before a ledger is looked for.
        let equivocation = match bytes.first() {
            Some(&FAILED_AUDIT) => None,
            _ => Some(equivocation(bytes.clone())?),
        };
        let done = Purse::with(settings, async |purse| {
            let proven = match equivocation {
                Some(proven) => proven,
                None => failed_audit(&purse.ledger.domain().await?, &bytes)?,
            };
            let operator = proven.offender;
            let owner = self.owner.unwrap_or(operator.wallet_address());
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
            let slash = Operation::Slash { owner, operator, evidence: proven.evidence };
            purse.ledger.perform(&purse.keypair, slash).await?;
            let slashed = had.checked_sub(bound().await?).unwrap_or(Amount::ZERO);
            let after = purse.ledger.balance(account).await?;
            let reward = after.checked_sub(before).unwrap_or(Amount::ZERO);
            Ok(vec![
                (proven.role, text(operator)),
                ("content", text(proven.content)),
                ("slashed", Fact::Amount(slashed)),
                ("reward", Fact::Amount(reward)),
            ])
        });
        report(&done.await?, "It stands on the offender's record for ever.", context.json);
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

fn equivocation(bytes: Vec<u8>) -> Result<Proven, NodeError> {
    let (proof, offender) = EquivocationProof::verify(Bytes::copy_from_slice(&bytes))
        .map_err(|error| bad_input("proof", error))?;
    let (content, evidence) = (proof.content(), Evidence::Equivocation(bytes));
    Ok(Proven { role: "publisher", offender, content, evidence })
}

fn failed_audit(domain: &LedgerDomain, bytes: &[u8]) -> Result<Proven, NodeError> {
    let evidence = Evidence::decode(bytes).map_err(|error| bad_input("proof", error))?;
    let Evidence::FailedAudit(failed) = &evidence else {
        return Err(bad_input("proof", "it is of another kind"));
    };
    let offender = failed.verify(domain).map_err(|error| bad_input("proof", error))?;
    let content = failed.answer.answer.challenge.content;
    Ok(Proven { role: "holder", offender, content, evidence })
}
