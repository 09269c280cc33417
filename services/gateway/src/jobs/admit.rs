//! How a job is admitted: looked over here, decided by the scheduler.

use nox_contract::{Command, EventNumber, JobId, JobState, Outcome, ProblemCode, Refusal, Submit};
use nox_service::ids;

use super::{
    find::{find, row},
    request::JobRequest,
    submit::Admitted,
};
use crate::{
    app::App,
    auth::Caller,
    commands::{Delivery, Undelivered, Until},
    problem::{ApiError, FieldError},
};

/// A job that was looked over.
pub enum Prepared {
    /// The key has been used for this very request.
    Known(Admitted),
    New(Box<Submit>),
}

/// Looks a job over: whether its module takes it, and whether it is here already.
pub async fn prepare(
    app: &App,
    caller: &Caller,
    request: &JobRequest,
    key: Option<&str>,
    traceparent: Option<&str>,
) -> Result<Prepared, ApiError> {
    app.admission.check()?;
    let module = app.modules.get(&request.module).await?;
    module.check(&request.inputs)?;
    let submit = Submit {
        job_id: match key {
            Some(key) => ids::keyed_job_id(&caller.tenant, &caller.user, key),
            None => ids::job_id(),
        },
        user_id: caller.user.clone(),
        role: caller.role().to_owned(),
        module: request.module.clone(),
        inputs: request.inputs.clone(),
        requested_resources: request.resources.or(module.resources),
        priority: request.priority,
        run_at: request.run_at,
        after: unmet(app, caller, request).await?,
        fingerprint: key.map(|_| request.fingerprint()),
        seen: app.barrier.seen(),
        pending: false,
        traceparent: traceparent.map(str::to_owned),
    };
    stamp(app, caller, submit, Stamp::First).await
}

/// Has the scheduler decide a job, once more if the stamp was too old; twice in a row it can't be.
pub async fn decide(app: &App, caller: &Caller, prepared: Prepared) -> Result<Admitted, ApiError> {
    let mut submit = match prepared {
        Prepared::Known(admitted) => return Ok(admitted),
        Prepared::New(submit) => submit,
    };
    match ask(app, caller, &mut submit).await? {
        Asked::Admitted(admitted) => return Ok(admitted),
        Asked::Refused(refusal) if refusal.code == ProblemCode::StaleStamp => {}
        Asked::Refused(refusal) => return Err(refusal.into()),
    }
    let mut submit = match stamp(app, caller, *submit, Stamp::Again).await? {
        Prepared::Known(admitted) => return Ok(admitted),
        Prepared::New(submit) => submit,
    };
    match ask(app, caller, &mut submit).await? {
        Asked::Admitted(admitted) => Ok(admitted),
        Asked::Refused(refusal) => Err(refusal.into()),
    }
}

#[derive(PartialEq)]
enum Stamp {
    First,
    Again,
}

/// Stamps a submit with a place in the log up to which its id was not used.
///
/// An id that was just made was never used. One that comes from a key is looked up, and the stamp
/// makes that safe without waiting for the projection: the scheduler itself knows every id of the
/// last quarter of an hour and refuses stamps from before. Only then the projection is waited for.
async fn stamp(
    app: &App,
    caller: &Caller,
    mut submit: Submit,
    stamp: Stamp,
) -> Result<Prepared, ApiError> {
    let keyed = submit.fingerprint.is_some();
    if !keyed && stamp == Stamp::First && submit.seen > EventNumber(0) {
        return Ok(Prepared::New(Box::new(submit)));
    }
    let at = match stamp {
        Stamp::First => app.barrier.now().await?,
        Stamp::Again => app.barrier.commands().await?,
    };
    submit.seen = at.n;
    if !keyed {
        return Ok(Prepared::New(Box::new(submit)));
    }
    let Some(row) = row(app, &caller.tenant, submit.job_id).await? else {
        return Ok(Prepared::New(Box::new(submit)));
    };
    // The id comes from tenant, user and key, so the row is the asker's own.
    if row.fingerprint != submit.fingerprint {
        let detail = "the key was used for another request";
        return Err(ApiError::new(ProblemCode::IdempotencyConflict, detail));
    }
    Ok(Prepared::Known(Admitted::decided(row.id, row.submitted_n, true)))
}

enum Asked {
    Admitted(Admitted),
    Refused(Refusal),
}

async fn ask(app: &App, caller: &Caller, submit: &mut Submit) -> Result<Asked, ApiError> {
    let job_id = submit.job_id;
    match send(app, caller, submit, Until::Answered).await? {
        Delivery::Answered(Outcome::Accepted(accepted)) => {
            app.barrier.saw(accepted.n);
            let admitted = Admitted::decided(job_id, accepted.n, accepted.repeated);
            return Ok(Asked::Admitted(admitted));
        }
        Delivery::Answered(Outcome::Refused(refusal)) => {
            return Ok(Asked::Refused(refusal));
        }
        Delivery::Published => {}
    }
    // The asker is told that the job is pending, so from here on a refusal has to become a job
    // that can be looked up.
    submit.pending = true;
    send(app, caller, submit, Until::Published).await?;
    Ok(Asked::Admitted(Admitted::pending(job_id)))
}

async fn send(
    app: &App,
    caller: &Caller,
    submit: &Submit,
    until: Until,
) -> Result<Delivery, Undelivered> {
    let command = Command::Submit(Box::new(submit.clone()));
    app.commands.send(&caller.tenant, &command, until).await
}

/// The jobs that still have to succeed. All have to be the asker's to see, else `after` would tell
/// which ids exist; those that have succeeded are left out, since the scheduler forgets them.
async fn unmet(app: &App, caller: &Caller, request: &JobRequest) -> Result<Vec<JobId>, ApiError> {
    let mut unmet = Vec::new();
    for (place, id) in request.after.iter().enumerate() {
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
