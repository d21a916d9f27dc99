//! What the tests share: the program, networks of it, a plain HTTP client, and peers that break
//! the rules.

pub(crate) mod cluster;
pub(crate) mod http;
pub(crate) mod program;
pub(crate) mod publisher;
pub(crate) mod rogue;
pub(crate) mod stranger;

use std::path::Path;
use std::time::Duration;

use pop_node::clock::monotonic_now;

pub(crate) use cluster::{Client, Cluster};

/// No wait in these tests decides anything: what takes this long has hung.
pub(crate) const HANG: Duration = Duration::from_secs(120);

/// Bytes that look random and are the same in every run.
pub(crate) fn sample(name: &str, bytes: usize) -> Vec<u8> {
    let mut sample = vec![0; bytes];
    blake3::Hasher::new_derive_key(name).finalize_xof().fill(&mut sample);
    sample
}

/// Look again and again until there is something to see.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = monotonic_now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(started.elapsed() < HANG, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Every file below a directory.
pub(crate) fn files_below(directory: &Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let below = entries
        .flatten()
        .map(|entry| entry.path())
        .flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] });
    below.collect()
}
