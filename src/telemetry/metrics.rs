//! Every metric with its labels, in one place: what an operator's dashboards and alerts are written against. `docs/METRICS.md` lists them,
//! and a test holds it against this.

/// What a metric is, as Prometheus has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows while the process lives.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Counts of values up to a bound.
    Histogram,
}

impl Kind {
    /// Its name in a scrape.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A metric.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name in a scrape.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it counts.
    pub help: &'static str,
}

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric {
        name,
        kind: Kind::Counter,
        labels,
        help,
    }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric {
        name,
        kind: Kind::Gauge,
        labels,
        help,
    }
}

const fn histogram(name: &'static str, help: &'static str) -> Metric {
    Metric {
        name,
        kind: Kind::Histogram,
        labels: &[],
        help,
    }
}

/// Requests that were answered.
pub const REQUESTS: Metric = counter(
    "pardon_requests_total",
    &["route", "class"],
    "Requests that were answered, by route (empty where none was for them) and class of the status that the visitor got.",
);
/// How long requests took.
pub const REQUEST_DURATION: Metric = histogram(
    "pardon_request_duration_seconds",
    "From a request's head to the last byte of its passing answer, or to its page.",
);
/// Connections of visitors.
pub const CONNECTIONS: Metric = gauge(
    "pardon_connections",
    &["state"],
    "Connections of visitors now; the state is open.",
);
/// Connections turned away.
pub const CONNECTIONS_REFUSED: Metric = counter(
    "pardon_connections_refused_total",
    &[],
    "Connections of visitors that were turned away because server.max_connections was reached.",
);
/// Visitors who left.
pub const CLIENTS_GONE: Metric = counter(
    "pardon_clients_gone_total",
    &[],
    "Visitors who left before their answer was complete.",
);
/// Refused requests.
pub const REFUSALS: Metric = counter(
    "pardon_refusals_total",
    &[],
    "Requests that Pardon refused itself, with a page.",
);
/// Pages.
pub const PAGES: Metric = counter(
    "pardon_pages_total",
    &["status", "format"],
    "Pages that were served, by status and format (html, json, text, xml, grpc).",
);
/// Connections to apps.
pub const UPSTREAM_CONNECTIONS: Metric = gauge(
    "pardon_upstream_connections",
    &["upstream", "endpoint", "state"],
    "Connections to an app now: active ones, those being opened among them, and idle ones.",
);
/// Requests in a queue.
pub const UPSTREAM_WAITING: Metric = gauge(
    "pardon_upstream_waiting_requests",
    &["upstream"],
    "Requests that wait for a connection to an app now.",
);
/// Failed exchanges.
pub const UPSTREAM_FAILURES: Metric = counter(
    "pardon_upstream_failures_total",
    &["upstream", "cause"],
    "Exchanges with an app that failed, after all attempts, by cause.",
);
/// Attempts after the first.
pub const UPSTREAM_RETRIES: Metric = counter(
    "pardon_upstream_retries_total",
    &["upstream"],
    "Times that a request was sent to an app again, be it to an app that had just closed the connection.",
);
/// Incidents.
pub const INCIDENTS: Metric = counter(
    "pardon_incidents_total",
    &["cause"],
    "Incidents that were recorded, by cause.",
);
/// Incidents that were late.
pub const INCIDENTS_UNCONFIRMED: Metric = counter(
    "pardon_incidents_unconfirmed_total",
    &[],
    "Incidents whose page went out before they were stored: the log has them in full.",
);
/// Incidents given up.
pub const INCIDENT_LOSSES: Metric = counter(
    "pardon_incident_losses_total",
    &["part"],
    "What was given up for lack of memory: a body, an incident, a refusal.",
);
/// How long commits took.
pub const INCIDENT_COMMIT: Metric = histogram(
    "pardon_incident_commit_seconds",
    "How long the store's transactions took; incidents of one moment share one.",
);
/// Memory of incidents.
pub const INCIDENT_MEMORY: Metric = gauge(
    "pardon_incident_memory_bytes",
    &[],
    "Memory that captures and incidents which wait to be stored take now, of incidents.memory.",
);
/// The store's size.
pub const STORE_BYTES: Metric = gauge(
    "pardon_store_bytes",
    &[],
    "The size of the store, its log counted in.",
);
/// Log lines given up.
pub const LOG_DROPPED: Metric = counter(
    "pardon_log_lines_dropped_total",
    &[],
    "Log lines that were dropped because nobody read the log fast enough.",
);
/// Operator's requests denied.
pub const ADMIN_DENIED: Metric = counter(
    "pardon_admin_denied_total",
    &[],
    "Requests to the admin listener without a token, with a wrong one, or under a foreign host name.",
);
/// Whether it is ready.
pub const READY: Metric = gauge("pardon_ready", &[], "1 while /readyz says yes, else 0.");
/// The version.
pub const BUILD_INFO: Metric = gauge(
    "pardon_build_info",
    &["version"],
    "Always 1; the label says which version runs.",
);
/// When it started.
pub const START_TIME: Metric = gauge(
    "process_start_time_seconds",
    &[],
    "When the process started, in seconds since 1970.",
);
/// Its CPU time.
pub const CPU: Metric = counter(
    "process_cpu_seconds_total",
    &[],
    "CPU time that the process has used.",
);
/// Its memory.
pub const MEMORY: Metric = gauge(
    "process_resident_memory_bytes",
    &[],
    "Memory of the process that is in RAM.",
);
/// Its files.
pub const FILES: Metric = gauge(
    "process_open_fds",
    &[],
    "File descriptors that the process has open, sockets among them.",
);

/// All of them, in the order of a scrape.
pub const METRICS: [&Metric; 25] = [
    &REQUESTS,
    &REQUEST_DURATION,
    &CONNECTIONS,
    &CONNECTIONS_REFUSED,
    &CLIENTS_GONE,
    &REFUSALS,
    &PAGES,
    &UPSTREAM_CONNECTIONS,
    &UPSTREAM_WAITING,
    &UPSTREAM_FAILURES,
    &UPSTREAM_RETRIES,
    &INCIDENTS,
    &INCIDENTS_UNCONFIRMED,
    &INCIDENT_LOSSES,
    &INCIDENT_COMMIT,
    &INCIDENT_MEMORY,
    &STORE_BYTES,
    &LOG_DROPPED,
    &ADMIN_DENIED,
    &READY,
    &BUILD_INFO,
    &START_TIME,
    &CPU,
    &MEMORY,
    &FILES,
];
