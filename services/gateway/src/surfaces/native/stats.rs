//! `GET /jobs/stats`: how it went within a span of time.
//!
//! `noxctl report` tells more of the same, and folds the log from its first message for it; this is asked for by whoever
//! looks at a page, and so made of rows.

use std::time::Duration;

use axum::response::Response;
use nox_contract::Timestamp;
use nox_readmodel::query::{PARTS_MAX, Quantiles, Span, Stats};
use schemars::JsonSchema;
use serde::Serialize;

use super::filter;
use crate::{
    endpoint::{Access, Answer, ETAG, Endpoint, IF_NONE_MATCH, Method},
    extract::Reading,
    http::etag,
    problem::{ApiError, FieldError},
    use_cases::{list, look_through::INSTANT},
};

/// The span that is told of where nothing is said.
const SPAN: Duration = Duration::from_secs(3_600);
const PARTS: usize = 60;

/// The words that choose jobs, and the span.
#[derive(JsonSchema)]
#[schemars(transform = filter::without_paging)]
#[expect(dead_code, reason = "describes the query, which is read in two parts")]
struct Asked {
    #[schemars(flatten)]
    filter: filter::Asked,
    /// The span's first instant; an hour before `to`, if left out.
    from: Option<Timestamp>,
    /// The instant behind its last; now, if left out.
    to: Option<Timestamp>,
    /// Parts of the span that are counted by themselves; 60, if left out.
    #[schemars(range(min = 1, max = 200))]
    parts: Option<u32>,
}

/// What became of jobs within a span.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "JobStats")]
struct View {
    from: Timestamp,
    to: Timestamp,
    /// How long a part is, in seconds.
    part_s: f64,
    /// Whether these are all: only so many jobs are looked at.
    is_exact: bool,
    submitted: u64,
    succeeded: u64,
    failed: u64,
    canceled: u64,
    /// Of jobs that succeeded or failed in it, the seconds from their creation to the start of their newest attempt.
    wait_s: QuantilesView,
    /// Of the same, the seconds from there to their end.
    run_s: QuantilesView,
    parts: Vec<PartView>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Quantiles")]
struct QuantilesView {
    count: u64,
    p50: Option<f64>,
    p95: Option<f64>,
    max: Option<f64>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "StatsPart")]
struct PartView {
    /// Its first instant.
    from: Timestamp,
    submitted: u64,
    succeeded: u64,
    failed: u64,
    canceled: u64,
}

pub fn endpoint() -> Endpoint {
    let (id, summary) =
        ("get_job_stats", "How many jobs came and ended in a span, and how long they took.");
    Endpoint::new(Method::Get, "/jobs/stats", Access::OWN, (id, summary), stats)
        .query::<Asked>()
        .headers([IF_NONE_MATCH])
        .answer(Answer::json::<View>(200, "The figures.").headers([ETAG]))
        .answer(Answer::empty(304, "They are as the asker has them.").headers([ETAG]))
}

async fn stats(Reading { app, caller, uri, headers }: Reading) -> Result<Response, ApiError> {
    let (asked, named) = filter::apart(&uri, ["from", "to", "parts"])?;
    if asked.n.is_some() {
        return Err(ApiError::invalid(vec![FieldError::new("?n", "is not known here")]));
    }
    let span = span(named, app.runtime.clock.wall())?;
    let wanted = asked.unpaged()?;
    let words = uri.query().unwrap_or_default();
    let told = list::stats(&app, &caller, (wanted, span), words).await?;
    etag::json(&headers, &View::new(&told.stats, told.span))
}

/// The span that is asked for. All that is wrong with it is named at once.
fn span([from, to, parts]: [Option<String>; 3], now: Timestamp) -> Result<Span, ApiError> {
    let mut errors = Vec::new();
    let mut instant = |name: &str, text: Option<String>| {
        let read = text.map(|text| text.parse::<Timestamp>()).transpose();
        read.unwrap_or_else(|_| {
            errors.push(FieldError::new(name, INSTANT));
            None
        })
    };
    let (from, to) = (instant("?from", from), instant("?to", to).unwrap_or(now));
    let from = from.unwrap_or_else(|| to - SPAN);
    let parts = parts.map(|text| text.parse().ok()).unwrap_or(Some(PARTS));
    let parts = parts.filter(|parts| (1..=PARTS_MAX).contains(parts)).unwrap_or_else(|| {
        let detail = format!("must be a whole number from 1 to {PARTS_MAX}");
        errors.push(FieldError::new("?parts", detail));
        PARTS
    });
    if errors.is_empty() && from >= to {
        errors.push(FieldError::new("?from", "must be before ?to"));
    }
    if errors.is_empty() { Ok(Span { from, to, parts }) } else { Err(ApiError::invalid(errors)) }
}

impl View {
    fn new(stats: &Stats, span: Span) -> Self {
        let begins = |place: u32| span.from + span.part() * place;
        let parts: Vec<_> = (0..)
            .zip(&stats.parts)
            .map(|(place, part)| PartView {
                from: begins(place),
                submitted: part.submitted,
                succeeded: part.succeeded,
                failed: part.failed,
                canceled: part.canceled,
            })
            .collect();
        let sum = |of: fn(&PartView) -> u64| parts.iter().map(of).sum();
        Self {
            from: span.from,
            to: span.to,
            part_s: span.part().as_secs_f64(),
            is_exact: stats.is_exact,
            submitted: sum(|part| part.submitted),
            succeeded: sum(|part| part.succeeded),
            failed: sum(|part| part.failed),
            canceled: sum(|part| part.canceled),
            wait_s: stats.waits.into(),
            run_s: stats.runs.into(),
            parts,
        }
    }
}

impl From<Quantiles> for QuantilesView {
    fn from(Quantiles { count, p50, p95, max }: Quantiles) -> Self {
        Self { count, p50, p95, max }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_the_last_hour_or_what_is_named() {
        let now: Timestamp = "2026-11-28T12:00:00Z".parse().unwrap();
        let read = |from: &str, to: &str, parts: &str| {
            let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
            span([given(from), given(to), given(parts)], now)
        };
        let hour = read("", "", "").unwrap();
        assert_eq!((hour.to, hour.parts, hour.part()), (now, 60, Duration::from_secs(60)));
        let day = read("2026-11-27T00:00:00Z", "2026-11-28T00:00:00Z", "24").unwrap();
        assert_eq!(day.part(), SPAN);
        for (from, to, parts) in [
            ("yesterday", "", ""),
            ("", "", "0"),
            ("", "", "201"),
            ("2026-11-28T12:00:00Z", "", ""),
            ("2026-11-28T00:00:00Z", "2026-11-27T00:00:00Z", ""),
        ] {
            assert!(read(from, to, parts).is_err(), "{from} {to} {parts}");
        }
    }
}
