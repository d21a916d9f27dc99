//! A gateway over made-up contents, on a socket of its own.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt};
use pop_erasure::ContentKey;
use pop_node::http::{
    ContentOpener, ContentSource, Gateway, OpenError, ReadError, Readiness, ServeLimits, router,
    serve,
};
use pop_node::metrics::Metrics;
use pop_wire::{ContentId, SegmentIndex};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const FILM_BYTES: u64 = 100_000;

/// What each first byte of a content id stands for.
pub(crate) const FILM: u8 = 1;
pub(crate) const EMPTY: u8 = 2;
pub(crate) const UNTYPED: u8 = 3;
pub(crate) const DYING: u8 = 4;
pub(crate) const SHORT: u8 = 5;
pub(crate) const LONG: u8 = 6;
pub(crate) const STALLED: u8 = 7;
pub(crate) const HOLDERLESS: u8 = 8;
pub(crate) const HTML: u8 = 9;
pub(crate) const ENDLESS: u8 = 10;

pub(crate) fn film() -> Vec<u8> {
    (0..FILM_BYTES).map(|position| u8::try_from(position % 251).unwrap()).collect()
}

pub(crate) fn id(kind: u8) -> ContentId {
    ContentId([kind; 32])
}

/// The path of a content with the right key.
pub(crate) fn path(kind: u8) -> String {
    format!("/content/{}?k={}", id(kind), key_text(kind))
}

pub(crate) fn key_text(kind: u8) -> String {
    // Keys and ids are written alike.
    ContentId([kind; 32]).to_string()
}

struct Shelf;

impl ContentOpener for Shelf {
    fn open(
        &self,
        content: ContentId,
        key: ContentKey,
    ) -> BoxFuture<'_, Result<Arc<dyn ContentSource>, OpenError>> {
        let kind = content.0[0];
        let opened: Result<Arc<dyn ContentSource>, OpenError> = match kind {
            0 | 11.. => Err(OpenError::UnknownContent),
            _ if key.expose_secret() != &[kind; 32] => Err(OpenError::WrongKey),
            HOLDERLESS => Err(OpenError::NotEnoughHolders { reachable: 3, needed: 19 }),
            _ => Ok(Arc::new(Shelved { kind })),
        };
        async move { opened }.boxed()
    }
}

struct Shelved {
    kind: u8,
}

impl ContentSource for Shelved {
    fn length_bytes(&self) -> u64 {
        match self.kind {
            EMPTY => 0,
            ENDLESS => 1 << 40,
            _ => FILM_BYTES,
        }
    }

    fn media_type(&self) -> &str {
        match self.kind {
            UNTYPED => "",
            HTML => "text/html",
            _ => "video/mp4",
        }
    }

    fn read(&self, range: Range<u64>) -> BoxStream<'static, Result<Bytes, ReadError>> {
        assert!(!range.is_empty() && range.end <= self.length_bytes(), "read({range:?})");
        let position = |position: u64| usize::try_from(position).unwrap();
        if self.kind == ENDLESS {
            return stream::repeat(Ok(Bytes::from(vec![7; 1 << 16]))).boxed();
        }
        let mut bytes = film()[position(range.start)..position(range.end)].to_vec();
        let dead =
            ReadError::NotEnoughHolders { segment: SegmentIndex(1), reachable: 18, needed: 19 };
        let mut ending = None;
        match self.kind {
            DYING => {
                bytes.truncate(bytes.len() / 2);
                ending = Some(Err(dead));
            }
            SHORT => bytes.truncate(bytes.len() - 1),
            LONG => bytes.push(0),
            STALLED => return stream::pending().boxed(),
            _ => {}
        }
        let chunks: Vec<_> =
            bytes.chunks(7919).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
        stream::iter(chunks.into_iter().chain(ending)).boxed()
    }
}

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) readiness: watch::Sender<Readiness>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) serving: JoinHandle<()>,
}

pub(crate) async fn start() -> Running {
    start_with(ServeLimits::default()).await
}

pub(crate) async fn start_with(limits: ServeLimits) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (metrics, shutdown) = (Arc::new(Metrics::default()), CancellationToken::new());
    let (readiness, receiver) = watch::channel(Readiness::default());
    let gateway = Gateway {
        opener: Arc::new(Shelf),
        metrics: Arc::clone(&metrics),
        readiness: receiver,
        hosts: Arc::new(["pop.example.org".to_owned()]),
    };
    let more = axum::Router::new().route("/more", axum::routing::get(async || "more"));
    let router = router(gateway, more);
    let serving =
        tokio::spawn(serve(listener, router, Arc::clone(&metrics), limits, shutdown.clone()));
    Running { address, metrics, readiness, shutdown, serving }
}
