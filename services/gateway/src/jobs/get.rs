//! `GET /jobs/{id}`

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, Uri},
    response::{IntoResponse, Response},
};

use super::{
    find::{find, only_min_n},
    view::JobView,
};
use crate::{
    app::App,
    auth::Caller,
    problem::ApiError,
    routes::{self, Segment},
};

pub async fn get(
    State(app): State<Arc<App>>,
    caller: Caller,
    Segment(id): Segment,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let id = routes::job_id(&id)?;
    let row = find(&app, &caller, id, only_min_n(&uri, &headers)?).await?;
    Ok(Json(JobView::from(&row)).into_response())
}
