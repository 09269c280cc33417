//! `GET /jobs/{id}/related`: the jobs that a job has to do with.

use axum::response::Response;
use nox_contract::{JobId, JobState, ProblemCode, ScheduleId, UserId};
use nox_readmodel::{JobRow, query::BlockingRow};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    endpoint::{Access, Answer, ETAG, Endpoint, IF_NONE_MATCH, MIN_N, Method},
    extract::{self, OnlyN, Reading, Segment, only_min_n},
    http::etag,
    problem::ApiError,
    use_cases::{
        find::find,
        related::{Related, related},
    },
};

/// What a job has to do with. At most 100 jobs of each kind.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RelatedJobs")]
struct View {
    job_id: JobId,
    /// The job that it repeats.
    retry_of: Option<RelatedJob>,
    /// Those that repeat it, the first first; and whether these are all.
    retries: Vec<RelatedJob>,
    retries_complete: bool,
    /// Those in its `after`.
    follows: Vec<RelatedJob>,
    /// The schedule that submitted it.
    schedule_id: Option<ScheduleId>,
    /// Others of its batch that was submitted all or none.
    batch: Vec<RelatedJob>,
    /// How many of the jobs that are named the asker may not see, or are gone, or are too many.
    hidden: usize,
    /// Whether the log still has what it says of `follows`, `schedule_id` and `batch`: else they are empty.
    log_known: bool,
}

#[derive(Serialize, JsonSchema)]
struct RelatedJob {
    job_id: JobId,
    user_id: UserId,
    state: JobState,
}

pub fn endpoint() -> Endpoint {
    let (id, summary) = ("get_related_jobs", "The jobs that a job has to do with.");
    let access = Access::OWNER_OR_ADMIN;
    Endpoint::new(Method::Get, "/jobs/{id}/related", access, (id, summary), get)
        .query::<OnlyN>()
        .headers([MIN_N, IF_NONE_MATCH])
        .answer(Answer::json::<View>(200, summary).headers([ETAG]))
        .answer(Answer::empty(304, "They are as the asker has them.").headers([ETAG]))
        .problems(&[ProblemCode::InvalidId, ProblemCode::JobNotFound])
}

async fn get(
    Segment(id): Segment,
    Reading { app, caller, uri, headers }: Reading,
) -> Result<Response, ApiError> {
    let id = extract::job_id(&id)?;
    let min_n = only_min_n(&uri, &headers)?;
    let row = find(&app, &caller, id, min_n).await?;
    let found = related(&app, &caller, &row).await?;
    etag::json(&headers, &View::new(id, found))
}

impl View {
    fn new(job_id: JobId, related: Related) -> Self {
        let named = |rows: Vec<BlockingRow>| rows.into_iter().map(RelatedJob::from).collect();
        Self {
            job_id,
            retry_of: related.retry_of.map(RelatedJob::from),
            retries: related.retries.iter().map(RelatedJob::from).collect(),
            retries_complete: related.has_all_retries,
            follows: named(related.follows),
            schedule_id: related.schedule_id,
            batch: named(related.batch),
            hidden: related.hidden,
            log_known: related.log_known,
        }
    }
}

impl From<BlockingRow> for RelatedJob {
    fn from(BlockingRow { id, user_id, status }: BlockingRow) -> Self {
        Self { job_id: id, user_id, state: status }
    }
}

impl From<&JobRow> for RelatedJob {
    fn from(row: &JobRow) -> Self {
        Self { job_id: row.id, user_id: row.user_id.clone(), state: row.status }
    }
}
