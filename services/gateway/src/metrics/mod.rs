//! All metrics of the gateway: its own, and those of jobs, which the read model holds.

pub mod jobs;
mod users;

use std::{collections::BTreeMap, time::Duration};

use nox_contract::{ModuleName, ProblemCode};
use nox_readmodel::{
    MetricsSnapshot,
    metrics::{DURATION_BOUNDS_S, Durations},
};
use prometheus::{
    Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts,
    Registry,
    proto::{self, LabelPair, Metric, MetricFamily, MetricType},
};

/// From a cached answer to the longest wait that we allow.
const REQUEST_BUCKETS_S: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// From a command alone to a full message.
const PACK_BUCKETS: [f64; 8] = [1.0, 2.0, 5.0, 10.0, 50.0, 100.0, 250.0, 500.0];

/// What the gateway counts of itself.
pub struct Metrics {
    requests: IntCounterVec,
    durations: HistogramVec,
    /// Commands in a message to the scheduler.
    pub packed: Histogram,
    /// What became of commands: `accepted`, `refused`, `pending`, `failed`.
    pub commands: IntCounterVec,
    /// Frames by which the read model is behind the log.
    pub lag_frames: IntGauge,
    /// For how long the first of them has been decided.
    pub lag_seconds: Gauge,
    /// Who is told events as they come.
    pub event_viewers: IntGauge,
    /// Messages of the log that were read for them.
    pub frames_followed: IntCounter,
    /// Connections that have a place.
    pub connections: IntGauge,
    /// What bodies and answers in hand take up.
    pub memory_bytes: IntGauge,
}

impl Metrics {
    /// Registers all of them.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            requests: IntCounterVec::new(
                Opts::new("nox_http_requests_total", "Requests answered."),
                &["method", "route", "status"],
            )?,
            durations: HistogramVec::new(
                HistogramOpts::new(
                    "nox_http_request_duration_seconds",
                    "From the head of a request to the head of its answer.",
                )
                .buckets(REQUEST_BUCKETS_S.to_vec()),
                &["method", "route"],
            )?,
            packed: Histogram::with_opts(
                HistogramOpts::new(
                    "nox_gateway_packed_commands",
                    "Commands in one message to the scheduler.",
                )
                .buckets(PACK_BUCKETS.to_vec()),
            )?,
            commands: IntCounterVec::new(
                Opts::new("nox_gateway_commands_total", "Commands by what became of them."),
                &["outcome"],
            )?,
            lag_frames: IntGauge::new(
                "nox_gateway_view_lag_frames",
                "Frames by which the read model is behind the log.",
            )?,
            lag_seconds: Gauge::new(
                "nox_gateway_view_lag_seconds",
                "For how long the first frame that the read model lacks has been decided.",
            )?,
            event_viewers: IntGauge::new(
                "nox_gateway_event_viewers",
                "Clients that are told events as they come.",
            )?,
            frames_followed: IntCounter::new(
                "nox_gateway_frames_followed_total",
                "Messages of the log that were read for whoever follows events.",
            )?,
            connections: IntGauge::new("nox_http_connections", "Connections of clients.")?,
            memory_bytes: IntGauge::new(
                "nox_http_memory_bytes",
                "Memory of bodies and answers in hand.",
            )?,
        };
        registry.register(Box::new(metrics.requests.clone()))?;
        registry.register(Box::new(metrics.durations.clone()))?;
        registry.register(Box::new(metrics.packed.clone()))?;
        registry.register(Box::new(metrics.commands.clone()))?;
        registry.register(Box::new(metrics.lag_frames.clone()))?;
        registry.register(Box::new(metrics.lag_seconds.clone()))?;
        registry.register(Box::new(metrics.event_viewers.clone()))?;
        registry.register(Box::new(metrics.frames_followed.clone()))?;
        registry.register(Box::new(metrics.connections.clone()))?;
        registry.register(Box::new(metrics.memory_bytes.clone()))?;
        Ok(metrics)
    }

    /// Counts one answered request. `route` is the matched pattern, never the path itself.
    pub fn answered(&self, method: &str, route: &str, status: u16, took: Duration) {
        self.requests.with_label_values(&[method, route, &status.to_string()]).inc();
        self.durations.with_label_values(&[method, route]).observe(took.as_secs_f64());
    }
}

