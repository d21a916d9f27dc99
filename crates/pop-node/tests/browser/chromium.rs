//! Real browsers for tests: what goes wrong fails the test and shows what the page looked like.

mod page;

use std::sync::{Mutex, MutexGuard, PoisonError};

use pop_node::chromium::{self, Chromium, Target};
use serde_json::{Value, json};

pub(crate) use page::Page;

/// Wait for this test's turn: only one at a time plays films on these cores. `None` if there is no
/// Chromium here: then the test is skipped, unless one is demanded.
pub(crate) fn turn() -> Option<MutexGuard<'static, ()>> {
    static TURN: Mutex<()> = Mutex::new(());
    if chromium::find().is_some() {
        return Some(TURN.lock().unwrap_or_else(PoisonError::into_inner));
    }
    let demanded = ["CI", "POP_DEMAND_CHROMIUM"].iter().any(|it| std::env::var_os(it).is_some());
    assert!(!demanded, "no Chromium: install the package `chromium`, or set POP_CHROMIUM to one");
    eprintln!("skipped: no Chromium on the path, nor in POP_CHROMIUM");
    None
}

/// A browser of its own. It ends with this, and with this process.
pub(crate) struct Browser(Chromium);

/// What runs before a page's own scripts, each time that it is loaded.
#[derive(Default)]
pub(crate) struct Preparation<'a> {
    /// In the page.
    pub(crate) page: &'a str,
    /// In each of its workers.
    pub(crate) workers: &'a str,
}

/// A page's script that has another one run in each worker, before the worker's own.
fn before_workers(script: &str) -> String {
    let (script, start) = (Value::from(script), "type: 'text/javascript'");
    format!(
        r"{{
        const module = (text) => URL.createObjectURL(new Blob([text], {{ {start} }}));
        globalThis.Worker = class extends Worker {{
            constructor(url, options) {{
                super(module(`import '${{module({script})}}'; import '${{url}}';`), options);
            }}
        }};
        }}"
    )
}

impl Browser {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    pub(crate) fn start_with(flags: &[&str]) -> Self {
        let program = chromium::find().unwrap();
        Self(Chromium::start_with(&program, flags).unwrap_or_else(|error| panic!("{error}")))
    }

    /// Open a tab in front of the others, and wait until its page is loaded.
    #[track_caller]
    pub(crate) fn open(&self, url: &str) -> Page {
        let target = self.0.pipe().open(url).unwrap_or_else(|error| panic!("{url}: {error}"));
        let page = Page { pipe: self.0.pipe().clone(), target };
        page.wait_until_loaded();
        page
    }

    /// The same in a tab that is prepared.
    #[track_caller]
    pub(crate) fn open_prepared(&self, url: &str, preparation: &Preparation<'_>) -> Page {
        let target = self.0.pipe().open("about:blank").unwrap_or_else(|error| panic!("{error}"));
        self.prepare(target, url, preparation)
    }

    /// The same in a profile of its own: somebody else, who shares nothing but the program.
    #[track_caller]
    pub(crate) fn open_as_stranger(&self, url: &str, preparation: &Preparation<'_>) -> Page {
        let profile = self.call("Target.createBrowserContext", json!({}));
        let blank =
            json!({ "url": "about:blank", "browserContextId": profile["browserContextId"] });
        let made = self.call("Target.createTarget", blank);
        let targets = self.0.pipe().targets();
        let target = targets.into_iter().find(|target| made["targetId"] == *target.id).unwrap();
        self.prepare(target, url, preparation)
    }

    #[track_caller]
    fn prepare(&self, target: Target, url: &str, preparation: &Preparation<'_>) -> Page {
        let page = Page { pipe: self.0.pipe().clone(), target };
        let mut script = preparation.page.to_owned();
        if !preparation.workers.is_empty() {
            // The page's policy knows workers from its server alone.
            page.call("Page.setBypassCSP", json!({ "enabled": true }));
            script += &before_workers(preparation.workers);
        }
        page.call("Page.addScriptToEvaluateOnNewDocument", json!({ "source": script }));
        page.pipe.navigate(&page.target, url).unwrap_or_else(|error| panic!("{url}: {error}"));
        page.wait_until_loaded();
        page
    }

    #[track_caller]
    fn call(&self, method: &'static str, parameters: Value) -> Value {
        let answer = self.0.pipe().call("", method, parameters);
        answer.unwrap_or_else(|error| panic!("{error}"))
    }

    /// SIGKILL: no page hears of it.
    pub(crate) fn kill(self) {
        drop(self);
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if std::thread::panicking() && self.0.has_ended() {
            eprintln!("Chromium ended by itself and said:\n{}", self.0.log());
        }
    }
}
