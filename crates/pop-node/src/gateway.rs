//! The node's HTTP side: the gateway's view of the node, and the node's own JSON routes.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use http::StatusCode;
use pop_erasure::{ContentKey, ContentLink};
use pop_wire::{ContentId, WalletAddress};
use serde::Deserialize;
use tokio::net::TcpListener;

use crate::demo::{FaucetError, REQUEST_BYTES_MAX};
use crate::error::NodeError;
use crate::fetch::{OpenedContent, Pace};
use crate::http::{
    ContentOpener, ContentSource, Gateway, OpenError, ReadError, Readiness, ServeLimits, router,
    serve,
};
use crate::metrics::Metrics;
use crate::node::Node;
use crate::status::Status;
use crate::transport::Role;
use crate::web::Entries;

/// Start the HTTP gateway of `node`, if its settings have one.
pub(crate) async fn start(node: &Node) -> Result<(), NodeError> {
    let Some(address) = node.inner.settings.http_listen else { return Ok(()) };
    let failed = |error: std::io::Error| NodeError::Listen {
        address: address.to_string(),
        reason: error.to_string(),
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    node.set_http_address(listener.local_addr().map_err(failed)?);
    let settings = &node.inner.settings;
    let (readiness_sender, readiness) = tokio::sync::watch::channel(Readiness::default());
    let metrics = Arc::new(Metrics::default());
    node.register_metrics(&metrics);
    let gateway = Gateway {
        opener: Arc::new(Opener { node: node.clone() }),
        metrics: Arc::clone(&metrics),
        readiness,
        hosts: settings.http_hosts.clone().into(),
    };
    let routes = router(gateway, own_routes(node.clone()));
    let connections_max = settings.http_connections_max;
    let limits = ServeLimits { connections_max, ..ServeLimits::default() };
    let stop = node.inner.stop.clone();
    node.inner.tasks.spawn(serve(listener, routes, metrics, limits, stop));
    node.inner.spawn(watch_readiness(node.clone(), readiness_sender));
    Ok(())
}

/// Routes that only the node itself can answer.
fn own_routes(node: Node) -> Router {
    let short = DefaultBodyLimit::max(REQUEST_BYTES_MAX);
    Router::new()
        .route("/api/v1/status", get(status))
        .route("/api/v1/earnings", get(earnings))
        .route("/api/v1/web", get(entries))
        .route("/api/v1/demo", get(demo))
        .route("/api/v1/demo/wallet", post(fund_wallet).layer(short))
        .with_state(node)
}

async fn status(State(node): State<Node>) -> Json<Status> {
    Json(node.full_status().await)
}

/// Where a page begins that this node serves.
async fn entries(State(node): State<Node>) -> Json<Entries> {
    Json(Entries::of(&node))
}

/// What the node earned; a database is read, so not on a thread that serves.
async fn earnings(State(node): State<Node>) -> Response {
    match tokio::task::spawn_blocking(move || node.earnings_report()).await {
        Ok(Ok(report)) => Json(report).into_response(),
        Ok(Err(error)) => {
            tracing::error!(%error, "what was earned can't be read");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// What the demo's page polls; nothing on a node that isn't in a demo.
async fn demo(State(node): State<Node>) -> Response {
    match node.inner.demo.borrow().clone() {
        Some(scene) => Json(scene).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Whom a viewer of the demo wants money for. Asked as JSON, which a page of another origin can't
/// send.
#[derive(Deserialize)]
struct Wallet {
    /// 0x and 40 hex digits.
    address: String,
}

/// Fund a browser's wallet, once; only in a demo, whose gateway is on loopback.
async fn fund_wallet(State(node): State<Node>, Json(wallet): Json<Wallet>) -> Response {
    let Some(faucet) = node.inner.faucet.borrow().clone() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let Ok(address) = wallet.address.parse::<WalletAddress>() else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    match faucet.give(address).await {
        Ok(amount) => {
            let amount = amount.to_string();
            let funded = amount.trim_end_matches(" POP");
            Json(serde_json::json!({ "funded": funded })).into_response()
        }
        Err(error @ FaucetError::Funded) => {
            (StatusCode::CONFLICT, error.to_string()).into_response()
        }
        Err(error @ FaucetError::Empty) => {
            (StatusCode::TOO_MANY_REQUESTS, error.to_string()).into_response()
        }
        Err(error) => {
            tracing::warn!(%error, "a viewer's wallet is not funded");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

async fn watch_readiness(node: Node, readiness: tokio::sync::watch::Sender<Readiness>) {
    let mut tick = tokio::time::interval(std::time::Duration::from_secs(1));
    loop {
        tick.tick().await;
        node.inner.contents.sweep();
        let now = Readiness {
            store_writable: node.inner.store.as_ref().is_none_or(|store| store.is_writable()),
            peers: node.known_masternodes(),
            // A node that was told of nobody can't be waiting for anybody.
            peers_min: usize::from(!node.inner.settings.bootstrap.is_empty()),
            draining: node.inner.stop.is_cancelled(),
        };
        readiness.send_replace(now);
    }
}

struct Opener {
    node: Node,
}

impl ContentOpener for Opener {
    fn open(
        &self,
        content: ContentId,
        key: ContentKey,
    ) -> BoxFuture<'_, Result<Arc<dyn ContentSource>, OpenError>> {
        Box::pin(async move {
            let link = ContentLink { content, key: Some(key) };
            let opened = self.node.open(&link).await.map_err(|error| open_error(&error))?;
            Ok(Arc::new(Source { opened }) as Arc<dyn ContentSource>)
        })
    }
}

struct Source {
    opened: OpenedContent,
}

impl ContentSource for Source {
    fn length_bytes(&self) -> u64 {
        self.opened.length_bytes()
    }

    fn media_type(&self) -> &str {
        &self.opened.manifest().media_type
    }

    fn read(&self, range: Range<u64>) -> BoxStream<'static, Result<Bytes, ReadError>> {
        match self.opened.read(range, Pace::Playback) {
            Ok(pieces) => pieces.map_err(|error| read_error(&error)).boxed(),
            Err(error) => futures::stream::iter([Err(read_error(&error))]).boxed(),
        }
    }
}

fn open_error(error: &NodeError) -> OpenError {
    match error {
        NodeError::WrongKey { .. } => OpenError::WrongKey,
        NodeError::ShuttingDown => OpenError::ShuttingDown,
        NodeError::Bootstrap { .. } => OpenError::NotEnoughHolders { reachable: 0, needed: 1 },
        _ => OpenError::UnknownContent,
    }
}

fn read_error(error: &NodeError) -> ReadError {
    let count = |number: &usize| u16::try_from(*number).unwrap_or(u16::MAX);
    match error {
        NodeError::TooFewHolders { segment, have, need, .. } => ReadError::NotEnoughHolders {
            segment: *segment,
            reachable: count(have),
            needed: count(need),
        },
        NodeError::Undecryptable { segment, .. } => ReadError::Unopenable { segment: *segment },
        NodeError::Equivocation { .. } => ReadError::Unopenable { segment: Default::default() },
        _ => ReadError::ShuttingDown,
    }
}

/// Where a running node's gateway would be, for verbs that talk to it.
pub(crate) fn address_of(settings: &crate::settings::Settings) -> Option<SocketAddr> {
    settings.http_listen
}

/// What a role is called in JSON.
pub(crate) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Masternode => "masternode",
        Role::Client => "client",
    }
}
