//! `GET /jobs/{id}`

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, Uri},
    response::{IntoResponse, Response},
};

use nox_contract::WaitingCode;

use super::{
    find::{find, only_min_n},
    view::JobView,
};
use crate::{
    app::App,
    auth::Caller,
    problem::ApiError,
    required::Required,
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
    let mut view = JobView::from(&row);
    if row.waiting_code == Some(WaitingCode::Unsatisfiable) {
        let read = || app.reader.largest_worker(&row.module);
        if let Some(largest) = app.barrier.read(&Required::default(), read).await?.value {
            view.explain_unsatisfiable(&row, &largest);
        }
    }
    Ok(Json(view).into_response())
}
