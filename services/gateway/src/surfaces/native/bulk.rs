//! `POST /jobs/bulk`: many jobs at once, each judged by itself.

use std::sync::Arc;

use axum::{
    Extension,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, Uri, header},
    response::{IntoResponse, Response},
};
use nox_service::crash_point;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{body::JobsBody, request::Asked, submit::Receipt};
use crate::{
    app::App,
    endpoint::{Access, Answer, Content, Endpoint, IDEMPOTENCY_KEY, Method, TRACEPARENT},
    extract::{self, idempotency_key, traceparent},
    http::{
        body::{BULK_BODY_BYTES_MAX, read_json},
        memory::Account,
    },
    identity::auth::Caller,
    object::Object,
    problem::{ApiError, FieldError},
    use_cases::{
        concurrently::concurrently,
        submit::{Keyed, Prepared, decide_all, prepare},
    },
};

/// Most jobs in a request: two full messages to the scheduler.
const JOBS_MAX: usize = 1_000;

#[derive(Serialize, JsonSchema)]
struct Answers {
    jobs: Vec<Became>,
}

/// What an answer to a job that was accepted takes.
const ANSWER_BYTES: usize = 200;

/// What became of one job, in the order in which they were sent.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Became {
    Accepted(Receipt),
    Problem(ApiError),
}

pub fn endpoint() -> Endpoint {
    let (id, summary) = ("submit_jobs", "Submits many jobs, each judged by itself.");
    Endpoint::new(Method::Post, "/jobs/bulk", Access::OWN, (id, summary), submit)
        .headers([IDEMPOTENCY_KEY, TRACEPARENT])
        .body(Content::json::<JobsBody>())
        .answer(Answer::json::<Answers>(200, "What became of each, in the order of the request."))
}

pub async fn submit(
    State(app): State<Arc<App>>,
    caller: Caller,
    Extension(account): Extension<Account>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    extract::nothing(&uri)?;
    let key = idempotency_key(&headers)?;
    let body = read_json(&account, &headers, body, BULK_BODY_BYTES_MAX).await?;
    let jobs = split(body.text())?;

    let traceparent = traceparent(&headers);
    let preparations = (0..jobs.len()).map(async |place| {
        let Asked { job, moved, manner } = Asked::parse(jobs[place].get())?;
        let keyed = key.map(|key| Keyed::new(&caller, key, Some(place), &job));
        let prepared = prepare(&app, &caller, &job, keyed, traceparent).await;
        Ok((manner, prepared.map_err(|error| error.placed(&moved))?))
    });
    // All are looked over before the first is sent, so that they travel together.
    let mut new = Vec::with_capacity(jobs.len());
    let looked_over = concurrently(preparations).await.into_iter().map(|prepared| match prepared {
        Ok((manner, Prepared::Known(admitted))) => Ok((manner, Some(admitted))),
        Ok((manner, Prepared::New(submit))) => {
            new.push(*submit);
            Ok((manner, None))
        }
        Err(error) => Err(error),
    });
    let looked_over: Vec<Result<_, ApiError>> = looked_over.collect();
    let mut decided = decide_all(&app, &caller, new).await.into_iter();
    let admissions = looked_over.into_iter().filter_map(|job| match job {
        Ok((manner, Some(known))) => Some(Ok(Receipt::new(known, manner))),
        Ok((manner, None)) => Some(decided.next()?.map(|admitted| Receipt::new(admitted, manner))),
        Err(error) => Some(Err(error)),
    });
    let answers = admissions.map(|admission| match admission {
        Ok(receipt) => Became::Accepted(receipt),
        Err(error) => Became::Problem(error),
    });
    let answers = Answers { jobs: answers.collect() };
    crash_point("gateway.before_answer");
    answers.into_response()
}

impl Answers {
    fn into_response(self) -> Result<Response, ApiError> {
        let mut body = Vec::with_capacity(self.jobs.len() * ANSWER_BYTES);
        serde_json::to_writer(&mut body, &self).map_err(ApiError::internal)?;
        let kind = HeaderValue::from_static("application/json");
        Ok(([(header::CONTENT_TYPE, kind)], body).into_response())
    }
}

fn split(text: &str) -> Result<Vec<&RawValue>, ApiError> {
    let wrong = |detail: String| ApiError::invalid(vec![FieldError::new("/jobs", detail)]);
    let rule = || format!("must be an array of 1 to {JOBS_MAX} jobs");

    let Object(members) = Object::read(text)?;
    if let Some((name, _)) = members.iter().find(|(name, _)| name != "jobs") {
        let detail = "is not known here; the body has jobs alone";
        return Err(ApiError::invalid(vec![FieldError::new(format!("/{name}"), detail)]));
    }
    let jobs = members.first().map(|(_, jobs)| serde_json::from_str::<Vec<&RawValue>>(jobs.get()));
    let Some(Ok(jobs)) = jobs else { return Err(wrong(rule())) };
    if jobs.is_empty() || jobs.len() > JOBS_MAX {
        return Err(wrong(rule()));
    }
    Ok(jobs)
}

#[cfg(test)]
mod tests {
    use nox_contract::ProblemCode;

    use super::*;

    #[test]
    fn a_bulk_is_an_array_of_a_bounded_number_of_jobs() {
        assert_eq!(split(r#"{"jobs":[{"a":1},7]}"#).unwrap().len(), 2);
        let many = |count: usize| format!(r#"{{"jobs":[{}]}}"#, vec!["{}"; count].join(","));
        assert_eq!(split(&many(JOBS_MAX)).unwrap().len(), JOBS_MAX);
        for text in
            [&many(0), &many(JOBS_MAX + 1), "{}", "[]", r#"{"jobs":{}}"#, r#"{"jobs":[],"x":1}"#]
        {
            let error = split(text).unwrap_err();
            assert_eq!(error.code(), ProblemCode::InvalidRequest, "{text}");
        }
        assert_eq!(split("{").unwrap_err().code(), ProblemCode::MalformedJson);
    }
}
