//! What the executor does by itself: nothing, so that everything around it can be measured.

use std::time::Duration;

use nox_contract::{AttemptEnd, JobId, RawJson};
use serde::Deserialize;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use nox_schema::Exact;

use crate::{failure::Failure, outputs};

/// How the nothing is to be done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Noop {
    pub sleep_ms: u64,
    pub fail: Option<Fail>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fail {
    Error,
    Crash,
}

impl Noop {
    /// Begins an attempt of `job`: its first instruction says so in the log, for whoever measures how long
    /// a job takes to get here.
    pub fn begin(job: JobId, inputs: &RawJson) -> Result<Self, Failure> {
        tracing::trace!(job.id = %job, "Attempt starts");
        Self::read(inputs)
    }

    pub fn read(inputs: &RawJson) -> Result<Self, Failure> {
        // Most inputs in a measurement.
        if inputs.get() == "{}" {
            return Ok(Self::default());
        }
        // Through the form in which 1e2 is a whole number.
        Exact::read(inputs)
            .and_then(|inputs| serde_json::from_str(&inputs.to_string()))
            .map_err(|error| Failure::input_invalid(error.to_string()))
    }

    /// Whether it takes no time, and so needs no task.
    pub fn is_instant(self) -> bool {
        self.sleep_ms == 0
    }

    /// How it ends after `ran_for`.
    pub fn end(self, ran_for: Duration) -> AttemptEnd {
        match self.fail {
            None => AttemptEnd::Succeeded { outputs: outputs::empty(ran_for, &[]) },
            Some(fail) => Failure::on_request(fail == Fail::Crash).into(),
        }
    }

    /// Takes its time, up to `wall_time_s` and unless it is stopped.
    pub async fn run(self, wall_time_s: u32, stop: &CancellationToken) -> Result<(), Failure> {
        tokio::select! {
            () = sleep(Duration::from_millis(self.sleep_ms)) => Ok(()),
            () = sleep(Duration::from_secs(u64::from(wall_time_s))) => {
                Err(Failure::wall_time(wall_time_s))
            }
            () = stop.cancelled() => Err(Failure::killed()),
        }
    }
}
