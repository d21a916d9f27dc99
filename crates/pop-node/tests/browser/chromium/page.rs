//! One tab, as a person and a script see it.

use std::path::PathBuf;
use std::sync::Arc;

use data_encoding::BASE64;
use pop_node::chromium::{ChromiumError, Pipe, Target};
use serde_json::{Value, json};

use crate::support::wait_for;

/// What the player's page tells people happened, the latest first.
const LOG: &str = "document.getElementById('log')?.innerText";

/// An open tab.
pub(crate) struct Page {
    pub(super) pipe: Arc<Pipe>,
    pub(super) target: Target,
}

impl Page {
    /// The value of an expression; of a promise, what it resolves to. It runs as if the user had
    /// clicked.
    #[track_caller]
    pub(crate) fn eval(&self, expression: &str) -> Value {
        self.try_eval(expression).unwrap_or_else(|error| panic!("{expression}\n{error}"))
    }

    /// The same.
    ///
    /// # Errors
    /// What it threw, or that the page is being replaced.
    pub(crate) fn try_eval(&self, expression: &str) -> Result<Value, ChromiumError> {
        self.pipe.evaluate(&self.target.session, expression)
    }

    /// Evaluate until it is neither null, false nor an empty text. It may run while the page is
    /// replaced; what it throws otherwise fails the test.
    #[track_caller]
    pub(crate) fn wait(&self, what: &str, expression: &str) -> Value {
        wait_for(what, || match self.try_eval(expression) {
            Ok(Value::Null | Value::Bool(false)) => None,
            Ok(value) => (value != "").then_some(value),
            Err(error) if is_being_replaced(&error.to_string()) => None,
            Err(error) => panic!("{what}: {expression}\n{error}"),
        })
    }

    fn workers(&self) -> Vec<Target> {
        let mut targets = self.pipe.targets();
        targets.retain(|target| target.parent == self.target.session);
        targets
    }

    #[track_caller]
    pub(super) fn call(&self, method: &'static str, parameters: Value) -> Value {
        let answer = self.pipe.call(&self.target.session, method, parameters);
        answer.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Load again without the cache and without the service worker, as Ctrl-Shift-R does.
    #[track_caller]
    pub(crate) fn reload_hard(&self) {
        self.eval("globalThis.before_reload = true");
        self.call("Page.reload", json!({ "ignoreCache": true }));
        self.wait("the page is replaced", "globalThis.before_reload !== true");
        self.wait_until_loaded();
    }

    #[track_caller]
    pub(super) fn wait_until_loaded(&self) {
        self.wait(
            "the page is loaded",
            "location.href !== 'about:blank' && document.readyState === 'complete'",
        );
    }

    /// Bring it to the front; the tab before is then in the background.
    #[track_caller]
    pub(crate) fn activate(&self) {
        let id = json!({ "targetId": self.target.id });
        let answer = self.pipe.call("", "Target.activateTarget", id);
        answer.unwrap_or_else(|error| panic!("{error}"));
        self.wait("the tab is in front", "document.visibilityState === 'visible'");
    }

    /// Stop all service workers of this browser, as it does when they idle.
    #[track_caller]
    pub(crate) fn stop_service_workers(&self) {
        self.call("ServiceWorker.stopAllWorkers", json!({}));
        wait_for("the service workers have stopped", || {
            let states = self.pipe.service_workers();
            (!states.is_empty() && states.iter().all(|it| it == "stopped")).then_some(())
        });
    }

    /// Have the browser say that it is offline, or not any more. It cuts requests of the page, and
    /// neither its sockets nor its peer connections: whoever is at their other end must be stopped.
    #[track_caller]
    pub(crate) fn set_offline(&self, offline: bool) {
        self.call("Network.enable", json!({}));
        let conditions = json!({
            "offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1,
        });
        self.call("Network.emulateNetworkConditions", conditions);
    }

    /// Close the tab.
    pub(crate) fn close(self) {
        let id = json!({ "targetId": self.target.id });
        let _gone = self.pipe.call("", "Target.closeTarget", id);
    }

    /// What the page and its workers printed, and exceptions that nobody caught.
    pub(crate) fn console(&self) -> Vec<String> {
        let mut sessions: Vec<_> = self.workers().into_iter().map(|it| it.session).collect();
        sessions.push(self.target.session.clone());
        self.pipe.console(|session| sessions.iter().any(|it| it == session))
    }

    /// What is to be seen, as a PNG file beside the tests' binaries.
    pub(crate) fn screenshot(&self, name: &str) -> Option<PathBuf> {
        let picture = json!({ "format": "png" });
        let answer =
            self.pipe.call(&self.target.session, "Page.captureScreenshot", picture).ok()?;
        let bytes = BASE64.decode(answer["data"].as_str()?.as_bytes()).ok()?;
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.png"));
        std::fs::write(&path, bytes).ok()?;
        Some(path)
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        eprintln!("the console of {}:", self.target.url);
        self.console().iter().for_each(|line| eprintln!("  {line}"));
        for look in ["globalThis.observed", "globalThis.film?.stats?.()", LOG] {
            if let Ok(seen) = self.try_eval(look) {
                eprintln!("{look}: {seen}");
            }
        }
        let test = std::thread::current().name().unwrap_or("test").replace("::", "-");
        let id: String = self.target.id.chars().take(6).collect();
        if let Some(path) = self.screenshot(&format!("{test}-{id}")) {
            eprintln!("it looked like {}", path.display());
        }
    }
}

/// What the browser answers to a script whose page goes away under it.
fn is_being_replaced(error: &str) -> bool {
    ["context was destroyed", "Cannot find", "navigated or closed"]
        .iter()
        .any(|it| error.contains(it))
}
