//! The acts of the demo, in order.

mod tabs;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use futures::StreamExt as _;
use pop_wire::{ColumnSet, ContentId, PeerId};
use tokio::sync::watch;

use super::bank::Bank;
use super::browser::{Audience, Look};
use super::cluster::{self, Masternode};
use super::faucet::Faucet;
use super::figures::{float, megabytes_a_second, round};
use super::lineup::{holdings_of, start_client, start_masternodes, watch_served};
use super::material::{digest, random_below, random_range, read_range, readable_length};
use super::player::{self, Film, Playback, Position, milliseconds};
use super::scene::{Board, SceneNode, missing};
use super::{
    CLIP, DemoOptions, DemoReport, KILL_AFTER_SHARE, PATIENCE, Progress, SEEKS, TICKS_PER_S,
};
use crate::clock::monotonic_now;
use crate::error::NodeError;
use crate::fetch::Pace;
use crate::node::Node;
use crate::publish::{PublishOptions, Published};
use crate::{http_client, repair};

/// The running demo: processes, a client node with the gateway, and what was measured so far.
pub struct Stage {
    options: DemoOptions,
    masternodes: Vec<Masternode>,
    client: Node,
    bank: Bank,
    /// Funds viewers on the page.
    faucet: Option<Faucet>,
    /// Viewers in browser tabs, if there are to be some.
    audience: Option<Audience>,
    board: Board,
    film: Option<Film>,
    published: Option<Published>,
    file: PathBuf,
    report: DemoReport,
    /// Keeps the page's counts of bytes up to date.
    _watching: tokio_util::task::AbortOnDropHandle<()>,
    /// Everything on disk; deleted with the stage.
    _directory: tempfile::TempDir,
}

impl Stage {
    /// Start the masternodes, and a client node with its gateway. `started` hears of each.
    ///
    /// # Errors
    /// [`NodeError`]: the file can't be read, or a process doesn't start.
    pub async fn set_up(
        options: DemoOptions,
        mut started: impl FnMut(usize),
    ) -> Result<Self, NodeError> {
        let io_error = |action| move |source| NodeError::Io { action, source };
        let directory = tempfile::Builder::new()
            .prefix("pop-demo-")
            .tempdir()
            .map_err(io_error("create a temporary directory"))?;
        let file = match &options.file {
            Some(file) => file.clone(),
            None => {
                let clip = directory.path().join("big-buck-bunny.mp4");
                std::fs::write(&clip, CLIP).map_err(io_error("write the clip"))?;
                clip
            }
        };
        let bytes = readable_length(&file)?;
        // Every node can hold all that placement may give it, and nothing without bound.
        let quota_bytes = bytes.saturating_mul(2).saturating_add(256 << 20);
        let bank = Bank::found(directory.path(), options.nodes).await?;
        let masternodes =
            start_masternodes(directory.path(), options.nodes, quota_bytes, &mut started).await?;
        let client = start_client(directory.path(), &options, (&masternodes, &bank.viewer)).await?;
        let faucet = client.ledger().map(|ledger| Faucet::new(ledger, bank.operator.clone()));
        client.inner.faucet.send_replace(faucet.clone());
        let board = Board::new(client.inner.demo.clone());
        let report = DemoReport { nodes: options.nodes, bytes, ..DemoReport::default() };
        let mut stage = Self {
            options,
            masternodes,
            client,
            bank,
            faucet,
            audience: None,
            board,
            film: None,
            published: None,
            file,
            report,
            _watching: tokio_util::task::AbortOnDropHandle::new(tokio::spawn(async {})),
            _directory: directory,
        };
        stage.draw_nodes(&[]);
        let nodes = stage.masternodes.iter().map(|node| node.http).collect();
        let watching = tokio::spawn(watch_served(nodes, stage.board.clone()));
        stage._watching = tokio_util::task::AbortOnDropHandle::new(watching);
        Ok(stage)
    }

