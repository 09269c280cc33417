//! How a job is admitted: looked over here, decided by the scheduler.

use nox_contract::{Accepted, FrameNumber, JobId, Outcome, ProblemCode, Refusal, Submit};
use nox_readmodel::{JobRow, Progress};
use nox_service::ids;

use super::{
    concurrently::concurrently,
    job_request::JobRequest,
    look_over::{look_over, unmet},
};
use crate::{
    app::App,
    commands::{
        Delivery, Undelivered, Until,
        batch::Kept,
        undecided::{Standing, Unknown, standing},
    },
    identity::auth::Caller,
    problem::ApiError,
    read::required::Required,
};

/// How often others may ask from a later place before one gives up.
const COMPARE_TRIES: u32 = 5;

/// A job that will be decided, or was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    pub job_id: JobId,
    /// A reader that names this number sees the job; absent while nobody has decided.
    pub n: Option<FrameNumber>,
    /// Whether an earlier request with the same key was answered so.
    pub replayed: bool,
}

impl Admitted {
    pub fn decided(job_id: JobId, n: FrameNumber, replayed: bool) -> Self {
        Self { job_id, n: Some(n), replayed }
    }

    pub fn pending(job_id: JobId) -> Self {
        Self { job_id, n: None, replayed: false }
    }
}

/// A job that was looked over.
pub enum Prepared {
    /// The key has been used for this very request.
    Known(Admitted),
    New(Box<Submit>),
}

/// An idempotency key, for this very request.
pub struct Keyed<'r> {
    job_id: JobId,
    of: Repeated<'r>,
}

/// What a job under a key has to be of, to be that of this request.
enum Repeated<'r> {
    /// Of this request: what that leaves out is what the job has.
    Request(&'r JobRequest),
    /// Of a submit with this fingerprint; `None` for a job without a key, whose id is its own request's.
    Submit(Option<String>),
}

impl Repeated<'_> {
    fn is_of(&self, row: &JobRow) -> bool {
        match self {
            Self::Request(request) => {
                row.fingerprint == Some(request.fingerprint(row.requested_resources))
            }
            Self::Submit(fingerprint) => row.fingerprint == *fingerprint,
        }
    }
}

impl<'r> Keyed<'r> {
    /// The jobs of a bulk share its key, each with its own place in it. The line break keeps them
    /// apart from every key that a client can send.
    pub fn new(caller: &Caller, key: &str, place: Option<usize>, request: &'r JobRequest) -> Self {
        let placed = place.map(|place| format!("{key}\n{place}"));
        let key = placed.as_deref().unwrap_or(key);
        Self {
            job_id: ids::keyed_job_id(&caller.tenant, &caller.user, key),
            of: Repeated::Request(request),
        }
    }

    pub(super) fn of_submit(submit: &Submit) -> Self {
        Self { job_id: submit.job_id, of: Repeated::Submit(submit.fingerprint.clone()) }
    }
}

/// Looks a job over: whether it is here already, and if not, whether its module takes it.
///
/// The key comes next after the asker's rights: a repeated request is answered as it was the first time, whatever has become
/// of the module, of the jobs it follows and of the room for more.
pub async fn prepare(
    app: &App,
    caller: &Caller,
    request: &JobRequest,
    keyed: Option<Keyed<'_>>,
    traceparent: Option<&str>,
) -> Result<Prepared, ApiError> {
    // Before the key: who may not run commands is told so whatever else is known.
    app.command_roles.check(caller, &request.module)?;
    let seen = match &keyed {
        Some(keyed) => match Box::pin(stamp(app, caller, keyed, Stamp::First)).await? {
            Stamped::Known(admitted) => return Ok(Prepared::Known(admitted)),
            Stamped::New(at) => at.n,
        },
        // Its id is made now, so any place in the log that there was lately will do.
        None => app.log_end.recent().await?,
    };
    let wanted = match look_over(app, caller, request).await {
        Ok(wanted) => wanted,
        Err(error) => return Box::pin(repeated(app, caller, keyed.as_ref(), error)).await,
    };
    let (job_id, fingerprint) = match keyed {
        Some(Keyed { job_id, .. }) => (job_id, Some(request.fingerprint(wanted.resources))),
        None => (ids::job_id(), None),
    };
    Ok(Prepared::New(Box::new(Submit {
        job_id,
        user_id: caller.user.clone(),
        role: caller.role().to_owned(),
        module: request.module.clone(),
        module_version: Some(wanted.version),
        worker_labels: request.worker_labels.clone(),
        inputs: request.inputs.clone(),
        requested_resources: wanted.resources,
        priority: request.priority,
        run_at: request.run_at,
        after: wanted.after,
        fingerprint,
        seen,
        pending: false,
        task: None,
        metadata: request.metadata.clone().boxed(),
        concurrency: request.concurrency.clone().map(Box::new),
        draft: request.draft,
        traceparent: traceparent.map(str::to_owned),
    })))
}

