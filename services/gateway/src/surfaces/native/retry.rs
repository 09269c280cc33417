//! `POST /jobs/{id}/retry`: a new job that repeats one which has ended.

use std::sync::Arc;

use axum::{
    Extension,
    body::Body,
    extract::State,
    http::{HeaderMap, Uri},
};
use nox_contract::{ProblemCode, RawJson, canonical::pointer_token};
use nox_service::crash_point;

use super::{
    body::RetryBody,
    kind::Kind,
    request::{Manner, labels, resources},
    submit::{RECEIPT_HEADERS, Receipt},
};
use crate::{
    app::App,
    endpoint::{Access, Answer, Content, Endpoint, IDEMPOTENCY_KEY, MIN_N, Method, TRACEPARENT},
    extract::{self, OnlyN, Segment, idempotency_key, only_min_n, traceparent},
    http::{
        body::{BODY_BYTES_MAX, read_json_or_nothing},
        memory::Account,
    },
    identity::auth::Caller,
    object::Object,
    problem::{ApiError, FieldError},
    use_cases::{
        retry::{self, Edits},
        submit::{Keyed, Prepared, decide, prepare},
    },
};

pub fn endpoint() -> Endpoint {
    let (id, summary) = ("retry_job", "Repeats a job that has ended, as a new one.");
    Endpoint::new(Method::Post, "/jobs/{id}/retry", Access::OWNER_OR_ADMIN, (id, summary), retry)
        .query::<OnlyN>()
        .headers([MIN_N, IDEMPOTENCY_KEY, TRACEPARENT])
        .optional_body(Content::json::<RetryBody>())
        .example(r#"{"labels": {"team": "b"}}"#)
        .answer(Answer::json::<Receipt>(201, "A command was taken in.").headers(RECEIPT_HEADERS))
        .answer(Answer::json::<Receipt>(202, "The job was taken in.").headers(RECEIPT_HEADERS))
        .problems(PROBLEMS)
}

const PROBLEMS: &[ProblemCode] = &[
    ProblemCode::InvalidId,
    ProblemCode::JobNotFound,
    ProblemCode::NotEnded,
    ProblemCode::InvalidInputs,
    ProblemCode::UnstorableJson,
    ProblemCode::UnknownModule,
    ProblemCode::DisabledModule,
    ProblemCode::IdempotencyConflict,
    ProblemCode::StaleStamp,
    ProblemCode::BudgetExhausted,
    ProblemCode::QueueFull,
    ProblemCode::RequestTooLarge,
    ProblemCode::Unsatisfiable,
    ProblemCode::Refused,
    ProblemCode::StorageFull,
];

pub async fn retry(
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
    let key = idempotency_key(&headers)?;
    let body = read_json_or_nothing(&account, &headers, body, BODY_BYTES_MAX).await?;
    let edits = body.map(|body| edits(body.text())).transpose()?.unwrap_or_default();
    let job = retry::request(&app, &caller, id, min_n, edits).await?;
    let kind = Kind::of(&job.module, Some(&job.inputs));
    let manner = Manner { kind, is_command: kind == Kind::Command, is_draft: false };
    let keyed = key.map(|key| Keyed::new(&caller, key, None, &job));
    let admitted = match prepare(&app, &caller, &job, keyed, traceparent(&headers)).await? {
        Prepared::Known(admitted) => admitted,
        Prepared::New(submit) => decide(&app, &caller, *submit).await?,
    };
    crash_point("gateway.before_answer");
    Ok(Receipt::new(admitted, manner))
}

/// Reads what is to be another. All that is wrong with it is named at once.
fn edits(text: &str) -> Result<Edits, ApiError> {
    let Object(members) = Object::read(text)?;
    let mut errors = Vec::new();
    let mut edits = Edits::default();
    for (name, value) in &members {
        let outcome =
            match &**name {
                "inputs" => RawJson::parse(value.get().to_owned())
                    .map(|inputs| edits.inputs = Some(inputs))
                    .map_err(|error| error.to_string()),
                "requested_resources" => {
                    resources(value, &mut errors).map(|asked| edits.resources = asked)
                }
                "labels" => labels(value, &mut errors).map(|labels| edits.labels = Some(labels)),
                _ => Err("is not known here; there are inputs, requested_resources and labels"
                    .to_owned()),
            };
        if let Err(detail) = outcome {
            let name: String = name.chars().take(64).collect();
            errors.push(FieldError::new(format!("/{}", pointer_token(&name)), detail));
        }
    }
    if errors.is_empty() { Ok(edits) } else { Err(ApiError::invalid(errors)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_another_is_read_member_by_member() {
        assert_eq!(edits("{}").unwrap(), Edits::default());
        let text = r#"{"inputs":{"n":18446744073709551617},"requested_resources":{"cpu":2},"labels":{"a":"b"}}"#;
        let read = edits(text).unwrap();
        assert_eq!(read.inputs.unwrap().get(), r#"{"n":18446744073709551617}"#);
        assert_eq!((read.resources.cpu, read.resources.mem_mb), (Some(2), None));
        assert_eq!(read.labels.unwrap()["a"], "b");
        for text in [r#"{"priority":1}"#, r#"{"labels":{"a":1}}"#, r#"{"labels":{"a b":""}}"#, "[]"]
        {
            assert!(edits(text).is_err(), "{text}");
        }
    }
}
