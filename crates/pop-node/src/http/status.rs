//! How the node is: for supervisors, dashboards and scripts.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::Gateway;

/// Whether the node can serve content, as the node last said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// The column store is open and takes writes.
    pub store_writable: bool,
    /// Peers connected now.
    pub peers: usize,
    /// Peers without which nothing can be fetched.
    pub peers_min: usize,
    /// The node is shutting down.
    pub draining: bool,
}

impl Readiness {
    /// Whether `/readyz` says yes.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.store_writable && self.peers >= self.peers_min && !self.draining
    }
}

pub(super) async fn healthz() -> impl IntoResponse {
    ([(CACHE_CONTROL, "no-store")], "ok\n")
}

pub(super) async fn readyz(State(gateway): State<Gateway>) -> Response {
    let readiness = *gateway.readiness.borrow();
    let status =
        if readiness.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(CACHE_CONTROL, "no-store")], Json(readiness)).into_response()
}

pub(super) async fn metrics(State(gateway): State<Gateway>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-store")], gateway.metrics.encode())
}

pub(super) async fn version() -> impl IntoResponse {
    #[derive(Serialize)]
    struct Version {
        name: &'static str,
        version: &'static str,
    }
    Json(Version { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION") })
}
