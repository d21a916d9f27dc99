//! The node's metrics, in the OpenMetrics text format.
//!
//! Names start with `pop_` and end in their unit; labels have few values, so never a peer, a
//! content or an address. Whoever owns a part of the node registers its metrics here.

use std::fmt::Debug;
use std::sync::{Mutex, PoisonError};

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry, Unit};

/// Every metric of one node. The fields are counted up by whoever does the thing they count.
#[derive(Debug)]
#[non_exhaustive]
pub struct Metrics {
    /// HTTP requests answered, by route and status.
    pub http_requests: Family<HttpLabels, Counter>,
    /// HTTP connections open now.
    pub http_connections: Gauge,
    /// Responses whose body is being sent now.
    pub http_streams: Gauge,
    /// Plaintext handed to HTTP clients.
    pub http_content_bytes: Counter,
    /// Bodies cut off because the content could not be had.
    pub http_streams_failed: Counter,
    /// From a request to the first byte of its body.
    pub http_first_byte: Histogram,
    registry: Mutex<Registry>,
}

/// Labels of an HTTP request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct HttpLabels {
    /// The route's pattern, such as `/content/{id}`; `none` when no route fits.
    pub route: String,
    /// The status code.
    pub status: u16,
}

impl Default for Metrics {
    fn default() -> Self {
        // From a page in memory to the longest wait a player bears.
        let first_byte_s = [0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0];
        let metrics = Self {
            http_requests: Family::default(),
            http_connections: Gauge::default(),
            http_streams: Gauge::default(),
            http_content_bytes: Counter::default(),
            http_streams_failed: Counter::default(),
            http_first_byte: Histogram::new(first_byte_s),
            registry: Mutex::new(Registry::with_prefix("pop")),
        };
        metrics.register("build", "The running version", build_info());
        metrics.register("http_requests", "HTTP requests answered", metrics.http_requests.clone());
        let connections = metrics.http_connections.clone();
        metrics.register("http_connections", "HTTP connections open", connections);
        metrics.register("http_streams", "HTTP bodies being sent", metrics.http_streams.clone());
        let failed = metrics.http_streams_failed.clone();
        metrics.register("http_streams_failed", "HTTP bodies cut off", failed);
        let bytes = metrics.http_content_bytes.clone();
        metrics.register_unit("http_content", "Plaintext sent over HTTP", Unit::Bytes, bytes);
        let first_byte = metrics.http_first_byte.clone();
        let help = "From a request to the first byte of its body";
        metrics.register_unit("http_first_byte", help, Unit::Seconds, first_byte);
        metrics
    }
}

impl Metrics {
    /// Adds a metric without a unit. `name` and `help` follow the module's rules.
    pub fn register(&self, name: &str, help: &str, metric: impl EncodeMetric + Debug + Metric) {
        self.registry().register(name, help, metric);
    }

    /// Adds a metric whose unit becomes the end of its name.
    pub fn register_unit(
        &self,
        name: &str,
        help: &str,
        unit: Unit,
        metric: impl EncodeMetric + Debug + Metric,
    ) {
        self.registry().register_with_unit(name, help, unit, metric);
    }

    /// Everything in the OpenMetrics text format.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry()).expect("writing to a String does not fail");
        text
    }

    fn registry(&self) -> std::sync::MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn build_info() -> Info<Vec<(String, String)>> {
    Info::new(vec![("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned())])
}
