//! The outputs of an attempt as facts and rows have them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use nox_contract::{RawJson, StartWork, artifact};
use serde::Serialize;

use crate::{artifacts::Artifact, results::Scalars};

/// What was found and kept.
#[derive(Debug)]
pub struct Outputs {
    pub wall: Duration,
    pub scalars: Scalars,
    pub kept: Vec<Artifact>,
}

/// The outputs themselves could not be written or stored.
const UNSTORABLE: &str = "unstorable_outputs";

#[derive(Serialize)]
struct Json<'o> {
    files: Vec<String>,
    metrics: Measured,
    scalars: &'o BTreeMap<String, RawJson>,
    artifacts: &'o [Artifact],
    /// What had to be replaced or left out.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    flags: &'o BTreeSet<&'static str>,
}

#[derive(Serialize)]
struct Measured {
    duration_s: f64,
}

impl Outputs {
    /// Writes the outputs of `start`. Whatever a program wrote, Postgres can store the result.
    pub fn to_json(&self, start: &StartWork) -> RawJson {
        let uri = |file: &Artifact| artifact::uri(&start.user_id, start.job_id, &file.name);
        let json = Json {
            files: self.kept.iter().map(uri).collect(),
            metrics: measured(self.wall),
            scalars: &self.scalars.values,
            artifacts: &self.kept,
            flags: &self.scalars.flags,
        };
        RawJson::of(&json).ok().filter(|json| json.check_storable().is_ok()).unwrap_or_else(|| {
            // Each part was checked where it was read, so this is a mistake of ours.
            tracing::error!(job.id = %start.job_id, "Outputs that cannot be stored are left out");
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
        artifacts: &[],
        flags: &flags.iter().copied().collect(),
    };
    RawJson::of(&json).unwrap_or_default()
}

fn measured(wall: Duration) -> Measured {
    // Microseconds are more than a process start is exact to.
    Measured { duration_s: wall.as_micros() as f64 / 1e6 }
}
