//! Modules: declared by workers, registered and switched by admins.

use nox_contract::{
    Entity, Fact, Manifest, ProblemCode, REGISTERED_BYTES_MAX, Refusal, RegisterModule, SetModule,
    fact::ServedModule,
};

use super::{Decision, Draft, Rules};
use crate::{
    registrations::{BYTES_MAX, MODULES_MAX, Registration, VERSIONS_MAX},
    state::{Module, State},
};

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

/// A version of a module becomes the present one, and stays what it is for good.
pub(super) fn register(state: &State, rules: &Rules, register: &RegisterModule) -> Decision {
    let refused = |code, detail: String| Decision::refused(Refusal::new(code, detail));
    let RegisterModule { manifest, source, by } = register;
    let Manifest { name, version, title, input_schema, output_schema, .. } = manifest;
    let texts = [input_schema.get(), output_schema.get(), title];
    let declared = texts.iter().map(|text| text.len()).sum::<usize>();
    if source.get().len().max(declared) > REGISTERED_BYTES_MAX {
        let detail = format!("a registered manifest has at most {REGISTERED_BYTES_MAX} bytes");
        return refused(ProblemCode::BodyTooLarge, detail);
    }
    // How many were registered is not known, and executors are told by their numbers.
    if state.parking.has_modules() {
        let detail = "modules are parked: none is registered before the newer version leads again";
        return refused(ProblemCode::Parked, detail.to_owned());
    }
    let known = state.modules.get(name);
    let registered = known.and_then(|module| module.registrations.get(version));
    let another = match (registered, known.and_then(|module| module.versions.get(version))) {
        (Some(registered), _) => registered.hash != Registration::hash_of(source),
        (None, Some(declared)) => declared != manifest,
        (None, None) => false,
    };
    if another && !rules.faults.registered_versions_change {
        let detail = format!("there is a version {version} of {name} with another manifest");
        return refused(ProblemCode::VersionConflict, detail);
    }
    if !another && registered.is_some_and(|of| of.source.is_some()) {
        return Decision::unchanged(state.n);
    }
    if let Some(detail) = too_many(state, known, register) {
        return refused(ProblemCode::TooMany, detail);
    }
    let fact = Fact::ModuleRegistered {
        manifest: Box::new(manifest.clone()),
        source: source.clone(),
        enabled: known.is_none_or(|module| module.enabled),
        by: by.clone(),
    };
    Decision::of(Entity::Module(name.clone()), vec![fact]).accepted(None, None)
}

/// Why there would be too many registrations with this one, of which `known` is the module.
fn too_many(state: &State, known: Option<&Module>, register: &RegisterModule) -> Option<String> {
    let of_module = known.map_or(0, |module| module.registrations.len());
    if of_module >= VERSIONS_MAX {
        return Some(format!("{of_module} versions of it were registered, which is the most"));
    }
    let registered = state.modules.values().filter(|module| !module.registrations.is_empty());
    let names = registered.clone().count();
    if of_module == 0 && names >= MODULES_MAX {
        return Some(format!("{names} modules are registered, which is the most"));
    }
    let kept = registered.flat_map(|module| module.registrations.kept());
    let bytes: usize = kept.map(|(_, _, source)| source.get().len()).sum();
    (bytes + register.source.get().len() > BYTES_MAX).then(|| {
        format!("registered manifests have {bytes} bytes together; {BYTES_MAX} are the most")
    })
}

/// The draft for a manifest that the log does not know in this form yet, or for one that is to be the present
/// one again, since nobody serves that any more. A new module is enabled, a changed one stays as it was
/// switched. What an admin registered is no worker's to change, nor to take the place of with what is known.
pub(super) fn declare(state: &State, rules: &Rules, manifest: &Manifest) -> Option<Draft> {
    if state.parking.module(&manifest.name).is_some() {
        return None;
    }
    let known = state.modules.get(&manifest.name);
    if let Some(module) = known {
        let (present, registrations) = (&module.versions.present.version, &module.registrations);
        let is_registered = |version: &str| {
            registrations.get(version).is_some() && !rules.faults.registered_versions_change
        };
        let stays = *present == manifest.version
            || is_registered(present)
            || state.workers.serve_version(&manifest.name, present);
        let is_known = module.versions.get(&manifest.version) == Some(manifest);
        if is_registered(&manifest.version) || (is_known && stays) {
            return None;
        }
    }
    let fact = Fact::ModuleDeclared {
        manifest: Box::new(manifest.clone()),
        enabled: known.is_none_or(|module| module.enabled),
    };
    Some(Draft { entity: Entity::Module(manifest.name.clone()), facts: vec![fact] })
}

/// What a worker that declares these serves: not what bears the name and version of something that was registered
/// and is something else.
pub(super) fn served(state: &State, rules: &Rules, declared: &[Manifest]) -> Vec<ServedModule> {
    let is_it = |manifest: &&Manifest| {
        let Some(module) = state.modules.get(&manifest.name) else { return true };
        let version = &manifest.version;
        rules.faults.registered_versions_change
            || module.registrations.get(version).is_none()
            || module.versions.get(version).is_none_or(|registered| registered == *manifest)
    };
    let served = |m: &Manifest| ServedModule { name: m.name.clone(), version: m.version.clone() };
    declared.iter().filter(is_it).map(served).collect()
}