/// What to answer to a request that would be refused for `error`: the view may have been behind the
/// first request with its key, so it is looked at once more when it is not.
async fn repeated(
    app: &App,
    caller: &Caller,
    keyed: Option<&Keyed<'_>>,
    error: ApiError,
) -> Result<Prepared, ApiError> {
    let Some(keyed) = keyed else { return Err(error) };
    match stamp(app, caller, keyed, Stamp::Again).await {
        Ok(Stamped::Known(admitted)) => Ok(Prepared::Known(admitted)),
        Err(conflict) if conflict.code() == ProblemCode::IdempotencyConflict => Err(conflict),
        Ok(Stamped::New(_)) | Err(_) => Err(error),
    }
}

/// Has the scheduler decide a job.
pub async fn decide(app: &App, caller: &Caller, submit: Submit) -> Result<Admitted, ApiError> {
    let delivery = send(app, caller, &submit, Until::Answered).await?;
    settle(app, caller, submit, delivery).await
}

/// Has the scheduler decide jobs, which travel together; says of each what became of it.
pub async fn decide_all(
    app: &App,
    caller: &Caller,
    submits: Vec<Submit>,
) -> Vec<Result<Admitted, ApiError>> {
    let kept: Vec<_> = submits.iter().map(Kept::Submit).collect();
    let deliveries = app.commands.send_all(&caller.tenant, &kept, Until::Answered).await;
    let sent = submits.into_iter().zip(deliveries);
    concurrently(sent.map(async |(submit, delivery)| settle(app, caller, submit, delivery?).await))
        .await
}

async fn settle(
    app: &App,
    caller: &Caller,
    submit: Submit,
    delivery: Delivery,
) -> Result<Admitted, ApiError> {
    match delivery {
        Delivery::Answered(Outcome::Accepted(accepted)) => {
            Ok(admitted(app, submit.job_id, &accepted))
        }
        delivery => Box::pin(go_on(app, caller, submit, delivery)).await,
    }
}

/// Goes on with a job that was not admitted at once: asks once more if the stamp was too old; twice in
/// a row it can't be.
async fn go_on(
    app: &App,
    caller: &Caller,
    mut submit: Submit,
    delivery: Delivery,
) -> Result<Admitted, ApiError> {
    match conclude(app, caller, &mut submit, delivery).await? {
        Asked::Admitted(admitted) => return Ok(admitted),
        Asked::Refused(refusal) if refusal.code == ProblemCode::StaleStamp => {}
        Asked::Refused(refusal) => return Err(refusal.into()),
    }
    // Without a key as well: a copy of the submit may have been decided, and its answer lost.
    let keyed = Keyed::of_submit(&submit);
    submit.seen = match stamp(app, caller, &keyed, Stamp::Again).await? {
        Stamped::Known(admitted) => return Ok(admitted),
        Stamped::New(at) => at.n,
    };
    // Or what it is to follow has ended meanwhile, and the scheduler has forgotten how.
    submit.after = unmet(app, caller, &submit.after).await?;
    let delivery = send(app, caller, &submit, Until::Answered).await?;
    match conclude(app, caller, &mut submit, delivery).await? {
        Asked::Admitted(admitted) => Ok(admitted),
        Asked::Refused(refusal) => Err(refusal.into()),
    }
}

pub(super) enum Stamp {
    First,
    Again,
}

/// What a look at a key's job shows.
pub(super) enum Stamped {
    /// The key has been used for this very request.
    Known(Admitted),
    /// The key was not used up to this place in the log, and by none of the inputs up to there.
    New(Progress),
}

