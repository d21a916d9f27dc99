//! What all verbs print alike: JSON lines, errors, progress bars, sizes.

use indicatif::{ProgressBar, ProgressStyle};
use pop_wire::Amount;
use serde_json::{Value, json};

use crate::error::NodeError;

/// One JSON object on a line of its own on standard output.
pub(super) fn json(value: &Value) {
    println!("{value}");
}

/// A value as one JSON object on a line of its own: for numbers beyond 64 bits, which
/// [`Value`] doesn't hold.
pub(super) fn line(value: &impl serde::Serialize) {
    match serde_json::to_string(value) {
        Ok(line) => println!("{line}"),
        Err(error) => eprintln!("pop-node: the report can't be written: {error}"),
    }
}

/// An error with its next step: for people on standard error, for programs on standard output.
pub(super) fn error(error: &NodeError, as_json: bool) {
    eprintln!("pop-node: {error}");
    if let Some(hint) = error.hint() {
        eprintln!("  → {hint}");
    }
    if as_json {
        json(&json!({
            "error": error.code(),
            "message": error.to_string(),
            "hint": error.hint(),
            "exit_code": error.exit_code(),
        }));
    }
}

/// A bar over bytes on standard error; silent under `--json` and when nobody looks.
pub(super) fn byte_bar(total_bytes: u64, label: &'static str, quiet: bool) -> ProgressBar {
    let style = "{prefix:<9} {wide_bar} {bytes}/{total_bytes}  {bytes_per_sec}  {eta}";
    bar(total_bytes, label, quiet, style)
}

/// A bar over things on standard error.
pub(super) fn count_bar(total: u64, label: &'static str, quiet: bool) -> ProgressBar {
    bar(total, label, quiet, "{prefix:<9} {wide_bar} {pos}/{len}")
}

fn bar(total: u64, label: &'static str, quiet: bool, style: &str) -> ProgressBar {
    if quiet {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(total).with_prefix(label);
    match ProgressStyle::with_template(style) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// An amount for programs: exact, without the unit.
pub(super) fn plain(amount: Amount) -> String {
    amount.to_string().trim_end_matches(" POP").to_owned()
}

/// Bytes for people: `5.6 MB`.
pub(super) fn megabytes(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{}.{} kB", bytes / 1_000, bytes % 1_000 / 100),
        1_000_000..1_000_000_000 => {
            format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000)
        }
        _ => format!("{}.{} GB", bytes / 1_000_000_000, bytes % 1_000_000_000 / 100_000_000),
    }
}
