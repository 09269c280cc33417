//! `POST /jobs/bulk`: many jobs at once, each judged by itself.

use std::sync::Arc;

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::{HeaderMap, Uri},
    response::{IntoResponse, Response},
};
use futures_util::future::join_all;
use nox_service::crash_point;
use serde::Serialize;
use serde_json::{Value, value::RawValue};

use super::{
    admit::{Keyed, decide, prepare},
    request::{JobRequest, idempotency_key},
    submit::{Admitted, traceparent},
};
use crate::{
    app::App,
    auth::Caller,
    body::{BULK_BODY_BYTES_MAX, read_json},
    memory::Account,
    object::Object,
    problem::{ApiError, FieldError},
    routes,
};

/// Most jobs in a request: two full messages to the scheduler.
const JOBS_MAX: usize = 1_000;

#[derive(Serialize)]
struct Answers {
    jobs: Vec<Answer>,
}

/// What became of one job, in the order in which they were sent.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Accepted(Admitted),
    Problem(Value),
}

pub async fn submit(
    State(app): State<Arc<App>>,
    caller: Caller,
    Extension(account): Extension<Account>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    routes::nothing(&uri)?;
    let key = idempotency_key(&headers)?;
    let body = read_json(&account, &headers, body, BULK_BODY_BYTES_MAX).await?;
    let jobs = split(body.text())?;

    let traceparent = traceparent(&headers);
    let preparations = jobs.iter().enumerate().map(|(place, job)| {
        let (app, caller) = (&app, &caller);
        async move {
            let request = JobRequest::parse(job.get())?;
            let keyed = key.map(|key| Keyed::new(caller, key, Some(place), &request));
            prepare(app, caller, &request, keyed, traceparent).await
        }
    });
    // All are looked over before the first is sent, so that they travel together.
    let prepared = join_all(preparations).await.into_iter();
    let admissions = prepared.map(|prepared| async { decide(&app, &caller, prepared?).await });
    let answers = join_all(admissions).await.into_iter().map(|admission| match admission {
        Ok(admitted) => Answer::Accepted(admitted),
        Err(error) => Answer::Problem(error.document()),
    });
    let answers = answers.collect();
    crash_point("gateway.before_answer");
    Ok(Json(Answers { jobs: answers }).into_response())
}

fn split(text: &str) -> Result<Vec<&RawValue>, ApiError> {
    let wrong = |detail: String| ApiError::invalid(vec![FieldError::new("/jobs", detail)]);
    let rule = || format!("must be an array of 1 to {JOBS_MAX} jobs");

    // Looked at twice: first for what else stands there, then for the jobs, borrowed.
    let object = Object::read(text)?;
    if let Some((name, _)) = object.0.iter().find(|(name, _)| name != "jobs") {
        let detail = "is not known here; the body has jobs alone";
        return Err(ApiError::invalid(vec![FieldError::new(format!("/{name}"), detail)]));
    }

    #[derive(serde::Deserialize)]
    struct Bulk<'a> {
        #[serde(borrow)]
        jobs: Vec<&'a RawValue>,
    }

    let Bulk { jobs } = serde_json::from_str(text).map_err(|_| wrong(rule()))?;
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
