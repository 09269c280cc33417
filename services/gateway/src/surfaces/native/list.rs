//! `GET /jobs`: newest first, in pages that a cursor connects, never counted.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderMap, HeaderValue, Uri, header},
    response::{IntoResponse, Response},
};
use nox_readmodel::Cursor;
use schemars::JsonSchema;
use serde::Serialize;

use super::{filter::Asked, view::JobView};
use crate::{
    app::App,
    endpoint::{Access, Answer, Endpoint, Header, MIN_N, Method},
    extract::{self, min_n},
    http::memory::Account,
    identity::auth::Caller,
    problem::ApiError,
    read::required::Required,
    use_cases::list::{self, COPIES},
};

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
    let wanted = asked.wanted()?;
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

/// The same question, from `cursor` on.
pub(super) fn link(uri: &Uri, cursor: &str) -> String {
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
}
