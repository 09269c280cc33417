//! Jobs that are admitted all or none.

use nox_contract::{Command, MESSAGE_BYTES_MAX, Outcome, ProblemCode, Submit, SubmitBatch};

use super::{
    concurrently::concurrently,
    job_request::JobRequest,
    look_over::unmet,
    submit::{Admitted, Keyed, Prepared, Stamp, Stamped, conflict, prepare, stamp},
};
use crate::{
    app::App,
    commands::{Delivery, Until},
    identity::auth::Caller,
    problem::ApiError,
};

/// What of a message is not for the jobs, in bytes.
const ENVELOPE_BYTES: usize = 1_024;

/// Why none was admitted.
pub struct Failed {
    /// The job that it is because of, if it is one of them.
    pub place: Option<usize>,
    pub error: ApiError,
}

impl Failed {
    fn at(place: usize, error: ApiError) -> Self {
        Self { place: Some(place), error }
    }
}

impl From<ApiError> for Failed {
    fn from(error: ApiError) -> Self {
        Self { place: None, error }
    }
}

/// What the jobs of one request share.
#[derive(Clone, Copy)]
pub struct Shared<'r> {
    pub app: &'r App,
    pub caller: &'r Caller,
    /// Each job has its own place in it.
    pub key: Option<&'r str>,
    pub traceparent: Option<&'r str>,
}

impl<'r> Shared<'r> {
    pub async fn look_over(
        self,
        place: usize,
        request: &'r JobRequest,
    ) -> Result<Prepared, ApiError> {
        let keyed = self.key.map(|key| Keyed::new(self.caller, key, Some(place), request));
        prepare(self.app, self.caller, request, keyed, self.traceparent).await
    }
}

/// Looks all jobs over, and has the scheduler admit all of them or none. One that is wrong is named by its place.
///
/// # Errors
/// `Unavailable` also when nobody decides in time: then it will be decided later. Whoever asks again under the same
/// key learns how.
pub async fn submit_batch(
    shared: Shared<'_>,
    requests: &[JobRequest],
) -> Result<Vec<Admitted>, Failed> {
    let Shared { app, caller, .. } = shared;
    let looked_over = requests.iter().enumerate().map(|(place, request)| async move {
        shared.look_over(place, request).await.map_err(|error| Failed::at(place, error))
    });
    let prepared = concurrently(looked_over.collect::<Vec<_>>()).await;
    let mut known = Vec::new();
    let mut jobs = Vec::with_capacity(requests.len());
    for one in prepared {
        match one? {
            Prepared::Known(admitted) => known.push(admitted),
            Prepared::New(submit) => jobs.push(*submit),
        }
    }
    match (known.is_empty(), jobs.is_empty()) {
        (false, true) => return Ok(known),
        (false, false) => return Err(conflict().into()),
        (true, _) => {}
    }
    let mut batch = SubmitBatch { jobs };
    match decide(app, caller, &batch).await {
        Err(failed) if failed.error.code() == ProblemCode::StaleStamp => {}
        decided => return decided,
    }
    // The stamps were too old, or what a job is to follow has ended, and the scheduler has forgotten how.
    if let Some(known) = stamp_again(app, caller, &mut batch.jobs).await? {
        return Ok(known);
    }
    decide(app, caller, &batch).await
}

async fn decide(app: &App, caller: &Caller, batch: &SubmitBatch) -> Result<Vec<Admitted>, Failed> {
    let command = Command::SubmitBatch(batch.clone());
    let bytes = serde_json::to_vec(&command).map_err(ApiError::internal)?.len();
    let most = MESSAGE_BYTES_MAX - ENVELOPE_BYTES;
    if bytes > most {
        let detail = format!(
            "the jobs take {bytes} bytes in one message, which has {most}; send fewer, or each judged by itself"
        );
        return Err(ApiError::new(ProblemCode::BodyTooLarge, detail).into());
    }
    match app
        .commands
        .send(&caller.tenant, &command, Until::Answered)
        .await
        .map_err(ApiError::from)?
    {
        Delivery::Answered(Outcome::Accepted(accepted)) => {
            app.undecided.forget();
            app.barrier.saw(accepted.n);
            let admitted =
                |job: &Submit| Admitted::decided(job.job_id, accepted.n, accepted.repeated);
            Ok(batch.jobs.iter().map(admitted).collect())
        }
        Delivery::Answered(Outcome::Refused(refusal)) => {
            let place = refusal.job.map(|place| place as usize);
            Err(Failed { place, error: refusal.into() })
        }
        Delivery::Published => {
            let detail = "the jobs are taken in, and nobody has decided yet; ask again under the same key to learn";
            Err(ApiError::new(ProblemCode::Unavailable, detail).into())
        }
    }
}

/// Looks at all of them once more, in a view that has all that was decided; gives them if they are there by now.
async fn stamp_again(
    app: &App,
    caller: &Caller,
    jobs: &mut [Submit],
) -> Result<Option<Vec<Admitted>>, Failed> {
    let mut known = Vec::new();
    for (place, job) in jobs.iter_mut().enumerate() {
        match stamp(app, caller, &Keyed::of_submit(job), Stamp::Again).await? {
            Stamped::Known(admitted) => known.push(admitted),
            Stamped::New(at) => job.seen = at.n,
        }
        let after = unmet(app, caller, &job.after).await;
        job.after = after.map_err(|error| Failed::at(place, error))?;
    }
    match known.len() {
        0 => Ok(None),
        count if count == jobs.len() => Ok(Some(known)),
        _ => Err(conflict().into()),
    }
}
