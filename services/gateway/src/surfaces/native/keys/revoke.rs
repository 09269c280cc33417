//! `DELETE /keys/{id}`

use axum::http::StatusCode;
use nox_contract::{KeyId, ProblemCode};

use crate::{
    endpoint::{Access, Answer, Endpoint, Method},
    extract::{Incoming, Segment},
    problem::ApiError,
    use_cases::keys,
};

pub fn endpoint() -> Endpoint {
    let named = ("revoke_key", "The key is worth nothing any more, within five seconds.");
    Endpoint::new(Method::Delete, "/keys/{id}", Access::OWNER_OR_ADMIN, named, revoke)
        .answer(Answer::empty(204, "It is revoked."))
        .answer(Answer::empty(202, "It will be decided."))
        .problems(&[
            ProblemCode::InvalidId,
            ProblemCode::KeyNotFound,
            ProblemCode::Refused,
            ProblemCode::StorageFull,
        ])
}

async fn revoke(Segment(id): Segment, mut incoming: Incoming) -> Result<StatusCode, ApiError> {
    incoming.nothing().await?;
    let not_found = || ApiError::new(ProblemCode::KeyNotFound, "there is no such key of yours");
    let id: KeyId = id.parse().map_err(|_| not_found())?;
    let accepted = keys::revoke(&incoming.app, &incoming.caller, id).await?;
    Ok(if accepted.is_some() { StatusCode::NO_CONTENT } else { StatusCode::ACCEPTED })
}
