//! Pages for people: what there is, and the player.

use axum::Json;
use axum::http::HeaderMap;
use axum::http::header::{
    ACCEPT, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{Html, IntoResponse, Response};
use serde::Serialize;

#[derive(Serialize)]
struct Route {
    methods: &'static [&'static str],
    path: &'static str,
    about: &'static str,
}

const READ: &[&str] = &["GET", "HEAD"];

const ROUTES: &[Route] = &[
    Route {
        methods: READ,
        path: "/content/{id}?k={key}",
        about: "the content, with ranges; filename= names it, download=1 saves it",
    },
    Route {
        methods: READ,
        path: "/play/{id}#k={key}",
        about: "a page that fetches, checks, decrypts and plays it by itself, and passes it on",
    },
    Route {
        methods: READ,
        path: "/watch/{id}#k={key}",
        about: "a plain page that plays what this gateway fetched and decrypted",
    },
    Route { methods: READ, path: "/web/{file}", about: "what the player is made of" },
    Route {
        methods: READ,
        path: "/api/v1/web",
        about: "masternodes that browsers reach, the ledger, a price",
    },
    Route { methods: READ, path: "/healthz", about: "whether the process answers" },
    Route { methods: READ, path: "/readyz", about: "whether content can be served" },
    Route { methods: READ, path: "/metrics", about: "OpenMetrics text" },
    Route { methods: READ, path: "/version", about: "name and version" },
];

/// The page may talk to this gateway and to nobody else, and never tells anybody where it is:
/// its address holds the key.
const PAGE_HEADERS: [(HeaderName, &str); 3] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; \
         img-src 'self' data:; media-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'; \
         form-action 'self'",
    ),
    (REFERRER_POLICY, "no-referrer"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
];

/// The routes, as a page for a browser and as JSON for everybody else.
pub(super) async fn index(headers: HeaderMap) -> Response {
    let wants_page = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|accept| accept.contains("text/html"));
    if !wants_page {
        #[derive(Serialize)]
        struct Index {
            routes: &'static [Route],
        }
        return Json(Index { routes: ROUTES }).into_response();
    }
    let rows: String = ROUTES
        .iter()
        .map(|route| format!("<tr><td><code>{}</code><td>{}\n", route.path, route.about))
        .collect();
    let page = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>POP gateway</title>\n\
         <h1>POP gateway</h1>\n<table>\n{rows}</table>\n</html>\n"
    );
    (PAGE_HEADERS, Html(page)).into_response()
}

/// The player. It reads the content's id and key from its own address.
pub(super) async fn player() -> impl IntoResponse {
    (PAGE_HEADERS, Html(include_str!("../../assets/player.html")))
}
