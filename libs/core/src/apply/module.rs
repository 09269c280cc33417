//! Facts of a module.

use nox_contract::{Entry, Fact, Manifest, ModuleName};

use super::{ApplyError, misplaced};
use crate::{
    pace::Pace,
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
            }
            None => {
                let versions = Versions::new(manifest.clone());
                self.modules.insert(
                    name.clone(),
                    Module { versions, enabled, running: 0, pace: Pace::default() },
                );
            }
        }
    }
}
