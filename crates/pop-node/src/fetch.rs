//! Contents as a reader sees them: open one by its link, read any range of it while its shards
//! arrive.

mod reader;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::Stream;
use pop_erasure::{Content, ContentKey, ContentLink};
use pop_wire::{ContentId, Manifest, Verified};
use tokio::sync::mpsc;

use crate::clock::monotonic_now;
use crate::error::NodeError;
use crate::holdings::{self, KnownHolder};
use crate::network::Finding;
use crate::node::{Inner, Node};
use crate::session::Session;

/// Contents whose manifest and holders are remembered.
const CONTENTS_MAX: usize = 64;

/// Sessions of one content kept warm between two reads: a player seeks by ending one request and
/// starting another.
const IDLE_SESSIONS_MAX: usize = 4;

/// How long a session is kept warm.
const IDLE_TIME: Duration = Duration::from_secs(30);

/// Time that a lookup in the DHT may take before others are asked for the manifest.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(8);

/// Masternodes asked for a manifest that the DHT doesn't find.
const MANIFEST_ASKED_MAX: usize = 32;

/// Pieces of plaintext that wait for a slow reader.
const PIECES_AHEAD_MAX: usize = 2;

/// How fast a reader needs the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pace {
    /// As fast as they come; nothing waits for any of them in particular.
    Bulk,
    /// Somebody is watching: at the media's own pace as the manifest tells it, or at eight
    /// megabits a second where it doesn't.
    Playback,
}

/// A content that was opened with its key.
#[derive(Debug, Clone)]
pub struct OpenedContent {
    inner: Arc<Inner>,
    content: Content,
    key: ContentKey,
}

/// Holders, and the lookup that goes on naming more.
#[derive(Debug, Default)]
struct Found {
    holders: Vec<KnownHolder>,
    findings: Option<mpsc::Receiver<Finding>>,
}

/// What the node remembers of contents it has read.
#[derive(Debug, Default)]
pub(crate) struct OpenContents {
    contents: Mutex<BTreeMap<ContentId, Remembered>>,
}

#[derive(Debug)]
struct Remembered {
    content: Content,
    /// What the lookup found beside the manifest, for the first session.
    found: Found,
    idle: Vec<(Session, Instant)>,
    used: Instant,
}

impl Node {
    /// Find a content and check that the link's key opens it.
    ///
    /// # Errors
    /// [`NodeError::KeyMissing`], [`NodeError::WrongKey`], [`NodeError::UnknownContent`].
    pub async fn open(&self, link: &ContentLink) -> Result<OpenedContent, NodeError> {
        let key = link.key.clone().ok_or(NodeError::KeyMissing)?;
        let content = self.inner.find(link.content).await?;
        if key.commitment(&content.manifest().salt) != content.manifest().key_commitment {
            return Err(NodeError::WrongKey { content: link.content });
        }
        Ok(OpenedContent { inner: Arc::clone(&self.inner), content, key })
    }
}

impl OpenedContent {
    /// The content's manifest.
    #[must_use]
    pub fn manifest(&self) -> &Verified<Manifest> {
        self.content.manifest()
    }

    /// Bytes of the plaintext.
    #[must_use]
    pub fn length_bytes(&self) -> u64 {
        self.content.manifest().length_bytes
    }

    /// The plaintext of `range`, in order, as it arrives. Drop the stream to stop fetching.
    ///
    /// # Errors
    /// [`NodeError::Range`]; the stream itself ends with an error when holders are gone for good.
    pub fn read(
        &self,
        range: Range<u64>,
        pace: Pace,
    ) -> Result<impl Stream<Item = Result<Bytes, NodeError>> + Send + use<>, NodeError> {
        let length_bytes = self.length_bytes();
        if range.start > range.end || range.end > length_bytes {
            let (start, end) = (range.start, range.end.saturating_sub(1));
            return Err(NodeError::Range { length_bytes, start, end });
        }
        let (pieces, receiver) = mpsc::channel(PIECES_AHEAD_MAX);
        let inner = Arc::clone(&self.inner);
        let (content, key) = (self.content.clone(), self.key.clone());
        self.inner.spawn(async move {
            let reading = reader::read(&inner, &content, key, (range, pace), &pieces);
            // A reader that hung up needs nothing more.
            let result = tokio::select! {
                result = reading => result,
                () = pieces.closed() => Ok(()),
            };
            if let Err(error) = result {
                let _hung_up = pieces.send(Err(error)).await;
            }
        });
        Ok(futures::stream::unfold(receiver, |mut receiver| async {
            let piece = receiver.recv().await?;
            Some((piece, receiver))
        }))
    }
}

