//! Workers in any language: they register jobs in rooms, and claim tasks of them over HTTP.
//!
//! A translation into Nox's words, and nothing beside them: a registered job is a *topic*, a task is a job
//! of one, a worker's heartbeat is a beat. What is decided, the scheduler decides; what is shown are rows.
//!
//! | file | address below `/v1/joblib` |
//! |---|---|
//! | [`register`] | `PUT /rooms/{room_id}/jobs` |
//! | [`jobs`] | `GET /rooms/{room_id}/jobs`, `GET …/{job_name}` |
//! | [`submit`] | `POST /rooms/{room_id}/tasks/{job_name}` |
//! | [`claim`] | `POST /tasks/claim` |
//! | [`task`] | `GET /tasks/{task_id}` |
//! | [`update`] | `PATCH /tasks/{task_id}` |
//! | [`tasks`] | `GET /rooms/{room_id}/tasks` |
//! | [`workers`] | `POST /workers`, `GET /workers`, `PATCH /workers/{worker_id}`, `DELETE …` |
//!
//! Beside them: `GET /v1/me` ([`me`]), what a task looks like ([`view`]), rooms and names ([`names`]), who a
//! worker is ([`identity`]), waiting for ends ([`watch`]), and the removal of what nobody needs ([`sweeper`]).

pub mod claim;
mod identity;
pub mod jobs;
pub mod me;
mod names;
mod page;
pub mod register;
mod settings;
pub mod submit;
pub mod sweeper;
pub mod task;
pub mod tasks;
pub mod update;
mod view;
mod wait;
pub mod watch;
pub mod workers;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    http::HeaderMap,
    routing::{get, patch, post},
};
use nox_contract::RawJson;
use nox_readmodel::Reader;

use crate::{app::App, barrier::Barrier};
pub use settings::JoblibSettings;

/// What the surface keeps while the process runs.
pub struct Joblib {
    pub settings: JoblibSettings,
    pub watch: watch::Watch,
    pub beaten: workers::Beaten,
}

impl Joblib {
    pub fn start(settings: JoblibSettings, reader: &Reader, barrier: &Arc<Barrier>) -> Self {
        let watch = watch::Watch::start(reader.clone(), barrier.clone());
        Self { settings, watch, beaten: workers::Beaten::default() }
    }
}

/// Where a task is.
pub const TASK: &str = "/v1/joblib/tasks/{task_id}";

/// How long a request for a task asks to be kept waiting, as far as that is allowed.
pub fn asked_wait(app: &App, headers: &HeaderMap) -> Option<Duration> {
    wait::asked(headers, app.joblib.settings.long_poll_max_wait_seconds)
}

/// An object without members: what is not said.
fn nothing() -> RawJson {
    RawJson::of(&serde_json::Map::new()).unwrap_or_default()
}

/// Its addresses.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/v1/me", get(me::me))
        .route("/v1/joblib/rooms/{room_id}/jobs", get(jobs::list).put(register::register))
        .route("/v1/joblib/rooms/{room_id}/jobs/{job_name}", get(jobs::get))
        .route("/v1/joblib/rooms/{room_id}/tasks", get(tasks::list))
        .route("/v1/joblib/rooms/{room_id}/tasks/{job_name}", post(submit::submit))
        .route("/v1/joblib/tasks/claim", post(claim::claim))
        .route(TASK, get(task::get).patch(update::update))
        .route("/v1/joblib/workers", get(workers::list).post(workers::create))
        .route("/v1/joblib/workers/{worker_id}", patch(workers::heartbeat).delete(workers::remove))
}
