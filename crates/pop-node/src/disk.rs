//! The node's disk: columns of shards, the publisher's journal and the identity.
//!
//! ```text
//! <data dir>/            0700
//!   lock                 held by the process that uses the directory
//!   identity.key         0600, the node's secret key
//!   columns.redb         which columns are whole, and the manifests they belong to
//!   publish.redb         the publisher's journal, with content keys
//!   keys/                0700: keys that are sold or were bought, money that waits for one
//!   columns/<content>/<column>.part    a column being received
//!   columns/<content>/<column>.column  a whole column
//! ```
//!
//! A column becomes visible by one commit in `columns.redb`, after its bytes, its name and its
//! directory were forced to the disk in this order. Whatever a crash leaves before that commit is
//! a partial column: it is resumed where its checksums end, and never served.
//!
//! All calls block; an async caller makes them on a blocking thread.

mod column;
mod directory;
mod error;
mod handles;
mod identity;
mod index;
mod journal;
mod layout;
mod reconcile;
mod record;
mod shared;
mod store;

pub use column::{ColumnWriter, OpenedColumn};
pub use directory::DirectoryLock;
pub(crate) use directory::{create_private, remove_durably, write_once};
pub use error::StoreError;
pub use identity::{create_identity, keep_identity, load_identity};
pub use journal::{Publication, PublishJournal, SourceFile};
pub use record::StoredShard;
pub use store::ColumnStore;
