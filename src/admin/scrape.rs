//! `/metrics`: what the parts of the process have counted, as Prometheus reads it.
//!
//! The library writes the text. It has atomic counters to register too, which all threads would share; what we count stands in cells of the
//! workers' own, so one collector asks those at each scrape. It writes `OpenMetrics`, in which a counter's family lacks the `_total` that its
//! samples have; in the older text format, which every Prometheus reads and `promtool` checks, both have it. So counters are described by
//! their whole name, and their numbers written as they are.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::sync::Arc;
use std::time::SystemTime;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::State;
use super::reload::Reloads;
use crate::incident::{Cause, Incidents};
use crate::server::Crew;
use crate::telemetry::metrics::{self, Kind, Metric};
use crate::telemetry::{CLASSES, COUNTERS, Meters, Spread};
use crate::upstream::Apps;

/// The media type of the text format.
pub(super) const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Ticks of a second in `/proc` (`USER_HZ`): the same on all machines that Linux runs on today.
const TICKS: f64 = 100.0;

/// The parts of the process that have counted something.
#[derive(Clone)]
pub struct Sources {
    /// Whether it is ready.
    pub state: Arc<State>,
    /// What the workers have counted.
    pub meters: Arc<Meters>,
    /// What is kept of failures.
    pub incidents: Incidents,
    /// The apps.
    pub upstreams: Arc<Apps>,
    /// The workers, with the connections of visitors.
    pub crew: Arc<Crew>,
    /// When the process started.
    pub started: SystemTime,
    /// Where a reload is asked for.
    pub reloads: Reloads,
}

/// All metrics, to be asked for again and again.
#[derive(Debug)]
pub(super) struct Scrape(Registry);

impl Scrape {
    pub(super) fn new(sources: Sources) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(sources));
        Self(registry)
    }

    /// The metrics now. Asks the file system.
    pub(super) fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::with_capacity(16 * 1024);
        text::encode_registry(&mut text, &self.0)?;
        Ok(text)
    }
}

impl Collector for Sources {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut sheet = Sheet(&mut encoder);
        self.requests(&mut sheet)?;
        self.upstreams(&mut sheet)?;
        self.incidents(&mut sheet)?;
        self.process(&mut sheet)
    }
}

impl Sources {
    fn requests(&self, sheet: &mut Sheet<'_, '_>) -> fmt::Result {
        let requests = self.meters.requests();
        let rows = requests.iter().flat_map(|(route, counts)| {
            let counts = CLASSES.iter().zip(counts);
            // Of ordinary classes 0 is said too, so that the first one is seen as a rise.
            let counts = counts.filter(|(class, count)| **count > 0 || is_ordinary(class));
            counts.map(|(class, count)| (vec![&**route, *class], *count))
        });
        sheet.rows(&metrics::REQUESTS, rows)?;
        sheet.spread(&metrics::REQUEST_DURATION, &self.meters.durations())?;
        let open = self.crew.open() as u64;
        sheet.rows(&metrics::CONNECTIONS, [(vec!["open"], open)])?;
        sheet.one(&metrics::CONNECTIONS_REFUSED, self.crew.refused())?;
        let counters = COUNTERS.snapshot();
        sheet.one(&metrics::CLIENTS_GONE, counters.client_gone)?;
        sheet.one(&metrics::REFUSALS, counters.refused)?;
        let pages = self.meters.pages();
        let pages: Vec<_> = pages
            .iter()
            .map(|((status, format), count)| (status.to_string(), *format, *count))
            .collect();
        let rows = pages.iter();
        sheet.rows(
            &metrics::PAGES,
            rows.map(|(status, format, count)| (vec![status.as_str(), *format], *count)),
        )
    }

