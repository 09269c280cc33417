//! `POST /jobs/cancel` and `POST /jobs/retry`: all jobs of a list, chosen by its words.

use axum::{Json, http::Uri};
use nox_contract::{FrameNumber, JobId, ProblemCode};
use nox_readmodel::Cursor;
use percent_encoding::percent_decode_str;
use schemars::JsonSchema;
use serde::Serialize;

use super::filter;
use crate::{
    endpoint::{Access, Answer, Endpoint, IDEMPOTENCY_KEY, MIN_N, Method, TRACEPARENT},
    extract::{self, Incoming, min_n},
    problem::{ApiError, FieldError},
    read::required::Required,
    use_cases::{
        list::Wanted,
        many::{self, Acted, Action, JOBS_MAX},
        submit_batch::Shared,
    },
};

/// The words of `GET /jobs`, of which at least one has to choose, and these.
#[derive(Debug, Default, JsonSchema)]
struct Asked {
    #[schemars(flatten)]
    filter: filter::Asked,
    /// Only say how many jobs there are.
    preview: Option<bool>,
    /// Do nothing if there are more jobs than so many, as a preview said.
    #[schemars(range(min = 0))]
    at_most: Option<usize>,
    /// Most jobs to act on now; 1000, if left out.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<usize>,
}

/// What was done, or would be.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "{T}Jobs")]
struct Many<T> {
    /// Nothing was done.
    preview: bool,
    /// How many jobs were acted on, or would be.
    count: usize,
    /// Whether these are all. A preview counts up to 10,000.
    complete: bool,
    jobs: Vec<T>,
    /// Where to go on, as `cursor`.
    next: Option<String>,
}

impl<T> Many<T> {
    fn counted(many::Counted { count, complete }: many::Counted) -> Self {
        Self { preview: true, count, complete, jobs: Vec::new(), next: None }
    }

    fn acted<U>(acted: Acted<U>, view: impl Fn((JobId, Result<U, ApiError>)) -> T) -> Self {
        let jobs: Vec<_> = acted.jobs.into_iter().map(view).collect();
        let next = acted.next.as_ref().map(Cursor::to_string);
        Self { preview: false, count: jobs.len(), complete: next.is_none(), jobs, next }
    }
}

/// What became of one job.
#[derive(Serialize, JsonSchema)]
struct Canceled {
    job_id: JobId,
    /// A reader that names this number sees the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<FrameNumber>,
    /// Nobody has decided yet.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pending: bool,
    /// Why it is not canceled.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<ApiError>,
}

/// What became of one job.
#[derive(Serialize, JsonSchema)]
struct Retried {
    /// The job that was to be repeated.
    retry_of: JobId,
    /// The new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    job_id: Option<JobId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<FrameNumber>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pending: bool,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<ApiError>,
}

pub fn endpoints() -> Vec<Endpoint> {
    let cancels = ("cancel_jobs", "Ends all jobs of a list, or says how many that would be.");
    let retries = ("retry_jobs", "Repeats all jobs of a list that have ended, or says how many.");
    vec![
        Endpoint::new(Method::Post, "/jobs/cancel", Access::OWN, cancels, cancel)
            .query::<Asked>()
            .headers([MIN_N])
            .answer(Answer::json::<Many<Canceled>>(200, "What became of each."))
            .problems(&[ProblemCode::AtMostExceeded, ProblemCode::StorageFull]),
        Endpoint::new(Method::Post, "/jobs/retry", Access::OWN, retries, retry)
            .query::<Asked>()
            .headers([MIN_N, IDEMPOTENCY_KEY, TRACEPARENT])
            .answer(Answer::json::<Many<Retried>>(200, "What became of each."))
            .problems(&[ProblemCode::AtMostExceeded, ProblemCode::StorageFull]),
    ]
}

async fn cancel(mut incoming: Incoming) -> Result<Json<Many<Canceled>>, ApiError> {
    let asked = Asked::read(incoming.uri())?;
    incoming.no_body().await?;
    let required = Required::frame(min_n(asked.filter.n, incoming.headers())?);
    let Incoming { app, caller, .. } = &incoming;
    let asker = Shared { app, caller, key: None, traceparent: None };
    let wanted = match asked.judge(asker, Action::Cancel, &required).await? {
        Judged::Act(wanted) => wanted,
        Judged::Count(counted) => return Ok(Json(Many::counted(counted))),
    };
    let acted = many::cancel(asker, wanted, &required).await?;
    Ok(Json(Many::acted(acted, |(job_id, outcome)| match outcome {
        Ok(n) => Canceled { job_id, n, pending: n.is_none(), problem: None },
        Err(problem) => Canceled { job_id, n: None, pending: false, problem: Some(problem) },
    })))
}

