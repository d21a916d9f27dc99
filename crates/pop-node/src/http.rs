//! The HTTP gateway: any player plays a content from its link.
//!
//! | route | answer |
//! |---|---|
//! | `GET, HEAD /content/{id}?k=<key>` | the plaintext, with full range semantics; `filename=` names it, `download=1` saves it |
//! | `GET /play/{id}#k=<key>` | the player: fetches, checks and decrypts in the browser, where the key stays |
//! | `GET /watch/{id}#k=<key>` | a plain page over `/content/{id}` |
//! | `GET /web/{file}` | what the player is made of, after gzip for who takes it |
//! | `GET /api/v1/web` | where browsers begin: masternodes, the ledger, a price |
//! | `GET /` | this list, as JSON or as a page |
//! | `GET /healthz` | 200 while the process answers |
//! | `GET /readyz` | 200 once content can be served, else 503 |
//! | `GET /metrics` | OpenMetrics text |
//! | `GET /version` | name and version |
//!
//! Errors are JSON with a stable `code` and the next step. A body that breaks off before its
//! `Content-Length` means that the content could not be had any more.
//!
//! The gateway holds the key of what it serves, so it listens on loopback by default, answers
//! only to host names it knows, and never logs a query.

mod content;
mod host;
mod page;
mod player;
mod problem;
mod range;
mod serve;
mod source;
mod status;

use std::sync::Arc;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, ETAG, IF_NONE_MATCH, IF_RANGE, RANGE,
};
use axum::http::{Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::watch;
use tower_http::cors::{Any, CorsLayer};

use crate::metrics::{HttpLabels, Metrics};

use problem::Problem;
pub use range::{Selection, select};
pub use serve::{ServeLimits, serve};
pub use source::{ContentOpener, ContentSource, OpenError, ReadError};
pub use status::Readiness;

/// What the gateway needs of the node.
#[derive(Clone)]
pub struct Gateway {
    /// Opens contents.
    pub opener: Arc<dyn ContentOpener>,
    /// Where requests are counted.
    pub metrics: Arc<Metrics>,
    /// Whether content can be served.
    pub readiness: watch::Receiver<Readiness>,
    /// Host names, besides loopback names and IP addresses, under which it answers.
    pub hosts: Arc<[String]>,
}

/// All routes of the gateway. `more` are further routes, with their state, that stand behind the
/// same checks; they are not readable across origins.
pub fn router(gateway: Gateway, more: Router) -> Router {
    let readable_anywhere = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::HEAD])
        .allow_headers([RANGE, IF_RANGE, IF_NONE_MATCH])
        .expose_headers([ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, ETAG]);
    Router::new()
        .route("/content/{id}", get(content::serve_content).layer(readable_anywhere.clone()))
        .route("/play/{id}", get(player::page))
        .route("/watch/{id}", get(page::player))
        .route("/web/{name}", get(player::file).layer(readable_anywhere))
        .route("/", get(page::index))
        .route("/healthz", get(status::healthz))
        .route("/readyz", get(status::readyz))
        .route("/metrics", get(status::metrics))
        .route("/version", get(status::version))
        .with_state(gateway.clone())
        .merge(more)
        .fallback(no_such_route)
        .layer(middleware::from_fn_with_state(gateway, guard))
}

/// Refuses foreign host names, and counts every request.
async fn guard(State(gateway): State<Gateway>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let response = if host::is_known(&request, &gateway.hosts) {
        next.run(request).await
    } else {
        let next_step = "use localhost or an IP address, or add the name to `http_hosts`";
        Problem::new(StatusCode::MISDIRECTED_REQUEST, "unknown_host", next_step).into_response()
    };
    let status = response.status().as_u16();
    tracing::debug!(route, status, "http request");
    gateway.metrics.http_requests.get_or_create(&HttpLabels { route, status }).inc();
    response
}

async fn no_such_route() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "unknown_route", "GET / lists the routes")
}
