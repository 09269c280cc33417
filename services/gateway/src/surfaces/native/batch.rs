//! `POST /jobs/batch`: many jobs at once, all or none, or each judged by itself.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use nox_contract::{canonical::pointer_token, command::BATCH_JOBS_MAX};
use nox_service::crash_point;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    body::BatchBody,
    request::{Asked, Manner},
    submit::{REPLAYED, Receipt, SUBMIT_PROBLEMS},
};
use crate::{
    endpoint::{Access, Answer, Content, Endpoint, Header, IDEMPOTENCY_KEY, Method, TRACEPARENT},
    extract::Incoming,
    http::body::BATCH_BODY_BYTES_MAX,
    object::Object,
    problem::{ApiError, FieldError},
    use_cases::{
        concurrently::concurrently,
        job_request::JobRequest,
        submit::{Prepared, decide_all},
        submit_batch::{Failed, Shared, submit_batch},
    },
};

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "BatchAnswers")]
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

const ALL_REPLAYED: Header = Header::text(
    "Idempotency-Replayed",
    "true, where all of it repeats an earlier answer under its key.",
);

pub fn endpoint() -> Endpoint {
    let (id, summary) =
        ("submit_batch", "Submits many jobs, all or none, or each judged by itself.");
    Endpoint::new(Method::Post, "/jobs/batch", Access::OWN, (id, summary), submit)
        .headers([IDEMPOTENCY_KEY, TRACEPARENT])
        .body(Content::json::<BatchBody>())
        .example(r#"{"jobs": [{"module": "noop"}, {"module": "noop", "priority": 9}]}"#)
        .answer(
            Answer::json::<Answers>(200, "What became of each, in the order of the request.")
                .headers([ALL_REPLAYED]),
        )
        .answer(
            Answer::json::<Answers>(202, "All were taken in, in the order of the request.")
                .headers([ALL_REPLAYED]),
        )
        .problems(SUBMIT_PROBLEMS)
}

pub async fn submit(mut incoming: Incoming) -> Result<Response, ApiError> {
    let body = incoming.json(BATCH_BODY_BYTES_MAX).await?;
    let Incoming { app, caller, .. } = &incoming;
    let (key, traceparent) = (incoming.key()?, incoming.traceparent());
    let shared = Shared { app, caller, key, traceparent };
    let Batch { jobs, atomic } = Batch::parse(body.text())?;
    let answers = match atomic {
        true => all_or_none(shared, &jobs).await?,
        false => each_by_itself(shared, &jobs).await,
    };
    crash_point("gateway.before_answer");
    let status = if atomic { StatusCode::ACCEPTED } else { StatusCode::OK };
    Ok((status, answers.into_response()?).into_response())
}

async fn all_or_none(shared: Shared<'_>, jobs: &[&RawValue]) -> Result<Answers, ApiError> {
    let mut requests = Vec::with_capacity(jobs.len());
    let mut asked = Vec::with_capacity(jobs.len());
    for (place, job) in jobs.iter().enumerate() {
        let parsed = Asked::parse(job.get()).map_err(|error| error.of_job(place))?;
        let Asked { job, moved, manner } = parsed;
        requests.push(JobRequest { together: Some(jobs.len()), ..job });
        asked.push((moved, manner));
    }
    let admitted = submit_batch(shared, &requests).await;
    let admitted = admitted.map_err(|Failed { place, error }| match place {
        Some(place) => error.placed(&asked[place].0).of_job(place),
        None => error,
    })?;
    let receipts = admitted
        .into_iter()
        .zip(asked)
        .map(|(admitted, (_, manner))| Became::Accepted(Receipt::new(admitted, manner)));
    Ok(Answers { jobs: receipts.collect() })
}

async fn each_by_itself(shared: Shared<'_>, jobs: &[&RawValue]) -> Answers {
    let looked_over = jobs.iter().enumerate().map(|(place, job)| async move {
        let judged = look_over(shared, place, job).await;
        judged.map_err(|error| error.within(&format!("/jobs/{place}")))
    });
    // All are looked over before the first is sent, so that they travel together.
    let looked_over = concurrently(looked_over.collect::<Vec<_>>()).await;
    let mut new = Vec::with_capacity(jobs.len());
    let looked_over = looked_over.into_iter().map(|prepared| match prepared {
        Ok((manner, Prepared::Known(admitted))) => Ok((manner, Some(admitted))),
        Ok((manner, Prepared::New(submit))) => {
            new.push(*submit);
            Ok((manner, None))
        }
        Err(error) => Err(error),
    });
    let looked_over: Vec<Result<_, ApiError>> = looked_over.collect();
    let mut decided = decide_all(shared.app, shared.caller, new).await.into_iter();
    let admissions = looked_over.into_iter().filter_map(|job| match job {
        Ok((manner, Some(known))) => Some(Ok(Receipt::new(known, manner))),
        Ok((manner, None)) => Some(decided.next()?.map(|admitted| Receipt::new(admitted, manner))),
        Err(error) => Some(Err(error)),
    });
    let answers = admissions.map(|admission| match admission {
        Ok(receipt) => Became::Accepted(receipt),
        Err(error) => Became::Problem(error),
    });
    Answers { jobs: answers.collect() }
}

async fn look_over(
    shared: Shared<'_>,
    place: usize,
    job: &RawValue,
) -> Result<(Manner, Prepared), ApiError> {
    let Asked { job, moved, manner } = Asked::parse(job.get())?;
    let prepared = shared.look_over(place, &job).await;
    Ok((manner, prepared.map_err(|error| error.placed(&moved))?))
}

impl Answers {
    /// Says whether all of it repeats an earlier answer.
    fn into_response(self) -> Result<Response, ApiError> {
        let is_replayed = |one: &Became| matches!(one, Became::Accepted(of) if of.is_replayed());
        let replayed = self.jobs.iter().all(is_replayed);
        let mut body = Vec::with_capacity(self.jobs.len() * ANSWER_BYTES);
        serde_json::to_writer(&mut body, &self).map_err(ApiError::internal)?;
        let kind = HeaderValue::from_static("application/json");
        let mut response = ([(header::CONTENT_TYPE, kind)], body).into_response();
        if replayed {
            response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        }
        Ok(response)
    }
}

/// A request, with its jobs as they were written.
#[derive(Debug)]
struct Batch<'b> {
    jobs: Vec<&'b RawValue>,
    atomic: bool,
}