async fn retry(mut incoming: Incoming) -> Result<Json<Many<Retried>>, ApiError> {
    let asked = Asked::read(incoming.uri())?;
    incoming.no_body().await?;
    let required = Required::frame(min_n(asked.filter.n, incoming.headers())?);
    let Incoming { app, caller, .. } = &incoming;
    let (key, traceparent) = (incoming.key()?, incoming.traceparent());
    let asker = Shared { app, caller, key, traceparent };
    let wanted = match asked.judge(asker, Action::Retry, &required).await? {
        Judged::Act(wanted) => wanted,
        Judged::Count(counted) => return Ok(Json(Many::counted(counted))),
    };
    let acted = many::retry(asker, wanted, &required).await?;
    Ok(Json(Many::acted(acted, |(retry_of, outcome)| match outcome {
        Ok(new) => Retried {
            retry_of,
            job_id: Some(new.job_id),
            n: new.n,
            pending: new.n.is_none(),
            problem: None,
        },
        Err(problem) => {
            Retried { retry_of, job_id: None, n: None, pending: false, problem: Some(problem) }
        }
    })))
}

/// What is to be done.
enum Judged {
    Act(Wanted),
    Count(many::Counted),
}

impl Asked {
    /// Reads what is asked. All that is wrong with one half of it is named at once.
    fn read(uri: &Uri) -> Result<Self, ApiError> {
        let mut asked = Self::default();
        let (mut others, mut errors) = (Vec::new(), Vec::new());
        for pair in uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = percent_decode_str(name).decode_utf8_lossy();
            let outcome = match &*name {
                "preview" => once(&mut asked.preview, value.parse().ok(), "must be true or false"),
                "at_most" => once(&mut asked.at_most, value.parse().ok(), "must be a whole number"),
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| (1..=JOBS_MAX).contains(limit));
                    once(&mut asked.limit, limit, "must be a whole number from 1 to 1000")
                }
                _ => {
                    others.push(pair);
                    Ok(())
                }
            };
            errors.extend(outcome.err().map(|detail| FieldError::new(format!("?{name}"), detail)));
        }
        if !errors.is_empty() {
            return Err(ApiError::invalid(errors));
        }
        let others = format!("/?{}", others.join("&")).parse();
        asked.filter = extract::query(&others.map_err(ApiError::internal)?)?;
        Ok(asked)
    }

    /// Counts first, where that is asked for.
    async fn judge(
        self,
        asker: Shared<'_>,
        action: Action,
        required: &Required,
    ) -> Result<Judged, ApiError> {
        let wanted = self.filter.wanted()?;
        if !wanted.chooses() {
            let detail = "name at least one word that chooses jobs, as status=queued";
            return Err(ApiError::invalid(vec![FieldError::new("?", detail)]));
        }
        let wanted = Wanted { limit: self.limit.unwrap_or(JOBS_MAX), ..wanted };
        let preview = self.preview.unwrap_or_default();
        if preview || self.at_most.is_some() {
            let counted = many::count(asker, action, wanted.clone(), required).await?;
            if preview {
                return Ok(Judged::Count(counted));
            }
            if let Some(most) = self.at_most.filter(|most| counted.count > *most) {
                let count = counted.count;
                let detail = format!("there are {count} such jobs, and at_most says {most}");
                return Err(ApiError::new(ProblemCode::AtMostExceeded, detail));
            }
        }
        Ok(Judged::Act(wanted))
    }
}

/// Takes a parameter that stands there once.
fn once<T>(to: &mut Option<T>, value: Option<T>, rule: &'static str) -> Result<(), &'static str> {
    if to.is_some() {
        return Err("stands there twice");
    }
    *to = Some(value.ok_or(rule)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Asked, ApiError> {
        Asked::read(&format!("/jobs/cancel?{query}").parse().unwrap())
    }

    #[test]
    fn what_chooses_no_jobs_is_seen() {
        for query in ["", "preview=true", "sort=created_at&n=7", "%6cimit=5"] {
            let wanted = read(query).unwrap().filter.wanted().unwrap();
            assert!(!wanted.chooses(), "{query}");
        }
        // Words that say nothing.
        for query in [
            "status=",
            "status=&%6cimit=5",
            "s%6Frt=",
            "status=,",
            "status=%20",
            "user_id=,",
            "status!=%2C",
            "module=noop,",
        ] {
            assert!(read(query).unwrap().filter.wanted().is_err(), "{query}");
        }
        let asked = read("status=queued&preview=true&at_most=7&limit=1000&label!=a%3Db").unwrap();
        assert_eq!((asked.preview, asked.at_most, asked.limit), (Some(true), Some(7), Some(1000)));
        assert!(asked.filter.wanted().unwrap().chooses());
    }

    #[test]
    fn what_is_misspelt_is_refused() {
        for query in [
            "status=queued&preview=yes",
            "status=queued&limit=0",
            "status=queued&limit=1001",
            "status=queued&at_most=-1",
            "status=queued&preview=true&preview=false",
            "status=queued&preview=true&previe%77=false",
            "status=queued&at_most=0&at_most=5",
            "stauts=queued",
        ] {
            assert!(read(query).is_err(), "{query}");
        }
    }
}
