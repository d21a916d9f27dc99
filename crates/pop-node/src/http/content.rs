//! `GET, HEAD /content/{id}`: the plaintext of a content.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName, IF_MATCH, IF_NONE_MATCH, IF_RANGE,
    RANGE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use pop_erasure::{ContentKey, ContentLink};
use pop_wire::ContentId;
use serde::Deserialize;

use super::Gateway;
use super::problem::Problem;
use super::range::{Selection, select};
use super::source::{ContentSource, OpenError, ReadError};
use crate::clock;
use crate::metrics::Metrics;

#[derive(Deserialize)]
pub(super) struct ContentQuery {
    k: Option<String>,
    filename: Option<String>,
    download: Option<String>,
}

/// Seconds after which holders may be back.
const RETRY_AFTER_S: u16 = 5;

pub(super) async fn serve_content(
    State(gateway): State<Gateway>,
    method: Method,
    id: Result<Path<String>, PathRejection>,
    query: Result<Query<ContentQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let started = clock::monotonic_now();
    let Path(id) = id.map_err(|rejection| bad_link().detail(rejection))?;
    let Query(query) = query.map_err(|rejection| bad_link().detail(rejection))?;
    let (content, key) = parse_link(&id, query.k.as_deref())?;
    let source = gateway.opener.open(content, key).await.map_err(open_problem)?;
    let length_bytes = source.length_bytes();

    let etag = format!("\"{content}\"");
    let mut response = Response::new(Body::empty());
    describe(response.headers_mut(), source.media_type(), &etag, &query)?;
    if !if_match(&headers, &etag) {
        let next_step = "drop If-Match: a content never changes under one id";
        return Err(Problem::new(StatusCode::PRECONDITION_FAILED, "other_version", next_step));
    }
    if if_none_match(&headers, &etag) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }

    let range = match requested_range(&method, &headers, &etag, length_bytes) {
        Selection::Whole => 0..length_bytes,
        Selection::Part(range) => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let (first, last) = (range.start, range.end - 1);
            let text = format!("bytes {first}-{last}/{length_bytes}");
            response.headers_mut().insert(CONTENT_RANGE, ascii(text)?);
            range
        }
        Selection::Unsatisfiable => return unsatisfiable(length_bytes),
    };
    response.headers_mut().insert(CONTENT_LENGTH, (range.end - range.start).into());
    if method != Method::HEAD && !range.is_empty() {
        *response.body_mut() = body(source.as_ref(), range, &gateway, content, started);
    }
    Ok(response)
}

fn bad_link() -> Problem {
    let next_step = "copy the whole link: /content/<id>?k=<key>";
    Problem::new(StatusCode::BAD_REQUEST, "bad_link", next_step)
}

fn parse_link(id: &str, key: Option<&str>) -> Result<(ContentId, ContentKey), Problem> {
    let key = key.ok_or_else(|| bad_link().detail("the key is missing"))?;
    let link: ContentLink =
        format!("pop:{id}?k={key}").parse().map_err(|error| bad_link().detail(error))?;
    let key = link.key.ok_or_else(|| bad_link().detail("the key is missing"))?;
    Ok((link.content, key))
}

fn open_problem(error: OpenError) -> Problem {
    let problem = match error {
        OpenError::UnknownContent => {
            let next_step = "check the link, and that the node is connected (GET /readyz)";
            Problem::new(StatusCode::NOT_FOUND, "unknown_content", next_step)
        }
        OpenError::WrongKey => {
            let next_step = "copy the whole link again: the part after ?k= is not its key";
            Problem::new(StatusCode::FORBIDDEN, "wrong_key", next_step)
        }
        OpenError::NotEnoughHolders { .. } => {
            let next_step = "try again later: holders may come back, or `pop-node repair` the link";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_enough_holders", next_step)
                .retry_after_s(RETRY_AFTER_S)
        }
        OpenError::ShuttingDown => {
            let next_step = "try again later";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "shutting_down", next_step)
                .retry_after_s(RETRY_AFTER_S)
        }
    };
    problem.detail(error)
}

fn requested_range(
    method: &Method,
    headers: &HeaderMap,
    etag: &str,
    length_bytes: u64,
) -> Selection {
    // RFC 9110 §14.2: ranges are defined for GET only. §13.1.5: If-Range holds with the very same
    // strong tag only; a date can't hold, since a content has none.
    let wanted = *method == Method::GET
        && headers.get(IF_RANGE).is_none_or(|value| value.as_bytes() == etag.as_bytes());
    let range = headers.get(RANGE).filter(|_| wanted);
    select(range.map(HeaderValue::as_bytes), length_bytes)
}

fn unsatisfiable(length_bytes: u64) -> Result<Response, Problem> {
    let next_step = "ask for bytes below the length in Content-Range";
    let problem =
        Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "range_not_satisfiable", next_step);
    let mut response = problem.into_response();
    let text = format!("bytes */{length_bytes}");
    response.headers_mut().insert(CONTENT_RANGE, ascii(text)?);
    response.headers_mut().insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    Ok(response)
}

