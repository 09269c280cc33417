//! `POST /modules/{name}/enable` and `POST /modules/{name}/disable`, for operators.

use std::sync::Arc;

use axum::{
    Json,
    handler::Handler,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use nox_contract::{FrameNumber, ModuleName, ProblemCode};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    app::App,
    endpoint::{Access, Answer, Endpoint, Method},
    extract::{Incoming, Segment},
    problem::ApiError,
    use_cases::modules,
};

pub fn endpoints() -> Vec<Endpoint> {
    vec![
        switching(
            "/modules/{name}/enable",
            ("enable_module", "Lets jobs of a module run, for everybody."),
            enable,
        ),
        switching(
            "/modules/{name}/disable",
            ("disable_module", "Lets no job of a module run or be submitted, for everybody."),
            disable,
        ),
    ]
}

fn switching<H, T>(path: &'static str, named: (&'static str, &'static str), handler: H) -> Endpoint
where
    H: Handler<T, Arc<App>>,
    T: 'static,
{
    Endpoint::new(Method::Post, path, Access::OPERATOR, named, handler)
        .answer(Answer::json::<Switched>(200, "It is so now."))
        .answer(Answer::json::<Switched>(202, "It will be decided."))
        .problems(&[ProblemCode::ModuleNotFound])
}

/// What became of a switch.
#[derive(Serialize, JsonSchema)]
struct Switched {
    name: ModuleName,
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<FrameNumber>,
    /// Nobody has decided yet.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pending: bool,
}

async fn enable(name: Segment, incoming: Incoming) -> Result<Response, ApiError> {
    switch(name, incoming, true).await
}

async fn disable(name: Segment, incoming: Incoming) -> Result<Response, ApiError> {
    switch(name, incoming, false).await
}

async fn switch(
    Segment(name): Segment,
    mut incoming: Incoming,
    enabled: bool,
) -> Result<Response, ApiError> {
    incoming.nothing().await?;
    let Incoming { app, caller, .. } = incoming;
    let (module, n) = modules::switch(&app, &caller, &name, enabled).await?;
    let status = if n.is_some() { StatusCode::OK } else { StatusCode::ACCEPTED };
    let switched = Switched { name: module, enabled: n.map(|_| enabled), n, pending: n.is_none() };
    Ok((status, Json(switched)).into_response())
}
