//! `GET /modules/{name}`, for everybody.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, Uri},
    response::{IntoResponse, Response},
};

use super::{ModuleView, find, of_one};
use crate::{
    app::App,
    endpoint::{Answer, Endpoint},
    extract::Segment,
    problem::ApiError,
};

pub fn endpoint() -> Endpoint {
    let named = ("get_module", "A module, with the schemas of its inputs and outputs.");
    of_one("/modules/{name}", named, get).answer(Answer::json::<ModuleView>(200, "The module."))
}

async fn get(
    State(app): State<Arc<App>>,
    Segment(name): Segment,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let row = find(&app, &name, &uri, &headers).await?;
    Ok(Json(ModuleView::from(&row)).into_response())
}
