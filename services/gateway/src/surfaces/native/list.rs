//! `GET /jobs`: newest first, in pages that a cursor connects, never counted.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderMap, HeaderValue, Uri, header},
    response::{IntoResponse, Response},
};
use nox_contract::ModuleName;
use nox_readmodel::Cursor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::view::JobView;
use crate::{
    app::App,
    endpoint::{Access, Answer, Endpoint, Header, MIN_N, Method},
    extract::{self, min_n},
    http::memory::Account,
    identity::auth::Caller,
    problem::{ApiError, FieldError},
    read::required::Required,
    use_cases::list::{self, COPIES, Wanted},
};

/// Jobs in a page that names no limit, and most in any.
const LIMIT_DEFAULT: usize = 50;
const LIMIT_MAX: usize = 200;

/// A misspelt filter would silently show everything, so unknown ones are refused.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// In any spelling that a surface has for it.
    status: Option<String>,
    #[schemars(with = "Option<ModuleName>")]
    module: Option<String>,
    user_id: Option<String>,
    #[schemars(with = "Option<u32>", range(min = 1, max = 200))]
    limit: Option<String>,
    cursor: Option<String>,
    n: Option<u64>,
}

/// A page. Not by way of a `Value`, which would make doubles of the numbers in inputs and outputs.
#[derive(Default, Serialize, JsonSchema)]
#[schemars(rename = "Jobs")]
struct Listed<'a> {
    jobs: Vec<JobView<'a>>,
    next: Option<&'a str>,
}

pub fn endpoint() -> Endpoint {
    let (id, summary) = ("list_jobs", "The jobs that the asker may see, newest first, in pages.");
    Endpoint::new(Method::Get, "/jobs", Access::OWN, (id, summary), list)
        .query::<Asked>()
        .headers([MIN_N])
        .answer(
            Answer::json::<Listed>(200, "A page.")
                .headers([Header::text("Link", "The next page, as rel=next (RFC 8288).")]),
        )
}

pub async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Extension(account): Extension<Account>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let asked: Asked = extract::query(&uri)?;
    let required = Required::frame(min_n(asked.n, &headers)?);
    let wanted = wanted(asked)?;
    let account = &account;
    let room = move |bytes| account.take(COPIES * bytes);
    let Some((page, _room)) = list::list(&app, &caller, wanted, &required, room).await? else {
        return Ok(Json(Listed::default()).into_response());
    };

    let next = page.next.as_ref().map(Cursor::to_string);
    let jobs: Vec<_> = page.rows.iter().map(JobView::from).collect();
    let mut response = Json(Listed { jobs, next: next.as_deref() }).into_response();
    if let Some(next) = next
        && let Ok(link) = HeaderValue::from_str(&link(&uri, &next))
    {
        response.headers_mut().insert(header::LINK, link);
    }
    Ok(response)
}

/// What to show. All that is wrong with it is named at once.
fn wanted(asked: Asked) -> Result<Wanted, ApiError> {
    let mut errors = Vec::new();
    let wanted = Wanted {
        status: read(&mut errors, "?status", asked.status),
        module: read(&mut errors, "?module", asked.module),
        user: read(&mut errors, "?user_id", asked.user_id),
        limit: read(&mut errors, "?limit", asked.limit).unwrap_or(LIMIT_DEFAULT),
        before: read(&mut errors, "?cursor", asked.cursor),
    };
    if !(1..=LIMIT_MAX).contains(&wanted.limit) {
        errors.push(FieldError::new("?limit", format!("must be from 1 to {LIMIT_MAX}")));
    }
    if errors.is_empty() { Ok(wanted) } else { Err(ApiError::invalid(errors)) }
}

/// Reads a parameter; an empty one counts as left out.
fn read<T: std::str::FromStr>(
    errors: &mut Vec<FieldError>,
    name: &str,
    text: Option<String>,
) -> Option<T>
where
    T::Err: std::fmt::Display,
{
    let text = text.filter(|text| !text.is_empty())?;
    match text.parse() {
        Ok(value) => Some(value),
        Err(error) => {
            errors.push(FieldError::new(name, error.to_string()));
            None
        }
    }
}

/// The same question, from `cursor` on.
fn link(uri: &Uri, cursor: &str) -> String {
    let kept = uri.query().unwrap_or_default().split('&');
    let kept = kept.filter(|pair| !pair.is_empty() && !pair.starts_with("cursor="));
    let query: Vec<_> = kept.map(str::to_owned).chain([format!("cursor={cursor}")]).collect();
    format!("<{}?{}>; rel=\"next\"", uri.path(), query.join("&"))
}

#[cfg(test)]
mod tests {
    use nox_contract::JobState;

    use super::*;

    #[test]
    fn the_next_page_asks_the_same_question() {
        let uri: Uri = "/jobs?status=succeeded&cursor=1&module=a".parse().unwrap();
        assert_eq!(link(&uri, "7"), "</jobs?status=succeeded&module=a&cursor=7>; rel=\"next\"");
        assert_eq!(link(&"/jobs".parse().unwrap(), "7"), "</jobs?cursor=7>; rel=\"next\"");
    }

    fn asked(query: &str) -> Result<Wanted, ApiError> {
        wanted(extract::query(&format!("/jobs?{query}").parse().unwrap())?)
    }

    #[test]
    fn a_status_is_understood_in_every_spelling() {
        for (word, state) in [
            ("cancelled", JobState::Canceled),
            ("completed", JobState::Succeeded),
            ("pending", JobState::Queued),
        ] {
            let wanted = asked(&format!("status={word}")).unwrap();
            assert_eq!(wanted.status, Some(state));
        }
        assert_eq!(asked("status=").unwrap().status, None);
    }

    #[test]
    fn filters_that_mean_nothing_are_refused() {
        for query in
            ["status=done", "stauts=failed", "module=A", "limit=0", "limit=201", "limit=x", "n=-1"]
        {
            assert!(asked(query).is_err(), "{query}");
        }
        // What is wrong is not sent back, however long it is.
        let error = asked(&format!("status={}", "x".repeat(9_000))).unwrap_err();
        let document = error.shown();
        assert!(document["detail"].as_str().unwrap().contains("queued"), "{document}");
        assert!(document.to_string().len() < 1_000, "{document}");
    }
}
