//! The store as libp2p-kad sees it.

use std::borrow::Cow;

use libp2p::PeerId;
use libp2p::kad::store::{Error, RecordStore, Result};
use libp2p::kad::{ProviderRecord, Record, RecordKey};

use super::Store;
use crate::DhtKey;

/// Kad reads bundles from here and writes nothing: what peers put comes to the behaviour as an
/// event and goes through [`Store::put_foreign`]; what we announce is in [`Store::put_own`]
/// before kad hears of it. Kad's own provider records are not used.
impl RecordStore for Store {
    type RecordsIter<'a> = core::iter::Empty<Cow<'a, Record>>;
    type ProvidedIter<'a> = core::iter::Empty<Cow<'a, ProviderRecord>>;

    fn get(&self, key: &RecordKey) -> Option<Cow<'_, Record>> {
        let bundle = self.bundle(&DhtKey::from_bytes(key.as_ref()).ok()?)?;
        // Without `expires`: kad's clock has no say in what is alive.
        Some(Cow::Owned(Record::new(key.clone(), bundle.into())))
    }

    fn put(&mut self, record: Record) -> Result<()> {
        let key = DhtKey::from_bytes(record.key.as_ref()).map_err(|_| Error::ValueTooLarge)?;
        self.own.contains_key(&key).then_some(()).ok_or(Error::MaxRecords)
    }

    fn remove(&mut self, _: &RecordKey) {}

    fn records(&self) -> Self::RecordsIter<'_> {
        core::iter::empty()
    }

    fn add_provider(&mut self, _: ProviderRecord) -> Result<()> {
        Err(Error::MaxProvidedKeys)
    }

    fn providers(&self, _: &RecordKey) -> Vec<ProviderRecord> {
        Vec::new()
    }

    fn provided(&self) -> Self::ProvidedIter<'_> {
        core::iter::empty()
    }

    fn remove_provider(&mut self, _: &RecordKey, _: &PeerId) {}
}
