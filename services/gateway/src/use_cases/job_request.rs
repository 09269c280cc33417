//! A job as its submitter describes it.

use std::collections::BTreeSet;

use nox_contract::{
    Concurrency, INPUTS_BYTES_MAX, INPUTS_TEXT_BYTES_MAX, JobId, Metadata, ModuleName, NoMeaning,
    ProblemCode, RawJson, Resources, Timestamp, UnstorableJson, command::PRIORITY_DEFAULT,
};

use crate::problem::{ApiError, FieldError};

/// Longest place within inputs that is sent back; names in it are the asker's.
pub const POINTER_CHARS_MAX: usize = 256;

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
    pub canonical_inputs: RawJson,
    pub resources: AskedResources,
    pub priority: u8,
    pub run_at: Option<Timestamp>,
    /// A set: which of them ends first does not matter.
    pub after: Vec<JobId>,
    /// What it is found by.
    pub metadata: Metadata,
    /// How many of its key run at a time.
    pub concurrency: Option<Concurrency>,
    /// It is kept, and not to run before it is submitted.
    pub draft: bool,
    /// Of how many jobs that are submitted all or none it is one.
    pub together: Option<usize>,
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
    /// A job of a module of which nothing else is said.
    pub fn new(module: ModuleName, inputs: RawJson, canonical_inputs: RawJson) -> Self {
        Self {
            module,
            module_version: None,
            worker_labels: BTreeSet::new(),
            inputs,
            canonical_inputs,
            resources: AskedResources::default(),
            priority: PRIORITY_DEFAULT,
            run_at: None,
            after: Vec::new(),
            metadata: Metadata::default(),
            concurrency: None,
            draft: false,
            together: None,
        }
    }

    /// A hash of all that was asked for: tells a repetition from another request under the same
    /// key. What is meant counts and not how it is written; a member that has its default counts as one that
    /// is left out. Resources that are left out are `left_out`: those of the module when the job was made. The
    /// present version of the module, whatever it is by then, differs from one that is named.
    pub fn fingerprint(&self, left_out: Resources) -> String {
        let mut hasher = blake3::Hasher::new_derive_key("nox 2026-11 fingerprint of a job request");
        let mut add = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_be_bytes());
            hasher.update(bytes);
        };
        add(self.module.as_str().as_bytes());
        add(self.canonical_inputs.get().as_bytes());
        add(self.module_version.as_deref().unwrap_or_default().as_bytes());
        add(&(self.worker_labels.len() as u64).to_be_bytes());
        self.worker_labels.iter().for_each(|label| add(label.as_bytes()));
        let Resources { cpu, mem_mb, wall_time_s, gpu } = self.resources.or(left_out);
        for asked in [cpu, mem_mb, wall_time_s, gpu] {
            add(&asked.to_be_bytes());
        }
        add(&[self.priority]);
        let run_at = self.run_at.map(|at| at.as_micros().to_be_bytes());
        add(run_at.as_ref().map_or(&[], |bytes| bytes.as_slice()));
        let mut after = self.after.clone();
        after.sort_unstable();
        add(&(after.len() as u64).to_be_bytes());
        for job in after {
            add(job.0.as_bytes());
        }
        let Metadata { labels, release_id, retry_of } = &self.metadata;
        add(&(labels.len() as u64).to_be_bytes());
        for (name, value) in labels {
            add(name.as_bytes());
            add(value.as_bytes());
        }
        // Neither is empty where it is there.
        add(release_id.as_deref().unwrap_or_default().as_bytes());
        add(retry_of.as_ref().map_or(&[], |job| job.0.as_bytes().as_slice()));
        let key = self.concurrency.as_ref();
        add(key.map_or(&[], |of| of.key.as_bytes()));
        add(&key.map_or(0, |of| of.limit).to_be_bytes());
        add(&[u8::from(self.draft)]);
        add(&(self.together.unwrap_or_default() as u64).to_be_bytes());
        format!("b3:{}", hasher.finalize().to_hex())
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
