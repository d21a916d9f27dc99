//! `demo --browser`: the demo's own viewers, in tabs.

use serde_json::Value;

use crate::chromium;
use crate::support::program::{self, pop_node};
use crate::support::sample;

/// Seconds that the film plays, and bytes of each: 1 Mbit/s, as `--pace 1` has it.
const SECONDS: usize = 6;
const BYTES_PER_S: u32 = 125_000;

/// Noise that a browser can play: a WAV of one channel with 62,500 samples of 16 bits a second.
fn noise() -> Vec<u8> {
    let samples = sample("noise", SECONDS * usize::try_from(BYTES_PER_S).unwrap());
    let length = u32::try_from(samples.len()).unwrap();
    let mut wav = Vec::new();
    wav.extend(b"RIFF");
    wav.extend((36 + length).to_le_bytes());
    wav.extend(b"WAVEfmt ");
    wav.extend([16, 0, 0, 0, 1, 0, 1, 0]);
    wav.extend((BYTES_PER_S / 2).to_le_bytes());
    wav.extend(BYTES_PER_S.to_le_bytes());
    wav.extend([2, 0, 16, 0]);
    wav.extend(b"data");
    wav.extend(length.to_le_bytes());
    wav.extend(samples);
    wav
}

#[test]
fn the_demo_tells_what_its_viewers_in_tabs_had_from_each_other() {
    let Some(_turn) = chromium::turn() else { return };
    let directory = tempfile::tempdir().unwrap();
    let film = directory.path().join("noise.wav");
    std::fs::write(&film, noise()).unwrap();
    let mut command = pop_node();
    command.arg("demo").arg(&film).args(["--nodes", "5", "--pace", "1", "--browser"]);
    command.arg("--chromium").arg(pop_node::chromium::find().unwrap());
    command.args(["--exit", "--json"]).env("TMPDIR", directory.path());
    let outcome = program::run(&mut command);
    // The code says that the money adds up, too: that of the tabs' wallets with it.
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let report = outcome.report();
    assert_eq!((&report["nodes"], &report["killed"]), (&Value::from(5), &Value::from(2)));
    assert_eq!(report["browser_viewers"], 3);
    assert_eq!(report["browser_identical"], true);
    assert!(report["browser_stalls"].is_u64(), "{report}");
    let bytes = report["browser_bytes"].as_u64().unwrap();
    let film_bytes = u64::try_from(noise().len()).unwrap();
    assert!(bytes >= 2 * film_bytes, "{bytes} bytes came to two viewers, {film_bytes} to each?");
    let from_peers = report["browser_bytes_from_peers"].as_u64().unwrap();
    let percent = report["browser_bytes_from_peers_percent"].as_f64().unwrap();
    #[expect(clippy::cast_precision_loss, reason = "some megabytes")]
    let expected = 100.0 * from_peers as f64 / bytes as f64;
    assert!((percent - expected).abs() < 0.01, "{percent} of {from_peers} in {bytes}");
    assert_ne!(report["browser_paid"], 0, "the tabs pay");
    let left = std::fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(left, 1, "the demo leaves files behind");
}

#[test]
fn a_demo_without_the_browser_that_it_is_to_use_starts_nothing() {
    let mut command = pop_node();
    command.args(["demo", "--browser", "--chromium", "/nonexistent/chromium", "--json"]);
    let outcome = program::run(&mut command);
    outcome.refused(69, "browser");
    let hint = outcome.json()["hint"].as_str().unwrap().to_owned();
    assert!(hint.contains("POP_CHROMIUM"), "{hint}");
}
