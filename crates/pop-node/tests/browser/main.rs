//! Real Chromium, without a window, against real nodes.
//!
//! Chromium is spoken to over its debugging protocol; nothing but the browser itself is needed.
//! Without one these tests say so and are skipped, unless `CI` or `POP_DEMAND_CHROMIUM` is set.
#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

mod chromium;
mod demo;
mod gateway;
mod liars;
mod live;
mod missing;
mod playback;
mod swarm;
mod trouble;
mod viewer;
mod vouchers;
mod webrtc;

#[path = "../end_to_end"]
mod end_to_end {
    #[expect(dead_code, reason = "these tests need less of it")]
    pub(crate) mod support;
}

use end_to_end::support;
