//! `POST /jobs/{id}/submit`

use std::sync::Arc;

use axum::{
    Extension,
    body::Body,
    extract::State,
    http::{HeaderMap, Uri},
};
use nox_contract::ProblemCode;

use super::{
    kind::Kind,
    request::Manner,
    submit::{RECEIPT_HEADERS, Receipt},
};
use crate::{
    app::App,
    endpoint::{Access, Answer, Endpoint, MIN_N, Method},
    extract::{self, OnlyN, Segment, only_min_n},
    http::{body::read_nothing, memory::Account},
    identity::auth::Caller,
    problem::ApiError,
    use_cases::submit_draft,
};

pub fn endpoint() -> Endpoint {
    let (id, summary) = ("submit_draft", "Submits a draft.");
    Endpoint::new(Method::Post, "/jobs/{id}/submit", Access::OWNER_OR_ADMIN, (id, summary), submit)
        .query::<OnlyN>()
        .headers([MIN_N])
        .answer(Answer::json::<Receipt>(202, "It is to run.").headers(RECEIPT_HEADERS))
        .problems(PROBLEMS)
}

const PROBLEMS: &[ProblemCode] = &[
    ProblemCode::InvalidId,
    ProblemCode::JobNotFound,
    ProblemCode::AlreadyEnded,
    ProblemCode::UnknownModule,
    ProblemCode::DisabledModule,
    ProblemCode::BudgetExhausted,
    ProblemCode::QueueFull,
    ProblemCode::RequestTooLarge,
    ProblemCode::Unsatisfiable,
    ProblemCode::Refused,
    ProblemCode::StorageFull,
];

pub async fn submit(
    State(app): State<Arc<App>>,
    caller: Caller,
    Segment(id): Segment,
    Extension(account): Extension<Account>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Receipt, ApiError> {
    let id = extract::job_id(&id)?;
    let min_n = only_min_n(&uri, &headers)?;
    read_nothing(&account, &headers, body).await?;
    let (row, admitted) = submit_draft::submit(&app, &caller, id, min_n).await?;
    let kind = Kind::of(&row.module, row.inputs.as_ref());
    Ok(Receipt::new(admitted, Manner { kind, is_command: false, is_draft: false }))
}
