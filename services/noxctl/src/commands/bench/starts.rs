//! When attempts started: at the handler's first instruction, as the executor's log says.
//!
//! The event is written at level `trace`, and only a measurement asks for it. Its time is the machine's
//! wall clock, which the client reads just before its call, too.

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::{Result, ensure};
use fs_err as fs;
use nox_contract::{JobId, Timestamp};
use serde::Deserialize;

/// What the executor is told to log.
pub const FILTER: &str = "warn,nox_executor::builtin=trace";

/// The event's words.
const STARTS: &str = "Attempt starts";

#[derive(Deserialize)]
struct Line<'a> {
    timestamp: Timestamp,
    message: &'a str,
    #[serde(rename = "job.id")]
    job_id: JobId,
}

/// From each call to the start of its job.
///
/// # Errors
/// A job's start is not in the executor's log.
pub fn waits(calls: &[(JobId, Timestamp)], log: &Path) -> Result<Vec<Duration>> {
    let text = fs::read_to_string(log)?;
    let starts: BTreeMap<JobId, Timestamp> = text.lines().filter_map(start).collect();
    let known =
        calls.iter().filter_map(|(job, called_at)| Some(starts.get(job)?.since(*called_at)));
    let waits: Vec<_> = known.collect();
    ensure!(waits.len() == calls.len(), "{} starts of {} jobs", waits.len(), calls.len());
    Ok(waits)
}

fn start(line: &str) -> Option<(JobId, Timestamp)> {
    let line: Line<'_> = serde_json::from_str(line).ok()?;
    (line.message == STARTS).then_some((line.job_id, line.timestamp))
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: &str = "01890000-0000-7000-8000-000000000001";

    #[test]
    fn a_start_is_found_by_its_job_and_others_are_missed() {
        let log = tempfile::NamedTempFile::new().unwrap();
        let line = format!(
            r#"{{"timestamp":"2026-01-01T00:00:00.001500Z","level":"TRACE","message":"{STARTS}","job.id":"{JOB}"}}"#
        );
        fs::write(log.path(), format!("not JSON\n{line}\n")).unwrap();
        let called_at: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let job: JobId = JOB.parse().unwrap();
        let waits_of = |calls: &[_]| waits(calls, log.path());
        assert_eq!(waits_of(&[(job, called_at)]).unwrap(), [Duration::from_micros(1_500)]);
        let other: JobId = JOB.replace("01890", "01891").parse().unwrap();
        assert!(waits_of(&[(other, called_at)]).is_err());
    }
}
