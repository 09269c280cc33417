//! What a body of `POST /jobs` says, checked member by member.

pub mod engine;
mod form;

use std::collections::BTreeSet;

use axum::http::{HeaderMap, StatusCode};
use nox_contract::{
    INPUTS_BYTES_MAX, INPUTS_TEXT_BYTES_MAX, JobId, ModuleName, NoMeaning, ProblemCode, RawJson,
    Resources, Timestamp, UnstorableJson,
    canonical::pointer_token,
    command::{PRIORITY_DEFAULT, PRIORITY_MAX},
};
use serde_json::{Value, value::RawValue};

use self::{
    engine::Moved,
    form::{Form, Meant},
};
use super::kind::Kind;
use crate::{
    object::Object,
    problem::{ApiError, FieldError},
};

/// Most jobs that a job may wait for; each is looked up at submission.
pub const AFTER_MAX: usize = 100;

/// Longest `Idempotency-Key`, in bytes.
const KEY_BYTES_MAX: usize = 255;

/// Most labels that a worker may be required to have, and the longest of them and of a version's name, in bytes.
const LABELS_MAX: usize = 16;
const WORD_BYTES_MAX: usize = 64;

/// Longest place within inputs that is sent back; names in it are the asker's.
const POINTER_CHARS_MAX: usize = 256;

/// The members that a body may have.
const MEMBERS: &str = "module (or engine and kind, or command), module_version, inputs, requested_resources, \
                       worker_labels, priority, run_at, after";

/// A job as its submitter describes it. Whether the module exists and likes the inputs is not
/// known yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRequest {
    pub module: ModuleName,
    /// The present one if absent.
    pub module_version: Option<String>,
    /// Labels that the worker must have, all of them.
    pub worker_labels: BTreeSet<String>,
    /// As they were written.
    pub inputs: RawJson,
    /// What they mean, in the one text for it.
    canonical_inputs: RawJson,
    /// Where the body has what stands elsewhere in the inputs.
    pub moved: Vec<Moved>,
    pub manner: Manner,
    pub resources: AskedResources,
    pub priority: u8,
    pub run_at: Option<Timestamp>,
    /// A set: which of them ends first does not matter.
    pub after: Vec<JobId>,
}

/// How a job was asked for, which its answers follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manner {
    pub kind: Kind,
    /// By the member `command`, whose clients look for 201.
    pub is_command: bool,
}

/// What of the resources was asked for; the module says the rest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AskedResources {
    pub cpu: Option<u32>,
    pub mem_mb: Option<u32>,
    pub wall_time_s: Option<u32>,
    pub gpu: Option<u32>,
}

impl AskedResources {
    pub fn or(self, module: Resources) -> Resources {
        Resources {
            cpu: self.cpu.unwrap_or(module.cpu),
            mem_mb: self.mem_mb.unwrap_or(module.mem_mb),
            wall_time_s: self.wall_time_s.unwrap_or(module.wall_time_s),
            gpu: self.gpu.unwrap_or(module.gpu),
        }
    }
}

impl JobRequest {
    /// Reads one job. All that is wrong with it is named at once.
    pub fn parse(text: &str) -> Result<Self, ApiError> {
        let Object(members) = Object::read(text)?;

        let mut errors = Vec::new();
        let mut form = Form::default();
        let mut request = Self {
            // Replaced below, or the request is refused.
            module: ModuleName::new("none").map_err(ApiError::internal)?,
            module_version: None,
            worker_labels: BTreeSet::new(),
            inputs: RawJson::default(),
            canonical_inputs: RawJson::default(),
            moved: Vec::new(),
            manner: Manner { kind: Kind::Module, is_command: false },
            resources: AskedResources::default(),
            priority: PRIORITY_DEFAULT,
            run_at: None,
            after: Vec::new(),
        };
        for (name, value) in &members {
            if let Some(member) = form.member(name) {
                *member = Some(value);
                continue;
            }
            let outcome = match &**name {
                "module_version" => {
                    word(value).map(|version| request.module_version = Some(version))
                }
                "worker_labels" => labels(value).map(|labels| request.worker_labels = labels),
                "requested_resources" => {
                    resources(value, &mut errors).map(|asked| request.resources = asked)
                }
                "priority" => integer(value, 0, u32::from(PRIORITY_MAX))
                    .map(|priority| request.priority = priority as u8),
                "run_at" => text_of(value)
                    .and_then(|text| text.parse().map_err(|error| format!("{error}")))
                    .map(|at| request.run_at = Some(at)),
                "after" => job_ids(value).map(|after| request.after = after),
                _ => Err(format!("is not known here; a job has {MEMBERS}")),
            };
            if let Err(detail) = outcome {
                let name: String = name.chars().take(64).collect();
                errors.push(FieldError::new(format!("/{}", pointer_token(&name)), detail));
            }
        }
        let is_command = form.is_command();
        let meant = form.read(&mut errors);
        let Some(Meant { module, inputs, moved }) = meant.filter(|_| errors.is_empty()) else {
            // Of a command, the first users look for 400.
            let is_of_command =
                is_command && errors.iter().any(|error| error.pointer == "/command");
            let error = ApiError::invalid(errors);
            return Err(match is_of_command {
                true => error.with_status(StatusCode::BAD_REQUEST),
                false => error,
            });
        };
        let place = if is_command { "/command" } else { "/inputs" };
        let checked = self::inputs(&inputs, place);
        (request.inputs, request.canonical_inputs) = match checked {
            Err(error) if is_command => return Err(error.with_status(StatusCode::BAD_REQUEST)),
            checked => checked?,
        };
        let kind = Kind::of(&module, Some(&request.inputs));
        Ok(Self { module, moved, manner: Manner { kind, is_command }, ..request })
    }

