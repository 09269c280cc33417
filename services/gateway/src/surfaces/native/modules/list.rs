//! `GET /modules`, for everybody: what there is to run is no secret.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::ModuleView;
use crate::{
    app::App,
    endpoint::{Access, Endpoint, MIN_N, Method},
    extract::{OnlyN, only_min_n},
    http::page::{self, Next},
    problem::ApiError,
    read::required::Required,
};

pub fn endpoint() -> Endpoint {
    let named = ("list_modules", "What can be run.");
    Endpoint::new(Method::Get, "/modules", Access::ANYONE, named, list)
        .query::<OnlyN>()
        .headers([MIN_N])
        .page::<Listed>("All modules.")
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Modules")]
struct Listed<'a> {
    modules: Vec<ModuleView<'a>>,
}

async fn list(
    State(app): State<Arc<App>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let required = Required::frame(only_min_n(&uri, &headers)?);
    let modules = app.barrier.read(&required, || app.modules.all()).await?.value;
    let modules = modules.iter().map(ModuleView::from).collect();
    page::answer(&uri, &headers, &Listed { modules }, &Next::none())
}
