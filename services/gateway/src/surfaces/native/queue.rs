//! `GET /queue`: which jobs are open, or were: who waits for what, and who runs.

use std::collections::BTreeMap;

use axum::response::Response;
use nox_contract::{
    Attempt, FrameNumber, JobId, JobState, ModuleName, Timestamp, UserId, WaitingCode, WorkerId,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::as_of;
use crate::{
    endpoint::{Access, Endpoint, Method},
    extract::{self, PageSize, Paging, Reading},
    http::page::{self, Next},
    problem::{ApiError, FieldError},
    use_cases::then::{
        self,
        queue::{Open, Place, queue},
    },
};

const PAGE: PageSize = PageSize { default: 200, max: 1_000 };

pub fn endpoint() -> Endpoint {
    let (id, summary) = ("get_queue", "Which jobs are open, or were: who waits, and who runs.");
    Endpoint::new(Method::Get, "/queue", Access::OWNER_OR_ADMIN, (id, summary), get)
        .query::<Asked>()
        .page::<QueueView>("A page, the first submitted first.")
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// The number of a frame, or an instant: the queue as it was then. As the log has it now, if left out.
    as_of: Option<String>,
    /// `draft`, `queued`, `running`, or `canceled` of one that has yet to be stopped; all, if left out.
    status: Option<String>,
    #[schemars(with = "Option<u32>", range(min = 1, max = 1_000))]
    limit: Option<String>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Queue")]
struct QueueView {
    /// The last frame that was taken in, and its instant: `?as_of=<n>` asks for the next page of the same.
    n: FrameNumber,
    at: Timestamp,
    /// How many jobs the asker sees, by their state. None of them had ended.
    states: BTreeMap<&'static str, u64>,
    /// How many of them waited, by what for.
    waiting: BTreeMap<&'static str, u64>,
    jobs: Vec<OpenView>,
    /// The cursor of the next page; null on the last.
    next: Option<String>,
}

/// A job that has not ended, or had not.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OpenJob")]
struct OpenView {
    id: JobId,
    job_id: JobId,
    user_id: UserId,
    module: ModuleName,
    module_version: String,
    state: JobState,
    /// Why it does not run, while it is queued.
    waiting_code: Option<WaitingCode>,
    priority: u8,
    attempt: Attempt,
    worker_id: Option<WorkerId>,
    created_at: Timestamp,
    started_at: Option<Timestamp>,
    due_at: Option<Timestamp>,
}

impl From<Open> for OpenView {
    fn from(open: Open) -> Self {
        Self {
            id: open.id,
            job_id: open.id,
            user_id: open.user_id,
            module: open.module,
            module_version: open.module_version,
            state: open.state,
            waiting_code: open.waiting,
            priority: open.priority,
            attempt: open.attempt,
            worker_id: open.worker_id,
            created_at: open.created_at,
            started_at: open.started_at,
            due_at: open.due_at,
        }
    }
}

async fn get(Reading { app, caller, uri, headers }: Reading) -> Result<Response, ApiError> {
    let Asked { as_of, status, limit, cursor } = extract::query(&uri)?;
    let mut errors = Vec::new();
    let paging: Paging<Place> =
        Paging::read((limit.as_deref(), cursor.as_deref()), PAGE, &mut errors);
    let status = status.filter(|status| !status.is_empty());
    let wanted = status.map(|status| status.parse::<JobState>()).transpose();
    let wanted = wanted.unwrap_or_else(|_| {
        errors.push(FieldError::new("?status", "must be draft, queued, running or canceled"));
        None
    });
    if !errors.is_empty() {
        return Err(ApiError::invalid(errors));
    }
    let as_of = as_of.as_deref().map(as_of::read).transpose()?;
    let fold = then::state(&app, as_of).await?;
    let (after, limit) = (paging.after, paging.wanted());
    let tell = move |fold: &_| queue(fold, &caller, wanted, (after, limit));
    let mut told = then::told(fold, tell).await?;
    let next = paging.cut(&mut told.jobs, |last| last.place.to_string());
    let view = QueueView {
        n: told.n,
        at: told.at,
        states: told.states,
        waiting: told.waiting,
        jobs: told.jobs.into_iter().map(OpenView::from).collect(),
        next: next.clone(),
    };
    page::answer(&uri, &headers, &view, &Next::page(next))
}