    /// A hash of all that was asked for: tells a repetition from another request under the same
    /// key. What is meant counts and not how it is written. Resources that were left out are the
    /// module's, whatever these are by then, so they differ from all that are named.
    pub fn fingerprint(&self) -> String {
        let mut hasher = blake3::Hasher::new_derive_key("nox 2026-11 fingerprint of a job request");
        let mut add = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_be_bytes());
            hasher.update(bytes);
        };
        add(self.module.as_str().as_bytes());
        add(self.canonical_inputs.get().as_bytes());
        // The present version, whatever it is by then, differs from one that is named.
        add(self.module_version.as_deref().unwrap_or_default().as_bytes());
        add(&(self.worker_labels.len() as u64).to_be_bytes());
        self.worker_labels.iter().for_each(|label| add(label.as_bytes()));
        let AskedResources { cpu, mem_mb, wall_time_s, gpu } = self.resources;
        for asked in [cpu, mem_mb, wall_time_s, gpu] {
            add(asked.map(u32::to_be_bytes).as_ref().map_or(&[], |bytes| bytes.as_slice()));
        }
        add(&[self.priority]);
        let run_at = self.run_at.map(|at| at.as_micros().to_be_bytes());
        add(run_at.as_ref().map_or(&[], |bytes| bytes.as_slice()));
        let mut after = self.after.clone();
        after.sort_unstable();
        for job in after {
            add(job.0.as_bytes());
        }
        format!("b3:{}", hasher.finalize().to_hex())
    }
}

/// The one `Idempotency-Key` of a request, if it has any.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let wrong = |detail: &str| {
        Err(ApiError::new(ProblemCode::InvalidRequest, format!("Idempotency-Key {detail}")))
    };
    let mut keys = headers.get_all("idempotency-key").iter();
    let Some(key) = keys.next() else { return Ok(None) };
    if keys.next().is_some() {
        return wrong("stands there twice");
    }
    // A tab is the one control character that a header may carry.
    let plain = |key: &&str| {
        (1..=KEY_BYTES_MAX).contains(&key.len()) && !key.contains(|c: char| c.is_control())
    };
    match key.to_str().ok().map(str::trim).filter(plain) {
        Some(key) => Ok(Some(key)),
        None => wrong("must be 1 to 255 printable ASCII characters"),
    }
}

/// Checks inputs for size and for what no store keeps; returns them as they are kept, and what they
/// mean. They stand at `place` of the body.
pub fn inputs(text: &str, place: &str) -> Result<(RawJson, RawJson), ApiError> {
    let inputs = RawJson::parse(text.to_owned())
        .map_err(|error| ApiError::new(ProblemCode::MalformedJson, error.to_string()))?;
    let canonical = inputs.canonical().map_err(|error| match error {
        NoMeaning::Twice { ref pointer } => {
            let pointer: String = pointer.chars().take(POINTER_CHARS_MAX).collect();
            ApiError::invalid(vec![FieldError::new(format!("{place}{pointer}"), error.to_string())])
        }
        NoMeaning::Unstorable(UnstorableJson::Expanded) => {
            too_large(inputs.expanded_len().unwrap_or(usize::MAX), place)
        }
        NoMeaning::Unstorable(error) => {
            ApiError::new(ProblemCode::UnstorableJson, format!("{}: {error}", &place[1..]))
                .with_errors(vec![FieldError::new(place, error.to_string())])
        }
    })?;
    // Rows write numbers without exponents, so that is how they count.
    let bytes = canonical.expanded_len().map_err(ApiError::internal)?;
    if bytes > INPUTS_BYTES_MAX {
        return Err(too_large(bytes, place));
    }
    // Zeros count here as well: 0e-1000 has a thousand.
    let written = inputs.expanded_len().map_err(ApiError::internal)?;
    let kept = if written > INPUTS_TEXT_BYTES_MAX { canonical.clone() } else { inputs };
    Ok((kept, canonical))
}

