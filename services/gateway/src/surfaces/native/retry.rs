//! `POST /jobs/{id}/retry`: a new job that repeats one which has ended.

use nox_contract::{ProblemCode, RawJson, canonical::pointer_token};
use nox_service::crash_point;

use super::{
    body::RetryBody,
    kind::Kind,
    request::{Manner, labels, resources},
    submit::{RECEIPT_HEADERS, Receipt, SUBMIT_PROBLEMS},
};
use crate::{
    endpoint::{Access, Answer, Content, Endpoint, IDEMPOTENCY_KEY, MIN_N, Method, TRACEPARENT},
    extract::{self, Incoming, OnlyN, Segment},
    http::body::BODY_BYTES_MAX,
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
        .problems(SUBMIT_PROBLEMS)
        .problems(&[ProblemCode::InvalidId, ProblemCode::JobNotFound, ProblemCode::NotEnded])
}

pub async fn retry(Segment(id): Segment, mut incoming: Incoming) -> Result<Receipt, ApiError> {
    let id = extract::job_id(&id)?;
    let min_n = incoming.only_min_n()?;
    let body = incoming.json_or_nothing(BODY_BYTES_MAX).await?;
    let Incoming { app, caller, .. } = &incoming;
    let (key, traceparent) = (incoming.key()?, incoming.traceparent());
    let edits = body.map(|body| edits(body.text())).transpose()?.unwrap_or_default();
    let has_inputs = edits.inputs.is_some();
    let job = retry::request(app, caller, id, min_n, edits).await?;
    let kind = Kind::of(&job.module, Some(&job.inputs));
    let manner = Manner { kind, is_command: kind == Kind::Command, is_draft: false };
    let keyed = key.map(|key| Keyed::new(caller, key, None, &job));
    let prepared = prepare(app, caller, &job, keyed, traceparent).await;
    // What the old job says stands in no body of this request.
    let prepared = prepared.map_err(|error| match error.code() {
        ProblemCode::InvalidInputs if has_inputs => error,
        _ => error.placeless(),
    });
    let admitted = match prepared? {
        Prepared::Known(admitted) => admitted,
        Prepared::New(submit) => decide(app, caller, *submit).await?,
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
