//! The texts of uploads that a job's inputs refer to.

use std::collections::BTreeMap;

use nox_contract::{RawJson, StartWork, upload};
use nox_store::{
    Artifacts,
    references::{self, Reference},
    uploads::{TextError, Uploader},
};

use crate::failure::Failure;

/// The inputs of `start` with these texts in the place of the references to them, each compared with its
/// hash. The gateway has looked at them before; they may have gone since, or been changed.
pub async fn resolve(artifacts: &Artifacts, start: &StartWork) -> Result<RawJson, Failure> {
    let wrong = |pointer: &str, reason: &dyn std::fmt::Display| {
        Failure::input_invalid(format!("the upload at {pointer} of the inputs: {reason}"))
    };
    let found = references::of(&start.inputs).map_err(|error| wrong(&error.pointer, &error))?;
    if found.is_empty() {
        return Ok(start.inputs.clone());
    }
    let uploads = artifacts.uploads();
    let uploader = Uploader { tenant: &start.tenant, user: &start.user_id };
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    let mut room = upload::INPUT_BYTES_MAX;
    for Reference { pointer, sha256, .. } in found {
        // It stands there once more.
        if let Some(text) = texts.get(&sha256) {
            let left = room.checked_sub(text.len() as u64);
            room = left.ok_or_else(|| wrong(&pointer, &TextError::TooLarge(room)))?;
            continue;
        }
        let text = uploads.text(uploader, &sha256, room).await.map_err(|error| match error {
            // Another machine, or this one later, may have it.
            TextError::Store(error) => {
                tracing::warn!(job.id = %start.job_id, error = error.details(), "Cannot read an upload");
                Failure::artifacts(format!("cannot read an upload: {error}"))
            }
            error => wrong(&pointer, &error),
        })?;
        room -= text.len() as u64;
        texts.insert(sha256, text);
    }
    references::replaced(&start.inputs, &texts).map_err(|error| wrong(&error.pointer, &error))
}