    fn upstreams(&self, sheet: &mut Sheet<'_, '_>) -> fmt::Result {
        let apps = self.upstreams.now();
        let upstreams = || apps.iter();
        let endpoints: Vec<_> = upstreams()
            .flat_map(|upstream| {
                upstream
                    .endpoints()
                    .into_iter()
                    .map(move |it| (&*upstream.name, it))
            })
            .collect();
        let connections = endpoints.iter().flat_map(|(upstream, endpoint)| {
            [("active", endpoint.active), ("idle", endpoint.idle)]
                .map(|(state, count)| (vec![*upstream, &*endpoint.name, state], count as u64))
        });
        sheet.rows(&metrics::UPSTREAM_CONNECTIONS, connections)?;
        let waiting = upstreams().map(|it| (vec![&*it.name], it.waiting() as u64));
        sheet.rows(&metrics::UPSTREAM_WAITING, waiting)?;
        // What has not happened yet is 0, so that its first time is seen as a rise.
        let mut failures: BTreeMap<_, _> = upstreams()
            .flat_map(|upstream| causes().map(|cause| ((Arc::clone(&upstream.name), cause), 0)))
            .collect();
        failures.extend(self.meters.failures());
        let rows = failures.iter();
        sheet.rows(
            &metrics::UPSTREAM_FAILURES,
            rows.map(|((upstream, cause), count)| (vec![&**upstream, *cause], *count)),
        )?;
        let mut retries: BTreeMap<_, _> = upstreams().map(|it| (Arc::clone(&it.name), 0)).collect();
        retries.extend(self.meters.retries());
        let rows = retries.iter();
        sheet.rows(
            &metrics::UPSTREAM_RETRIES,
            rows.map(|(upstream, count)| (vec![&**upstream], *count)),
        )
    }

    fn incidents(&self, sheet: &mut Sheet<'_, '_>) -> fmt::Result {
        let counts = self.incidents.counts();
        let by_cause = counts.by_cause();
        let by_cause = by_cause.filter(|(cause, _)| *cause != Cause::Refused);
        let rows = by_cause.map(|(cause, count)| (vec![cause.as_str()], count));
        sheet.rows(&metrics::INCIDENTS, rows)?;
        sheet.one(&metrics::INCIDENTS_UNCONFIRMED, counts.lost.unconfirmed)?;
        let losses = [
            (vec!["body"], counts.lost.bodies),
            (vec!["incident"], counts.lost.rows),
            (vec!["refusal"], counts.lost.refusals),
        ];
        sheet.rows(&metrics::INCIDENT_LOSSES, losses)?;
        sheet.spread(&metrics::INCIDENT_COMMIT, &self.incidents.commits())?;
        let memory = self.incidents.budget().taken() as u64;
        sheet.one(&metrics::INCIDENT_MEMORY, memory)?;
        sheet.one(&metrics::STORE_BYTES, self.incidents.store_bytes())
    }

    fn process(&self, sheet: &mut Sheet<'_, '_>) -> fmt::Result {
        let counters = COUNTERS.snapshot();
        sheet.one(&metrics::LOG_DROPPED, counters.log_dropped)?;
        sheet.one(&metrics::ADMIN_DENIED, counters.admin_denied)?;
        let ready = u64::from(self.state.unready().is_none());
        sheet.one(&metrics::READY, ready)?;
        let version = vec![env!("CARGO_PKG_VERSION")];
        sheet.rows(&metrics::BUILD_INFO, [(version, 1_u64)])?;
        let started = self.started.duration_since(SystemTime::UNIX_EPOCH);
        sheet.one(
            &metrics::START_TIME,
            started.unwrap_or_default().as_secs_f64(),
        )?;
        sheet.one(&metrics::CPU, cpu_seconds().unwrap_or_default())?;
        sheet.one(&metrics::MEMORY, resident_bytes().unwrap_or_default())?;
        sheet.one(&metrics::FILES, open_files().unwrap_or_default())
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sources")
    }
}

/// Whether statuses of a class are what apps send.
fn is_ordinary(class: &str) -> bool {
    !matches!(class, "1xx" | "other")
}

