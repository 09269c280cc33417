//! `GET /jobs`: newest first, in pages that a cursor connects, never counted.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderMap, HeaderValue, Uri, header},
    response::{IntoResponse, Response},
};
use nox_contract::{JobState, ModuleName, UserId};
use nox_readmodel::{Cursor, Filter};
use serde::{Deserialize, Serialize};

use super::{find::min_n, view::JobView};
use crate::{
    app::App,
    auth::Caller,
    memory::Account,
    problem::{ApiError, FieldError},
    required::Required,
    routes,
};

/// Jobs in a page that names no limit, and most in any.
const LIMIT_DEFAULT: usize = 50;
const LIMIT_MAX: usize = 200;

/// Bytes after which a page ends early, unless it has one job alone: what jobs carry is the programs'.
const PAGE_BYTES_MAX: usize = 512 * 1024;

/// How often a page is in memory while it is made: as it came, as rows, and as text.
const COPIES: usize = 3;

/// A misspelt filter would silently show everything, so unknown ones are refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    status: Option<String>,
    module: Option<String>,
    user_id: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
    n: Option<u64>,
}

/// A page. Not by way of a `Value`, which would make doubles of the numbers in inputs and outputs.
#[derive(Default, Serialize)]
struct Listed<'a> {
    jobs: Vec<JobView<'a>>,
    next: Option<&'a str>,
}

pub async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Extension(account): Extension<Account>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let asked: Asked = routes::query(&uri)?;
    let required = Required::frame(min_n(asked.n, &headers)?);
    let filter = filter(&caller, asked)?;
    let Some(filter) = filter else {
        if let Some(n) = required.n {
            app.barrier.frame(n).await?;
        }
        return Ok(Json(Listed::default()).into_response());
    };
    let account = &account;
    let read = || {
        let room = move |bytes| account.take(COPIES * bytes);
        app.reader.jobs_within(&filter, PAGE_BYTES_MAX, room)
    };
    let (page, _room) = app.barrier.read(&required, read).await?.value?;

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

/// What to show; `None` if that is nothing, because another user's jobs are asked for.
fn filter(caller: &Caller, asked: Asked) -> Result<Option<Filter>, ApiError> {
    let mut errors = Vec::new();
    let status: Option<JobState> = read(&mut errors, "?status", asked.status);
    let module: Option<ModuleName> = read(&mut errors, "?module", asked.module);
    let user: Option<UserId> = read(&mut errors, "?user_id", asked.user_id);
    let limit: Option<usize> = read(&mut errors, "?limit", asked.limit);
    let before: Option<Cursor> = read(&mut errors, "?cursor", asked.cursor);
    if limit.is_some_and(|limit| !(1..=LIMIT_MAX).contains(&limit)) {
        errors.push(FieldError::new("?limit", format!("must be from 1 to {LIMIT_MAX}")));
    }
    if !errors.is_empty() {
        return Err(ApiError::invalid(errors));
    }
    let user = match user {
        Some(user) if !caller.admin && user != caller.user => return Ok(None),
        None if !caller.admin => Some(caller.user.clone()),
        user => user,
    };
    let limit = limit.unwrap_or(LIMIT_DEFAULT);
    Ok(Some(Filter { tenant: caller.tenant.clone(), user, status, module, limit, before }))
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
    use super::*;

    #[test]
    fn the_next_page_asks_the_same_question() {
        let uri: Uri = "/jobs?status=succeeded&cursor=1&module=a".parse().unwrap();
        assert_eq!(link(&uri, "7"), "</jobs?status=succeeded&module=a&cursor=7>; rel=\"next\"");
        assert_eq!(link(&"/jobs".parse().unwrap(), "7"), "</jobs?cursor=7>; rel=\"next\"");
    }

    fn asked(query: &str) -> Result<Option<Filter>, ApiError> {
        let caller = Caller {
            tenant: "default".parse().unwrap(),
            user: "ada".parse().unwrap(),
            admin: query.contains("admin"),
        };
        let uri: Uri = format!("/jobs?{}", query.trim_start_matches("admin;")).parse().unwrap();
        filter(&caller, routes::query(&uri)?)
    }

    #[test]
    fn a_status_is_understood_in_every_spelling() {
        for (word, state) in [
            ("cancelled", JobState::Canceled),
            ("completed", JobState::Succeeded),
            ("pending", JobState::Queued),
        ] {
            let filter = asked(&format!("status={word}")).unwrap().unwrap();
            assert_eq!(filter.status, Some(state));
        }
        assert_eq!(asked("status=").unwrap().unwrap().status, None);
    }

    #[test]
    fn a_user_sees_only_its_own() {
        let ada: UserId = "ada".parse().unwrap();
        assert_eq!(asked("").unwrap().unwrap().user, Some(ada.clone()));
        assert_eq!(asked("user_id=ada").unwrap().unwrap().user, Some(ada));
        assert!(asked("user_id=eve").unwrap().is_none());
        assert_eq!(asked("admin;").unwrap().unwrap().user, None);
        let eve = asked("admin;user_id=eve").unwrap().unwrap().user;
        assert_eq!(eve, Some("eve".parse().unwrap()));
    }

    #[test]
    fn filters_that_mean_nothing_are_refused() {
        for query in
            ["status=done", "stauts=failed", "module=A", "limit=0", "limit=201", "limit=x", "n=-1"]
        {
            assert!(asked(query).is_err(), "{query}");
        }
        // What is wrong is not sent back, however long it is.
        let document = asked(&format!("status={}", "x".repeat(9_000))).unwrap_err().document();
        assert!(document["detail"].as_str().unwrap().contains("queued"), "{document}");
        assert!(document.to_string().len() < 1_000, "{document}");
    }
}
