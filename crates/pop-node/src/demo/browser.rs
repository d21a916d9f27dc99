//! Viewers in tabs of a real browser: the first gets the film, the others join while it plays and
//! have most of it from each other. Each tab has storage, a key and a wallet of its own, as on a
//! machine of its own.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio_util::task::AbortOnDropHandle;

use super::figures::percent;
use super::{BrowserProgress, PATIENCE};
use crate::chromium::{Chromium, ChromiumError, Pipe, Target};
use crate::clock::monotonic_now;
use crate::error::NodeError;

/// Asked of other viewers, in POP for a megabit: half of what a masternode asks by default, so that
/// who can choose asks a viewer.
pub(super) const VIEWER_PRICE: &str = "0.00000001";

/// Viewers who join the first one.
const NEWCOMERS: usize = 2;

/// How often the tabs are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Bytes of the film that a page reads and digests at once.
const PIECE_BYTES: usize = 4 * 1024 * 1024;

/// Has the film play, and counts from here on. A stall is a wait that neither a seek nor the end
/// explains.
const PLAY: &str = r"(() => {
    const video = document.querySelector('video');
    if (!globalThis.film || !(video.readyState >= 2 || video.error)) return false;
    globalThis.seen = { stalls: 0 };
    video.muted = true;
    video.addEventListener('waiting', () => {
        if (video.currentTime > 0 && !video.seeking && !video.ended) seen.stalls++;
    });
    video.play();
    return true;
})()";

/// What there is to see of a tab; see [`Look`].
const LOOK: &str = r"(() => {
    const video = document.querySelector('video'), stats = globalThis.film?.stats();
    return {
        stalls: globalThis.seen?.stalls ?? 0,
        seconds: video.currentTime,
        is_over: video.ended,
        failure: video.error ? video.error.message || `error ${video.error.code}` : '',
        from_masternodes: stats?.fromMasternodesBytes ?? 0,
        from_viewers: stats?.fromViewersBytes ?? 0,
        read_bytes: globalThis.read?.bytes ?? 0,
    };
})()";

/// Begin to read the whole film, from wherever it is; what it had, by pieces.
const READ: &str = r"(() => {
    globalThis.read = { bytes: 0, digests: [], failure: '' };
    const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
    (async () => {
        const length = film.info.lengthBytes;
        for (let start = 0; start < length; start += PIECE_BYTES) {
            const bytes = await film.read(start, Math.min(length, start + PIECE_BYTES));
            read.digests.push(hex(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))));
            read.bytes += bytes.length;
        }
        read.is_done = true;
    })().catch((error) => { read.failure = String(error); });
    return true;
})()";

/// What it has read, once that is all.
const DIGESTS: &str =
    "read.failure ? { failure: read.failure } : read.is_done ? { digests: read.digests } : null";

/// Cash in what was earned, and wait until the ledger said that it is done, or why not.
const REDEEM: &str = r"new Promise((done) => {
    film.pop.addEventListener('wallet', () => done(true), { once: true });
    film.pop.addEventListener('walletFailed', () => done(true), { once: true });
    setTimeout(() => done(true), 10_000);
    film.pop.redeem();
})";

/// What a page says when something is wrong.
const NOTICE: &str = r"['#notice-text', '#notice-next', '#log li']
    .map((it) => document.querySelector(it)?.textContent).filter(Boolean).join(' ')";

/// What the demo's viewers in browser tabs saw. The field names are a part of the interface of
/// `demo --json`, with `--browser`.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct BrowserReport {
    /// Tabs in which the film was watched to its end.
    pub browser_viewers: u32,
    /// `browser_bytes_from_peers` in per cent of `browser_bytes`.
    pub browser_bytes_from_peers_percent: f64,
    /// Of `browser_bytes`, those that came from other tabs and not from masternodes.
    pub browser_bytes_from_peers: u64,
    /// Bytes of verified shards that came to the tabs that joined, all but the first, until the
    /// end of the film: each byte counts once, when it comes, and none that a tab reads back from
    /// its own cache.
    pub browser_bytes: u64,
    /// Times that playback had to wait, in all tabs together.
    pub browser_stalls: u64,
    /// Whether every tab had the file, byte for byte.
    pub browser_identical: bool,
}

/// A look at one tab.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Look {
    stalls: u64,
    /// Of the film.
    seconds: f64,
    is_over: bool,
    /// Why the player stopped, if it did.
    failure: String,
    from_masternodes: u64,
    from_viewers: u64,
    /// Read of the film by ourselves.
    read_bytes: u64,
}

impl Look {
    /// What all of them together tell; the first is not one of those who joined.
    pub(super) fn sum(looks: &[Self]) -> BrowserProgress {
        let (from_viewers, all) = of_newcomers(looks);
        BrowserProgress {
            viewers: looks.len(),
            stalls: looks.iter().map(|look| look.stalls).sum(),
            from_peers_percent: percent(from_viewers, all),
        }
    }
}

