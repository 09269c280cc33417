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
//! Beside them: `GET /v1/me` ([`me`]), what a task looks like ([`view`]), rooms and names ([`names`]).

mod claim;
mod jobs;
mod me;
mod names;
mod page;
mod register;
mod submit;
mod task;
mod tasks;
mod update;
mod view;
mod workers;

use nox_contract::RawJson;

use crate::endpoint::Endpoint;

/// An object without members: what is not said.
fn nothing() -> RawJson {
    RawJson::of(&serde_json::Map::new()).unwrap_or_default()
}

/// Its addresses.
pub fn endpoints() -> Vec<Endpoint> {
    let mut endpoints = vec![
        me::endpoint(),
        register::endpoint(),
        submit::endpoint(),
        tasks::endpoint(),
        claim::endpoint(),
        task::endpoint(),
        update::endpoint(),
    ];
    endpoints.extend(jobs::endpoints());
    endpoints.extend(workers::endpoints());
    endpoints
}
