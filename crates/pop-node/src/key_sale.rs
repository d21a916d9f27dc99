//! Creator payments: a manifest names a payee and what the content key costs; a buyer locks that
//! much on the ledger against the key commitment of this very manifest, and the publisher takes it
//! by showing the key. Either both or neither (`spec/incentive.md` §12.8).
//!
//! ```text
//!  buyer                        ledger                        publisher's node
//!  written down, then lock -->  amount waits for the key
//!                               open locks of a payee  <-->   checked: payee, key, amount, time
//!  paid: the key stands  <--    amount for the key     <--    claim
//!  too late: refund      -->    amount goes back
//! ```
//!
//! Buyer and publisher need not reach each other, nor run at the same time.

mod buyer;
mod error;
mod seller;
mod shelf;

use std::path::Path;

use pop_erasure::ContentKey;
use pop_wire::{Amount, ContentId, Manifest, PeerId, Verified};

use self::shelf::{KeptKey, Shelf};
use crate::error::NodeError;

pub(crate) use self::buyer::waiting_line;
pub use self::buyer::{BoughtKey, KEY_LOCK_S, KeyOrder};
pub use self::error::KeySaleError;
pub(crate) use self::seller::sell_now_and_then;

/// Keep what it takes to sell a key, if the manifest says that it is sold. It is on the disk when
/// this returns.
///
/// # Errors
/// [`KeySaleError::OtherPublisher`]: this wallet would not be paid; or the disk refuses.
pub(crate) fn put_on_sale(
    data_dir: &Path,
    publisher: PeerId,
    key: ContentKey,
    manifest: &Verified<Manifest>,
) -> Result<(), NodeError> {
    if manifest.key_price == Amount::ZERO {
        return Ok(());
    }
    if manifest.publisher != publisher {
        let (content, publisher) = (manifest.content_id(), manifest.publisher);
        return Err(KeySaleError::OtherPublisher { content, publisher }.into());
    }
    Shelf::of(data_dir).put_on_sale(&KeptKey { key, manifest: manifest.clone() })
}

/// The key of a content that was bought, or is sold, from this data directory.
///
/// # Errors
/// [`KeySaleError::Damaged`], or the disk refuses.
pub fn kept_key(data_dir: &Path, content: ContentId) -> Result<Option<ContentKey>, NodeError> {
    let shelf = Shelf::of(data_dir);
    let kept = match shelf.bought(content)? {
        Some(bought) => Some(bought),
        None => shelf.sale(content)?,
    };
    Ok(kept.map(|kept| kept.key))
}

/// Whether money was locked for the key of a content, or was about to be, and it is not known what
/// became of it: the next [`Node::buy_key`](crate::Node::buy_key) goes on with it.
///
/// # Errors
/// [`KeySaleError::Damaged`], or the disk refuses.
pub fn is_waiting_for_key(data_dir: &Path, content: ContentId) -> Result<bool, NodeError> {
    Ok(Shelf::of(data_dir).pending(content)?.is_some())
}
