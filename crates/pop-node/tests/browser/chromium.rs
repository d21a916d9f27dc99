//! Real browsers for tests: what goes wrong fails the test and shows what the page looked like.

mod page;

use std::sync::{Mutex, MutexGuard, PoisonError};

use pop_node::chromium::{self, Chromium};

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

impl Browser {
    pub(crate) fn start() -> Self {
        let program = chromium::find().unwrap();
        Self(Chromium::start(&program).unwrap_or_else(|error| panic!("{error}")))
    }

    /// Open a tab in front of the others, and wait until its page is loaded.
    #[track_caller]
    pub(crate) fn open(&self, url: &str) -> Page {
        let target = self.0.pipe().open(url).unwrap_or_else(|error| panic!("{url}: {error}"));
        let page = Page { pipe: self.0.pipe().clone(), target };
        page.wait_until_loaded();
        page
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