fn if_match(headers: &HeaderMap, etag: &str) -> bool {
    !headers.contains_key(IF_MATCH) || names_tag(headers, &IF_MATCH, |tag| tag == etag)
}

fn if_none_match(headers: &HeaderMap, etag: &str) -> bool {
    // RFC 9110 §13.1.2: the weak comparison.
    names_tag(headers, &IF_NONE_MATCH, |tag| tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

/// Whether a header lists a tag that fits, or `*`. Our tags hold no comma.
fn names_tag(headers: &HeaderMap, name: &HeaderName, fits: impl Fn(&str) -> bool) -> bool {
    let values = headers.get_all(name).iter();
    let mut tags = values.filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(','));
    tags.any(|tag| tag.trim() == "*" || fits(tag.trim()))
}

/// Headers that every successful answer has, 304 included.
fn describe(
    headers: &mut HeaderMap,
    media_type: &str,
    etag: &str,
    query: &ContentQuery,
) -> Result<(), Problem> {
    let media_type = HeaderValue::from_str(media_type)
        .ok()
        .filter(|value| !value.is_empty())
        .unwrap_or_else(|| HeaderValue::from_static("application/octet-stream"));
    headers.insert(CONTENT_TYPE, media_type);
    headers.insert(ETAG, ascii(etag.to_owned())?);
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    // What an id names never changes. `private`, because the address holds the key.
    let forever = HeaderValue::from_static("private, max-age=31536000, immutable");
    headers.insert(CACHE_CONTROL, forever);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // A stranger's HTML must not run as this gateway's own page.
    let sandbox = "sandbox; default-src 'none'; img-src 'self'; media-src 'self'; \
                   style-src 'unsafe-inline'";
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(sandbox));
    let across_origins = HeaderName::from_static("cross-origin-resource-policy");
    headers.insert(across_origins, HeaderValue::from_static("cross-origin"));
    let save = query.download.as_deref().is_some_and(|value| value != "0");
    if save || query.filename.is_some() {
        let kind = if save { "attachment" } else { "inline" };
        let disposition = match &query.filename {
            None => kind.to_owned(),
            Some(name) => format!("{kind}; filename*=UTF-8''{}", percent_encoded(name)),
        };
        headers.insert(CONTENT_DISPOSITION, ascii(disposition)?);
    }
    Ok(())
}

/// RFC 8187: everything but letters, digits and `-._~` as percent codes, so that a name can add
/// no header and no path.
fn percent_encoded(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                text.push(char::from(byte));
            }
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

fn ascii(text: String) -> Result<HeaderValue, Problem> {
    HeaderValue::try_from(text).map_err(|_| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "report this as a bug")
    })
}

/// A body of exactly `range`. It breaks off with an error if the source does, which closes the
/// connection before `Content-Length` is reached: the one way HTTP/1.1 has to say so.
fn body(
    source: &dyn ContentSource,
    range: Range<u64>,
    gateway: &Gateway,
    content: ContentId,
    started: Instant,
) -> Body {
    let sending = Sending {
        chunks: source.read(range.clone()),
        missing_bytes: range.end - range.start,
        content,
        started: Some(started),
        metrics: StreamCount::new(&gateway.metrics),
    };
    Body::from_stream(futures::stream::unfold(Some(sending), |sending| async {
        let mut sending = sending?;
        match sending.next_chunk().await {
            Ok(Some(chunk)) => Some((Ok(chunk), Some(sending))),
            Ok(None) => None,
            Err(error) => {
                let content = sending.content;
                tracing::warn!(%content, %error, "an http body breaks off");
                sending.metrics.0.http_streams_failed.inc();
                // hyper drops what it has not flushed when a body fails, and flushes when a body
                // has to wait: without this the client would lose headers and good bytes too.
                tokio::task::yield_now().await;
                Some((Err(error), None))
            }
        }
    }))
}

struct Sending {
    chunks: BoxStream<'static, Result<Bytes, ReadError>>,
    missing_bytes: u64,
    content: ContentId,
    /// When the request came, until the first chunk went.
    started: Option<Instant>,
    metrics: StreamCount,
}

impl Sending {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>, ReadError> {
        if self.missing_bytes == 0 {
            return Ok(None);
        }
        let chunk = self.chunks.next().await.transpose()?.unwrap_or_default();
        let got = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        if got == 0 || got > self.missing_bytes {
            return Err(ReadError::WrongLength { expected: self.missing_bytes, got });
        }
        self.missing_bytes -= got;
        let metrics = &self.metrics.0;
        metrics.http_content_bytes.inc_by(got);
        if let Some(started) = self.started.take() {
            let waited = clock::monotonic_now().duration_since(started);
            metrics.http_first_byte.observe(waited.as_secs_f64());
        }
        Ok(Some(chunk))
    }
}

/// Counts a body as being sent until it is dropped.
struct StreamCount(Arc<Metrics>);

impl StreamCount {
    fn new(metrics: &Arc<Metrics>) -> Self {
        metrics.http_streams.inc();
        Self(Arc::clone(metrics))
    }
}

impl Drop for StreamCount {
    fn drop(&mut self) {
        self.0.http_streams.dec();
    }
}
