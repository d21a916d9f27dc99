use pop_wire::{ContentId, PeerId};

/// Why something failed, for whoever watches: a stable code for programs, a sentence, and what to
/// do next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The link is no `pop:` link.
    #[error("this is not a link to a POP content")]
    BadLink,
    /// The link names a content but has no key.
    #[error("the link has no key, so the content can't be opened")]
    KeyMissing,
    /// The key is not the one that the publisher committed to.
    #[error("the key in the link does not open this content")]
    WrongKey,
    /// None of the masternodes knows the content.
    #[error("{asked} masternodes were asked, and none knows this content")]
    UnknownContent {
        /// Masternodes that answered.
        asked: usize,
    },
    /// None of the entry nodes can be reached.
    #[error("none of {entries} entry nodes can be reached")]
    NoEntry {
        /// Entry nodes that were tried.
        entries: usize,
    },
    /// The manifest describes a content that cannot exist: the publisher's fault.
    #[error("the publisher's description of this content contradicts itself")]
    BadManifest,
    /// Fewer sources are within reach than are needed, for some time now.
    #[error("only {reachable} of {needed} pieces that are needed can be reached")]
    SourcesGone {
        /// Columns within reach.
        reachable: usize,
        /// Columns needed.
        needed: usize,
    },
    /// A segment doesn't open although every shard is what the publisher signed.
    #[error("segment {segment} does not open: the publisher encrypted it wrongly")]
    Undecryptable {
        /// Which segment.
        segment: u64,
    },
    /// The publisher signed shards that contradict each other.
    #[error("segment {segment} of {content} contradicts itself: the publisher cheated")]
    Equivocation {
        /// Of which content.
        content: ContentId,
        /// Which segment.
        segment: u64,
    },
    /// The read is outside of the film.
    #[error("the content has {length_bytes} bytes, and byte {end} was asked for")]
    OutOfRange {
        /// Bytes of the content.
        length_bytes: u64,
        /// End of the range, excluded.
        end: u64,
    },
    /// The film is not open, or not yet.
    #[error("the content is not open")]
    NotOpen,
    /// Too much at once.
    #[error("expected at most {max} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// Limit.
        max: usize,
    },
    /// The relay that other viewers are met through is gone, and no other one is within reach.
    #[error("no relay is within reach, so no further viewers are found")]
    RelayGone,
    /// The browser refuses to store.
    #[error("the browser refuses to store, so nothing is kept for later or for others")]
    StorageBlocked,
    /// The browser has no WebRTC, or it is switched off.
    #[error("this browser has no WebRTC, so no other viewers can be reached")]
    NoWebRtc,
    /// The page has no service worker: it came over http from another machine, say.
    #[error("this page can't have a service worker")]
    NoServiceWorker,
    /// A peer is not the one whom its address names.
    #[error("at that address is {got}, not {expected}")]
    WrongPeer {
        /// Who was expected.
        expected: PeerId,
        /// Who is there.
        got: PeerId,
    },
    /// What was stored about money doesn't fit: paying stops.
    #[error("what was stored about payments is damaged, so nothing is paid")]
    Records,
    /// There is no vault yet: nothing was ever deposited.
    #[error("this wallet waits for its first tokens, and is served the free first part until then")]
    Unfunded,
    /// The vault doesn't cover what is to be paid any more.
    #[error("the vault is empty, so masternodes serve no more than the free first part")]
    VaultLow,
    /// The ledger doesn't answer, or refuses.
    #[error("the ledger did not do it: {reason}")]
    Ledger {
        /// Why, as far as is known.
        reason: String,
    },
    /// A setting can't be.
    #[error("{field}: not possible")]
    Setting {
        /// Name of the setting.
        field: &'static str,
    },
}

