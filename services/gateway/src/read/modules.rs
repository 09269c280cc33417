//! The modules as submits need them: resources, and a compiled schema for inputs.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Context;
use nox_contract::{Manifest, ModuleName, ProblemCode, RawJson, Resources};
use nox_readmodel::{At, ModuleRow, QueryError, Reader, Versions};
use nox_schema::Schema;
use nox_service::Clock;

use crate::{
    problem::{ApiError, FieldError},
    read::{
        barrier::{Barrier, Sources},
        required::Required,
        shared::Shared,
    },
};

/// How long a module is taken to be as it was read last. It changes when a worker declares another
/// version, and the worker's own check of the inputs is the last word.
const FRESH: Duration = Duration::from_secs(1);

/// Most modules kept in memory; names come from requests, but only those that exist are kept.
const MODULES_MAX: usize = 10_000;

/// Modules by name, read when needed.
pub struct Modules {
    reader: Reader,
    barrier: Arc<Barrier>,
    clock: Clock,
    known: Mutex<HashMap<ModuleName, Known>>,
    all: Shared<Result<All, Arc<QueryError>>>,
}

/// Every module, as one read for all who asked before it.
type All = At<Arc<Vec<ModuleRow>>>;

#[derive(Clone)]
struct Known {
    module: Arc<Module>,
    /// On the monotonic clock.
    read_at: Duration,
}

/// A module, with its versions.
pub struct Module {
    /// The present one first.
    versions: Vec<Arc<Version>>,
}

/// A version of a module, ready to judge inputs.
pub struct Version {
    pub name: String,
    pub resources: Resources,
    /// The schema as it was compiled, to tell whether it has changed.
    source: RawJson,
    inputs: Result<Schema, String>,
}

impl Modules {
    pub fn new(reader: Reader, barrier: Arc<Barrier>, clock: Clock) -> Self {
        let all = Shared::new({
            let reader = reader.clone();
            move || {
                let reader = reader.clone();
                async move { Ok(reader.modules().await.map_err(Arc::new)?.map(Arc::new)) }
            }
        });
        Self { reader, barrier, clock, known: Mutex::new(HashMap::new()), all }
    }

    /// All modules. Anybody may ask, so many who do at the same time cost the database one read.
    pub async fn all(&self) -> anyhow::Result<All> {
        let all = self.all.get().await.context("nobody reads the modules any more")?;
        Ok(all?)
    }

    /// The module called `name`. It is unknown only after everything that was acknowledged before
    /// is folded in.
    pub async fn get(&self, name: &ModuleName) -> Result<Arc<Module>, ApiError> {
        let now = self.clock.monotonic();
        let known = match self.known().get_mut(name) {
            Some(known) if now.saturating_sub(known.read_at) < FRESH => {
                return Ok(known.module.clone());
            }
            // This request reads it again; the others go on by what is known.
            Some(known) => {
                known.read_at = now;
                Some(known.module.clone())
            }
            None => None,
        };
        Box::pin(self.read(name, known, now)).await
    }

    /// It has changed: whoever asks next reads it again.
    pub fn forget(&self, name: &ModuleName) {
        if let Some(known) = self.known().get_mut(name) {
            known.read_at = Duration::ZERO;
        }
    }

    async fn read(
        &self,
        name: &ModuleName,
        known: Option<Arc<Module>>,
        now: Duration,
    ) -> Result<Arc<Module>, ApiError> {
        let read = || self.reader.module(name);
        let found = self.barrier.find(Required::default(), Sources::CommandsAndReports, read).await;
        let row = match (found, known) {
            (Ok(found), _) => found.value,
            // Without a database, submits go on by what is known.
            (Err(error), Some(module)) => {
                tracing::warn!(code = %error.code(), module = %name, "Module not read again");
                return Ok(module);
            }
            (Err(error), None) => return Err(error),
        };
        let Some(row) = row else {
            let detail =
                format!("no worker ever declared the module {name}, and nobody registered it");
            let place = FieldError::new("/module", detail.clone());
            return Err(ApiError::new(ProblemCode::UnknownModule, detail).with_errors(vec![place]));
        };
        Ok(self.learn(name, &row.versions, now))
    }

