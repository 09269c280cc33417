//! Cancels or repeats all jobs of a list.

use nox_contract::{Cancel, Command, FrameNumber, JobId, JobState, Outcome, ProblemCode, Submit};
use nox_readmodel::{
    Cursor, JobRow,
    query::{Condition, Is},
};

use super::{
    concurrently::concurrently,
    list::{self, Wanted},
    retry::{self, Edits},
    submit::{Admitted, Keyed, Prepared, decide_all, prepare},
    submit_batch::Shared,
};
use crate::{
    commands::{Delivery, Until},
    problem::ApiError,
    read::required::Required,
};

/// Most jobs that one request acts on.
pub const JOBS_MAX: usize = 1_000;

/// How far is counted of how many jobs there are.
const COUNTED_MAX: usize = 10_000;

/// Jobs that are read and acted on together.
const PAGE: usize = 200;

/// Most pages of one request. With conditions that no index serves, some are empty.
const PAGES_MAX: usize = 20;

/// What is done to all jobs of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Cancel,
    Retry,
}

impl Action {
    /// Those of a list that it can be done to: what has ended is not canceled, and what has not is not repeated.
    fn narrowed(self, mut wanted: Wanted) -> Wanted {
        let open = vec![JobState::Draft, JobState::Queued, JobState::Running];
        wanted.conditions.push(Condition { is: Is::Status(open), negated: self == Self::Retry });
        wanted
    }
}

/// How many jobs there are to act on.
pub struct Counted {
    pub count: usize,
    /// Whether these are all; there may be more than are counted.
    pub complete: bool,
}

/// What became of jobs, in the order of the list.
pub struct Acted<T> {
    pub jobs: Vec<(JobId, Result<T, ApiError>)>,
    /// Where to go on, if there is more.
    pub next: Option<Cursor>,
}

impl<T> Default for Acted<T> {
    fn default() -> Self {
        Self { jobs: Vec::new(), next: None }
    }
}

/// Counts what `action` would be done to.
pub async fn count(
    asker: Shared<'_>,
    action: Action,
    wanted: Wanted,
    required: &Required,
) -> Result<Counted, ApiError> {
    let (count, complete) =
        list::count(asker.app, asker.caller, action.narrowed(wanted), COUNTED_MAX, required)
            .await?;
    Ok(Counted { count, complete })
}

/// Cancels jobs of a list, at most its limit. Each says the frame that has its end; none while nobody has decided.
pub async fn cancel(
    asker: Shared<'_>,
    wanted: Wanted,
    required: &Required,
) -> Result<Acted<Option<FrameNumber>>, ApiError> {
    let Shared { app, caller, .. } = asker;
    let mut acted = Acted::default();
    let mut newest = None;
    let mut pages = Pages::new(asker, Action::Cancel, wanted, required);
    while let Some(rows) = pages.next().await? {
        let cancel =
            |row: &JobRow| Cancel { job_id: row.id, by: caller.user.clone(), admin: caller.admin };
        let commands: Vec<_> = rows.iter().map(|row| Command::Cancel(cancel(row))).collect();
        let sent = app.commands.send_all(&caller.tenant, &commands, Until::Answered).await;
        for (row, delivery) in rows.iter().zip(sent) {
            let outcome = match delivery {
                Ok(Delivery::Answered(Outcome::Accepted(accepted))) => {
                    newest = newest.max(Some(accepted.n));
                    Ok(Some(accepted.n))
                }
                Ok(Delivery::Published) => Ok(None),
                // It was there just now, so it has ended since.
                Ok(Delivery::Answered(Outcome::Refused(refusal)))
                    if refusal.code == ProblemCode::JobNotFound =>
                {
                    Err(ApiError::new(ProblemCode::AlreadyEnded, "the job has just ended"))
                }
                Ok(Delivery::Answered(Outcome::Refused(refusal))) => Err(refusal.into()),
                Err(undelivered) => Err(undelivered.into()),
            };
            acted.jobs.push((row.id, outcome));
        }
    }
    if let Some(n) = newest {
        app.barrier.written(n).await;
    }
    acted.next = pages.rest();
    Ok(acted)
}

/// Repeats jobs of a list, at most its limit, each as it was. Under a key, each is repeated once.
pub async fn retry(
    asker: Shared<'_>,
    wanted: Wanted,
    required: &Required,
) -> Result<Acted<Admitted>, ApiError> {
    let mut acted = Acted::default();
    let mut pages = Pages::new(asker, Action::Retry, wanted, required);
    while let Some(rows) = pages.next().await? {
        let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
        let looked_over: Vec<_> = rows.into_iter().map(|row| look_over(asker, row)).collect();
        let looked_over = concurrently(looked_over).await;
        let mut new: Vec<Submit> = Vec::new();
        let known = looked_over.into_iter().map(|prepared| match prepared? {
            Prepared::Known(admitted) => Ok(Some(admitted)),
            Prepared::New(submit) => {
                new.push(*submit);
                Ok(None)
            }
        });
        let known: Vec<Result<_, ApiError>> = known.collect();
        let mut decided = decide_all(asker.app, asker.caller, new).await.into_iter();
        for (id, known) in ids.into_iter().zip(known) {
            let outcome = match known {
                Ok(Some(known)) => Some(Ok(known)),
                Ok(None) => decided.next(),
                Err(error) => Some(Err(error)),
            };
            acted.jobs.extend(outcome.map(|outcome| (id, outcome)));
        }
    }
    acted.next = pages.rest();
    Ok(acted)
}

async fn look_over(asker: Shared<'_>, row: JobRow) -> Result<Prepared, ApiError> {
    let Shared { app, caller, key, traceparent } = asker;
    // The line break keeps it apart from every key that a client can send.
    let key = key.map(|key| format!("{key}\nretry {}", row.id));
    let request = retry::of_row(row, Edits::default()).map_err(ApiError::placeless)?;
    let keyed = key.as_deref().map(|key| Keyed::new(caller, key, None, &request));
    // What is wrong stands in no body of this request.
    prepare(app, caller, &request, keyed, traceparent).await.map_err(ApiError::placeless)
}

/// The jobs of a list, page by page.
struct Pages<'r> {
    asker: Shared<'r>,
    required: &'r Required,
    wanted: Wanted,
    /// How many jobs and pages more there may be.
    left: (usize, usize),
    ended: bool,
}

impl<'r> Pages<'r> {
    fn new(asker: Shared<'r>, action: Action, wanted: Wanted, required: &'r Required) -> Self {
        let left = (wanted.limit.min(JOBS_MAX), PAGES_MAX);
        Self { asker, required, wanted: action.narrowed(wanted), left, ended: false }
    }

    /// The next rows; `None` when that was all for this request.
    async fn next(&mut self) -> Result<Option<Vec<JobRow>>, ApiError> {
        let (jobs, pages) = self.left;
        if self.ended || jobs == 0 || pages == 0 {
            return Ok(None);
        }
        let wanted = Wanted { limit: jobs.min(PAGE), ..self.wanted.clone() };
        let Shared { app, caller, .. } = self.asker;
        let found = list::list(app, caller, wanted, self.required, |_| Ok(())).await?;
        let Some((page, ())) = found else {
            self.ended = true;
            return Ok(None);
        };
        self.left = (jobs.saturating_sub(page.rows.len()), pages - 1);
        self.ended = page.next.is_none();
        self.wanted.before = page.next;
        Ok(Some(page.rows))
    }

    /// Where to go on, if not all pages were turned.
    fn rest(self) -> Option<Cursor> {
        self.wanted.before.filter(|_| !self.ended)
    }
}