impl EngineError {
    /// A short name that never changes.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadLink => "bad_link",
            Self::KeyMissing => "key_missing",
            Self::WrongKey => "wrong_key",
            Self::UnknownContent { .. } => "unknown_content",
            Self::NoEntry { .. } => "no_entry",
            Self::BadManifest => "bad_manifest",
            Self::SourcesGone { .. } => "sources_gone",
            Self::Undecryptable { .. } => "undecryptable",
            Self::Equivocation { .. } => "equivocation",
            Self::OutOfRange { .. } => "out_of_range",
            Self::NotOpen => "not_open",
            Self::TooMany { .. } => "too_many",
            Self::RelayGone => "relay_gone",
            Self::StorageBlocked => "storage_blocked",
            Self::NoWebRtc => "no_webrtc",
            Self::NoServiceWorker => "no_service_worker",
            Self::WrongPeer { .. } => "wrong_peer",
            Self::Records => "records_damaged",
            Self::Unfunded => "unfunded",
            Self::VaultLow => "vault_low",
            Self::Ledger { .. } => "ledger",
            Self::Setting { .. } => "setting",
        }
    }

    /// What whoever watches can do about it.
    pub fn next_step(&self) -> &'static str {
        match self {
            Self::BadLink => "Copy the whole link, from `pop:` or `https:` to its end.",
            Self::KeyMissing => "Ask for the whole link: the key stands behind `k=`.",
            Self::WrongKey => "Ask for the link again: its key was cut off or changed.",
            Self::UnknownContent { .. } => {
                "Check the link. A content published just now is known in a few seconds: try again."
            }
            Self::NoEntry { .. } => "Check the connection; playing begins as soon as one answers.",
            Self::BadManifest | Self::Undecryptable { .. } | Self::Equivocation { .. } => {
                "Nothing helps here: tell the publisher."
            }
            Self::SourcesGone { .. } => "Wait: playing goes on when enough sources are back.",
            Self::OutOfRange { .. } => "Ask for bytes that the content has.",
            Self::NotOpen => "Open the content first, and wait until it is.",
            Self::TooMany { .. } => "Close one first.",
            Self::RelayGone => "Nothing to do: playing goes on from masternodes.",
            Self::StorageBlocked => "Allow this page to store, or leave private browsing.",
            Self::NoWebRtc => "Nothing to do: playing goes on from masternodes.",
            Self::NoServiceWorker => "Open the page over https, or from this machine.",
            Self::WrongPeer { .. } => "Use another entry node.",
            Self::Records => "Export the wallet before clearing this page's storage.",
            Self::Unfunded => "Wait for them, or deposit some; free contents need none.",
            Self::VaultLow => "Deposit more into the vault, or choose free contents.",
            Self::Ledger { .. } => "Try again later.",
            Self::Setting { .. } => "Correct the setting.",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_differ_and_every_error_says_what_next() {
        let all = [
            EngineError::BadLink,
            EngineError::KeyMissing,
            EngineError::WrongKey,
            EngineError::UnknownContent { asked: 3 },
            EngineError::NoEntry { entries: 2 },
            EngineError::BadManifest,
            EngineError::SourcesGone { reachable: 1, needed: 2 },
            EngineError::Undecryptable { segment: 1 },
            EngineError::Equivocation { content: ContentId([0; 32]), segment: 1 },
            EngineError::OutOfRange { length_bytes: 1, end: 2 },
            EngineError::NotOpen,
            EngineError::TooMany { what: "films", max: 1 },
            EngineError::RelayGone,
            EngineError::StorageBlocked,
            EngineError::NoWebRtc,
            EngineError::NoServiceWorker,
            EngineError::Records,
            EngineError::Unfunded,
            EngineError::VaultLow,
            EngineError::Ledger { reason: "busy".to_owned() },
            EngineError::Setting { field: "seed" },
        ];
        let codes: BTreeSet<_> = all.iter().map(EngineError::code).collect();
        assert_eq!(codes.len(), all.len());
        for error in all {
            assert!(error.next_step().ends_with('.'));
            assert!(!error.to_string().is_empty());
        }
    }
}
