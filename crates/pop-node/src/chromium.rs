//! A Chromium without a window, spoken to over its debugging protocol: the demo's viewers, and the
//! tests'. Nothing is needed but the browser, and no port is opened.

mod pipe;

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

pub use self::pipe::{Pipe, Target};

/// What takes longer has hung.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);

/// Names under which it is installed.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// What goes wrong with a browser.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChromiumError {
    /// There is none where it was said to be, or, if nobody said, none on the path.
    #[error("there is no Chromium {}", where_looked(.named.as_deref()))]
    Missing {
        /// The place that was named.
        named: Option<PathBuf>,
    },
    /// It can't be started.
    #[error("cannot start the browser: {0}")]
    Start(#[from] std::io::Error),
    /// It ended as soon as it was started.
    #[error("the browser does not start; it says: {said}")]
    EndedAtOnce {
        /// The last line that it printed.
        said: String,
    },
    /// It ended, or was killed.
    #[error("the browser is gone")]
    Gone,
    /// It answers nothing.
    #[error("the browser does not answer {method}")]
    Silent {
        /// What was called.
        method: &'static str,
    },
    /// It refuses a call.
    #[error("{method}: {reason}")]
    Refused {
        /// What was called.
        method: &'static str,
        /// What it says.
        reason: String,
    },
    /// A script threw this.
    #[error("{0}")]
    Script(String),
}

/// The browser that `POP_CHROMIUM` names, else one on the path.
#[must_use]
pub fn find() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("POP_CHROMIUM") {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path);
    places.find_map(|place| NAMES.iter().map(|name| place.join(name)).find(|it| it.is_file()))
}

/// The browser that is `named`, else the one that [`find`] finds.
///
/// # Errors
/// [`ChromiumError::Missing`]: there is no such file.
pub fn locate(named: Option<&Path>) -> Result<PathBuf, ChromiumError> {
    let found = named.map(Path::to_owned).or_else(find);
    match found {
        Some(program) if program.is_file() => Ok(program),
        named => Err(ChromiumError::Missing { named }),
    }
}

fn where_looked(named: Option<&Path>) -> String {
    match named {
        Some(named) => format!("at {}", named.display()),
        None => format!("on the path: looked for {}", NAMES.join(", ")),
    }
}

/// A browser with a profile of its own. It ends with this, and with this process.
#[derive(Debug)]
pub struct Chromium {
    pipe: Arc<Pipe>,
    child: Child,
    profile: TempDir,
}

impl Chromium {
    /// Start one, and wait until it answers.
    ///
    /// # Errors
    /// [`ChromiumError`]: it can't be started, or ends at once.
    pub fn start(program: &Path) -> Result<Self, ChromiumError> {
        Self::start_with(program, &[])
    }

    /// The same with more flags of its own, such as `--host-resolver-rules=MAP a.example 127.0.0.1`.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with(program: &Path, flags: &[&str]) -> Result<Self, ChromiumError> {
        let profile = tempfile::Builder::new().prefix("pop-chromium-").tempdir()?;
        let log = File::create(profile.path().join("log"))?;
        // The protocol is spoken over the descriptors 3 and 4.
        let mut command = Command::new("sh");
        command.args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >&2"]);
        command.arg(program).args(arguments(&profile)).args(flags).arg("about:blank");
        // What it leaves behind goes with the profile.
        command.env("TMPDIR", profile.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(ChromiumError::Gone);
        };
        match Pipe::new(input, output) {
            Ok(pipe) => Ok(Self { pipe, child, profile }),
            Err(error) => {
                let _ended_before = child.kill();
                let _status = child.wait();
                Err(why_it_ended(error, &profile))
            }
        }
    }

    /// The connection to it.
    #[must_use]
    pub fn pipe(&self) -> &Arc<Pipe> {
        &self.pipe
    }

    /// Whether it ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|ended| ended.is_some())
    }

    /// What it printed.
    #[must_use]
    pub fn log(&self) -> String {
        log_in(&self.profile)
    }
}

impl Drop for Chromium {
    /// SIGKILL: no page hears of it.
    fn drop(&mut self) {
        let _ended_before = self.child.kill();
        let _status = self.child.wait();
    }
}

fn log_in(profile: &TempDir) -> String {
    std::fs::read_to_string(profile.path().join("log")).unwrap_or_default()
}

fn why_it_ended(error: ChromiumError, profile: &TempDir) -> ChromiumError {
    let log = log_in(profile);
    match (error, log.lines().rfind(|line| !line.trim().is_empty())) {
        (ChromiumError::Gone, Some(said)) => ChromiumError::EndedAtOnce { said: said.to_owned() },
        (error, _) => error,
    }
}

fn arguments(profile: &TempDir) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = [
        "--headless",
        "--remote-debugging-pipe",
        // Root, as in a container, may not use the sandbox.
        "--no-sandbox",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-extensions",
        "--disable-gpu",
        "--mute-audio",
        "--autoplay-policy=no-user-gesture-required",
        // Otherwise the host's addresses are names that only a multicast resolver knows.
        "--disable-features=WebRtcHideLocalIpsWithMdns",
        "--window-size=1280,900",
    ]
    .map(OsString::from)
    .to_vec();
    let mut directory = OsString::from("--user-data-dir=");
    directory.push(profile.path().join("profile"));
    arguments.push(directory);
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_that_is_not_there_is_named() {
        let missing = locate(Some(Path::new("/nonexistent/chromium"))).unwrap_err();
        assert_eq!(missing.to_string(), "there is no Chromium at /nonexistent/chromium");
        let nowhere = ChromiumError::Missing { named: None }.to_string();
        assert!(nowhere.contains("chromium, chromium-browser, google-chrome"), "{nowhere}");
    }

    #[test]
    fn what_is_no_browser_says_why_it_ended() {
        let ended = Chromium::start(Path::new("/nonexistent/chromium")).unwrap_err().to_string();
        assert!(ended.contains("/nonexistent/chromium"), "{ended}");
        assert!(ended.starts_with("the browser does not start"), "{ended}");
    }
}
