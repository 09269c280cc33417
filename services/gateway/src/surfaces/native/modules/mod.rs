//! `/modules`: what can be run.

mod get;
mod list;
mod register;
mod switch;
mod versions;

use std::sync::Arc;

use axum::{
    handler::Handler,
    http::{HeaderMap, Uri},
};
use nox_contract::{
    FrameNumber, ModuleName, ProblemCode, RawJson, Resources, RetryPolicy, Timestamp, UserId,
};
use nox_readmodel::{ModuleRow, rows::Registered};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    app::App,
    endpoint::{Access, Endpoint, MIN_N, Method},
    extract::{OnlyN, only_min_n},
    problem::ApiError,
    read::required::Required,
    use_cases::modules,
};

pub fn endpoints() -> Vec<Endpoint> {
    let mut endpoints =
        vec![list::endpoint(), get::endpoint(), versions::endpoint(), register::endpoint()];
    endpoints.extend(switch::endpoints());
    endpoints
}

/// What tells of one module, to everybody.
fn of_one<H, T>(path: &'static str, named: (&'static str, &'static str), handler: H) -> Endpoint
where
    H: Handler<T, Arc<App>>,
    T: 'static,
{
    Endpoint::new(Method::Get, path, Access::ANYONE, named, handler)
        .query::<OnlyN>()
        .headers([MIN_N])
        .problems(&[ProblemCode::ModuleNotFound])
}

/// The module that is called so, as the request wants to see it.
async fn find(
    app: &App,
    name: &str,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<ModuleRow, ApiError> {
    modules::find(app, name, Required::frame(only_min_n(uri, headers)?)).await
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
