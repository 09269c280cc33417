//! What a body of `POST /jobs` says, checked member by member.

pub mod engine;
mod form;

use std::collections::{BTreeMap, BTreeSet};

use nox_contract::{
    Concurrency, JobId, ModuleName, ProblemCode, RawJson,
    canonical::pointer_token,
    command::PRIORITY_MAX,
    concurrency::{CONCURRENCY_LIMIT_MAX, check_concurrency_key},
    metadata::{LABELS_MAX, check_label_name, check_label_value, check_release_id},
};
use serde_json::{Value, value::RawValue};

use self::form::{Form, Meant};
use super::kind::Kind;
use crate::{
    object::Object,
    problem::{ApiError, FieldError, Moved},
    use_cases::job_request::{self, AskedResources, JobRequest},
};

/// Most jobs that a job may wait for; each is looked up at submission.
pub const AFTER_MAX: usize = 100;

/// Most labels that a worker may be required to have, and the longest of them and of a version's name, in bytes.
const WORKER_LABELS_MAX: usize = 16;
const WORD_BYTES_MAX: usize = 64;

/// The members that a body may have.
const MEMBERS: &str = "module (or engine and kind, or command), module_version, inputs, requested_resources, \
                       worker_labels, priority, run_at, after, labels, release_id, concurrency, draft";

/// How a job was asked for, which its answers follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manner {
    pub kind: Kind,
    /// By the member `command`, whose clients look for 201.
    pub is_command: bool,
    /// It is kept as a draft.
    pub is_draft: bool,
}

/// A job as a body asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub job: JobRequest,
    /// Where the body has what stands elsewhere in the inputs.
    pub moved: Vec<Moved>,
    pub manner: Manner,
}

impl Asked {
    /// Reads one job. All that is wrong with it is named at once.
    pub fn parse(text: &str) -> Result<Self, ApiError> {
        let Object(members) = Object::read(text)?;

        let mut errors = Vec::new();
        let mut form = Form::default();
        // The module is replaced below, or the request is refused.
        let none = ModuleName::new("none").map_err(ApiError::internal)?;
        let mut request = JobRequest::new(none, RawJson::default(), RawJson::default());
        for (name, value) in &members {
            if let Some(member) = form.member(name) {
                *member = Some(value);
                continue;
            }
            let outcome = match &**name {
                "module_version" => {
                    word(value).map(|version| request.module_version = Some(version))
                }
                "worker_labels" => {
                    worker_labels(value).map(|labels| request.worker_labels = labels)
                }
                "requested_resources" => {
                    resources(value, &mut errors).map(|asked| request.resources = asked)
                }
                "priority" => integer(value, 0, u32::from(PRIORITY_MAX))
                    .map(|priority| request.priority = priority as u8),
                "run_at" => text_of(value)
                    .and_then(|text| text.parse().map_err(|error| format!("{error}")))
                    .map(|at| request.run_at = Some(at)),
                "after" => job_ids(value).map(|after| request.after = after),
                "labels" => labels(value, &mut errors).map(|of| request.metadata.labels = of),
                "release_id" => checked(value, check_release_id)
                    .map(|of| request.metadata.release_id = Some(of)),
                "concurrency" => {
                    concurrency(value, &mut errors).map(|of| request.concurrency = Some(of))
                }
                "draft" => serde_json::from_str(value.get())
                    .map_err(|_| "must be true or false".to_owned())
                    .map(|draft| request.draft = draft),
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
                true => error.with_code(ProblemCode::InvalidCommand),
                false => error,
            });
        };
        let place = if is_command { "/command" } else { "/inputs" };
        let checked = job_request::inputs(&inputs, place);
        (request.inputs, request.canonical_inputs) = match checked {
            Err(error) if is_command => return Err(error.with_code(ProblemCode::InvalidCommand)),
            checked => checked?,
        };
        let kind = Kind::of(&module, Some(&request.inputs));
        Ok(Self {
            manner: Manner { kind, is_command, is_draft: request.draft },
            job: JobRequest { module, ..request },
            moved,
        })
    }
}

pub fn resources(raw: &RawValue, errors: &mut Vec<FieldError>) -> Result<AskedResources, String> {
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

/// The labels that a job is found by.
pub fn labels(
    raw: &RawValue,
    errors: &mut Vec<FieldError>,
) -> Result<BTreeMap<String, String>, String> {
    let rule = || format!("must be an object of at most {LABELS_MAX} texts, each name once");
    let Object(members) = serde_json::from_str(raw.get()).map_err(|_| rule())?;
    if members.len() > LABELS_MAX {
        return Err(rule());
    }
    let mut labels = BTreeMap::new();
    for (name, value) in &members {
        let label = check_label_name(name)
            .map_err(|rule| format!("its name {rule}"))
            .and_then(|()| checked(value, check_label_value));
        match label {
            Ok(value) => {
                labels.insert(name.to_string(), value);
            }
            Err(detail) => {
                let name: String = name.chars().take(64).collect();
                errors.push(FieldError::new(format!("/labels/{}", pointer_token(&name)), detail));
            }
        }
    }
    Ok(labels)
}

fn concurrency(raw: &RawValue, errors: &mut Vec<FieldError>) -> Result<Concurrency, String> {
    let Object(members) = serde_json::from_str(raw.get())
        .map_err(|_| "must be an object that has each member once".to_owned())?;
    let (mut key, mut limit) = (None, 1);
    for (name, value) in &members {
        let outcome = match &**name {
            "key" => checked(value, check_concurrency_key).map(|text| key = Some(text)),
            "limit" => integer(value, 1, CONCURRENCY_LIMIT_MAX).map(|most| limit = most),
            _ => Err("is not known here; there are key and limit".to_owned()),
        };
        if let Err(detail) = outcome {
            let name: String = name.chars().take(64).collect();
            let pointer = format!("/concurrency/{}", pointer_token(&name));
            errors.push(FieldError::new(pointer, detail));
        }
    }
    let named = members.iter().any(|(name, _)| &**name == "key");
    match key {
        Some(key) => Ok(Concurrency { key, limit }),
        // Said above.
        None if named => Ok(Concurrency { key: String::new(), limit }),
        None => Err("must have a key".to_owned()),
    }
}

/// A text that keeps to a rule.
fn checked(raw: &RawValue, rule: impl Fn(&str) -> Result<(), String>) -> Result<String, String> {
    let text = text_of(raw)?;
    rule(&text)?;
    Ok(text)
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

fn worker_labels(raw: &RawValue) -> Result<BTreeSet<String>, String> {
    let rule = || format!("must be an array of at most {WORKER_LABELS_MAX} labels");
    let items: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(|_| rule())?;
    if items.len() > WORKER_LABELS_MAX {
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
