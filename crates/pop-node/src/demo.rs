//! The showcase: a network of real processes on this machine, a film that plays through it, and
//! more than a quarter of the processes killed while it plays.

mod bank;
mod browser;
mod cluster;
mod faucet;
mod figures;
mod lineup;
mod material;
mod player;
mod scene;
mod stage;

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

pub use self::browser::BrowserReport;
pub(crate) use self::faucet::{Faucet, FaucetError, REQUEST_BYTES_MAX};
pub use self::stage::Stage;

/// The clip that plays when no file is named. See `assets/ATTRIBUTION.md`.
const CLIP: &[u8] = include_bytes!("../assets/big-buck-bunny.mp4");

/// What to show.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DemoOptions {
    /// The file to play; the bundled clip if there is none.
    pub file: Option<PathBuf>,
    /// Masternode processes.
    pub nodes: u32,
    /// How many of them are killed during playback, in hundredths of a per cent, rounded up.
    pub kill_basis_points: u32,
    /// Speed of playback of a file whose playing time isn't known, in bits a second.
    pub pace_bit_s: u64,
    /// Where the gateway listens; any free port if zero.
    pub http_port: u16,
}

impl Default for DemoOptions {
    /// The bundled clip on 27 nodes, 29.57 % killed.
    fn default() -> Self {
        Self { file: None, nodes: 27, kill_basis_points: 2957, pace_bit_s: 8_000_000, http_port: 0 }
    }
}

impl DemoOptions {
    /// How many nodes are killed during playback.
    #[must_use]
    pub fn victims(&self) -> u32 {
        let victims = (u64::from(self.nodes) * u64::from(self.kill_basis_points)).div_ceil(10_000);
        u32::try_from(victims).unwrap_or(self.nodes).min(self.nodes)
    }
}

/// What the demo measured. The field names are the interface of `demo --json`.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct DemoReport {
    /// Masternode processes started.
    pub nodes: u32,
    /// Processes killed during playback.
    pub killed: u32,
    /// Shards that rebuild a segment.
    pub k: u16,
    /// Shards of a segment.
    pub n: u16,
    /// Bytes of the file.
    pub bytes: u64,
    /// Whether the bytes played, sought and fetched were those of the file.
    pub identical: bool,
    /// Times that playback had to wait.
    pub stalls: u64,
    /// How long it waited, in milliseconds.
    pub stall_ms: u64,
    /// Random ranges fetched.
    pub seeks: u64,
    /// 95th percentile of the time to all bytes of such a range, in milliseconds.
    pub seek_p95_ms: u64,
    /// From the request to the first byte of the film, in milliseconds.
    pub first_byte_ms: u64,
    /// Speed of fetching the whole from the nodes left, in 10^6 bytes a second.
    pub fetch_mb_s: f64,
    /// Speed of publishing, in 10^6 bytes a second.
    pub publish_mb_s: f64,
    /// CPU time of all processes together while the whole was fetched, per 10^9 bytes.
    pub cpu_s_per_gb: f64,
    /// Columns that the repair put on live nodes.
    pub repaired_columns: u32,
    /// Different columns on live nodes after the repair; n is full redundancy.
    pub redundancy_after_repair: u32,
    /// Nodes killed after the repair: as many as the repaired placement survives.
    pub killed_after_repair: u32,
    /// Base units that left the demo's own vault for the masternodes.
    pub paid: u128,
    /// Base units that the viewer promised them: `paid`, and what was on its way to those that were
    /// killed.
    pub promised: u128,
    /// Base units that all masternodes earned.
    pub earned_total: u128,
    /// The least that one of them earned.
    pub earned_min: u128,
    /// The most that one of them earned.
    pub earned_max: u128,
    /// Vouchers that the viewer sent.
    pub vouchers: u64,
    /// Bytes of all payment messages, both ways, over the bytes of shards that the viewer got.
    pub voucher_bytes_overhead: f64,
    /// Base units of collateral that masternodes lost.
    pub slashed: u128,
    /// Whether the whole could be fetched once more after that, and was identical.
    pub second_fetch_identical: bool,
    /// Base units that left the vaults of viewers on the page, whom the demo funds.
    pub browser_paid: u128,
    /// Base units that such viewers earned by passing on what they had.
    pub browser_earned: u128,
    /// What the demo's own viewers in browser tabs saw, if it had some. Its fields stand among
    /// these.
    #[serde(flatten)]
    pub browser: Option<BrowserReport>,
}

impl DemoReport {
    /// Whether everything held that the demo promises. A stall is not a lie: it is printed.
    #[must_use]
    pub fn kept_its_promise(&self) -> bool {
        let in_browsers = self.browser.as_ref().is_none_or(|seen| seen.browser_identical);
        self.identical && self.second_fetch_identical && in_browsers && self.money_adds_up()
    }

    /// Whether what left the vaults is what the masternodes and viewers have, and no more left the
    /// demo's own than was promised.
    #[must_use]
    pub fn money_adds_up(&self) -> bool {
        let paid = self.paid.checked_add(self.browser_paid);
        let earned = self.earned_total.checked_add(self.browser_earned);
        paid.is_some() && paid == earned && self.paid <= self.promised && self.slashed == 0
    }
}

/// How playback goes on.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Progress {
    /// The demo's own playhead, in bytes.
    pub played_bytes: u64,
    /// Masternodes killed so far.
    pub killed: usize,
    /// Viewers in browser tabs, if there are some.
    pub browser: Option<BrowserProgress>,
}

/// How viewers in browser tabs get on.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct BrowserProgress {
    /// How many there are.
    pub viewers: usize,
    /// Times that one of them had to wait.
    pub stalls: u64,
    /// See [`BrowserReport::browser_bytes_from_peers_percent`].
    pub from_peers_percent: f64,
}

/// How long playback runs before nodes are killed, as a share of the film: early.
const KILL_AFTER_SHARE: f64 = 0.15;

/// Random ranges fetched.
const SEEKS: u32 = 20;

/// Bytes of such a range.
const SEEK_BYTES: u64 = 64 * 1024;

/// Clock ticks a second in `/proc`: fixed by the kernel's interface to user space, `proc(5)`.
const TICKS_PER_S: f64 = 100.0;

/// Longest time that starting, publishing or repairing may take without a sign of life.
const PATIENCE: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_to_kill_is_rounded_up() {
        let victims = |nodes, kill_basis_points| {
            DemoOptions { nodes, kill_basis_points, ..DemoOptions::default() }.victims()
        };
        assert_eq!(victims(27, 2957), 8);
        assert_eq!(victims(100, 2957), 30);
        assert_eq!(victims(3, 2957), 1);
        assert_eq!(victims(27, 0), 0);
        assert_eq!(victims(27, 10_000), 27);
    }
}