    /// Publish the file. Returns what the publisher is told.
    ///
    /// # Errors
    /// As [`Node::publish`].
    pub async fn publish(&mut self) -> Result<Published, NodeError> {
        self.board.phase("Publishing: encrypt, encode, scatter");
        self.find_all_masternodes().await?;
        let options = PublishOptions::for_file(&self.file)?;
        let duration_ms = options.duration_ms;
        let started = monotonic_now();
        let published = self.client.publish(&self.file, options, |_| {}).await?;
        let elapsed = started.elapsed();
        self.report.publish_mb_s = megabytes_a_second(self.report.bytes, elapsed);
        self.report.k = published.geometry.k();
        self.report.n = published.geometry.n();
        let paced = || {
            let bits = self.report.bytes.saturating_mul(8);
            Duration::from_millis(bits.saturating_mul(1000) / self.options.pace_bit_s.max(1))
        };
        self.film = Some(Film {
            gateway: self.gateway()?,
            path: content_path(&published),
            bytes: self.report.bytes,
            duration: if duration_ms > 0 { Duration::from_millis(duration_ms) } else { paced() },
            digest: digest(&self.file)?,
        });
        self.published = Some(published.clone());
        self.board.change(|scene| (scene.k, scene.n) = (self.report.k, self.report.n));
        self.draw_nodes(&holdings_of(&published));
        Ok(published)
    }

    /// Where a person can watch the clip.
    ///
    /// # Errors
    /// [`NodeError::Demo`] before something is published.
    pub fn page_url(&self) -> Result<String, NodeError> {
        self.page_for(None)
    }

    /// Play the film at its own pace, and kill the victims early in it. `watch` hears how it goes.
    ///
    /// # Errors
    /// [`NodeError`]: playback broke off.
    pub async fn play_and_kill(
        &mut self,
        mut watch: impl FnMut(&Progress),
    ) -> Result<(), NodeError> {
        self.board.phase("Playing at the film's own pace");
        let film = self.film()?.clone();
        let (position_sender, mut position) = watch::channel(Position::default());
        let playing = player::play(&film, &position_sender);
        tokio::pin!(playing);
        let victims =
            self.draw_lots(usize::try_from(self.options.victims()).unwrap_or(usize::MAX))?;
        let kill_at = film.duration.mul_f64(KILL_AFTER_SHARE);
        let mut progress = Progress::default();
        let mut looks = self.audience.as_ref().map(Audience::looks);
        let kill_time = tokio::time::sleep(kill_at);
        tokio::pin!(kill_time);
        let playback = loop {
            tokio::select! {
                done = &mut playing => break done?,
                () = &mut kill_time, if progress.killed == 0 && !victims.is_empty() => {
                    progress.killed = victims.len();
                    self.kill(&victims).await?;
                    watch(&progress);
                }
                Ok(()) = position.changed() => {
                    let now = *position.borrow_and_update();
                    progress.played_bytes = now.played_bytes;
                    progress.browser = looks.as_mut().map(|looks| Look::sum(&looks.borrow_and_update()));
                    watch(&progress);
                    self.board.change(|scene| {
                        (scene.stalls, scene.buffered_ms) = (now.stalls, now.buffered_ms);
                    });
                }
            }
        };
        // A film shorter than the time to the kill is over by then; the promise is the same.
        if progress.killed == 0 {
            self.kill(&victims).await?;
        }
        self.note_playback(playback, victims.len());
        Ok(())
    }

    fn note_playback(&mut self, playback: Playback, killed: usize) {
        self.report.killed = u32::try_from(killed).unwrap_or(u32::MAX);
        self.report.stalls = playback.stalls;
        self.report.stall_ms = playback.stall_ms;
        self.report.first_byte_ms = playback.first_byte_ms;
        self.report.identical = playback.identical;
        self.board.say(format!(
            "Played to the end: {} stalls, every byte {}",
            playback.stalls,
            if playback.identical { "identical" } else { "NOT identical" },
        ));
    }

    /// Jump about in the film.
    ///
    /// # Errors
    /// [`NodeError`]: a range could not be fetched.
    pub async fn seek(&mut self) -> Result<(), NodeError> {
        self.board.phase("Seeking at random");
        let film = self.film()?.clone();
        let mut times = Vec::new();
        for seek in 0..SEEKS {
            let Some(range) = random_range(film.bytes)? else { break };
            let expected = read_range(&self.file, &range)?;
            let asked = monotonic_now();
            let response = http_client::get(film.gateway, &film.path, Some(range)).await?;
            let got = response.all().await?;
            times.push(milliseconds(asked.elapsed()));
            self.report.identical &= got == expected;
            self.report.seeks = u64::from(seek) + 1;
        }
        times.sort_unstable();
        let p95 = (times.len() * 95).div_ceil(100).saturating_sub(1);
        self.report.seek_p95_ms = times.get(p95).copied().unwrap_or(0);
        Ok(())
    }

