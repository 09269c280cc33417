//! `GET /jobs/counts`: how many jobs a list has, and by what they have in common.

use std::collections::BTreeMap;

use axum::response::Response;
use nox_readmodel::query::{Counted, Facet, FacetCounts};
use schemars::JsonSchema;
use serde::Serialize;

use super::filter;
use crate::{
    endpoint::{Access, Answer, ETAG, Endpoint, IF_NONE_MATCH, MIN_N, Method},
    extract::{Reading, check_controls, min_n},
    http::etag,
    problem::{ApiError, FieldError},
    read::required::Required,
    use_cases::list,
};

/// Most facets of one request: each that the filter chooses by is a statement of its own.
const FACETS_MAX: usize = 12;
/// Longest name of a label, in bytes, as jobs may have it.
const LABEL_BYTES_MAX: usize = 63;
/// What is counted where nothing is said.
const FACETS: &str = "status,module";

/// The words that choose jobs, and what they are counted by.
#[derive(JsonSchema)]
#[schemars(transform = filter::without_paging)]
#[expect(dead_code, reason = "describes the query, which is read in two parts")]
struct Asked {
    #[schemars(flatten)]
    filter: filter::Asked,
    /// `status`, `module`, `user_id`, `priority`, `waiting`, `error_code`, `release_id` and `label.<name>`, with commas
    /// between, at most 12; `status,module`, if left out.
    by: Option<String>,
}

/// How many jobs there are.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "JobCounts")]
struct View {
    /// Of those that all words choose.
    count: u64,
    /// Whether these are all: only so many are looked at.
    is_exact: bool,
    /// By what was asked for, each among the jobs that all words but its own choose.
    by: BTreeMap<String, FacetView>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Facet")]
struct FacetView {
    /// The 50 most frequent, the first the most.
    values: Vec<CountedView>,
    /// How many jobs have further values.
    others: u64,
    /// Whether these are all values.
    is_exact: bool,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "FacetValue")]
struct CountedView {
    /// As the word that chooses by it has it; `null` of jobs that have no such thing.
    value: Option<String>,
    count: u64,
    /// Whether these are all.
    is_exact: bool,
}

pub fn endpoint() -> Endpoint {
    let (id, summary) = ("count_jobs", "How many jobs there are, and by what they have in common.");
    Endpoint::new(Method::Get, "/jobs/counts", Access::OWN, (id, summary), count)
        .query::<Asked>()
        .headers([MIN_N, IF_NONE_MATCH])
        .answer(Answer::json::<View>(200, "Their numbers.").headers([ETAG]))
        .answer(Answer::empty(304, "They are as the asker has them.").headers([ETAG]))
}

async fn count(Reading { app, caller, uri, headers }: Reading) -> Result<Response, ApiError> {
    let (asked, [by]) = filter::apart(&uri, ["by"])?;
    let required = Required::frame(min_n(asked.n, &headers)?);
    let named = facets(by.as_deref().unwrap_or(FACETS))
        .map_err(|detail| ApiError::invalid(vec![FieldError::new("?by", detail)]))?;
    let wanted = asked.unpaged()?;
    let (names, facets): (Vec<_>, Vec<_>) = named.into_iter().unzip();
    let counts = list::counts(&app, &caller, wanted, &facets, &required).await?;
    let by = names.into_iter().zip(counts.facets.into_iter().map(FacetView::from)).collect();
    etag::json(&headers, &View { count: counts.count, is_exact: counts.is_exact, by })
}

/// What to count by, each with its word.
fn facets(text: &str) -> Result<Vec<(String, Facet)>, String> {
    let mut facets: Vec<(String, Facet)> = Vec::new();
    for word in text.split(',') {
        check_controls(word)?;
        let facet = match word {
            "status" => Facet::Status,
            "module" => Facet::Module,
            "user_id" => Facet::User,
            "priority" => Facet::Priority,
            "waiting" => Facet::Waiting,
            "error_code" => Facet::ErrorCode,
            "release_id" => Facet::Release,
            _ => match word.strip_prefix("label.") {
                Some(name) if (1..=LABEL_BYTES_MAX).contains(&name.len()) => {
                    Facet::Label(name.to_owned())
                }
                _ => {
                    return Err(
                        "has a word that is none of status, module, user_id, priority, waiting, error_code, \
                         release_id and label.<name>"
                            .to_owned(),
                    );
                }
            },
        };
        if facets.iter().all(|(known, _)| known != word) {
            facets.push((word.to_owned(), facet));
        }
    }
    if facets.len() > FACETS_MAX {
        return Err(format!("has at most {FACETS_MAX} words"));
    }
    Ok(facets)
}

impl From<FacetCounts> for FacetView {
    fn from(FacetCounts { values, others, is_exact }: FacetCounts) -> Self {
        let view = |Counted { value, count, is_exact }| CountedView { value, count, is_exact };
        Self { values: values.into_iter().map(view).collect(), others, is_exact }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_counted_by_what_is_named_and_each_once() {
        let named = facets("status,label.team,status,label.a/b").unwrap();
        let words: Vec<_> = named.iter().map(|(word, _)| word.as_str()).collect();
        assert_eq!(words, ["status", "label.team", "label.a/b"]);
        assert_eq!(named[1].1, Facet::Label("team".to_owned()));
        let many: Vec<_> = (0..13).map(|number| format!("label.{number}")).collect();
        let long = format!("label.{}", "x".repeat(64));
        for wrong in ["", "status,", "state", "label.", "label", "tenant", &long, &many.join(",")] {
            assert!(facets(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_chooses_pages_is_not_described() {
        let described = schemars::schema_for!(Asked).to_value();
        let known = described["properties"].as_object().unwrap();
        assert!(known.contains_key("by") && known.contains_key("status!"));
        assert!(!known.contains_key("cursor") && !known.contains_key("limit"));
    }
}
