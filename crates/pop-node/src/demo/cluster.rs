//! The demo's masternodes: real processes of this very program, on loopback.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use libp2p::Multiaddr;
use pop_wire::PeerId;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use crate::error::NodeError;

/// Time that a masternode has to say that it is ready.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// One masternode process.
#[derive(Debug)]
pub(super) struct Masternode {
    pub(super) peer: PeerId,
    pub(super) address: Multiaddr,
    pub(super) http: std::net::SocketAddr,
    /// Its files.
    pub(super) directory: PathBuf,
    child: Child,
    /// The child ends when this closes, which the kernel does whatever ends us.
    _leash: ChildStdin,
    alive: bool,
    /// CPU time at its death, in clock ticks.
    spent_ticks: u64,
}

/// Start a masternode with the identity in `directory`, and wait until it listens. `first` is whom it
/// contacts first, and who keeps the ledger; the first masternode itself has none.
pub(super) async fn start(
    directory: PathBuf,
    first: Option<Multiaddr>,
    quota_bytes: u64,
) -> Result<Masternode, NodeError> {
    let io_error = |action| move |source| NodeError::Io { action, source };
    std::fs::create_dir_all(&directory).map_err(io_error("create a data directory"))?;
    let log = File::create(directory.join("log")).map_err(io_error("create a log"))?;
    let program = std::env::current_exe().map_err(io_error("find this program"))?;
    let mut command = Command::new(program);
    command
        .args(["run", "--json", "--exit-on-stdin-eof", "--http-listen", "127.0.0.1:0"])
        .args(["--listen", "/ip4/127.0.0.1/tcp/0", "--web-listen", "127.0.0.1:0"])
        .arg("--diversity-exempt-loopback")
        .arg(format!("--quota-bytes={quota_bytes}"))
        .args(["--redeem-interval-s=1"])
        .arg("--data-dir")
        .arg(&directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log)
        .kill_on_drop(true);
    // Whatever the caller's environment says of a node must not reach these.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("POP_") && name != "POP_LOG" {
            command.env_remove(name);
        }
    }
    match first {
        Some(address) => {
            command.arg(format!("--bootstrap={address}")).arg(format!("--ledger={address}"))
        }
        None => command.arg("--serve-ledger"),
    };
    let mut child = command.spawn().map_err(io_error("start a masternode"))?;
    let leash = child.stdin.take();
    let output = child.stdout.take();
    let (Some(leash), Some(output)) = (leash, output) else {
        return Err(NodeError::Demo("a masternode has no standard input or output".to_owned()));
    };
    let mut line = String::new();
    let mut output = BufReader::new(output);
    let reading = tokio::time::timeout(READY_TIMEOUT, output.read_line(&mut line)).await;
    let ready = matches!(reading, Ok(Ok(bytes)) if bytes > 0).then_some(());
    let parsed = ready.and_then(|()| parse_ready(&line));
    let Some((peer, address, http)) = parsed else {
        return Err(not_ready(&directory));
    };
    let (alive, spent_ticks) = (true, 0);
    Ok(Masternode { peer, address, http, directory, child, _leash: leash, alive, spent_ticks })
}

/// What a masternode's ready line says: who it is, and where it listens.
fn parse_ready(line: &str) -> Option<(PeerId, Multiaddr, std::net::SocketAddr)> {
    let ready: Value = serde_json::from_str(line).ok()?;
    let peer = ready.get("peer")?.as_str()?.parse().ok()?;
    let address = ready.get("addresses")?.as_array()?.first()?.as_str()?.parse().ok()?;
    let http = ready.get("http")?.as_str()?.parse().ok()?;
    Some((peer, address, http))
}

fn not_ready(directory: &Path) -> NodeError {
    let log = std::fs::read_to_string(directory.join("log")).unwrap_or_default();
    let last = log.lines().next_back().unwrap_or("it said nothing");
    NodeError::Demo(format!("a masternode did not start: {last}"))
}

impl Masternode {
    /// SIGKILL: no goodbye, nothing flushed.
    pub(super) async fn kill(&mut self) -> io::Result<()> {
        self.spent_ticks = self.cpu_ticks();
        self.child.kill().await?;
        self.alive = false;
        Ok(())
    }

    pub(super) fn is_alive(&self) -> bool {
        self.alive
    }

    /// CPU time of the process so far, in clock ticks.
    pub(super) fn cpu_ticks(&self) -> u64 {
        match self.child.id() {
            Some(id) if self.alive => cpu_ticks(&id.to_string()),
            _ => self.spent_ticks,
        }
    }
}

/// User and system time of a process in clock ticks (`proc(5)`, fields 14 and 15 of stat); zero
/// where there is no `/proc`.
pub(super) fn cpu_ticks(process: &str) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The program's name may hold anything; the fields count from behind its parenthesis.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let number = |index| fields.split_whitespace().nth(index).and_then(|it| it.parse::<u64>().ok());
    number(11).unwrap_or(0) + number(12).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_cpu_time_can_be_read() {
        let mut work = 1_u64;
        let started = crate::clock::monotonic_now();
        while started.elapsed() < Duration::from_millis(50) {
            work = work.wrapping_mul(31).wrapping_add(7);
        }
        assert!(cpu_ticks("self") > 0, "{work}");
    }
}
