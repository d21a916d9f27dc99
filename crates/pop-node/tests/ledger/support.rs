//! The program, run as people run it, and a node of it that serves a ledger.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pop_node::clock::monotonic_now;
use serde_json::Value;
use tempfile::TempDir;

/// No wait here decides anything: what takes this long has hung.
const HANG: Duration = Duration::from_secs(60);

/// Passphrase of every keystore here.
pub(crate) const PASSPHRASE: &str = "correct horse battery staple";

/// Somebody with a data directory.
pub(crate) struct Home {
    directory: TempDir,
    /// The ledger's address, once there is one.
    pub(crate) ledger: Option<String>,
}

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// The last line of standard output.
    pub(crate) fn json(&self) -> Value {
        let last = self.stdout.lines().next_back().unwrap_or_default();
        serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    /// It worked: what it reports.
    #[track_caller]
    pub(crate) fn report(&self) -> Value {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self.json()
    }

    /// It failed as it should, and says what to do. Returns message and hint.
    #[track_caller]
    pub(crate) fn refused(&self, exit_code: i32, error: &str) -> String {
        assert_eq!(self.code, Some(exit_code), "{self:#?}");
        let report = self.json();
        assert_eq!(report["error"], error, "{report}");
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        format!("{} {}", report["message"], report["hint"])
    }
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pop-node"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("POP_") {
            command.env_remove(name);
        }
    }
    command.env("XDG_CONFIG_HOME", "/nonexistent");
    command
}

impl Home {
    /// Without an identity.
    pub(crate) fn empty() -> Self {
        let directory = tempfile::Builder::new().prefix("pop-ledger-").tempdir().unwrap();
        std::fs::write(directory.path().join("passphrase"), format!("{PASSPHRASE}\n")).unwrap();
        Self { directory, ledger: None }
    }

    /// With an identity; its wallet.
    pub(crate) fn new() -> (Self, String) {
        let home = Self::empty();
        let init = home.run(&["init"]).report();
        let wallet = init["wallet"].as_str().unwrap().to_owned();
        (home, wallet)
    }

    /// With an identity, and the ledger that is at `address`.
    pub(crate) fn at(address: &str) -> (Self, String) {
        let (mut home, wallet) = Self::new();
        home.ledger = Some(address.to_owned());
        (home, wallet)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// A verb with its arguments, under `--json`.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program();
        command.args(arguments).arg("--json").arg("--data-dir").arg(self.data());
        if let Some(ledger) = &self.ledger {
            command.args(["--ledger", ledger]);
        }
        command
    }

    /// Run a verb to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        finish(self.command(arguments))
    }

    /// Run a verb that asks for a passphrase.
    pub(crate) fn run_with_passphrase(&self, arguments: &[&str]) -> Outcome {
        let mut command = self.command(arguments);
        command.env("POP_PASSPHRASE_FILE", self.path("passphrase"));
        finish(command)
    }

    /// Run a masternode that listens on loopback until it is dropped, or what came of trying.
    pub(crate) fn serve(&self, arguments: &[&str]) -> Result<Running, Outcome> {
        let mut command = self.command(&["run", "--exit-on-stdin-eof"]);
        command.args(["--listen", "/ip4/127.0.0.1/tcp/0", "--http-listen", "127.0.0.1:0"]);
        command
            .args(["--web-listen", "127.0.0.1:0", "--diversity-exempt-loopback"])
            .args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap_or_default();
        match ready["addresses"][0].as_str() {
            Some(address) => {
                let http = ready["http"].as_str().unwrap().to_owned();
                Ok(Running { address: address.to_owned(), http, child })
            }
            None => {
                let mut stderr = String::new();
                child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
                let code = child.wait().unwrap().code();
                Err(Outcome { code, stdout: line, stderr })
            }
        }
    }
}

fn finish(mut command: Command) -> Outcome {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let (mut child, started) = (child.unwrap(), monotonic_now());
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > HANG {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let code = output.status.code();
    Outcome { code, stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// A masternode process.
pub(crate) struct Running {
    pub(crate) address: String,
    /// Where its gateway listens.
    pub(crate) http: String,
    child: Child,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _dead_already = self.child.kill();
        let _status = self.child.wait();
    }
}

/// A home with a ledger of small delays, and its operator's wallet.
pub(crate) fn founder() -> (Home, String) {
    let (home, wallet) = Home::new();
    let small = ["--vault-unlock-s=3600", "--unbonding-s=0", "--reveal-s=0", "--dispute-s=0"];
    home.run(&[&["ledger", "create", "--collateral-min=100"], &small[..]].concat()).report();
    (home, wallet)
}

/// Mint to somebody, whether the ledger is being served or not.
#[track_caller]
pub(crate) fn mint(home: &Home, to: &str, amount: &str) {
    home.run(&["ledger", "mint", "--to", to, amount]).report();
}

/// Put a copy of a file somewhere.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::copy(from, to).unwrap();
}
