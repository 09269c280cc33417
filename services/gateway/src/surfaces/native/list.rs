//! `GET /jobs`: newest first, in pages that a cursor connects, never counted.

use axum::{Extension, response::Response};
use nox_readmodel::Cursor;
use schemars::JsonSchema;
use serde::Serialize;

use super::{filter, view::JobView};
use crate::{
    endpoint::{Access, Endpoint, MIN_N, Method},
    extract::{Reading, min_n},
    http::{
        memory::Account,
        page::{self, Next},
    },
    problem::{ApiError, FieldError},
    read::required::Required,
    use_cases::list::{self, COPIES, Wanted},
};

/// The words that choose jobs, and how much is told of each.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "describes the query, which is read in two parts")]
struct Asked {
    #[schemars(flatten)]
    filter: filter::Asked,
    /// `full`, if left out; `brief`: without inputs and outputs.
    #[schemars(extend("enum" = ["full", "brief", null]))]
    view: Option<String>,
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
        .page::<Listed>("A page.")
}

async fn list(
    Extension(account): Extension<Account>,
    Reading { app, caller, uri, headers }: Reading,
) -> Result<Response, ApiError> {
    let (asked, [view]) = filter::apart(&uri, ["view"])?;
    let brief = match view.as_deref() {
        None | Some("full") => false,
        Some("brief") => true,
        Some(_) => {
            let error = FieldError::new("?view", "must be full or brief");
            return Err(ApiError::invalid(vec![error]));
        }
    };
    let required = Required::frame(min_n(asked.n, &headers)?);
    let wanted = Wanted { brief, ..asked.wanted()? };
    let account = &account;
    let room = move |bytes| account.take(COPIES * bytes);
    let Some((found, _room)) = list::list(&app, &caller, wanted, &required, room).await? else {
        return page::answer(&uri, &headers, &Listed::default(), &Next::none());
    };
    let next = found.next.as_ref().map(Cursor::to_string);
    let view = |row| if brief { JobView::brief(row) } else { JobView::from(row) };
    let jobs: Vec<_> = found.rows.iter().map(view).collect();
    let listed = Listed { jobs, next: next.as_deref() };
    page::answer(&uri, &headers, &listed, &Next::page(next.clone()))
}
