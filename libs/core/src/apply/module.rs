//! Facts of a module.

use nox_contract::{Entry, Fact, Manifest, ModuleName};

use super::{ApplyError, misplaced};
use crate::{
    pace::Pace,
    registrations::{Registration, Registrations},
    state::{Module, State},
    versions::Versions,
};

impl State {
    pub(super) fn apply_module(
        &mut self,
        entry: &Entry,
        name: &ModuleName,
    ) -> Result<(), ApplyError> {
        let n = self.n;
        for fact in entry.known_facts() {
            match fact {
                Fact::ModuleDeclared { manifest, enabled } => {
                    self.declare(name, manifest, *enabled);
                }
                Fact::ModuleRegistered { manifest, source, enabled, by } => {
                    self.declare(name, manifest, *enabled);
                    self.registrations += 1;
                    let registration = Registration {
                        number: self.registrations,
                        by: by.clone(),
                        at: self.at,
                        hash: Registration::hash_of(source),
                        source: Some(source.clone()),
                    };
                    if let Some(module) = self.modules.get_mut(name) {
                        module.registrations.insert(&manifest.version, registration);
                    }
                }
                Fact::ModuleSwitched { enabled, .. } => {
                    let missing = ApplyError::Missing { n, fact: fact.name(), what: "module" };
                    self.modules.get_mut(name).ok_or(missing)?.enabled = *enabled;
                }
                other => return Err(misplaced(n, other, "a module")),
            }
        }
        Ok(())
    }

    /// Makes a version of a module the present one.
    fn declare(&mut self, name: &ModuleName, manifest: &Manifest, enabled: bool) {
        match self.modules.get_mut(name) {
            Some(module) => {
                module.versions.declare(manifest.clone());
                module.enabled = enabled;
                let versions = &module.versions;
                module.registrations.keep(|version| versions.get(version).is_some());
            }
            None => {
                let versions = Versions::new(manifest.clone());
                let module = Module {
                    versions,
                    registrations: Registrations::default(),
                    enabled,
                    running: 0,
                    pace: Pace::default(),
                };
                self.modules.insert(name.clone(), module);
            }
        }
    }
}