fn too_large(bytes: usize, place: &str) -> ApiError {
    let detail = format!(
        "{} have {bytes} bytes, their numbers without exponents; inline inputs have at most \
         {INPUTS_BYTES_MAX}",
        &place[1..]
    );
    let place = FieldError::new(place, detail.clone());
    ApiError::new(ProblemCode::BodyTooLarge, detail).with_errors(vec![place])
}

fn resources(raw: &RawValue, errors: &mut Vec<FieldError>) -> Result<AskedResources, String> {
    let Object(members) = serde_json::from_str(raw.get())
        .map_err(|_| "must be an object that has each member once".to_owned())?;
    let mut asked = AskedResources::default();
    for (name, value) in &members {
        let outcome = match &**name {
            "cpu" => integer(value, 1, u32::MAX).map(|n| asked.cpu = Some(n)),
            "mem_mb" => integer(value, 1, u32::MAX).map(|n| asked.mem_mb = Some(n)),
            "wall_time_s" => integer(value, 1, u32::MAX).map(|n| asked.wall_time_s = Some(n)),
            "gpu" => integer(value, 0, u32::MAX).map(|n| asked.gpu = Some(n)),
            _ => Err("is not known here; resources are cpu, mem_mb, wall_time_s, gpu".to_owned()),
        };
        if let Err(detail) = outcome {
            let name: String = name.chars().take(64).collect();
            let pointer = format!("/requested_resources/{}", pointer_token(&name));
            errors.push(FieldError::new(pointer, detail));
        }
    }
    Ok(asked)
}

fn text_of(raw: &RawValue) -> Result<String, String> {
    serde_json::from_str(raw.get()).map_err(|_| "must be a string".to_owned())
}

/// A version or a label.
fn word(raw: &RawValue) -> Result<String, String> {
    let plain = |text: &String| {
        (1..=WORD_BYTES_MAX).contains(&text.len()) && !text.contains(char::is_control)
    };
    let rule =
        || format!("must be a string of 1 to {WORD_BYTES_MAX} bytes, without control characters");
    text_of(raw).ok().filter(plain).ok_or_else(rule)
}

fn labels(raw: &RawValue) -> Result<BTreeSet<String>, String> {
    let rule = || format!("must be an array of at most {LABELS_MAX} labels");
    let items: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(|_| rule())?;
    if items.len() > LABELS_MAX {
        return Err(rule());
    }
    items.into_iter().map(word).collect()
}

/// Reads a whole number, however it is written: 1.0 and 1e0 are 1.
fn integer(raw: &RawValue, min: u32, max: u32) -> Result<u32, String> {
    serde_json::from_str::<RawJson>(raw.get())
        .ok()
        .and_then(|raw| whole_number(raw.canonical().ok()?.get()))
        .filter(|number| (min..=max).contains(number))
        .ok_or_else(|| format!("must be a whole number from {min} to {max}"))
}

/// A number as its canonical text has it, which is the shorter of two: 100, but 1e3.
fn whole_number(canonical: &str) -> Option<u32> {
    let (digits, zeros) = canonical.split_once('e').unwrap_or((canonical, "0"));
    let power = 10_u32.checked_pow(zeros.parse().ok()?)?;
    digits.parse::<u32>().ok()?.checked_mul(power)
}

fn job_ids(raw: &RawValue) -> Result<Vec<JobId>, String> {
    let rule = || format!("must be an array of at most {AFTER_MAX} different job ids");
    let Ok(Value::Array(items)) = serde_json::from_str(raw.get()) else { return Err(rule()) };
    if items.len() > AFTER_MAX {
        return Err(rule());
    }
    let mut ids = Vec::with_capacity(items.len());
    for item in &items {
        let id: JobId = item.as_str().and_then(|text| text.parse().ok()).ok_or_else(rule)?;
        if ids.contains(&id) {
            return Err(rule());
        }
        ids.push(id);
    }
    Ok(ids)
}

#[cfg(test)]
mod tests;
