//! `/modules`: what can be run.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{Request, State},
    handler::Handler,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use nox_contract::{
    FrameNumber, Manifest, ModuleName, ProblemCode, RawJson, Resources, RetryPolicy, Timestamp,
    UserId,
};
use nox_readmodel::{ModuleRow, rows::Registered};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    app::App,
    endpoint::{Access, Answer, Endpoint, MIN_N, Method},
    extract::{self, OnlyN, Segment, only_min_n},
    http::{
        body::read_nothing,
        memory::Account,
        page::{self, Next},
    },
    identity::auth::Caller,
    problem::ApiError,
    read::required::Required,
    use_cases::modules,
};

pub fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new(
            Method::Get,
            "/modules",
            Access::ANYONE,
            ("list_modules", "What can be run."),
            list,
        )
        .query::<OnlyN>()
        .headers([MIN_N])
        .page::<Listed>("All modules."),
        Endpoint::new(
            Method::Get,
            "/modules/{name}",
            Access::ANYONE,
            ("get_module", "A module, with the schemas of its inputs and outputs."),
            get,
        )
        .query::<OnlyN>()
        .headers([MIN_N])
        .answer(Answer::json::<ModuleView>(200, "The module."))
        .problems(&[ProblemCode::ModuleNotFound]),
        Endpoint::new(
            Method::Get,
            "/modules/{name}/versions",
            Access::ANYONE,
            ("list_module_versions", "All versions that jobs may name, the present one first."),
            versions,
        )
        .query::<OnlyN>()
        .headers([MIN_N])
        .page::<ListedVersions>("All versions.")
        .problems(&[ProblemCode::ModuleNotFound]),
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

/// Who registered a version, and when.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ModuleRegistration")]
struct RegistrationView {
    by: UserId,
    at: Timestamp,
}

impl From<&Registered> for RegistrationView {
    fn from(Registered { by, at }: &Registered) -> Self {
        Self { by: by.clone(), at: *at }
    }
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

/// `GET /modules`, for everybody: what there is to run is no secret.
pub async fn list(
    State(app): State<Arc<App>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let required = Required::frame(only_min_n(&uri, &headers)?);
    let modules = app.barrier.read(&required, || app.modules.all()).await?.value;
    let modules = modules.iter().map(ModuleView::from).collect();
    page::answer(&uri, &headers, &Listed { modules }, &Next::none())
}

/// `GET /modules/{name}`, for everybody.
pub async fn get(
    State(app): State<Arc<App>>,
    Segment(name): Segment,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let row = modules::find(&app, &name, Required::frame(only_min_n(&uri, &headers)?)).await?;
    Ok(Json(ModuleView::from(&row)).into_response())
}

/// `GET /modules/{name}/versions`, for everybody.
pub async fn versions(
    State(app): State<Arc<App>>,
    Segment(name): Segment,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let row = modules::find(&app, &name, Required::frame(only_min_n(&uri, &headers)?)).await?;
    let version = |(place, manifest): (usize, &'_ Manifest)| VersionView {
        registered: row.registered.get(&manifest.version).map(RegistrationView::from),
        version: manifest.version.clone(),
        present: place == 0,
        title: manifest.title.clone(),
        resources: manifest.resources,
        retry: manifest.retry.clone(),
        running_max: manifest.running_max,
        inputs: manifest.input_schema.clone(),
        outputs: manifest.output_schema.clone(),
    };
    let versions = row.versions.iter().enumerate().map(version).collect();
    let listed = ListedVersions { name: row.name, versions };
    page::answer(&uri, &headers, &listed, &Next::none())
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
    extract::nothing(request.uri())?;
    let (head, body) = request.into_parts();
    read_nothing(&account, &head.headers, body).await?;
    let (module, n) = modules::switch(&app, &caller, &name, enabled).await?;
    let status = if n.is_some() { StatusCode::OK } else { StatusCode::ACCEPTED };
    let switched = Switched { name: module, enabled: n.map(|_| enabled), n, pending: n.is_none() };
    Ok((status, Json(switched)).into_response())
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ModuleVersions")]
struct ListedVersions {
    name: ModuleName,
    versions: Vec<VersionView>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ModuleVersion")]
struct VersionView {
    version: String,
    /// What jobs get that name none.
    present: bool,
    /// Who registered it, and when; null of one that workers have by themselves.
    registered: Option<RegistrationView>,
    title: String,
    resources: Resources,
    retry: RetryPolicy,
    running_max: Option<u32>,
    /// JSON Schema.
    inputs: RawJson,
    outputs: RawJson,
}

/// A module as everybody sees it. Not by way of a `Value`, which would make doubles of the numbers in
/// its schemas.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Module")]
struct ModuleView<'a> {
    name: &'a ModuleName,
    version: &'a str,
    /// All that jobs may name, the present one first.
    versions: Vec<&'a str>,
    title: &'a str,
    enabled: bool,
    /// Who registered the present version, and when; null of one that workers have by themselves.
    registered: Option<RegistrationView>,
    caps: Caps<'a>,
    schema: Schemas<'a>,
    n: FrameNumber,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ModuleCaps")]
struct Caps<'a> {
    resources: &'a Resources,
    retry: &'a RetryPolicy,
    running_max: Option<u32>,
    starts_per_minute: Option<u32>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ModuleSchemas")]
struct Schemas<'a> {
    inputs: &'a RawJson,
    outputs: &'a RawJson,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Modules")]
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
            registered: row.registered.get(&manifest.version).map(RegistrationView::from),
            caps: Caps {
                resources: &manifest.resources,
                retry: &manifest.retry,
                running_max: manifest.running_max,
                starts_per_minute: manifest.starts_per_minute,
            },
            schema: Schemas { inputs: &manifest.input_schema, outputs: &manifest.output_schema },
            n: row.n,
        }
    }
}
