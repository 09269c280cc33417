//! Every address that the gateway serves.

use std::sync::Arc;

use axum::{
    Router,
    extract::{FromRequestParts, Path, Query, rejection::QueryRejection},
    http::{Uri, request::Parts},
    middleware,
    routing::{get, post, put},
};
use nox_contract::{JobId, ProblemCode};
use serde::de::DeserializeOwned;

use crate::{
    app::App,
    health, joblib, jobs, modules, observe, pages,
    problem::{ApiError, FieldError},
    quotas, uploads,
};

/// The whole API. Handlers that take a `Caller` are for the authenticated; the others are for
/// everybody.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/health", get(health::health))
        .route("/livez", get(nox_service::admin::livez))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .route("/jobs", get(jobs::list::list).post(jobs::submit::submit))
        .route("/jobs/bulk", post(jobs::bulk::submit))
        .route("/jobs/{id}", get(jobs::get::get))
        .route("/jobs/{id}/cancel", post(jobs::cancel::cancel))
        .route("/jobs/{id}/logs", get(jobs::logs::logs))
        .route("/jobs/{id}/status", get(jobs::status::status))
        .route("/jobs/{id}/events", get(jobs::events::events))
        .route("/jobs/{id}/artifacts", get(jobs::artifacts::list))
        .route("/jobs/{id}/artifacts/{*name}", get(jobs::download::download))
        .route(observe::UPLOADS, put(uploads::put))
        .route("/modules", get(modules::list))
        .route("/modules/{name}", get(modules::get))
        .route("/modules/{name}/enable", post(modules::enable))
        .route("/modules/{name}/disable", post(modules::disable))
        .route("/quotas/my/quotas", get(quotas::quotas))
        .route("/quotas/my/usage", get(quotas::usage))
        .route("/quotas/my/violations", get(quotas::violations))
        .route("/v1/problems/{name}", get(pages::problem))
        .merge(joblib::routes())
        .fallback(nowhere)
        .method_not_allowed_fallback(not_so)
        .layer(middleware::from_fn_with_state(app.clone(), observe::around))
        .with_state(app)
}

/// What is served to connections for which there is no place: whether the process lives and is ready,
/// and to everybody else that there is none.
pub fn full(app: Arc<App>) -> Router {
    Router::new()
        .route("/livez", get(nox_service::admin::livez))
        .route("/readyz", get(health::readyz))
        .fallback(no_place)
        .method_not_allowed_fallback(not_so)
        .layer(middleware::from_fn_with_state(app.clone(), observe::around))
        .with_state(app)
}

async fn no_place() -> ApiError {
    let detail = "all places for connections are taken, in all or by this address";
    ApiError::new(ProblemCode::Overloaded, detail)
}

async fn nowhere() -> ApiError {
    ApiError::new(ProblemCode::RouteNotFound, "nothing is served at this address")
}

async fn not_so() -> ApiError {
    ApiError::new(ProblemCode::MethodNotAllowed, "this address does not have this method")
}

/// Reads the query of `uri`. What nobody heeds is refused, so that a misspelt parameter is not passed
/// over: every `T` denies unknown fields.
pub fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, ApiError> {
    let parsed = Query::try_from_uri(uri);
    parsed.map(|Query(query)| query).map_err(|rejection: QueryRejection| {
        ApiError::invalid(vec![FieldError::new("?", rejection.body_text())])
    })
}

/// Checks that `uri` asks for nothing beyond its path.
pub fn nothing(uri: &Uri) -> Result<(), ApiError> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}

    let Nothing {} = query(uri)?;
    Ok(())
}

/// The one variable part of a path.
pub struct Segment(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(text) = Path::from_request_parts(parts, state).await.map_err(|_| no_text())?;
        Ok(Self(text))
    }
}

/// The two variable parts of a path.
pub struct Segments(pub String, pub String);

impl<S: Send + Sync> FromRequestParts<S> for Segments {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        let Path((first, second)) = path.map_err(|_| no_text())?;
        Ok(Self(first, second))
    }
}

fn no_text() -> ApiError {
    ApiError::new(ProblemCode::InvalidId, "the path is not UTF-8")
}

/// Reads a job's id from a path.
pub fn job_id(text: &str) -> Result<JobId, ApiError> {
    text.parse().map_err(|_| ApiError::new(ProblemCode::InvalidId, "a job's id is a UUID"))
}

#[cfg(test)]
mod tests {
    const API: &str = include_str!("../../../docs/API.md");

    #[test]
    fn every_address_stands_in_the_description_of_the_api() {
        // The router does not tell its routes, so they are read where they are written.
        let files = [include_str!("routes.rs"), include_str!("joblib/mod.rs")];
        let router = files.map(|file| file.split("#[cfg(test)]").next().unwrap()).concat();
        let router = router
            .replace(".route(TASK,", ".route(\"/v1/joblib/tasks/{task_id}\",")
            .replace(".route(observe::UPLOADS,", ".route(\"/uploads\",");
        let routes: Vec<_> = router.split(".route(").skip(1).collect();
        assert!(routes.len() >= 28);
        for route in routes {
            let (address, methods) =
                route.trim_start().trim_start_matches('"').split_once('"').unwrap();
            let calls = ["get(", "post(", "put(", "patch(", "delete("];
            for (method, call) in ["GET", "POST", "PUT", "PATCH", "DELETE"].into_iter().zip(calls) {
                if methods.contains(call) {
                    let named = format!("`{method} {address}");
                    assert!(API.contains(&named), "{named}");
                }
            }
        }
    }
}
