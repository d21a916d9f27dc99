//! Who fetches: this node's own wallet where something is to be paid, else nobody in particular.

use pop_wire::{Amount, Keypair};

use crate::clock;
use crate::disk::{StoreError, load_identity};
use crate::error::NodeError;
use crate::settings::Settings;

/// The key to fetch with. Where there is a ledger, and fetching may cost something, it is the one in
/// the data directory, whose vault pays; else a fresh one, and nothing is paid.
pub(super) fn key(settings: &mut Settings) -> Result<Keypair, NodeError> {
    let has_ledger = settings.ledger.is_some() || settings.serve_ledger;
    if has_ledger && settings.price_max != Amount::ZERO {
        return Ok(load_identity(&settings.data_dir)?);
    }
    settings.price_max = Amount::ZERO;
    let secret = clock::random_bytes().map_err(StoreError::from)?;
    Ok(Keypair::from_secret_bytes(&secret)?)
}
