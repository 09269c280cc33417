//! `GET /jobs/{id}`

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, Uri},
    response::{IntoResponse, Response},
};

use super::{
    find::{find, min_n},
    view::JobView,
};
use crate::{app::App, auth::Caller, problem::ApiError, routes};

pub async fn get(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let id = routes::job_id(&id)?;
    let row = find(&app, &caller, id, min_n(&uri, &headers)?).await?;
    Ok(Json(JobView::from(&row)).into_response())
}
