//! `/modules`: what can be run.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use nox_contract::{
    Command, FrameNumber, ModuleName, Outcome, ProblemCode, RawJson, Resources, RetryPolicy,
    SetModule,
};
use nox_readmodel::ModuleRow;
use serde::Serialize;
use serde_json::json;

use crate::{
    app::App,
    auth::Caller,
    barrier::Sources,
    body::read_nothing,
    commands::{Delivery, Until},
    jobs::only_min_n,
    memory::Account,
    problem::ApiError,
    required::Required,
    routes::{self, Segment},
};

/// `GET /modules`, for everybody: what there is to run is no secret.
pub async fn list(
    State(app): State<Arc<App>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let required = Required::frame(only_min_n(&uri, &headers)?);
    let modules = app.barrier.read(&required, || app.modules.all()).await?.value;
    let modules = modules.iter().map(ModuleView::from).collect();
    Ok(Json(Listed { modules }).into_response())
}

/// `GET /modules/{name}`, for everybody.
pub async fn get(
    State(app): State<Arc<App>>,
    Segment(name): Segment,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let row = find(&app, &name, Required::frame(only_min_n(&uri, &headers)?)).await?;
    Ok(Json(ModuleView::from(&row)).into_response())
}

/// `POST /modules/{name}/enable`, for operators.
pub async fn enable(
    state: State<Arc<App>>,
    caller: Caller,
    account: Extension<Account>,
    name: Segment,
    request: Request,
) -> Result<Response, ApiError> {
    switch(state, caller, account, name, request, true).await
}

/// `POST /modules/{name}/disable`, for operators.
pub async fn disable(
    state: State<Arc<App>>,
    caller: Caller,
    account: Extension<Account>,
    name: Segment,
    request: Request,
) -> Result<Response, ApiError> {
    switch(state, caller, account, name, request, false).await
}

async fn switch(
    State(app): State<Arc<App>>,
    caller: Caller,
    Extension(account): Extension<Account>,
    Segment(name): Segment,
    request: Request,
    enabled: bool,
) -> Result<Response, ApiError> {
    caller.require_operator()?;
    routes::nothing(request.uri())?;
    let (head, body) = request.into_parts();
    read_nothing(&account, &head.headers, body).await?;
    let module = find(&app, &name, Required::default()).await?.name;
    let command =
        Command::SetModule(SetModule { module: module.clone(), enabled, by: caller.user.clone() });
    match app.commands.send(&caller.tenant, &command, Until::Answered).await? {
        Delivery::Answered(Outcome::Accepted(accepted)) => {
            app.barrier.written(accepted.n).await;
            let body = json!({"name": module, "enabled": enabled, "n": accepted.n});
            Ok(Json(body).into_response())
        }
        Delivery::Answered(Outcome::Refused(refusal)) => Err(refusal.into()),
        Delivery::Published => {
            let body = json!({"name": module, "pending": true});
            Ok((StatusCode::ACCEPTED, Json(body)).into_response())
        }
    }
}

/// The module called `name`; that there is none is said only when all reports are folded.
async fn find(app: &App, name: &str, required: Required) -> Result<ModuleRow, ApiError> {
    let unknown = || {
        ApiError::new(ProblemCode::UnknownModule, "there is no such module")
            .with_status(StatusCode::NOT_FOUND)
    };
    let name: ModuleName = name.parse().map_err(|_| unknown())?;
    let read = || app.reader.module(&name);
    let found = app.barrier.find(required, Sources::CommandsAndReports, read).await?;
    found.value.ok_or_else(unknown)
}

/// A module as everybody sees it. Not by way of a `Value`, which would make doubles of the numbers in
/// its schemas.
#[derive(Serialize)]
struct ModuleView<'a> {
    name: &'a ModuleName,
    version: &'a str,
    /// All that jobs may name, the present one first.
    versions: Vec<&'a str>,
    title: &'a str,
    enabled: bool,
    caps: Caps<'a>,
    schema: Schemas<'a>,
    n: FrameNumber,
}

#[derive(Serialize)]
struct Caps<'a> {
    resources: &'a Resources,
    retry: &'a RetryPolicy,
    running_max: Option<u32>,
}

#[derive(Serialize)]
struct Schemas<'a> {
    inputs: &'a RawJson,
    outputs: &'a RawJson,
}

#[derive(Serialize)]
struct Listed<'a> {
    modules: Vec<ModuleView<'a>>,
}

impl<'a> From<&'a ModuleRow> for ModuleView<'a> {
    fn from(row: &'a ModuleRow) -> Self {
        let manifest = &row.versions.present;
        Self {
            name: &row.name,
            version: &manifest.version,
            versions: row.versions.iter().map(|manifest| manifest.version.as_str()).collect(),
            title: &manifest.title,
            enabled: row.enabled,
            caps: Caps {
                resources: &manifest.resources,
                retry: &manifest.retry,
                running_max: manifest.running_max,
            },
            schema: Schemas { inputs: &manifest.input_schema, outputs: &manifest.output_schema },
            n: row.n,
        }
    }
}