/// The metrics of jobs, by the names that dashboards were promised.
///
/// What has a fixed set of labels is there from the start, with 0: of a series that appears with its
/// first number, `rate()` never sees that number.
///
/// `submitted` is by module and user, as [`users::NamedUsers`] counts them.
pub fn job_families(
    snapshot: &MetricsSnapshot,
    modules: &[ModuleName],
    submitted: BTreeMap<(&str, &str), u64>,
) -> Vec<MetricFamily> {
    let submitted = submitted
        .into_iter()
        .map(|((module, user), count)| counter(&[("module", module), ("user_id", user)], count));
    let mut running: BTreeMap<_, i64> = modules.iter().map(|module| (module, 0)).collect();
    running.extend(snapshot.running.iter().map(|(module, count)| (module, *count)));
    let running = running.into_iter().map(|(module, count)| {
        let mut gauge = proto::Gauge::default();
        gauge.set_value(count as f64);
        let mut metric = Metric::from_label(labels(&[("module", module.as_str())]));
        metric.set_gauge(gauge);
        metric
    });
    let mut failures: BTreeMap<_, u64> = modules.iter().map(|module| (module, 0)).collect();
    failures.extend(snapshot.failures.iter().map(|(module, count)| (module, *count)));
    let failures =
        failures.into_iter().map(|(module, count)| counter(&[("module", module.as_str())], count));
    let mut violations: BTreeMap<_, u64> =
        ProblemCode::QUOTAS.iter().map(|code| (code.as_str(), 0)).collect();
    violations.extend(snapshot.violations.iter().map(|(code, count)| (code.as_str(), *count)));
    let violations = violations.into_iter().map(|(code, count)| counter(&[("code", code)], count));
    let parked = snapshot
        .parked
        .iter()
        .map(|(reason, count)| counter(&[("reason", reason.as_str())], *count));
    let mut durations: BTreeMap<_, _> =
        modules.iter().map(|module| (module, Durations::none(module.clone()))).collect();
    durations.extend(snapshot.durations.iter().map(|known| (&known.module, known.clone())));
    let durations = durations.into_values().map(|durations| {
        let buckets = DURATION_BOUNDS_S.iter().zip(&durations.buckets).map(|(bound, count)| {
            let mut bucket = proto::Bucket::default();
            bucket.set_upper_bound(*bound);
            bucket.set_cumulative_count(*count);
            bucket
        });
        let mut histogram = proto::Histogram::default();
        histogram.set_bucket(buckets.collect());
        histogram.set_sample_count(durations.count);
        histogram.set_sample_sum(durations.sum_seconds);
        let mut metric = Metric::from_label(labels(&[("module", durations.module.as_str())]));
        metric.set_histogram(histogram);
        metric
    });

    let families = [
        family(
            "nox_job_submitted_total",
            "Jobs submitted.",
            MetricType::COUNTER,
            submitted.collect(),
        ),
        family("nox_job_running", "Attempts that run now.", MetricType::GAUGE, running.collect()),
        family(
            "nox_job_duration_seconds",
            "From the start of a job's newest attempt to its end.",
            MetricType::HISTOGRAM,
            durations.collect(),
        ),
        family(
            "nox_job_failures_total",
            "Jobs that failed for good.",
            MetricType::COUNTER,
            failures.collect(),
        ),
        family(
            "nox_quota_violations_total",
            "Submits refused for a quota, by problem code. Those of one account that are refused \
             alike within a second count once.",
            MetricType::COUNTER,
            violations.collect(),
        ),
        family(
            "nox_projection_parked_total",
            "Entries that the read model could not take in.",
            MetricType::COUNTER,
            parked.collect(),
        ),
    ];
    // An empty family cannot be written.
    families.into_iter().filter(|family| !family.get_metric().is_empty()).collect()
}

fn family(name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}

fn counter(pairs: &[(&str, &str)], count: u64) -> Metric {
    let mut counter = proto::Counter::default();
    counter.set_value(count as f64);
    let mut metric = Metric::from_label(labels(pairs));
    metric.set_counter(counter);
    metric
}

