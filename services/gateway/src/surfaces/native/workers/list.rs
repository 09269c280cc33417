//! `GET /workers`: who runs jobs, by name.

use std::{fmt, str::FromStr};

use axum::response::Response;
use nox_contract::WorkerId;
use nox_readmodel::{AsOf, query::NoCursor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::WorkerView;
use crate::{
    endpoint::{Access, Endpoint, Method},
    extract::{self, PageSize, Paging, Reading},
    http::page::{self, Next},
    problem::{ApiError, FieldError},
    use_cases::{then, workers},
};

const PAGE: PageSize = PageSize { default: 200, max: 1_000 };

/// What a worker may be.
const STATES: [&str; 6] = ["joined", "drained", "draining", "paused", "left", "lost"];

pub fn endpoint() -> Endpoint {
    let (id, summary) =
        ("list_workers", "Who runs jobs: executors, and the tenant's workers that claim tasks.");
    Endpoint::new(Method::Get, "/workers", Access::TENANT, (id, summary), list)
        .query::<Asked>()
        .page::<Listed>("A page, by name.")
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// The number of a frame, or an instant: those that were there then. Nobody had left of them.
    as_of: Option<String>,
    /// One of `joined`, `drained`, `draining`, `paused`, `left`, `lost`; all that are there if absent.
    state: Option<String>,
    #[schemars(with = "Option<u32>", range(min = 1, max = 1_000))]
    limit: Option<String>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// As of when, of which state, which page.
type Chosen = (Option<AsOf>, Option<String>, Paging<Place>);

impl Asked {
    /// All that is wrong is named at once.
    fn read(self) -> Result<Chosen, ApiError> {
        let mut errors = Vec::new();
        let cursor = (self.limit.as_deref(), self.cursor.as_deref());
        let paging = Paging::read(cursor, PAGE, &mut errors);
        let state = self.state.filter(|state| !state.is_empty());
        if state.as_deref().is_some_and(|state| !STATES.contains(&state)) {
            errors.push(FieldError::new("?state", format!("must be one of {}", STATES.join(", "))));
        }
        let as_of = self.as_of.as_deref().map(str::parse::<AsOf>).transpose();
        let as_of = as_of.unwrap_or_else(|error| {
            errors.push(FieldError::new("?as_of", error.to_string()));
            None
        });
        if errors.is_empty() { Ok((as_of, state, paging)) } else { Err(ApiError::invalid(errors)) }
    }
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Workers")]
struct Listed {
    workers: Vec<WorkerView>,
    /// The cursor of the next page; null on the last.
    next: Option<String>,
}

/// The worker that a page ended with. Any word can be a worker's name, and not any word is a cursor.
#[derive(Debug)]
struct Place(WorkerId);

const PLACE: &str = "worker/";

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PLACE}{}", self.0)
    }
}

impl FromStr for Place {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        let name = text.strip_prefix(PLACE).ok_or(NoCursor)?;
        name.parse().map(Self).map_err(|_| NoCursor)
    }
}

async fn list(Reading { app, caller, uri, headers }: Reading) -> Result<Response, ApiError> {
    let (as_of, state, paging) = extract::query::<Asked>(&uri)?.read()?;
    let wanted = |view: &WorkerView| match state.as_deref() {
        Some(state) => view.state == state,
        None => view.left_at.is_none(),
    };
    let behind =
        |view: &WorkerView| paging.after.as_ref().is_none_or(|Place(after)| view.id > *after);
    let all: Vec<WorkerView> = match as_of {
        None => workers::list(&app, &caller).await?.into_iter().map(WorkerView::from).collect(),
        Some(_) => {
            let fold = then::state(&app, as_of).await?;
            let then = then::workers::workers(&fold, &caller).into_iter();
            then.map(|worker| WorkerView::then(worker, fold.n())).collect()
        }
    };
    let mut workers: Vec<WorkerView> =
        all.into_iter().filter(|view| wanted(view) && behind(view)).collect();
    workers.sort_by(|a, b| a.id.cmp(&b.id));
    let next = paging.cut(&mut workers, |last| Place(last.id.clone()).to_string());
    page::answer(&uri, &headers, &Listed { workers, next: next.clone() }, &Next::page(next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_asked_for_by_what_they_are_and_all_that_is_wrong_is_named() {
        let read = |query: &str| {
            extract::query::<Asked>(&format!("/workers?{query}").parse().unwrap())?.read()
        };
        let (_, state, paging) = read("state=drained&cursor=worker%2Fexecutor-1").unwrap();
        assert_eq!((state.as_deref(), paging.limit), (Some("drained"), 200));
        let Place(after) = paging.after.unwrap();
        assert_eq!(after.as_str(), "executor-1");
        assert_eq!(Place(after).to_string(), "worker/executor-1");
        for cursor in ["executor-1", "worker/", "worker/%20", "user/ada", "%00"] {
            let shown = read(&format!("cursor={cursor}")).unwrap_err().shown();
            assert_eq!(shown["errors"][0]["pointer"], "?cursor", "{shown}");
        }
        let (as_of, _, paging) = read("state=&limit=1000&as_of=7").unwrap();
        assert_eq!((as_of, paging.limit), (Some(AsOf::Frame(nox_contract::FrameNumber(7))), 1_000));
        assert!(read("as_of=yesterday").is_err());
        let wrong = read("state=asleep&limit=1001&cursor=%00").unwrap_err().shown();
        let pointers: Vec<_> =
            wrong["errors"].as_array().unwrap().iter().map(|error| &error["pointer"]).collect();
        assert_eq!(pointers, ["?limit", "?cursor", "?state"], "{wrong}");
    }
}