    /// Compiles what is not known yet of the versions.
    fn learn(&self, name: &ModuleName, versions: &Versions, now: Duration) -> Arc<Module> {
        let before = self.known().get(name).map(|known| known.module.clone());
        let versions = versions.iter().map(|manifest| {
            let same = before.iter().flat_map(|module| &module.versions).find(|version| {
                version.name == manifest.version
                    && version.source == manifest.input_schema
                    && version.resources == manifest.resources
            });
            same.cloned().unwrap_or_else(|| Arc::new(Version::compile(manifest)))
        });
        let module = Arc::new(Module { versions: versions.collect() });
        let mut known = self.known();
        if known.len() < MODULES_MAX || known.contains_key(name) {
            known.insert(name.clone(), Known { module: module.clone(), read_at: now });
        }
        module
    }

    /// What is in there stays whole if a holder panics: each change is one insertion.
    fn known(&self) -> MutexGuard<'_, HashMap<ModuleName, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Module {
    /// The version called `name`, or the present one.
    pub fn version(&self, name: Option<&str>) -> Result<&Version, ApiError> {
        let found = self.versions.iter().find(|of| name.is_none_or(|name| of.name == name));
        found.map(|version| &**version).ok_or_else(|| {
            let names: Vec<_> = self.versions.iter().map(|of| of.name.as_str()).collect();
            let detail = format!("the module has no such version; it has {}", names.join(", "));
            let place = FieldError::new("/module_version", detail.clone());
            ApiError::new(ProblemCode::UnknownModule, detail).with_errors(vec![place])
        })
    }
}

impl Version {
    fn compile(manifest: &Manifest) -> Self {
        let inputs = Schema::compile(&manifest.input_schema);
        if let Err(error) = &inputs {
            tracing::error!(module = %manifest.name, error, "A module's input schema is unusable");
        }
        Self {
            name: manifest.version.clone(),
            resources: manifest.resources,
            source: manifest.input_schema.clone(),
            inputs,
        }
    }

