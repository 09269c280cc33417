//! `GET /api/jobs` and `GET /api/releases/{release_id}/jobs`

use axum::Json;
use nox_contract::metadata::check_release_id;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::view::JobView;
use crate::{
    app::App,
    endpoint::{Access, Answer, Endpoint, Method},
    extract::{self, Reading, Segment},
    identity::auth::Caller,
    problem::{ApiError, FieldError},
    use_cases::list::{self, Numbered, Wanted},
};

/// Jobs of a page that names no size, and most of any.
const PER_PAGE: usize = 50;
const PER_PAGE_MAX: usize = 100;

/// Jobs that are counted, and so can be turned to, at most.
const COUNTED_MAX: usize = 10_000;

pub fn endpoints() -> [Endpoint; 2] {
    [
        Endpoint::new(
            Method::Get,
            "/api/jobs",
            Access::OWN,
            ("api_list_jobs", "The jobs that the asker may see, newest first, by number of page."),
            list,
        )
        .query::<Asked>()
        .answer(Answer::json::<Listed>(200, "A page.")),
        Endpoint::new(
            Method::Get,
            "/api/releases/{release_id}/jobs",
            Access::OWN,
            ("api_list_release_jobs", "The jobs of a release that the asker may see."),
            of_release,
        )
        .query::<Asked>()
        .answer(Answer::json::<Listed>(200, "A page.")),
    ]
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// In any spelling that a surface has for it.
    status: Option<String>,
    job_type: Option<String>,
    release_id: Option<String>,
    user_id: Option<String>,
    #[schemars(range(min = 1))]
    page: Option<usize>,
    #[schemars(range(min = 1, max = 100))]
    per_page: Option<usize>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ReleaseJobs")]
struct Listed {
    jobs: Vec<JobView>,
    /// Counted up to 10,000.
    total: usize,
    page: usize,
    per_page: usize,
    pages: usize,
}

async fn list(Reading { app, caller, uri, .. }: Reading) -> Result<Json<Listed>, ApiError> {
    show(&app, &caller, extract::query(&uri)?).await
}

async fn of_release(
    Segment(release): Segment,
    Reading { app, caller, uri, .. }: Reading,
) -> Result<Json<Listed>, ApiError> {
    let asked: Asked = extract::query(&uri)?;
    if asked.release_id.is_some_and(|named| named != release) {
        let detail = "names another release than the address";
        return Err(ApiError::invalid(vec![FieldError::new("?release_id", detail)]));
    }
    show(&app, &caller, Asked { release_id: Some(release), ..asked }).await
}

async fn show(app: &App, caller: &Caller, asked: Asked) -> Result<Json<Listed>, ApiError> {
    let page = asked.page.unwrap_or(1);
    let wanted = wanted(asked)?;
    let per_page = wanted.limit;
    let offset = (page - 1).saturating_mul(per_page);
    let Numbered { rows, total } = list::numbered(app, caller, wanted, offset, COUNTED_MAX).await?;
    let jobs = rows.into_iter().map(JobView::from).collect();
    Ok(Json(Listed { jobs, total, page, per_page, pages: total.div_ceil(per_page) }))
}

fn wanted(asked: Asked) -> Result<Wanted, ApiError> {
    let mut errors = Vec::new();
    let mut wrong = |name: &str, detail: String| errors.push(FieldError::new(name, detail));
    let said = |text: Option<String>| text.filter(|text| !text.is_empty());
    let mut wanted = Wanted { limit: asked.per_page.unwrap_or(PER_PAGE), ..Wanted::default() };
    match said(asked.status).map(|text| text.parse()).transpose() {
        Ok(status) => wanted.status = status,
        Err(error) => wrong("?status", format!("{error}")),
    }
    match said(asked.job_type).map(|text| text.parse()).transpose() {
        Ok(module) => wanted.module = module,
        Err(error) => wrong("?job_type", format!("{error}")),
    }
    match said(asked.user_id).map(|text| text.parse()).transpose() {
        Ok(user) => wanted.user = user,
        Err(error) => wrong("?user_id", format!("{error}")),
    }
    wanted.release = said(asked.release_id);
    if let Some(Err(rule)) = wanted.release.as_deref().map(check_release_id) {
        wrong("?release_id", rule);
    }
    if asked.page == Some(0) {
        wrong("?page", "must be 1 or more".to_owned());
    }
    if !(1..=PER_PAGE_MAX).contains(&wanted.limit) {
        wrong("?per_page", format!("must be from 1 to {PER_PAGE_MAX}"));
    }
    if errors.is_empty() { Ok(wanted) } else { Err(ApiError::invalid(errors)) }
}
