//! `GET /modules/{name}`, for everybody.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, Uri},
    response::{IntoResponse, Response},
};
use nox_contract::ProblemCode;

use super::ModuleView;
use crate::{
    app::App,
    endpoint::{Access, Answer, Endpoint, MIN_N, Method},
    extract::{OnlyN, Segment, only_min_n},
    problem::ApiError,
    read::required::Required,
    use_cases::modules,
};

pub fn endpoint() -> Endpoint {
    let named = ("get_module", "A module, with the schemas of its inputs and outputs.");
    Endpoint::new(Method::Get, "/modules/{name}", Access::ANYONE, named, get)
        .query::<OnlyN>()
        .headers([MIN_N])
        .answer(Answer::json::<ModuleView>(200, "The module."))
        .problems(&[ProblemCode::ModuleNotFound])
}

async fn get(
    State(app): State<Arc<App>>,
    Segment(name): Segment,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let row = modules::find(&app, &name, Required::frame(only_min_n(&uri, &headers)?)).await?;
    Ok(Json(ModuleView::from(&row)).into_response())
}
