//! A TCP connection that becomes a WebSocket on one of our paths.

use std::net::SocketAddr;

use http::StatusCode;
use tokio::net::TcpStream;
use tokio_tungstenite::accept_hdr_async_with_config;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::handshake::server::{
    Callback, ErrorResponse, Request, Response,
};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use super::admission::Admitted;
use super::limits::{
    SOCKET_MESSAGE_BYTES_MAX, SOCKET_MESSAGE_BYTES_SENT, SOCKET_READ_BUFFER_BYTES,
    SOCKET_WRITE_BUFFER_BYTES, UPGRADE_TIMEOUT,
};
use super::reception::Service;
use super::stream::SocketStream;

/// Why a connection became no link.
#[derive(Debug, thiserror::Error)]
pub(super) enum UpgradeError {
    #[error("expected the upgrade in time")]
    Late,
    #[error(transparent)]
    Refused(#[from] Box<Error>),
}

/// Take the upgrade of `connection` to one of `services`.
pub(super) async fn accept(
    connection: TcpStream,
    remote: SocketAddr,
    admitted: Admitted,
    services: &[Service],
) -> Result<(Service, SocketStream), UpgradeError> {
    // A message is all that a peer waits for: nothing is gained by holding it back.
    if let Err(error) = connection.set_nodelay(true) {
        tracing::debug!(%remote, %error, "no delay can't be switched off");
    }
    let mut asked = None;
    let choice = Choice { services, asked: &mut asked };
    let accepting = accept_hdr_async_with_config(connection, choice, Some(config()));
    let accepted = tokio::time::timeout(UPGRADE_TIMEOUT, accepting).await;
    let socket = accepted.map_err(|_| UpgradeError::Late)?.map_err(Box::new)?;
    // Without a service the upgrade was refused.
    let service = asked.ok_or(UpgradeError::Late)?;
    Ok((service, SocketStream::new(socket, admitted)))
}

/// Which service a request asks for.
struct Choice<'a> {
    services: &'a [Service],
    asked: &'a mut Option<Service>,
}

impl Callback for Choice<'_> {
    fn on_request(self, request: &Request, response: Response) -> Result<Response, ErrorResponse> {
        let path = request.uri().path();
        *self.asked = self.services.iter().copied().find(|service| service.path() == path);
        if self.asked.is_some() {
            return Ok(response);
        }
        let text = "expected a path that this node serves: see spec/exchange.md, section 2.1\n";
        let mut refusal = ErrorResponse::new(Some(text.to_owned()));
        *refusal.status_mut() = StatusCode::NOT_FOUND;
        Err(refusal)
    }
}

fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(SOCKET_READ_BUFFER_BYTES)
        .write_buffer_size(SOCKET_WRITE_BUFFER_BYTES)
        .max_write_buffer_size(SOCKET_WRITE_BUFFER_BYTES + 2 * SOCKET_MESSAGE_BYTES_SENT)
        .max_message_size(Some(SOCKET_MESSAGE_BYTES_MAX))
        .max_frame_size(Some(SOCKET_MESSAGE_BYTES_MAX))
}