    /// Fetch the whole as fast as it comes from the nodes that are left.
    ///
    /// # Errors
    /// [`NodeError`]: it could not be fetched.
    pub async fn fetch(&mut self) -> Result<(), NodeError> {
        self.board.phase("Fetching the whole from the nodes that are left");
        let ticks = self.cpu_ticks();
        let started = monotonic_now();
        let identical = self.fetch_whole().await?;
        let elapsed = started.elapsed();
        let spent = self.cpu_ticks().saturating_sub(ticks);
        self.report.identical &= identical;
        self.report.fetch_mb_s = megabytes_a_second(self.report.bytes, elapsed);
        let gigabytes = float(self.report.bytes) / 1e9;
        let cpu_s = float(spent) / TICKS_PER_S;
        self.report.cpu_s_per_gb = if gigabytes > 0.0 { round(cpu_s / gigabytes) } else { 0.0 };
        Ok(())
    }

    /// Restore every missing column onto the nodes that are left. Returns how many.
    ///
    /// # Errors
    /// As [`Node::repair`].
    pub async fn repair(&mut self) -> Result<u32, NodeError> {
        self.board.phase("Repairing to full redundancy");
        let content = self.published()?.content;
        let repaired = match self.client.repair(content, |_| {}).await {
            // Three or four nodes, some of them dead, have no room: none may reach k columns.
            Err(NodeError::Placement(error)) => {
                self.board.say(format!("Nothing can be repaired: {error}"));
                repair::Repaired { restored: BTreeMap::new(), holdings: self.living_holdings()? }
            }
            repaired => repaired?,
        };
        let count = |columns: usize| u32::try_from(columns).unwrap_or(u32::MAX);
        self.report.repaired_columns = count(repaired.restored.len());
        self.report.redundancy_after_repair = count(repaired.live_columns().len());
        self.draw_nodes(&repaired.holdings);
        self.kill_what_placement_survives(content, &repaired).await?;
        Ok(self.report.repaired_columns)
    }

    /// What the nodes that are alive were given when the film was published.
    fn living_holdings(&self) -> Result<Vec<(PeerId, ColumnSet)>, NodeError> {
        let alive = |peer| self.masternodes.iter().any(|it| it.peer == peer && it.is_alive());
        let mut holdings = holdings_of(self.published()?);
        holdings.retain(|(peer, _)| alive(*peer));
        Ok(holdings)
    }

    /// Kill as many nodes as the repaired placement survives, those that hurt most.
    async fn kill_what_placement_survives(
        &mut self,
        content: ContentId,
        repaired: &repair::Repaired,
    ) -> Result<(), NodeError> {
        // The keeper of the ledger stays: a network of one operator has one.
        let keeper = self.masternodes.first().map(|node| node.peer);
        let mut holdings = repaired.holdings.clone();
        holdings.retain(|(peer, _)| Some(*peer) != keeper);
        let (k, n) = (self.report.k, self.report.n);
        let count = pop_dht::placement::survivable_losses(&repaired.holdings, k, n);
        let worst = pop_dht::placement::worst_case_losses(&holdings, count);
        tracing::info!(%content, count, "killing what the repaired placement survives");
        let victims: Vec<usize> = (0..self.masternodes.len())
            .filter(|index| worst.contains(&self.masternodes[*index].peer))
            .collect();
        self.kill(&victims).await?;
        self.report.killed_after_repair = u32::try_from(victims.len()).unwrap_or(u32::MAX);
        Ok(())
    }

    /// Fetch the whole once more after that.
    ///
    /// # Errors
    /// [`NodeError`]: it could not be fetched.
    pub async fn fetch_again(&mut self) -> Result<(), NodeError> {
        self.board.phase("Fetching the whole once more");
        self.report.second_fetch_identical = self.fetch_whole().await?;
        self.settle().await?;
        let word = if self.report.kept_its_promise() { "held" } else { "BROKEN" };
        self.board.phase(&format!("Done. The promise {word}."));
        Ok(())
    }

    /// Have everybody paid, and add it up.
    async fn settle(&mut self) -> Result<(), NodeError> {
        let dead: Vec<PathBuf> = self
            .masternodes
            .iter()
            .filter(|node| !node.is_alive())
            .map(|node| node.directory.clone())
            .collect();
        let guests = self.faucet.as_ref().map(Faucet::funded).unwrap_or_default();
        self.bank.settle(&self.client, (&dead, &guests), &mut self.report).await
    }

