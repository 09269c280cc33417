//! The outputs of an attempt as facts and rows have them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use nox_contract::{
    RawJson, StartWork,
    artifact::{self, Artifact},
};
use serde::Serialize;

use crate::{
    artifacts,
    results::{Scalars, series::Series},
};

/// What was found and kept.
#[derive(Debug)]
pub struct Outputs {
    pub wall: Duration,
    pub log_bytes_lost: u64,
    pub scalars: Scalars,
    pub series: BTreeMap<String, Series>,
    pub kept: Vec<Artifact>,
    /// Whether a pattern stood for something that is not kept.
    pub skipped: bool,
}

/// The outputs themselves could not be written or stored.
const UNSTORABLE: &str = "unstorable_outputs";

/// Not all of what was printed is in the log; `metrics.log_bytes_lost` says how much is missing.
const LOG_INCOMPLETE: &str = "log_incomplete";

#[derive(Serialize)]
struct Json<'o> {
    files: Vec<String>,
    metrics: Measured,
    scalars: &'o BTreeMap<String, RawJson>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    series: &'o BTreeMap<String, Series>,
    artifacts: &'o [Artifact],
    /// What had to be replaced or left out, and what is missing.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    flags: &'o BTreeSet<&'static str>,
}

#[derive(Serialize)]
struct Measured {
    duration_s: f64,
    #[serde(skip_serializing_if = "is_none")]
    log_bytes_lost: u64,
}

impl Outputs {
    /// Writes the outputs of `start`. Whatever a program wrote, Postgres can store the result.
    pub fn to_json(&self, start: &StartWork) -> RawJson {
        let mut flags = self.scalars.flags.clone();
        flags.extend((self.log_bytes_lost > 0).then_some(LOG_INCOMPLETE));
        flags.extend(self.skipped.then_some(artifacts::SKIPPED));
        let uri = |file: &Artifact| artifact::uri(&start.user_id, start.job_id, &file.name);
        let json = Json {
            files: self.kept.iter().map(uri).collect(),
            metrics: Measured { log_bytes_lost: self.log_bytes_lost, ..measured(self.wall) },
            scalars: &self.scalars.values,
            series: &self.series,
            artifacts: &self.kept,
            flags: &flags,
        };
        RawJson::of(&json).ok().filter(|json| json.check_storable().is_ok()).unwrap_or_else(|| {
            // Each part was checked where it was read; together their numbers may have too many digits.
            tracing::warn!(job.id = %start.job_id, "Outputs that cannot be stored are left out");
            empty(self.wall, &[UNSTORABLE])
        })
    }
}

/// Outputs without files and scalars.
pub fn empty(wall: Duration, flags: &[&'static str]) -> RawJson {
    let json = Json {
        files: Vec::new(),
        metrics: measured(wall),
        scalars: &BTreeMap::new(),
        series: &BTreeMap::new(),
        artifacts: &[],
        flags: &flags.iter().copied().collect(),
    };
    RawJson::of(&json).unwrap_or_default()
}

fn measured(wall: Duration) -> Measured {
    // Microseconds are more than a process start is exact to.
    Measured { duration_s: wall.as_micros() as f64 / 1e6, log_bytes_lost: 0 }
}

fn is_none(bytes: &u64) -> bool {
    *bytes == 0
}
