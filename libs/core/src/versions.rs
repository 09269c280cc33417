//! The versions of a module that workers declared. The same fold for decisions and for rows.

use nox_contract::Manifest;
use serde::{Deserialize, Serialize};

/// Most versions that are remembered beside the present one: those that were present last. Jobs of a
/// forgotten one run on workers that still serve it, by the retry policy of the present one.
pub const OTHERS_MAX: usize = 15;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// What jobs get that name no version.
    pub present: Manifest,
    /// The others, in the order in which they were present last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Manifest>,
}

impl Versions {
    pub fn new(present: Manifest) -> Self {
        Self { present, others: Vec::new() }
    }

    /// Makes a version the present one, be it new or not.
    pub fn declare(&mut self, manifest: Manifest) {
        let before = std::mem::replace(&mut self.present, manifest);
        self.others.push(before);
        self.others.retain(|other| other.version != self.present.version);
        if self.others.len() > OTHERS_MAX {
            self.others.remove(0);
        }
    }

    /// The manifest of a version.
    pub fn get(&self, version: &str) -> Option<&Manifest> {
        self.iter().find(|manifest| manifest.version == version)
    }

    /// The present one first, then the others from the newest on.
    pub fn iter(&self) -> impl Iterator<Item = &Manifest> {
        std::iter::once(&self.present).chain(self.others.iter().rev())
    }
}

#[cfg(test)]
mod tests {
    use nox_contract::{RawJson, Resources, RetryPolicy};

    use super::*;

    fn manifest(version: usize) -> Manifest {
        Manifest {
            name: "xtb".parse().unwrap(),
            version: version.to_string(),
            title: String::new(),
            input_schema: RawJson::default(),
            output_schema: RawJson::default(),
            resources: Resources { cpu: 1, mem_mb: 1, wall_time_s: 1, gpu: 0 },
            retry: RetryPolicy::default(),
            running_max: None,
            starts_per_minute: None,
        }
    }

    #[test]
    fn a_version_is_there_once_and_the_oldest_of_too_many_is_forgotten() {
        let mut versions = Versions::new(manifest(0));
        for version in [1, 2, 1, 1, 0, 3] {
            versions.declare(manifest(version));
            assert_eq!(versions.present.version, version.to_string());
        }
        let all: Vec<_> = versions.iter().map(|manifest| manifest.version.as_str()).collect();
        assert_eq!(all, ["3", "0", "1", "2"]);
        for version in 4..100 {
            versions.declare(manifest(version));
        }
        assert_eq!(versions.iter().count(), 1 + OTHERS_MAX);
        assert!(versions.get("99").is_some() && versions.get("84").is_some());
        assert!(versions.get("83").is_none());
    }
}
