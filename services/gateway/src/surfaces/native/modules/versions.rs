//! `GET /modules/{name}/versions`, for everybody.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};
use nox_contract::{Manifest, ModuleName, RawJson, Resources, RetryPolicy};
use schemars::JsonSchema;
use serde::Serialize;

use super::{RegistrationView, find, of_one};
use crate::{
    app::App,
    endpoint::Endpoint,
    extract::Segment,
    http::page::{self, Next},
    problem::ApiError,
};

pub fn endpoint() -> Endpoint {
    let named = ("list_module_versions", "All versions that jobs may name, the present one first.");
    of_one("/modules/{name}/versions", named, versions).page::<ListedVersions>("All versions.")
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
    let row = find(&app, &name, &uri, &headers).await?;
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
