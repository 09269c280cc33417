//! `GET /jobs/{id}/acts`: who did what to a job, and why.

use axum::response::Response;
use nox_contract::{FactPlace, FrameNumber, ProblemCode, audit::Act};

use super::audit::{Page, acts};
use crate::{
    endpoint::{Access, Endpoint, MIN_N, Method},
    extract::{self, Paging, Reading, Segment},
    http::page::{self, Next},
    identity::auth::Caller,
    problem::ApiError,
    read::required::Required,
    use_cases::{
        find::find,
        look_through::{self, look_through},
    },
};

pub fn endpoint() -> Endpoint {
    let (id, summary) = ("list_job_acts", "Who did what to a job and why, the newest first.");
    Endpoint::new(Method::Get, "/jobs/{id}/acts", Access::OWNER_OR_ADMIN, (id, summary), list)
        .query::<extract::AskedPage>()
        .page::<Page>("A page.")
        .headers([MIN_N])
        .problems(&[ProblemCode::InvalidId, ProblemCode::JobNotFound, ProblemCode::PlaceGone])
}

/// Of the frames that the job's row names, and no others.
async fn list(
    Segment(id): Segment,
    Reading { app, caller, uri, headers }: Reading,
) -> Result<Response, ApiError> {
    let id = extract::job_id(&id)?;
    let Paging { limit, after: cursor } = extract::paging::<FactPlace>(&uri)?;
    let row = find(&app, &caller, id, extract::min_n(None, &headers)?).await?;
    let required = Required::frame(Some(row.n));
    let named = || app.reader.job_frames(&row.tenant, id, FrameNumber(0));
    let frames = Some(app.barrier.read(&required, named).await?.value.unwrap_or_default());
    let asked = look_through::Asked { cursor, limit, frames, ..look_through::Asked::default() };
    let object = id.to_string();
    let found = look_through(&app, &asked, |n, payload| {
        let of_job = |act: &Act| {
            act.tenant == row.tenant && act.object.kind == "job" && act.object.id == object
        };
        let acts = acts(n, payload)?.into_iter().filter(of_job);
        Ok(acts.map(|act| (act.id, told(act, &caller))).collect())
    });
    let found = found.await?;
    let next = Next::page(found.next.map(|next| next.to_string()));
    page::answer(&uri, &headers, &Page { acts: found.rows, next: found.next }, &next)
}

/// An act as the asker may know it: from where and with what others came is for admins.
fn told(act: Act, caller: &Caller) -> Act {
    if caller.admin || act.user_id.as_ref() == Some(&caller.user) {
        return act;
    }
    Act { token_id: None, key_id: None, from: None, request_id: None, ..act }
}
