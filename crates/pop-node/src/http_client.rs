//! The little of an HTTP client that the status verb and the demo need: a GET with a range, its
//! body as it comes.

use std::net::SocketAddr;
use std::ops::RangeInclusive;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::error::NodeError;

/// A response whose body is still coming.
pub(crate) struct Response {
    body: Incoming,
}

impl Response {
    /// The next piece of the body; `None` at its end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, NodeError> {
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|error| failed("read the gateway's answer", error))?;
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// The whole body.
    pub(crate) async fn all(mut self) -> Result<Vec<u8>, NodeError> {
        let mut all = Vec::new();
        while let Some(piece) = self.next().await? {
            all.extend_from_slice(&piece);
        }
        Ok(all)
    }
}

/// GET `path` of the server at `address`, or a range of it, on a connection of its own: as a
/// player's requests come.
pub(crate) async fn get(
    address: SocketAddr,
    path: &str,
    range: Option<RangeInclusive<u64>>,
) -> Result<Response, NodeError> {
    let unreachable = |error: std::io::Error| NodeError::NoNode {
        address: address.to_string(),
        reason: error.to_string(),
    };
    let stream = TcpStream::connect(address).await.map_err(unreachable)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| failed("talk to the gateway", error))?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "gateway connection");
        }
    });
    let mut request = Request::get(path).header(header::HOST, address.to_string());
    if let Some(range) = range {
        let value = format!("bytes={}-{}", range.start(), range.end());
        request = request.header(header::RANGE, value);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| failed("ask", error))?;
    let response =
        sender.send_request(request).await.map_err(|error| failed("ask the gateway", error))?;
    match response.status() {
        StatusCode::OK | StatusCode::PARTIAL_CONTENT => Ok(Response { body: response.into_body() }),
        status => {
            let body = Response { body: response.into_body() }.all().await?;
            let text = String::from_utf8_lossy(&body);
            Err(NodeError::Demo(format!("the gateway answers {status}: {text}")))
        }
    }
}

fn failed(
    action: &'static str,
    error: impl std::error::Error + Send + Sync + 'static,
) -> NodeError {
    NodeError::Io { action, source: std::io::Error::other(error) }
}
