//! Modules: declared by workers, switched by admins.

use nox_contract::{Entity, Fact, Manifest, ProblemCode, Refusal, SetModule};

use super::{Decision, Draft};
use crate::state::State;

pub(super) fn switch(state: &State, set: &SetModule) -> Decision {
    let Some(module) = state.modules.get(&set.module) else {
        return Decision::refused(Refusal::new(
            ProblemCode::UnknownModule,
            format!("there is no module {}", set.module),
        ));
    };
    if module.enabled == set.enabled {
        return Decision::unchanged(state.n);
    }
    let fact = Fact::ModuleSwitched { enabled: set.enabled, by: set.by.clone() };
    Decision::of(Entity::Module(set.module.clone()), vec![fact]).accepted(None, None)
}

/// The draft for a manifest that the log does not know in this form yet, or for one that is to be the present
/// one again, since nobody serves that any more. A new module is enabled, a changed one stays as it was
/// switched.
pub(super) fn declare(state: &State, manifest: &Manifest) -> Option<Draft> {
    let known = state.modules.get(&manifest.name);
    if let Some(module) = known
        && let present = &module.versions.present.version
        && module.versions.get(&manifest.version) == Some(manifest)
        && (*present == manifest.version || state.workers.serve_version(&manifest.name, present))
    {
        return None;
    }
    let fact = Fact::ModuleDeclared {
        manifest: Box::new(manifest.clone()),
        enabled: known.is_none_or(|module| module.enabled),
    };
    Some(Draft { entity: Entity::Module(manifest.name.clone()), facts: vec![fact] })
}
