//! `GET /modules/{name}/versions`, for everybody.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};
use nox_contract::{Manifest, ModuleName, ProblemCode, RawJson, Resources, RetryPolicy};
use schemars::JsonSchema;
use serde::Serialize;

use super::RegistrationView;
use crate::{
    app::App,
    endpoint::{Access, Endpoint, MIN_N, Method},
    extract::{OnlyN, Segment, only_min_n},
    http::page::{self, Next},
    problem::ApiError,
    read::required::Required,
    use_cases::modules,
};

pub fn endpoint() -> Endpoint {
    let named = ("list_module_versions", "All versions that jobs may name, the present one first.");
    Endpoint::new(Method::Get, "/modules/{name}/versions", Access::ANYONE, named, versions)
        .query::<OnlyN>()
        .headers([MIN_N])
        .page::<ListedVersions>("All versions.")
        .problems(&[ProblemCode::ModuleNotFound])
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

async fn versions(
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