/// Bytes that came to those who joined: from viewers, and in all.
fn of_newcomers(looks: &[Look]) -> (u64, u64) {
    looks.iter().skip(1).fold((0, 0), |(from_viewers, all), look| {
        (from_viewers + look.from_viewers, all + look.from_viewers + look.from_masternodes)
    })
}

/// The viewers, and the browser that they sit in.
pub(super) struct Audience {
    browser: Chromium,
    /// The first one got the film before the others came.
    viewers: Vec<Viewer>,
    looks: watch::Sender<Vec<Look>>,
    looking: Option<AbortOnDropHandle<()>>,
}

impl Audience {
    /// Start the browser, open `page` in a tab, have it play, and wait until it has the whole film.
    /// `watch` hears how many of its `film_bytes` it has.
    pub(super) async fn seat(
        program: &Path,
        page: &str,
        film_bytes: u64,
        mut watch: impl FnMut(u64),
    ) -> Result<Self, NodeError> {
        let program = program.to_owned();
        let browser = blocking(move || Chromium::start(&program)).await?;
        let (looks, viewers) = (watch::Sender::new(Vec::new()), Vec::new());
        let mut audience = Self { browser, viewers, looks, looking: None };
        let first = audience.open(page).await?;
        first.script(READ).await?;
        first
            .watch("to get the film", |look| {
                watch(look.read_bytes);
                look.read_bytes >= film_bytes
            })
            .await?;
        audience.viewers.push(first);
        Ok(audience)
    }

    /// Have more viewers open `page`, and wait until they play.
    pub(super) async fn join(&mut self, page: &str) -> Result<(), NodeError> {
        for _ in 0..NEWCOMERS {
            let newcomer = self.open(page).await?;
            self.viewers.push(newcomer);
        }
        let (viewers, looks) = (self.viewers.clone(), self.looks.clone());
        let looking = tokio::spawn(keep_looking(viewers, looks));
        self.looking = Some(AbortOnDropHandle::new(looking));
        Ok(())
    }

    async fn open(&self, page: &str) -> Result<Viewer, NodeError> {
        let (pipe, page) = (Arc::clone(self.browser.pipe()), page.to_owned());
        let opening = Arc::clone(&pipe);
        let tab = blocking(move || opening.open_apart(&page)).await?;
        let viewer = Viewer { pipe, tab };
        viewer.wait("to open the film", PLAY).await?;
        viewer.watch("to begin to play", |look| look.seconds > 0.0).await?;
        Ok(viewer)
    }

    /// How the viewers get on.
    pub(super) fn looks(&self) -> watch::Receiver<Vec<Look>> {
        self.looks.subscribe()
    }

    /// Wait until everybody saw the end, compare what they have with `file`, and have those paid
    /// who passed something on.
    pub(super) async fn until_the_end(self, file: &Path) -> Result<BrowserReport, NodeError> {
        let mut looks = Vec::with_capacity(self.viewers.len());
        for viewer in &self.viewers {
            looks.push(viewer.watch("to get to the end", |look| look.is_over).await?);
        }
        drop(self.looking);
        let (from_viewers, all) = of_newcomers(&looks);
        let stalls = looks.iter().map(|look| look.stalls).sum();
        let expected = digests(file).await?;
        let mut identical = true;
        for viewer in &self.viewers {
            viewer.script(READ).await?;
            let had = viewer.wait("to have the film", DIGESTS).await?;
            identical &= had["digests"] == json!(expected);
        }
        for viewer in &self.viewers {
            viewer.script(REDEEM).await?;
        }
        Ok(BrowserReport {
            browser_viewers: u32::try_from(looks.len()).unwrap_or(u32::MAX),
            browser_bytes_from_peers_percent: percent(from_viewers, all),
            browser_bytes_from_peers: from_viewers,
            browser_bytes: all,
            browser_stalls: stalls,
            browser_identical: identical,
        })
    }
}

/// Look at every tab again and again. One that doesn't answer is as it was.
async fn keep_looking(viewers: Vec<Viewer>, looks: watch::Sender<Vec<Look>>) {
    let mut tick = tokio::time::interval(LOOK_INTERVAL);
    loop {
        tick.tick().await;
        let mut seen = Vec::with_capacity(viewers.len());
        for viewer in &viewers {
            match viewer.look().await {
                Ok(look) => seen.push(look),
                Err(error) => tracing::debug!(%error, "a tab does not answer"),
            }
        }
        if seen.len() == viewers.len() {
            looks.send_replace(seen);
        }
    }
}

/// Who watches in one tab.
#[derive(Debug, Clone)]
struct Viewer {
    pipe: Arc<Pipe>,
    tab: Target,
}

