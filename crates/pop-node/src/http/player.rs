//! The player: the page under `/play/`, and the files under `/web/` that it is made of. They are
//! built by `pop-web` and are part of this program. Whoever takes gzip gets it.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::{LazyLock, OnceLock};

use axum::extract::Path;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    HeaderName, IF_NONE_MATCH, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
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

/// The files by name.
static BY_NAME: LazyLock<BTreeMap<&str, Served>> = LazyLock::new(|| {
    FILES.iter().filter_map(|file| Some((file.name, Served::new(file)?))).collect()
});

/// A file, and what it is when it is packed.
struct Served {
    file: &'static File,
    /// Says what is in it.
    tag: HeaderValue,
    /// Another one, since the bytes are others.
    packed_tag: HeaderValue,
    /// Made when somebody asks first, and kept.
    packed: OnceLock<Bytes>,
}

impl Served {
    fn new(file: &'static File) -> Option<Self> {
        let hash = blake3::hash(file.bytes).to_hex();
        let tag = |end: &str| HeaderValue::from_str(&format!("\"{}{end}\"", &hash[..32])).ok();
        Some(Self { file, tag: tag("")?, packed_tag: tag("-gzip")?, packed: OnceLock::new() })
    }

    /// The file after gzip. Packing all of them takes a fraction of a second of a core, so it is
    /// no work for a thread that serves.
    async fn packed(&'static self) -> Bytes {
        if let Some(packed) = self.packed.get() {
            return packed.clone();
        }
        let packing = tokio::task::spawn_blocking(|| self.packed.get_or_init(|| pack(self.file)));
        packing.await.unwrap_or_else(|_| self.packed.get_or_init(|| pack(self.file))).clone()
    }
}

fn pack(file: &File) -> Bytes {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    let packed = packer.write_all(file.bytes).and_then(|()| packer.finish());
    packed.expect("a Vec takes every byte").into()
}

/// The player. It reads the content's id and key from its own address.
pub(super) async fn page(headers: HeaderMap) -> Response {
    serve(PAGE, &headers).await
}

/// One of the files.
pub(super) async fn file(Path(name): Path<String>, headers: HeaderMap) -> Response {
    serve(&name, &headers).await
}

async fn serve(name: &str, asked: &HeaderMap) -> Response {
    let Some(served) = BY_NAME.get(name) else {
        return Problem::new(StatusCode::NOT_FOUND, "unknown_route", "GET / lists the routes")
            .into_response();
    };
    let is_packed = takes_gzip(asked);
    let tag = if is_packed { &served.packed_tag } else { &served.tag };
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(media_type(name))),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        // Asked again each time, and not sent again while it is the same: a page and a worker of
        // different versions never meet.
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (VARY, HeaderValue::from_static("accept-encoding")),
        (SERVICE_WORKER_ALLOWED, HeaderValue::from_static("/")),
        (ETAG, tag.clone()),
    ];
    if is_known(asked, tag) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    if !is_packed {
        return (headers, served.file.bytes).into_response();
    }
    let packed = [(CONTENT_ENCODING, HeaderValue::from_static("gzip"))];
    (headers, packed, served.packed().await).into_response()
}

/// Whether the client has what this tag names.
fn is_known(asked: &HeaderMap, tag: &HeaderValue) -> bool {
    let known = asked.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let tag = tag.to_str().unwrap_or_default();
    let mut tags = known.flat_map(|tags| tags.split(','));
    tags.any(|known| matches!(known.trim().trim_start_matches("W/"), it if it == tag || it == "*"))
}

/// Whether gzip is taken: by name, or as anything else, and not with a weight of zero.
fn takes_gzip(asked: &HeaderMap) -> bool {
    let values = asked.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let (mut by_name, mut as_any) = (None, None);
    for coding in values.flat_map(|codings| codings.split(',')) {
        let mut parts = coding.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let weight = parts.find_map(|it| it.strip_prefix("q=").or_else(|| it.strip_prefix("Q=")));
        let is_wanted = weight.is_none_or(|it| it.parse::<f32>().is_ok_and(|it| it > 0.0));
        if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
            by_name = Some(is_wanted);
        } else if name == "*" {
            as_any = Some(is_wanted);
        }
    }
    by_name.or(as_any).unwrap_or(false)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_to_those_only_who_take_it() {
        let takes = |value: &str| {
            let value = HeaderValue::from_str(value).unwrap();
            takes_gzip(&HeaderMap::from_iter([(ACCEPT_ENCODING, value)]))
        };
        for yes in ["gzip", "br, GZip", "gzip;q=0.1", "deflate, gzip ; q=1.0, br", "*", "x-gzip"] {
            assert!(takes(yes), "{yes}");
        }
        let nos = ["", "br", "identity", "gzip;q=0", "gzip; q=0.000, *", "*;q=0", "gzip;q=x"];
        for no in nos {
            assert!(!takes(no), "{no}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