    /// Checks inputs against the module's schema, and molecules by what they mean.
    pub fn check(&self, inputs: &RawJson) -> Result<(), ApiError> {
        let schema = self.inputs.as_ref().map_err(|error| {
            let detail = "the module's own input schema cannot be used";
            ApiError::new(ProblemCode::Unavailable, format!("{detail}: {error}"))
        })?;
        let Err(wrong) = schema.prepare(inputs) else { return Ok(()) };
        let errors = wrong.into_iter().map(|invalid| {
            let pointer = format!("/inputs{}", invalid.pointer);
            FieldError {
                place: invalid.place.map(Into::into),
                ..FieldError::new(pointer, invalid.detail)
            }
        });
        let detail = "the module's input schema refuses the inputs";
        Err(ApiError::new(ProblemCode::InvalidInputs, detail).with_errors(errors.collect()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn module(schema: Value) -> Version {
        let manifest = Manifest {
            name: "test".parse().unwrap(),
            version: "1".to_owned(),
            title: String::new(),
            input_schema: RawJson::of(&schema).unwrap(),
            output_schema: RawJson::of(&true).unwrap(),
            resources: Resources { cpu: 1, mem_mb: 1, wall_time_s: 1, gpu: 0 },
            retry: nox_contract::RetryPolicy::default(),
            running_max: None,
            starts_per_minute: None,
        };
        Version::compile(&manifest)
    }

    fn refused(module: &Version, inputs: Value) -> (ProblemCode, Vec<String>) {
        let error = module.check(&RawJson::of(&inputs).unwrap()).unwrap_err();
        let document = error.shown();
        let pointers = document["errors"].as_array().cloned().unwrap_or_default();
        let pointers = pointers.iter().map(|e| e["pointer"].as_str().unwrap().to_owned());
        (error.code(), pointers.collect())
    }

    #[test]
    fn inputs_are_refused_by_their_place() {
        let module = module(json!({
            "type": "object",
            "properties": {
                "text": {"type": "string", "maxLength": 5},
                "atoms": {"type": "array", "items": {"type": "integer"}},
            },
            "required": ["text"],
            "additionalProperties": false,
        }));
        assert!(module.check(&RawJson::of(&json!({"text": "hello"})).unwrap()).is_ok());
        let invalid = |pointers: &[&str]| {
            let pointers = pointers.iter().map(|pointer| (*pointer).to_owned());
            (ProblemCode::InvalidInputs, pointers.collect())
        };
        assert_eq!(refused(&module, json!({"text": 5})), invalid(&["/inputs/text"]));
        assert_eq!(refused(&module, json!({})), invalid(&["/inputs"]));
        assert_eq!(refused(&module, json!(null)), invalid(&["/inputs"]));
        let inputs = json!({"text": "a", "atoms": [1, "x", 2, []]});
        assert_eq!(refused(&module, inputs), invalid(&["/inputs/atoms/1", "/inputs/atoms/3"]));
    }

    #[test]
    fn a_schema_reaches_nothing_outside_itself() {
        let remote = module(json!({"$ref": "http://127.0.0.1:1/schema.json"}));
        assert_eq!(refused(&remote, json!({})).0, ProblemCode::Unavailable);
        let file = module(json!({"$ref": "file:///etc/passwd"}));
        assert_eq!(refused(&file, json!({})).0, ProblemCode::Unavailable);
        let local = module(json!({"$defs": {"n": {"type": "number"}}, "$ref": "#/$defs/n"}));
        assert!(local.check(&RawJson::of(&7).unwrap()).is_ok());
    }

    #[test]
    fn numbers_that_no_double_holds_are_inputs_like_others() {
        let integers = module(json!({"type": "integer"}));
        for (inputs, valid) in [
            ("18446744073709551616", true),
            ("1e400", true),
            ("0.1000000000000000055", false),
            ("9007199254740993.5", false),
        ] {
            let inputs = RawJson::parse(inputs.to_owned()).unwrap();
            assert_eq!(integers.check(&inputs).is_ok(), valid, "{inputs:?}");
        }
    }

    #[test]
    fn a_molecule_is_refused_by_line_and_column() {
        let module = module(json!({
            "properties": {"xyz": {"type": "string", "format": "xyz"}, "charge": {"type": "integer"}},
            "x-nox-molecule": {"xyz": "xyz", "charge": "charge"},
        }));
        let error = |inputs: Value| {
            let error = module.check(&RawJson::of(&inputs).unwrap()).unwrap_err();
            assert_eq!(error.code(), ProblemCode::InvalidInputs);
            error.shown()["errors"][0].clone()
        };
        let comma = error(json!({"xyz": "2\n\nH 0 0 0\nCl 0 0 1,275\n"}));
        assert_eq!(
            comma,
            json!({
                "pointer": "/inputs/xyz",
                "detail": "line 4, column 8: `1,275` has a decimal comma: write 1.275",
                "line": 4,
                "column": 8,
            })
        );
        let charge = error(json!({"xyz": "1\n\nH 0 0 0\n", "charge": 100}));
        assert_eq!(charge["pointer"], "/inputs/charge");
        assert!(charge["detail"].as_str().unwrap().contains("none are left"), "{charge}");
    }

    #[test]
    fn patterns_take_linear_time() {
        let module = module(json!({"type": "string", "pattern": "^(a+)+$"}));
        let inputs = json!(format!("{}b", "a".repeat(10_000)));
        assert_eq!(refused(&module, inputs).0, ProblemCode::InvalidInputs);
    }
}
