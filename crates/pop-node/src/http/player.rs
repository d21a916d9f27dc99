//! The player: the page under `/play/`, and the files under `/web/` that it is made of. They are
//! built by `pop-web` and are part of this program.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use pop_web::dist::{FILES, File};

use super::problem::Problem;

/// The page under `/play/`.
const PAGE: &str = "player.html";

/// The page runs its own scripts and compiles its own wasm, talks to masternodes anywhere, and
/// never tells anybody where it is: its address holds the key.
const POLICY: &str = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; \
    style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' blob:; \
    worker-src 'self'; connect-src 'self' ws: wss: http: https:; frame-ancestors 'none'; \
    base-uri 'none'; form-action 'self'";

/// A worker of these files may answer for every path of the origin.
const SERVICE_WORKER_ALLOWED: HeaderName = HeaderName::from_static("service-worker-allowed");

/// The files by name, each with the tag of what is in it.
static BY_NAME: LazyLock<BTreeMap<&str, (HeaderValue, &File)>> = LazyLock::new(|| {
    let tagged = |file: &'static File| {
        let hash = blake3::hash(file.bytes).to_hex();
        let tag = HeaderValue::from_str(&format!("\"{}\"", &hash[..32]));
        Some((file.name, (tag.ok()?, file)))
    };
    FILES.iter().filter_map(tagged).collect()
});

/// The player. It reads the content's id and key from its own address.
pub(super) async fn page(headers: HeaderMap) -> Response {
    serve(PAGE, &headers)
}

/// One of the files.
pub(super) async fn file(Path(name): Path<String>, headers: HeaderMap) -> Response {
    serve(&name, &headers)
}

fn serve(name: &str, asked: &HeaderMap) -> Response {
    let Some((tag, file)) = BY_NAME.get(name) else {
        return Problem::new(StatusCode::NOT_FOUND, "unknown_route", "GET / lists the routes")
            .into_response();
    };
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(media_type(name))),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        // Asked again each time, and not sent again while it is the same: a page and a worker of
        // different versions never meet.
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (SERVICE_WORKER_ALLOWED, HeaderValue::from_static("/")),
        (ETAG, tag.clone()),
    ];
    let known = asked.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let tag = tag.to_str().unwrap_or_default();
    let mut tags = known.flat_map(|tags| tags.split(','));
    if tags
        .any(|known| matches!(known.trim().trim_start_matches("W/"), it if it == tag || it == "*"))
    {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, file.bytes).into_response()
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("wasm") => "application/wasm",
        Some("json") => "application/json",
        _ => "text/plain; charset=utf-8",
    }
}