impl<'b> Batch<'b> {
    /// All that is wrong with it, beside the jobs, is named at once.
    fn parse(text: &'b str) -> Result<Self, ApiError> {
        let Object(members) = Object::read(text)?;
        let (mut jobs, mut atomic) = (None, true);
        let mut errors = Vec::new();
        for (name, value) in &members {
            let outcome = match &**name {
                "jobs" => jobs_of(value).map(|of| jobs = Some(of)),
                "atomic" => serde_json::from_str(value.get())
                    .map(|of| atomic = of)
                    .map_err(|_| "must be true or false".to_owned()),
                _ => Err("is not known here; there are jobs and atomic".to_owned()),
            };
            if let Err(detail) = outcome {
                let name: String = name.chars().take(64).collect();
                errors.push(FieldError::new(format!("/{}", pointer_token(&name)), detail));
            }
        }
        match jobs {
            Some(jobs) if errors.is_empty() => Ok(Self { jobs, atomic }),
            None if errors.is_empty() => {
                Err(ApiError::invalid(vec![FieldError::new("/jobs", rule())]))
            }
            _ => Err(ApiError::invalid(errors)),
        }
    }
}

fn jobs_of(value: &RawValue) -> Result<Vec<&RawValue>, String> {
    let jobs = serde_json::from_str::<Vec<&RawValue>>(value.get()).map_err(|_| rule())?;
    if (1..=BATCH_JOBS_MAX).contains(&jobs.len()) { Ok(jobs) } else { Err(rule()) }
}

fn rule() -> String {
    format!("must be an array of 1 to {BATCH_JOBS_MAX} jobs")
}

#[cfg(test)]
mod tests {
    use nox_contract::ProblemCode;

    use super::*;

    #[test]
    fn a_batch_is_an_array_of_a_bounded_number_of_jobs() {
        let batch = Batch::parse(r#"{"jobs":[{"a":1},7]}"#).unwrap();
        assert_eq!((batch.jobs.len(), batch.atomic), (2, true));
        assert!(!Batch::parse(r#"{"atomic":false,"jobs":[{}]}"#).unwrap().atomic);
        let many = |count: usize| format!(r#"{{"jobs":[{}]}}"#, vec!["{}"; count].join(","));
        assert_eq!(Batch::parse(&many(BATCH_JOBS_MAX)).unwrap().jobs.len(), BATCH_JOBS_MAX);
        for text in [
            &many(0),
            &many(BATCH_JOBS_MAX + 1),
            "{}",
            "[]",
            r#"{"jobs":{}}"#,
            r#"{"jobs":[{}],"x":1}"#,
            r#"{"jobs":[{}],"atomic":"yes"}"#,
            r#"{"jobs":[{}],"atomic":null}"#,
        ] {
            let error = Batch::parse(text).unwrap_err();
            assert_eq!(error.code(), ProblemCode::InvalidRequest, "{text}");
        }
        assert_eq!(Batch::parse("{").unwrap_err().code(), ProblemCode::MalformedJson);
    }
}