impl Viewer {
    /// The value of a script.
    async fn script(&self, script: &'static str) -> Result<Value, NodeError> {
        let (pipe, session) = (Arc::clone(&self.pipe), self.tab.session.clone());
        let script = script.replace("PIECE_BYTES", &PIECE_BYTES.to_string());
        Ok(blocking(move || pipe.evaluate(&session, &script)).await?)
    }

    async fn look(&self) -> Result<Look, NodeError> {
        let look = self.script(LOOK).await?;
        serde_json::from_value(look).map_err(|error| self.failed(&error.to_string()))
    }

    /// Run a script until it says something.
    async fn wait(&self, what: &str, script: &'static str) -> Result<Value, NodeError> {
        let started = monotonic_now();
        loop {
            match self.script(script).await {
                Ok(Value::Null | Value::Bool(false)) => {}
                Ok(value) => match value["failure"].as_str() {
                    Some(failure) => return Err(self.failed(failure)),
                    None => return Ok(value),
                },
                // The page may be replaced under a script: it is no film's page yet.
                Err(NodeError::Browser(ChromiumError::Refused { .. })) => {}
                Err(error) => return Err(error),
            }
            if started.elapsed() > PATIENCE {
                return Err(self.does_not(what).await);
            }
            tokio::time::sleep(LOOK_INTERVAL / 5).await;
        }
    }

    /// Look until it is `enough`, or until the picture stands still for too long.
    async fn watch(
        &self,
        what: &str,
        mut enough: impl FnMut(&Look) -> bool,
    ) -> Result<Look, NodeError> {
        let (mut moved_at, mut progress) = (monotonic_now(), (0.0, 0));
        loop {
            let look = self.look().await?;
            if enough(&look) {
                return Ok(look);
            }
            if !look.failure.is_empty() {
                return Err(self.failed(&look.failure));
            }
            if progress != (look.seconds, look.read_bytes) {
                (moved_at, progress) = (monotonic_now(), (look.seconds, look.read_bytes));
            }
            if moved_at.elapsed() > PATIENCE {
                return Err(self.does_not(what).await);
            }
            tokio::time::sleep(LOOK_INTERVAL / 5).await;
        }
    }

    async fn does_not(&self, what: &str) -> NodeError {
        let notice = self.script(NOTICE).await.unwrap_or_default();
        let notice = notice.as_str().unwrap_or_default();
        self.failed(&format!("it fails {what} within {} s; {notice}", PATIENCE.as_secs()))
    }

    fn failed(&self, reason: &str) -> NodeError {
        NodeError::Demo(format!("a viewer in the browser: {reason}"))
    }
}

/// The digests of a file's pieces, as [`READ`] takes them.
async fn digests(file: &Path) -> Result<Vec<String>, NodeError> {
    let path = file.to_owned();
    let unreadable = |source| NodeError::Input { path: file.to_owned(), source };
    let digesting = spawn_blocking(move || {
        let mut source = std::fs::File::open(path)?;
        let (mut digests, mut piece) = (Vec::new(), Vec::with_capacity(PIECE_BYTES));
        loop {
            piece.clear();
            let limit = u64::try_from(PIECE_BYTES).unwrap_or(u64::MAX);
            source.by_ref().take(limit).read_to_end(&mut piece)?;
            if piece.is_empty() {
                return Ok(digests);
            }
            digests.push(hex::encode(Sha256::digest(&piece)));
        }
    });
    digesting.await.map_err(|_| NodeError::ShuttingDown)?.map_err(unreadable)
}

/// The browser is waited for on a thread of its own.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ChromiumError> + Send + 'static,
) -> Result<T, ChromiumError> {
    spawn_blocking(work).await.unwrap_or(Err(ChromiumError::Gone))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(from_viewers: u64, from_masternodes: u64, stalls: u64) -> Look {
        Look { from_viewers, from_masternodes, stalls, ..Look::default() }
    }

    #[test]
    fn only_those_who_joined_count_for_the_share_from_viewers_and_all_for_stalls() {
        let looks = [look(0, 1_000, 1), look(300, 100, 0), look(300, 100, 2)];
        assert_eq!(of_newcomers(&looks), (600, 800));
        let sum = Look::sum(&looks);
        assert_eq!((sum.viewers, sum.stalls), (3, 3));
        assert!((sum.from_peers_percent - 75.0).abs() < 1e-9);
        assert_eq!(of_newcomers(&looks[..1]), (0, 0));
    }

    #[tokio::test]
    async fn a_file_is_digested_by_pieces_as_a_page_does_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let bytes = vec![7; PIECE_BYTES + 1];
        std::fs::write(file.path(), &bytes).unwrap();
        let expected = bytes.chunks(PIECE_BYTES).map(|piece| hex::encode(Sha256::digest(piece)));
        assert_eq!(digests(file.path()).await.unwrap(), expected.collect::<Vec<_>>());
    }
}
