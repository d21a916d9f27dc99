//! The node's metrics, in the OpenMetrics text format.
//!
//! Names start with `pop_` and end in their unit; labels have few values, so never a peer, a
//! content or an address. Whoever owns a part of the node registers its metrics here.

use std::fmt::{self, Debug};
use std::sync::{Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};

use crate::disk::ColumnStore;

pub use prometheus_client::registry::Unit;

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
    pub fn register(&self, name: &str, help: &str, metric: impl Metric) {
        self.registry().register(name, help, metric);
    }

    /// Adds a metric whose unit becomes the end of its name.
    pub fn register_unit(&self, name: &str, help: &str, unit: Unit, metric: impl Metric) {
        self.registry().register_with_unit(name, help, unit, metric);
    }

    /// Adds a gauge that is read when somebody asks for it, from what somebody else counts.
    pub fn read_gauge(
        &self,
        name: &'static str,
        help: &'static str,
        unit: Option<Unit>,
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        let reading = Reading { name, help, unit, counts: false, read: Box::new(read) };
        self.registry().register_collector(Box::new(reading));
    }

    /// Adds a counter that is read when somebody asks for it. What it reads never decreases.
    pub fn read_counter(
        &self,
        name: &'static str,
        help: &'static str,
        unit: Option<Unit>,
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        let reading = Reading { name, help, unit, counts: true, read: Box::new(read) };
        self.registry().register_collector(Box::new(reading));
    }

    /// Adds a counter for each value of one label, read when somebody asks for them. Which values
    /// there are never changes, and none of what it reads decreases.
    pub fn read_counters(
        &self,
        name: &'static str,
        help: &'static str,
        label: &'static str,
        read: impl Fn() -> Vec<(&'static str, u64)> + Send + Sync + 'static,
    ) {
        let readings = Readings { name, help, label, read: Box::new(read) };
        self.registry().register_collector(Box::new(readings));
    }

    /// Shows how full and how healthy a column store is.
    pub fn watch_store(&self, store: &ColumnStore) {
        let read = |read: fn(&ColumnStore) -> u64| {
            let store = store.clone();
            move || read(&store)
        };
        let used = read(ColumnStore::used_bytes);
        self.read_gauge("store_used", "Quota taken by columns", Some(Unit::Bytes), used);
        let quota = read(ColumnStore::quota_bytes);
        self.read_gauge("store_quota", "Quota for columns", Some(Unit::Bytes), quota);
        let contents = read(|store| count(store.contents().len()));
        self.read_gauge("store_contents", "Contents with a whole column", None, contents);
        let damaged = read(|store| count(store.quarantined().len()));
        self.read_gauge("store_quarantined_columns", "Columns found damaged", None, damaged);
        let writable = read(|store| u64::from(store.is_writable()));
        self.read_gauge("store_writable", "1 while the disk stores data", None, writable);
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

/// A metric that lives elsewhere.
struct Reading {
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    counts: bool,
    read: Box<dyn Fn() -> u64 + Send + Sync>,
}

impl Collector for Reading {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let value = (self.read)();
        let kind = if self.counts { MetricType::Counter } else { MetricType::Gauge };
        let metric = encoder.encode_descriptor(self.name, self.help, self.unit.as_ref(), kind)?;
        if self.counts {
            ConstCounter::new(value).encode(metric)
        } else {
            ConstGauge::new(value).encode(metric)
        }
    }
}

impl Debug for Reading {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)
    }
}

/// Counters that live elsewhere, one for each value of a label.
struct Readings {
    name: &'static str,
    help: &'static str,
    label: &'static str,
    read: Box<dyn Fn() -> Vec<(&'static str, u64)> + Send + Sync>,
}

impl Collector for Readings {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let kind = MetricType::Counter;
        let mut metric = encoder.encode_descriptor(self.name, self.help, None, kind)?;
        for (value, counted) in (self.read)() {
            let labels = [(self.label, value)];
            ConstCounter::new(counted).encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

impl Debug for Readings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn build_info() -> Info<Vec<(String, String)>> {
    Info::new(vec![("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_carry_prefix_unit_and_their_value_at_the_time_of_asking() {
        let directory = tempfile::tempdir().unwrap();
        let store = ColumnStore::open(directory.path(), 1234).unwrap();
        let metrics = Metrics::default();
        metrics.watch_store(&store);
        metrics.read_counter("shards", "Shards", None, || 7);
        let text = metrics.encode();
        for line in [
            "pop_store_used_bytes 0",
            "pop_store_quota_bytes 1234",
            "pop_store_contents 0",
            "pop_store_quarantined_columns 0",
            "pop_store_writable 1",
            "# TYPE pop_shards counter",
            "pop_shards_total 7",
            "# UNIT pop_store_used_bytes bytes",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            assert!(line.starts_with("pop_"), "{line}");
        }
    }
}