impl Inner {
    /// The content of that name: as remembered, from our own store, from the DHT, or from a
    /// masternode that knows it.
    pub(crate) async fn find(&self, content: ContentId) -> Result<Content, NodeError> {
        if let Some(known) = self.contents.content(&content) {
            return Ok(known);
        }
        let (manifest, found) = match self.look_up(content).await {
            Some(found) => found,
            None => (self.ask_around(content).await?, Found::default()),
        };
        let broken = |error: pop_erasure::LayoutError| NodeError::Encode(error.into());
        let content = Content::new(manifest).map_err(broken)?;
        self.contents.remember(content.clone(), found);
        Ok(content)
    }

    /// A session for `content`: a warm one if there is one.
    pub(crate) fn session(self: &Arc<Self>, content: &Content) -> Result<Session, NodeError> {
        match self.contents.take_session(&content.id()) {
            Ok(session) => Ok(session),
            Err(Found { holders, findings }) => {
                Session::start(self, content.clone(), (holders, findings))
            }
        }
    }

    async fn look_up(&self, content: ContentId) -> Option<(Verified<Manifest>, Found)> {
        if let Some(manifest) = self.store.as_ref().and_then(|store| store.manifest(&content)) {
            return Some((manifest, Found::default()));
        }
        let mut findings = self.network.find_content(content).await;
        let mut holders = Vec::new();
        let looking = async {
            while let Some(finding) = findings.recv().await {
                holders.extend(finding.providers.iter().map(|it| KnownHolder::from(&**it)));
                if finding.manifest.is_some() {
                    return finding.manifest;
                }
            }
            None
        };
        let manifest = tokio::time::timeout(LOOKUP_TIMEOUT, looking).await.ok().flatten()?;
        Some((manifest, Found { holders, findings: Some(findings) }))
    }

    async fn ask_around(&self, content: ContentId) -> Result<Verified<Manifest>, NodeError> {
        let masternodes = self.live_masternodes().await;
        let count = self.settings.bootstrap.len();
        if masternodes.is_empty() && count > 0 {
            return Err(NodeError::Bootstrap { count });
        }
        let asked = masternodes.len().min(MANIFEST_ASKED_MAX);
        let manifest = holdings::manifest(self, content, &masternodes[..asked]).await;
        manifest.ok_or(NodeError::UnknownContent { content })
    }
}

impl OpenContents {
    fn content(&self, id: &ContentId) -> Option<Content> {
        let mut contents = self.contents();
        let remembered = contents.get_mut(id)?;
        remembered.used = monotonic_now();
        Some(remembered.content.clone())
    }

    fn remember(&self, content: Content, found: Found) {
        let mut contents = self.contents();
        if contents.len() >= CONTENTS_MAX {
            let oldest = contents.iter().min_by_key(|(_, it)| it.used).map(|(id, _)| *id);
            oldest.and_then(|id| contents.remove(&id));
        }
        let remembered = Remembered { content, found, idle: Vec::new(), used: monotonic_now() };
        contents.insert(remembered.content.id(), remembered);
    }

    /// A warm session, or what to start one with.
    fn take_session(&self, id: &ContentId) -> Result<Session, Found> {
        let mut contents = self.contents();
        let Some(remembered) = contents.get_mut(id) else { return Err(Found::default()) };
        let now = monotonic_now();
        remembered.idle.retain(|(_, since)| now.duration_since(*since) < IDLE_TIME);
        match remembered.idle.pop() {
            Some((session, _)) => Ok(session),
            None => Err(Found {
                holders: remembered.found.holders.clone(),
                findings: remembered.found.findings.take(),
            }),
        }
    }

    /// Take a session back that its reader is done with.
    pub(crate) fn give_back(&self, id: &ContentId, mut session: Session) {
        session.rest();
        let mut contents = self.contents();
        if let Some(remembered) = contents.get_mut(id)
            && remembered.idle.len() < IDLE_SESSIONS_MAX
        {
            remembered.idle.push((session, monotonic_now()));
        }
    }

    /// Let go of sessions that nobody has used for a while.
    pub(crate) fn sweep(&self) {
        let now = monotonic_now();
        for remembered in self.contents().values_mut() {
            remembered.idle.retain(|(_, since)| now.duration_since(*since) < IDLE_TIME);
        }
    }

    fn contents(&self) -> MutexGuard<'_, BTreeMap<ContentId, Remembered>> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
