//! The engine's looks, as plain objects.

use wasm_bindgen::JsValue;

use super::object::{Writer, count, number};
use super::outputs::kind_name;
use crate::engine::{EngineStats, FilmStats, SourceState, SourceStats};

/// A film.
pub(super) fn film(stats: &FilmStats) -> JsValue {
    let held = stats.held.iter().map(|range| {
        let ends = [range.start, range.end].map(|end| JsValue::from_f64(number(end)));
        ends.into_iter().collect::<js_sys::Array>().into()
    });
    Writer::new()
        .number("fromMasternodesBytes", stats.from_masternodes_bytes)
        .number("fromViewersBytes", stats.from_viewers_bytes)
        .number("fromCacheBytes", stats.from_cache_bytes)
        .number("upBytes", stats.up_bytes)
        .number("wastedBytes", stats.wasted_bytes)
        .number("readBytes", stats.read_bytes)
        .number("lateSegments", stats.late_segments)
        .number("positionBytes", stats.position_bytes)
        .number("bufferedBytes", stats.buffered_bytes)
        .number("bufferedMs", stats.buffered_ms)
        .list("held", held)
        .list("sources", stats.sources.iter().map(|it| source(it).into()))
        .with("spent", stats.spent.to_string())
        .with("earned", stats.earned.to_string())
        .into()
}

/// The engine.
pub(super) fn engine(stats: &EngineStats) -> JsValue {
    Writer::new()
        .with("entriesUp", count(stats.entries_up))
        .with("relaysUp", count(stats.relays_up))
        .with("viewersUp", count(stats.viewers_up))
        .number("cachedBytes", stats.cached_bytes)
        .number("upBytes", stats.up_bytes)
        .with("spent", stats.spent.to_string())
        .with("earned", stats.earned.to_string())
        .into()
}

fn source(stats: &SourceStats) -> Writer {
    let state = match stats.state {
        SourceState::Connecting => "connecting",
        SourceState::Live => "live",
        SourceState::Resting => "resting",
        SourceState::Gone => "gone",
    };
    Writer::new()
        .with("peer", stats.peer.to_string())
        .with("kind", kind_name(stats.kind))
        .with("state", state)
        .with("columns", count(stats.columns))
        .number("receivedBytes", stats.received_bytes)
        .number("sentBytes", stats.sent_bytes)
        .number("bytesPerSecond", stats.bytes_per_s)
        .with("inFlight", count(stats.in_flight))
}
