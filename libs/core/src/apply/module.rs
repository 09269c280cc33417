//! Facts of a module.

use nox_contract::{Entry, Fact, ModuleName};

use super::{ApplyError, misplaced};
use crate::state::{Module, State};

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
                    let running = self.modules.get(name).map_or(0, |module| module.running);
                    let module =
                        Module { manifest: (**manifest).clone(), enabled: *enabled, running };
                    self.modules.insert(name.clone(), module);
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
}
