//! Versions of a module that admins registered: each is what it was registered as, for good.

use std::collections::BTreeMap;

use nox_contract::{RawJson, RegisteredModule, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::state::State;

/// Most modules of which versions are registered.
pub const MODULES_MAX: usize = 200;
/// Most versions of a module that may ever be registered: of those that are kept no more a hash is remembered, so that
/// none comes back as another one.
pub const VERSIONS_MAX: usize = 1_000;
/// Most bytes of all manifests that are kept: snapshots have them, and every executor that begins is told of them.
pub const BYTES_MAX: usize = 8 * 1024 * 1024;

/// All versions of a module that were ever registered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registrations(BTreeMap<String, Registration>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// Counts all registrations of the log, from 1.
    pub number: u64,
    pub by: UserId,
    pub at: Timestamp,
    /// BLAKE3 of the manifest.
    pub hash: String,
    /// The whole manifest, as long as the version is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<RawJson>,
}

impl Registration {
    /// What [`Self::hash`] is of this manifest.
    pub fn hash_of(source: &RawJson) -> String {
        blake3::hash(source.get().as_bytes()).to_hex().to_string()
    }
}

impl Registrations {
    pub fn get(&self, version: &str) -> Option<&Registration> {
        self.0.get(version)
    }

    /// How many there ever were.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those whose manifests are kept, with their versions.
    pub fn kept(&self) -> impl Iterator<Item = (&str, &Registration, &RawJson)> {
        self.0.iter().filter_map(|(version, of)| Some((&**version, of, of.source.as_ref()?)))
    }

    pub(crate) fn insert(&mut self, version: &str, registration: Registration) {
        self.0.insert(version.to_owned(), registration);
    }

    /// Keeps the manifests of those versions alone of which `is_kept` says so.
    pub(crate) fn keep(&mut self, is_kept: impl Fn(&str) -> bool) {
        for (version, registration) in &mut self.0 {
            if !is_kept(version) {
                registration.source = None;
            }
        }
    }
}

impl State {
    /// The registrations above this number that are kept, in their order: what workers that take registered modules have
    /// to be told.
    pub fn registered_above(&self, number: u64) -> Vec<RegisteredModule> {
        let kept = self.modules.values().flat_map(|module| {
            module.registrations.kept().filter(|(_, of, _)| of.number > number).filter_map(
                |(version, of, source)| {
                    let manifest = module.versions.get(version)?.clone();
                    Some(RegisteredModule { number: of.number, manifest, source: source.clone() })
                },
            )
        });
        let mut kept: Vec<_> = kept.collect();
        kept.sort_by_key(|module| module.number);
        kept
    }
}
