//! What is believed: signed by whom it speaks of, alive, and under its own key (`spec/dht.md` §3).

use pop_wire::{
    ContentId, Manifest, MasternodeRecord, PeerId, ProviderRecord, RecordEntry, Signed, SignedBody,
    UnixTime, Verified,
};

use crate::{DhtKey, RecordError, Subject};

/// A record that was checked against its signature, its key and the time.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValidRecord {
    /// A manifest; it has no end of life of its own.
    Manifest(Verified<Manifest>),
    /// A holder of columns.
    Provider(Verified<ProviderRecord>),
    /// A masternode.
    Masternode(Verified<MasternodeRecord>),
}

impl ValidRecord {
    /// Check `entry`, found or put under `key`, at `now`.
    ///
    /// # Errors
    /// [`RecordError`]: the sender's fault.
    pub fn check(key: DhtKey, entry: RecordEntry, now: UnixTime) -> Result<Self, RecordError> {
        let (record, subject) = match entry {
            RecordEntry::Manifest(signed) => {
                let manifest = signed.verify()?;
                let subject = Subject::Content(manifest.content_id());
                (Self::Manifest(manifest), subject)
            }
            RecordEntry::Provider(signed) => {
                let provider = signed.verify()?;
                let subject = Subject::Content(provider.content);
                (Self::Provider(provider), subject)
            }
            RecordEntry::Masternode(signed) => {
                let masternode = signed.verify()?;
                let subject = Subject::Masternode(masternode.peer);
                (Self::Masternode(masternode), subject)
            }
            _ => return Err(RecordError::WrongKey),
        };
        // spec/dht.md §3: a record MUST be refused under a key that is not one of its subject's.
        if !subject.keys().contains(&key) {
            return Err(RecordError::WrongKey);
        }
        record.check_life(now)?;
        Ok(record)
    }

    /// Check that the record counts at `now`. A manifest always does.
    ///
    /// # Errors
    /// [`RecordError::Expired`] or [`RecordError::NotYetValid`].
    pub fn check_life(&self, now: UnixTime) -> Result<(), RecordError> {
        match self {
            Self::Manifest(_) => Ok(()),
            Self::Provider(it) => check_life(it.is_alive(now), it.issued_at, it.expires_at, now),
            Self::Masternode(it) => check_life(it.is_alive(now), it.issued_at, it.expires_at, now),
        }
    }

    /// Who speaks, since when and until when; `None` for a manifest.
    pub fn life(&self) -> Option<(PeerId, UnixTime, UnixTime)> {
        match self {
            Self::Manifest(_) => None,
            Self::Provider(it) => Some((it.peer, it.issued_at, it.expires_at)),
            Self::Masternode(it) => Some((it.peer, it.issued_at, it.expires_at)),
        }
    }

    /// What the record is about.
    pub fn subject(&self) -> Subject {
        match self {
            Self::Manifest(it) => Subject::Content(it.content_id()),
            Self::Provider(it) => Subject::Content(it.content),
            Self::Masternode(it) => Subject::Masternode(it.peer),
        }
    }

    /// The signed form in memory of its own: what came off the wire is a slice of the whole
    /// packet, and storing the slice would keep the packet.
    pub(crate) fn to_entry(&self) -> RecordEntry {
        match self {
            Self::Manifest(it) => RecordEntry::Manifest(compact(it.signed())),
            Self::Provider(it) => RecordEntry::Provider(compact(it.signed())),
            Self::Masternode(it) => RecordEntry::Masternode(compact(it.signed())),
        }
    }
}

/// Bytes that an entry takes in a bundle, its own header included.
pub(crate) fn entry_bytes(entry: &RecordEntry) -> usize {
    /// Two protobuf headers of a tag and a length of at most three bytes.
    const HEADERS: usize = 2 * 4;
    let envelope = match entry {
        RecordEntry::Manifest(signed) => signed.encode().len(),
        RecordEntry::Provider(signed) => signed.encode().len(),
        RecordEntry::Masternode(signed) => signed.encode().len(),
        _ => 0,
    };
    envelope + HEADERS
}

fn compact<T: SignedBody>(signed: &Signed<T>) -> Signed<T> {
    Signed::decode(signed.encode()).expect("an envelope decodes from its own encoding")
}

fn check_life(
    alive: bool,
    issued_at: UnixTime,
    expires_at: UnixTime,
    now: UnixTime,
) -> Result<(), RecordError> {
    match alive {
        true => Ok(()),
        false if expires_at <= now => Err(RecordError::Expired { expires_at, now }),
        false => Err(RecordError::NotYetValid { issued_at, now }),
    }
}

/// The content that a manifest and a provider record both speak of, if they do.
pub(crate) fn common_content(
    manifest: &Verified<Manifest>,
    provider: &ProviderRecord,
) -> Option<ContentId> {
    let content = manifest.content_id();
    (content == provider.content).then_some(content)
}
