//! The metrics of jobs: folded with the rows, read as plain numbers.

use nox_contract::{ModuleName, ProblemCode, TenantId, Timestamp, UserId};
use serde_json::json;

use crate::rows::Parked;

/// Upper bounds of the duration histogram, in seconds; the last bucket has none. From a no-op to a
/// calculation of a day.
pub const DURATION_BOUNDS_S: [f64; 14] = [
    0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0, 43_200.0, 86_400.0,
];

pub(crate) const SUBMITTED: &str = "nox_job_submitted_total";
pub(crate) const RUNNING: &str = "nox_job_running";
pub(crate) const DURATION_BUCKET: &str = "nox_job_duration_seconds_bucket";
pub(crate) const DURATION_MICROS: &str = "nox_job_duration_seconds_sum";
pub(crate) const FAILURES: &str = "nox_job_failures_total";
pub(crate) const VIOLATIONS: &str = "nox_quota_violations_total";
pub(crate) const PARKED: &str = "nox_projection_parked_total";

/// One stored number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MetricKey {
    Submitted {
        tenant: TenantId,
        user_id: UserId,
        module: ModuleName,
    },
    Running {
        module: ModuleName,
    },
    /// Jobs whose duration falls into this bucket and into none before it.
    DurationBucket {
        module: ModuleName,
        bucket: usize,
    },
    /// Sum of all durations in microseconds: an integer, so that no order of adding changes it.
    DurationMicros {
        module: ModuleName,
    },
    Failures {
        module: ModuleName,
    },
    Violations {
        code: ProblemCode,
    },
    /// Entries that rows could not take in.
    Parked {
        reason: Parked,
    },
}

impl MetricKey {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Submitted { .. } => SUBMITTED,
            Self::Running { .. } => RUNNING,
            Self::DurationBucket { .. } => DURATION_BUCKET,
            Self::DurationMicros { .. } => DURATION_MICROS,
            Self::Failures { .. } => FAILURES,
            Self::Violations { .. } => VIOLATIONS,
            Self::Parked { .. } => PARKED,
        }
    }

    pub(crate) fn labels(&self) -> serde_json::Value {
        match self {
            Self::Submitted { tenant, user_id, module } => {
                json!({"tenant": tenant, "user_id": user_id, "module": module})
            }
            Self::DurationBucket { module, bucket } => json!({"module": module, "bucket": bucket}),
            Self::Running { module }
            | Self::DurationMicros { module }
            | Self::Failures { module } => json!({"module": module}),
            Self::Violations { code } => json!({"code": code}),
            Self::Parked { reason } => json!({"reason": reason.as_str()}),
        }
    }
}

/// Which bucket a job from `started_at` to `ended_at` falls into, and its duration in microseconds.
pub(crate) fn duration(started_at: Timestamp, ended_at: Timestamp) -> (usize, i64) {
    let duration = ended_at.since(started_at);
    let seconds = duration.as_secs_f64();
    let bucket = DURATION_BOUNDS_S.partition_point(|bound| *bound < seconds);
    (bucket, i64::try_from(duration.as_micros()).unwrap_or(i64::MAX))
}

/// All metrics of jobs at one place in the log.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MetricsSnapshot {
    /// `nox_job_submitted_total`: jobs submitted, by who and what.
    pub submitted: Vec<Submitted>,
    /// `nox_job_running`: attempts that run now, by module.
    pub running: Vec<(ModuleName, i64)>,
    /// `nox_job_duration_seconds`: from the newest attempt's start to the end, of jobs that
    /// succeeded or failed.
    pub durations: Vec<Durations>,
    /// `nox_job_failures_total`: jobs that failed for good, by module.
    pub failures: Vec<(ModuleName, u64)>,
    /// `nox_quota_violations_total`: recorded refusals, by problem code.
    pub violations: Vec<(String, u64)>,
    /// `nox_projection_parked_total`: entries that rows could not take in, by reason. An alarm.
    pub parked: Vec<(String, u64)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submitted {
    pub tenant: TenantId,
    pub user_id: UserId,
    pub module: ModuleName,
    pub count: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Durations {
    pub module: ModuleName,
    /// Jobs that took at most [`DURATION_BOUNDS_S`]; each counts all before it in.
    pub buckets: [u64; DURATION_BOUNDS_S.len()],
    /// All jobs.
    pub count: u64,
    pub sum_seconds: f64,
}

impl Durations {
    /// Of a module of which no job has ended yet.
    pub fn none(module: ModuleName) -> Self {
        Self { module, buckets: [0; DURATION_BOUNDS_S.len()], count: 0, sum_seconds: 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_duration_falls_into_the_first_bucket_that_is_not_too_small() {
        let of = |millis| {
            let start = Timestamp::from_micros(1_000_000);
            duration(start, start + Duration::from_millis(millis))
        };
        assert_eq!(of(0), (0, 0));
        assert_eq!(of(10), (0, 10_000), "a bound belongs to its bucket");
        assert_eq!(of(11), (1, 11_000));
        assert_eq!(of(86_400_000).0, DURATION_BOUNDS_S.len() - 1);
        assert_eq!(of(86_400_001).0, DURATION_BOUNDS_S.len(), "the last has no bound");
    }
}
