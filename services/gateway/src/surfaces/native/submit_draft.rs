//! `POST /jobs/{id}/submit`

use nox_contract::ProblemCode;

use super::{
    kind::Kind,
    request::Manner,
    submit::{RECEIPT_HEADERS, Receipt},
};
use crate::{
    endpoint::{Access, Answer, Endpoint, MIN_N, Method},
    extract::{self, Incoming, OnlyN, Segment},
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
    ProblemCode::Parked,
    ProblemCode::BudgetExhausted,
    ProblemCode::QueueFull,
    ProblemCode::RequestTooLarge,
    ProblemCode::Unsatisfiable,
    ProblemCode::Refused,
    ProblemCode::StorageFull,
];

pub async fn submit(Segment(id): Segment, mut incoming: Incoming) -> Result<Receipt, ApiError> {
    let id = extract::job_id(&id)?;
    let min_n = incoming.only_min_n()?;
    incoming.no_body().await?;
    let Incoming { app, caller, .. } = &incoming;
    let (row, admitted) = submit_draft::submit(app, caller, id, min_n).await?;
    let kind = Kind::of(&row.module, row.inputs.as_ref());
    Ok(Receipt::new(admitted, Manner { kind, is_command: false, is_draft: false }))
}
