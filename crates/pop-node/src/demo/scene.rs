//! What the demo's page shows, kept up to date as the demo goes on.

use serde::Serialize;
use tokio::sync::watch;

/// Lines of the log that the page keeps.
const LOG_LINES_MAX: usize = 50;

/// The state of the demo as the page polls it under `/api/v1/demo`.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Scene {
    pub(super) phase: String,
    pub(super) nodes: Vec<SceneNode>,
    pub(super) killed: usize,
    pub(super) k: u16,
    pub(super) n: u16,
    pub(super) stalls: u64,
    pub(super) buffered_ms: u64,
    pub(super) columns_missing: usize,
    pub(super) log: Vec<String>,
}

/// One masternode on the page.
#[derive(Debug, Clone, Serialize)]
pub(super) struct SceneNode {
    pub(super) index: usize,
    pub(super) peer: String,
    pub(super) alive: bool,
    pub(super) columns: Vec<u16>,
    pub(super) bytes_served: u64,
}

/// Changes the scene and shows it.
#[derive(Debug, Clone)]
pub(super) struct Board {
    scene: watch::Sender<Scene>,
    shown: watch::Sender<Option<serde_json::Value>>,
}

impl Board {
    /// A board that shows its scene to the node's gateway through `shown`.
    pub(super) fn new(shown: watch::Sender<Option<serde_json::Value>>) -> Self {
        Self { scene: watch::Sender::new(Scene::default()), shown }
    }

    /// Change the scene.
    pub(super) fn change(&self, change: impl FnOnce(&mut Scene)) {
        self.scene.send_modify(change);
        self.shown.send_replace(serde_json::to_value(&*self.scene.borrow()).ok());
    }

    /// Bytes that each node was last known to have served.
    pub(super) fn served(&self) -> Vec<u64> {
        self.scene.borrow().nodes.iter().map(|node| node.bytes_served).collect()
    }

    /// Enter a phase, and say so.
    pub(super) fn phase(&self, phase: &str) {
        self.change(|scene| {
            phase.clone_into(&mut scene.phase);
            push_line(&mut scene.log, phase.to_owned());
        });
    }

    /// Add a line to the log.
    pub(super) fn say(&self, line: String) {
        self.change(|scene| push_line(&mut scene.log, line));
    }
}

fn push_line(log: &mut Vec<String>, line: String) {
    if log.len() >= LOG_LINES_MAX {
        log.remove(0);
    }
    log.push(line);
}

/// Columns that no living node holds.
pub(super) fn missing(n: u16, nodes: &[SceneNode]) -> usize {
    let alive = nodes.iter().filter(|node| node.alive);
    let held: std::collections::BTreeSet<u16> =
        alive.flat_map(|node| node.columns.iter().copied()).collect();
    usize::from(n).saturating_sub(held.len())
}
