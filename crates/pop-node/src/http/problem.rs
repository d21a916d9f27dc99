//! Errors as the gateway's clients see them.

use axum::Json;
use axum::http::header::{CACHE_CONTROL, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// An error response: status, a code that does not change between versions, what is wrong, and
/// what to do about it.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: Option<String>,
    next_step: &'static str,
    retry_after_s: Option<u16>,
}

#[derive(Serialize)]
struct Body<'a> {
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    next_step: &'a str,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &'static str, next_step: &'static str) -> Self {
        Self { status, code, detail: None, next_step, retry_after_s: None }
    }

    pub(super) fn detail(mut self, detail: impl ToString) -> Self {
        self.detail = Some(detail.to_string());
        self
    }

    pub(super) fn retry_after_s(mut self, seconds: u16) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let detail = self.detail.as_deref();
        let body = Body { code: self.code, detail, next_step: self.next_step };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}