fn labels(pairs: &[(&str, &str)]) -> Vec<LabelPair> {
    let pair = |(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    pairs.iter().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use nox_readmodel::metrics::Submitted;
    use prometheus::TextEncoder;

    use super::{users::NamedUsers, *};

    /// With all users by name.
    fn families(snapshot: &MetricsSnapshot, modules: &[ModuleName]) -> Vec<MetricFamily> {
        let mut users = NamedUsers::new(usize::MAX);
        users.rank(None, &snapshot.submitted);
        job_families(snapshot, modules, users.counted(&snapshot.submitted, |_, _| true))
    }

    const API: &str = include_str!("../../../../docs/API.md");

    #[test]
    fn jobs_are_counted_under_the_promised_names() {
        let module: ModuleName = "xtb_hello".parse().unwrap();
        let submitted = |tenant: &str, count| Submitted {
            tenant: tenant.parse().unwrap(),
            user_id: "a\"b".parse().unwrap(),
            module: module.clone(),
            count,
        };
        let mut buckets = [3; DURATION_BOUNDS_S.len()];
        buckets[0] = 1;
        let snapshot = MetricsSnapshot {
            submitted: vec![submitted("default", 2), submitted("acme", 3)],
            running: vec![(module.clone(), 1)],
            durations: vec![Durations {
                module: module.clone(),
                buckets,
                count: 4,
                sum_seconds: 1.5,
            }],
            failures: vec![(module, 1)],
            violations: vec![("queue_full".to_owned(), 7)],
            parked: Vec::new(),
        };
        let text = TextEncoder::new().encode_to_string(&families(&snapshot, &[])).unwrap();
        for line in [
            "# TYPE nox_job_submitted_total counter",
            r#"nox_job_submitted_total{module="xtb_hello",user_id="a\"b"} 5"#,
            r#"nox_job_running{module="xtb_hello"} 1"#,
            "# TYPE nox_job_duration_seconds histogram",
            r#"nox_job_duration_seconds_bucket{module="xtb_hello",le="0.01"} 1"#,
            r#"nox_job_duration_seconds_bucket{module="xtb_hello",le="+Inf"} 4"#,
            r#"nox_job_duration_seconds_sum{module="xtb_hello"} 1.5"#,
            r#"nox_job_duration_seconds_count{module="xtb_hello"} 4"#,
            r#"nox_job_failures_total{module="xtb_hello"} 1"#,
            r#"nox_quota_violations_total{code="queue_full"} 7"#,
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn what_has_not_happened_yet_is_counted_as_nothing() {
        let text = |snapshot: &MetricsSnapshot, modules: &[ModuleName]| {
            TextEncoder::new().encode_to_string(&families(snapshot, modules)).unwrap()
        };
        let (xtb, noop): (ModuleName, ModuleName) =
            ("xtb".parse().unwrap(), "noop".parse().unwrap());
        let snapshot = MetricsSnapshot { failures: vec![(noop.clone(), 2)], ..Default::default() };
        let text = text(&snapshot, &[noop, xtb]);
        for line in [
            r#"nox_job_running{module="xtb"} 0"#,
            r#"nox_job_failures_total{module="noop"} 2"#,
            r#"nox_job_failures_total{module="xtb"} 0"#,
            r#"nox_job_duration_seconds_bucket{module="noop",le="+Inf"} 0"#,
            r#"nox_job_duration_seconds_count{module="xtb"} 0"#,
            r#"nox_quota_violations_total{code="budget_exhausted"} 0"#,
            r#"nox_quota_violations_total{code="queue_full"} 0"#,
            r#"nox_quota_violations_total{code="request_too_large"} 0"#,
        ] {
            assert_eq!(text.lines().filter(|l| *l == line).count(), 1, "{line} in\n{text}");
        }
    }

    #[test]
    fn every_metric_stands_in_the_description_of_the_api() {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).unwrap();
        metrics.answered("GET", "/jobs", 200, Duration::ZERO);
        metrics.commands.with_label_values(&["accepted"]).inc();
        let module: ModuleName = "noop".parse().unwrap();
        let snapshot = MetricsSnapshot {
            submitted: vec![Submitted {
                tenant: "default".parse().unwrap(),
                user_id: "ada".parse().unwrap(),
                module: module.clone(),
                count: 1,
            }],
            parked: vec![("refused".to_owned(), 1)],
            ..Default::default()
        };
        let families = [registry.gather(), families(&snapshot, &[module])].concat();
        assert_eq!(families.len(), 16);
        for family in families {
            let labels: Vec<_> =
                family.get_metric()[0].get_label().iter().map(LabelPair::name).collect();
            let labels: Vec<_> = labels.iter().map(|name| format!("`{name}`")).collect();
            let row = format!("| `{}` | {} |", family.name(), labels.join(", "));
            let row = row.replace("|  |", "| |");
            assert!(API.lines().any(|line| line.starts_with(&row)), "{row}");
        }
    }
}
