//! A job is looked over before anybody decides of it.

use nox_contract::{JobId, JobState, ProblemCode, Resources};

use super::{find::find, job_request::JobRequest};
use crate::{
    app::App,
    identity::{auth::Caller, command_roles},
    problem::{ApiError, FieldError},
};

/// What a job needs beyond what its request says.
pub struct Wanted {
    /// Of its module.
    pub version: String,
    pub resources: Resources,
    /// The jobs that still have to succeed first.
    pub after: Vec<JobId>,
}

/// Looks over what `submitter` is to submit, whoever asks for it: what it refers to has to be the submitter's.
///
/// # Errors
/// Its module is not there or does not like its inputs, an upload or a job that it names is not there, or nothing is
/// taken in at this moment.
pub async fn look_over(
    app: &App,
    submitter: &Caller,
    request: &JobRequest,
) -> Result<Wanted, ApiError> {
    app.admission.check()?;
    let module = app.modules.get(&request.module).await;
    let module = module.map_err(|error| command_roles::explained(error, &request.module))?;
    let version = module.version(request.module_version.as_deref())?;
    let clock = &app.runtime.clock;
    // The schema judges the texts that the program will get.
    match Box::pin(app.uploads.resolve(submitter, &request.inputs, clock)).await? {
        Some(resolved) => version.check(&resolved),
        None => version.check(&request.inputs),
    }?;
    let resources = request.resources.or(version.resources);
    let after = match &*request.after {
        [] => Vec::new(),
        after => Box::pin(unmet(app, submitter, after)).await?,
    };
    Ok(Wanted { version: version.name.clone(), resources, after })
}

/// The jobs that still have to succeed. All have to be the asker's to see, else `after` would tell
/// which ids exist; those that have succeeded are left out, since the scheduler forgets them. What a
/// refusal was caused by is seen by whoever has waited for all commands, see `submit`.
pub async fn unmet(app: &App, caller: &Caller, after: &[JobId]) -> Result<Vec<JobId>, ApiError> {
    let mut unmet = Vec::new();
    for (place, id) in after.iter().enumerate() {
        match find(app, caller, *id, None).await {
            Ok(row) if row.status == JobState::Succeeded => {}
            Ok(row) if row.status.is_ended() => {
                return Err(after_error(place, "has ended without success"));
            }
            Ok(_) => unmet.push(*id),
            Err(error) if error.code() == ProblemCode::JobNotFound => {
                return Err(after_error(place, "is no job that you may see"));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(unmet)
}

fn after_error(place: usize, detail: &str) -> ApiError {
    ApiError::invalid(vec![FieldError::new(format!("/after/{place}"), detail)])
}
