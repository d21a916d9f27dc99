//! A real Chromium without a window, one profile each.

mod page;
mod pipe;

use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::json;
use tempfile::TempDir;

pub(crate) use page::Page;
use pipe::Pipe;

use crate::support::wait_for;

/// Wait for this test's turn: only one at a time plays films on these cores. `None` if there is no
/// Chromium here: then the test is skipped, unless one is demanded.
pub(crate) fn turn() -> Option<MutexGuard<'static, ()>> {
    static TURN: Mutex<()> = Mutex::new(());
    if find().is_some() {
        return Some(TURN.lock().unwrap_or_else(PoisonError::into_inner));
    }
    let demanded = ["CI", "POP_DEMAND_CHROMIUM"].iter().any(|it| std::env::var_os(it).is_some());
    assert!(!demanded, "no Chromium: install the package `chromium`, or set POP_CHROMIUM to one");
    eprintln!("skipped: no Chromium on the path, nor in POP_CHROMIUM");
    None
}

fn find() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("POP_CHROMIUM") {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let places = std::env::split_paths(&path);
    places.flat_map(|place| names.map(|name| place.join(name))).find(|it| it.is_file())
}

/// A browser of its own. It ends with this, and with this process.
pub(crate) struct Browser {
    pipe: Arc<Pipe>,
    child: Child,
    profile: TempDir,
}

impl Browser {
    pub(crate) fn start() -> Self {
        let profile = tempfile::Builder::new().prefix("pop-chromium-").tempdir().unwrap();
        let log = File::create(profile.path().join("log")).unwrap();
        // The protocol is spoken over the descriptors 3 and 4.
        let mut command = Command::new("sh");
        command.args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >&2"]);
        command.arg(find().unwrap()).args(arguments(&profile)).arg("about:blank");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().unwrap();
        let pipe = Pipe::new(child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { pipe, child, profile }
    }

    /// Open a tab in front of the others, and wait until its page is loaded.
    #[track_caller]
    pub(crate) fn open(&self, url: &str) -> Page {
        let blank = json!({ "url": "about:blank" });
        let target = self.pipe.call("", "Target.createTarget", blank).unwrap();
        let page = self.page(|it| target["targetId"] == *it.id);
        page.goto(url);
        page
    }

    #[track_caller]
    fn page(&self, is_it: impl Fn(&pipe::Target) -> bool) -> Page {
        let target = wait_for("the tab is there", || {
            self.pipe.targets().into_iter().find(|target| target.kind == "page" && is_it(target))
        });
        Page { pipe: Arc::clone(&self.pipe), target }
    }

    /// SIGKILL: no page hears of it.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.end();
        } else if std::thread::panicking() {
            let log = std::fs::read_to_string(self.profile.path().join("log"));
            eprintln!("Chromium ended by itself and said:\n{}", log.unwrap_or_default());
        }
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
