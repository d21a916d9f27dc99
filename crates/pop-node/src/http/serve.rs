//! The listening loop.
//!
//! `axum::serve` sets no timer, and without one hyper's header timeout is silently off: a client
//! that sends a byte a minute then holds a connection for good.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::metrics::Metrics;

/// Bounds of the listening loop.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ServeLimits {
    /// Connections open at once; further ones wait in the listen queue.
    pub connections_max: u32,
    /// How long a client may take to send a request's headers. It is also how long a connection
    /// may idle between two requests.
    pub header_timeout: Duration,
    /// How long bodies may still be sent once the node shuts down.
    pub drain_timeout: Duration,
}

impl Default for ServeLimits {
    fn default() -> Self {
        Self {
            connections_max: 512,
            header_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(5),
        }
    }
}

/// Bytes of a request's head, and of what is read ahead.
const READ_BUFFER_BYTES_MAX: usize = 64 * 1024;

/// Pause after the operating system refused to accept, out of file descriptors for one.
const ACCEPT_RETRY: Duration = Duration::from_millis(200);

/// Serves `router` on `listener` until `shutdown` is cancelled. Then it accepts no more, lets
/// running responses finish within the drain timeout, and cuts off the rest.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    metrics: Arc<Metrics>,
    limits: ServeLimits,
    shutdown: CancellationToken,
) {
    let permits = usize::try_from(limits.connections_max).unwrap_or(Semaphore::MAX_PERMITS);
    let permits = Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)));
    let (connections, cut_off) = (TaskTracker::new(), CancellationToken::new());
    let accepting = async {
        loop {
            // Before accepting: a connection over the limit costs us nothing but a queue entry.
            let permit = Arc::clone(&permits).acquire_owned().await;
            let Some(stream) = accept(&listener).await else {
                continue;
            };
            let connection =
                serve_connection(stream, router.clone(), limits.header_timeout, shutdown.clone());
            let (metrics, cut_off) = (Arc::clone(&metrics), cut_off.clone());
            connections.spawn(async move {
                metrics.http_connections.inc();
                cut_off.run_until_cancelled(connection).await;
                metrics.http_connections.dec();
                drop(permit);
            });
        }
    };
    shutdown.run_until_cancelled(accepting).await;
    drop(listener);
    connections.close();
    if tokio::time::timeout(limits.drain_timeout, connections.wait()).await.is_err() {
        cut_off.cancel();
        connections.wait().await;
    }
}

async fn accept(listener: &TcpListener) -> Option<TcpStream> {
    match listener.accept().await {
        Ok((stream, _)) => Some(stream),
        Err(error) if is_of_the_connection(&error) => None,
        Err(error) => {
            tracing::warn!(%error, "cannot accept an http connection");
            tokio::time::sleep(ACCEPT_RETRY).await;
            None
        }
    }
}

/// Errors of the one connection, which was gone before it was accepted.
fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
    )
}

async fn serve_connection(
    stream: TcpStream,
    router: Router,
    header_timeout: Duration,
    shutdown: CancellationToken,
) {
    // Without it the first bytes after a seek wait for an acknowledgement.
    let _ = stream.set_nodelay(true);
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_buf_size(READ_BUFFER_BYTES_MAX);
    let connection =
        builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an http connection ended early");
    }
}