/// Finds a place in the log up to which a key was not used.
///
/// The job is looked up, and the stamp makes that safe without waiting for the projection: the
/// scheduler itself knows every such id of the last quarter of an hour and refuses stamps from before. Only
/// then the projection is waited for.
pub(super) async fn stamp(
    app: &App,
    caller: &Caller,
    keyed: &Keyed<'_>,
    stamp: Stamp,
) -> Result<Stamped, ApiError> {
    let required = match stamp {
        Stamp::First => Required::default(),
        Stamp::Again => app.barrier.all_commands().await?,
    };
    // The stamp is of the very snapshot that does not have the job.
    let read = || app.named_jobs.get(&caller.tenant, keyed.job_id);
    let at = app.barrier.read(&required, read).await?;
    let Some(row) = at.value else { return Ok(Stamped::New(at.progress)) };
    // The id comes from tenant, user and key, so the row is the asker's own.
    if !keyed.of.is_of(&row) {
        return Err(conflict());
    }
    Ok(Stamped::Known(Admitted::decided(row.id, row.submitted_n, true)))
}

enum Asked {
    Admitted(Admitted),
    Refused(Refusal),
}

/// What a job is, by what became of its submit. One that nobody has decided in time is promised.
async fn conclude(
    app: &App,
    caller: &Caller,
    submit: &mut Submit,
    delivery: Delivery,
) -> Result<Asked, ApiError> {
    let job_id = submit.job_id;
    match delivery {
        Delivery::Answered(Outcome::Accepted(accepted)) => {
            return Ok(Asked::Admitted(admitted(app, job_id, &accepted)));
        }
        Delivery::Answered(Outcome::Refused(refusal)) => return Ok(Asked::Refused(refusal)),
        Delivery::Published => {}
    }
    if let Some(known) = compare(app, caller, submit).await? {
        return Ok(Asked::Admitted(known));
    }
    // The asker is told that the job is pending, so from here on a refusal has to become a job
    // that can be looked up.
    submit.pending = true;
    send(app, caller, submit, Until::Published).await?;
    // Another's may have come in between.
    let known = compare(app, caller, submit).await?;
    Ok(Asked::Admitted(known.unwrap_or_else(|| Admitted::pending(job_id))))
}

fn admitted(app: &App, job_id: JobId, accepted: &Accepted) -> Admitted {
    app.undecided.forget();
    app.barrier.saw(accepted.n);
    Admitted::decided(job_id, accepted.n, accepted.repeated)
}

/// Compares a submit that nobody decided in time with others under the same key: only one of them
/// can become the job, and only to that one it may be promised. The order in which they stand in the
/// stream is the order in which they will be decided. Gives the job if it is decided by now.
async fn compare(
    app: &App,
    caller: &Caller,
    submit: &Submit,
) -> Result<Option<Admitted>, ApiError> {
    let Some(fingerprint) = &submit.fingerprint else { return Ok(None) };
    let keyed = Keyed::of_submit(submit);
    for _ in 0..COMPARE_TRIES {
        let at = match stamp(app, caller, &keyed, Stamp::First).await? {
            // Decided by now, though nobody heard: that repeats nothing.
            Stamped::Known(admitted) => return Ok(Some(Admitted { replayed: false, ..admitted })),
            Stamped::New(at) => at,
        };
        let last = app.barrier.last_command().await?;
        if at.commands.partial_cmp(&last).is_none() {
            // The stream is another one: what waits in it has no order with what was decided.
            break;
        }
        let waiting = app.undecided.of(&caller.tenant, submit.job_id, &at.commands, &last).await;
        if !app.barrier.last_command().await?.reaches(&last) {
            // It became another one while it was read.
            app.undecided.forget();
            break;
        }
        match waiting {
            Ok(waiting) => match standing(&waiting, fingerprint) {
                Standing::Ours => return Ok(None),
                Standing::Free if !submit.pending => return Ok(None),
                Standing::Theirs => return Err(conflict()),
                // What was just published is decided, and the view has yet to show it; or it is not
                // decided, and who wins is not known.
                Standing::Free | Standing::Unclear => {}
            },
            Err(Unknown::Decided) => continue,
            Err(error) => return Err(ApiError::unavailable("the broker", error)),
        }
        break;
    }
    let detail = "another request under this key is not decided yet; repeat yours to learn of it";
    Err(ApiError::new(ProblemCode::Unavailable, detail))
}

pub(super) fn conflict() -> ApiError {
    ApiError::new(ProblemCode::IdempotencyConflict, "the key was used for another request")
}

async fn send(
    app: &App,
    caller: &Caller,
    submit: &Submit,
    until: Until,
) -> Result<Delivery, Undelivered> {
    app.commands.send(&caller.tenant, &Kept::Submit(submit), until).await
}