    /// What was measured so far.
    #[must_use]
    pub fn report(&self) -> &DemoReport {
        &self.report
    }

    /// Let everybody go.
    pub async fn close(self) {
        drop(self.audience);
        self.client.shutdown().await;
        drop(self.masternodes);
    }

    async fn fetch_whole(&self) -> Result<bool, NodeError> {
        let content = self.client.open(&self.published()?.link).await?;
        let pieces = content.read(0..content.length_bytes(), Pace::Bulk)?;
        let mut pieces = std::pin::pin!(pieces);
        let mut hasher = blake3::Hasher::new();
        while let Some(piece) = pieces.next().await {
            hasher.update(&piece?);
        }
        Ok(hasher.finalize() == self.film()?.digest)
    }

    async fn find_all_masternodes(&self) -> Result<(), NodeError> {
        let wanted = self.masternodes.len();
        let started = monotonic_now();
        loop {
            let have = self.client.find_masternodes().await;
            if have >= wanted {
                return Ok(());
            }
            if started.elapsed() > PATIENCE {
                return Err(NodeError::TooFewNodes { have, need: wanted });
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn kill(&mut self, victims: &[usize]) -> Result<(), NodeError> {
        for index in victims {
            self.masternodes[*index]
                .kill()
                .await
                .map_err(|source| NodeError::Io { action: "kill a masternode", source })?;
        }
        let dead: Vec<usize> =
            (0..self.masternodes.len()).filter(|i| !self.masternodes[*i].is_alive()).collect();
        self.board.change(|scene| {
            scene.killed = dead.len();
            for node in scene.nodes.iter_mut().filter(|node| dead.contains(&node.index)) {
                node.alive = false;
            }
            scene.columns_missing = missing(scene.n, &scene.nodes);
        });
        self.board.say(format!("SIGKILL to {} masternodes", victims.len()));
        Ok(())
    }

    /// So many different living nodes, drawn at random; never the first, which keeps the ledger,
    /// unless there is no other.
    fn draw_lots(&self, count: usize) -> Result<Vec<usize>, NodeError> {
        let mut nodes: Vec<usize> = (usize::from(count < self.masternodes.len())
            ..self.masternodes.len())
            .filter(|i| self.masternodes[*i].is_alive())
            .collect();
        let mut drawn = Vec::new();
        while drawn.len() < count && !nodes.is_empty() {
            let lot = random_below(u64::try_from(nodes.len()).unwrap_or(u64::MAX))?;
            drawn.push(nodes.swap_remove(usize::try_from(lot).unwrap_or(0)));
        }
        Ok(drawn)
    }

    fn draw_nodes(&self, holdings: &[(PeerId, ColumnSet)]) {
        let columns_of = |peer: &PeerId| {
            let held = holdings.iter().find(|(holder, _)| holder == peer);
            held.map(|(_, set)| set.iter().map(|it| it.get()).collect()).unwrap_or_default()
        };
        let served: Vec<u64> = self.board.served();
        let draw = |(index, node): (usize, &Masternode)| SceneNode {
            index,
            peer: node.peer.to_string(),
            alive: node.is_alive(),
            columns: columns_of(&node.peer),
            bytes_served: served.get(index).copied().unwrap_or(0),
        };
        let nodes: Vec<SceneNode> = self.masternodes.iter().enumerate().map(draw).collect();
        self.board.change(|scene| {
            scene.columns_missing = missing(scene.n, &nodes);
            scene.nodes = nodes;
        });
    }

    fn cpu_ticks(&self) -> u64 {
        let nodes: u64 = self.masternodes.iter().map(Masternode::cpu_ticks).sum();
        nodes + cluster::cpu_ticks("self")
    }

    fn gateway(&self) -> Result<std::net::SocketAddr, NodeError> {
        let none = || NodeError::Demo("the gateway does not run".to_owned());
        self.client.http_address().ok_or_else(none)
    }

    fn film(&self) -> Result<&Film, NodeError> {
        self.film.as_ref().ok_or_else(not_published)
    }

    fn published(&self) -> Result<&Published, NodeError> {
        self.published.as_ref().ok_or_else(not_published)
    }
}

fn not_published() -> NodeError {
    NodeError::Demo("nothing is published yet".to_owned())
}

fn content_path(published: &Published) -> String {
    format!("/content/{}?k={}", published.content, published.link_key())
}