/// The causes that an exchange with an app can fail for.
fn causes() -> impl Iterator<Item = &'static str> {
    let ours = [Cause::Internal, Cause::Refused];
    let causes = Cause::ALL.into_iter();
    causes
        .filter(move |cause| !ours.contains(cause))
        .map(Cause::as_str)
}

/// Where metrics are written down.
struct Sheet<'a, 'b>(&'a mut DescriptorEncoder<'b>);

impl Sheet<'_, '_> {
    /// A metric without labels.
    fn one(&mut self, metric: &Metric, value: impl EncodeGaugeValue + Copy) -> fmt::Result {
        self.describe(metric)?.encode_gauge(&value)
    }

    /// A metric's values, each with those of its labels in their order.
    fn rows<'v, V: EncodeGaugeValue>(
        &mut self,
        metric: &Metric,
        rows: impl IntoIterator<Item = (Vec<&'v str>, V)>,
    ) -> fmt::Result {
        let mut lines = self.describe(metric)?;
        for (values, value) in rows {
            let labels: Vec<_> = metric.labels.iter().copied().zip(values).collect();
            lines.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    fn spread(&mut self, metric: &Metric, spread: &Spread) -> fmt::Result {
        type NoLabels = [(&'static str, &'static str); 0];
        let (sum, count) = (spread.seconds, spread.count());
        self.describe(metric)?
            .encode_histogram::<NoLabels>(sum, count, &spread.counts, None)
    }

    fn describe<'s>(
        &'s mut self,
        metric: &'s Metric,
    ) -> Result<prometheus_client::encoding::MetricEncoder<'s>, fmt::Error> {
        let kind = match metric.kind {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
            Kind::Histogram => MetricType::Histogram,
        };
        self.0
            .encode_descriptor(metric.name, metric.help, None, kind)
    }
}

/// User and system time, the fields 14 and 15 of proc(5).
fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, after_name) = stat.rsplit_once(") ")?;
    let fields = after_name.split(' ').skip(11).take(2);
    let ticks: f64 = fields.filter_map(|field| field.parse::<f64>().ok()).sum();
    Some(ticks / TICKS)
}

fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024)
}

fn open_files() -> Option<u64> {
    let listed = fs::read_dir("/proc/self/fd").ok()?.count();
    // One is that of the listing itself.
    Some(listed.saturating_sub(1) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::METRICS;

    /// `docs/METRICS.md` has a row for each metric, in the order of a scrape, and no other.
    #[test]
    fn the_reference_is_what_the_code_says() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/METRICS.md");
        let reference = fs::read_to_string(file).unwrap();
        let rows = reference.lines().filter(|line| line.starts_with("| `"));
        let expected: Vec<_> = METRICS.iter().map(|metric| row(metric)).collect();
        let found: Vec<_> = rows.collect();
        assert_eq!(found, expected, "write:\n{}\n", expected.join("\n"));
    }

    fn row(metric: &Metric) -> String {
        let labels: Vec<_> = metric.labels.iter().map(|it| format!("`{it}`")).collect();
        let (name, kind) = (metric.name, metric.kind.name());
        format!(
            "| `{name}` | {kind} | {} | {} |",
            labels.join(", "),
            metric.help
        )
    }

    #[test]
    fn the_process_knows_itself() {
        assert!(cpu_seconds().is_some());
        assert!(resident_bytes().unwrap() > 100_000);
        assert!(open_files().unwrap() >= 3);
    }

    #[test]
    fn label_values_are_escaped() {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Odd));
        let mut text = String::new();
        text::encode_registry(&mut text, &registry).unwrap();
        let expected = "pardon_upstream_retries_total{upstream=\"a\\\"} 1\\nb\\\\\"} 7\n";
        assert!(text.ends_with(expected), "{text}");
    }

    #[derive(Debug)]
    struct Odd;

    impl Collector for Odd {
        fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
            let rows = [(vec!["a\"} 1\nb\\"], 7_u64)];
            Sheet(&mut encoder).rows(&metrics::UPSTREAM_RETRIES, rows)
        }
    }
}
