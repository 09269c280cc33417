//! `PUT /uploads`

use std::{sync::Arc, time::Duration};

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use futures_util::StreamExt;
use nox_contract::{ProblemCode, upload::Upload};
use nox_service::ids;
use nox_store::uploads::Uploader;
use tokio::time::timeout;

use crate::{
    app::App,
    endpoint::{Access, Answer, Content, Endpoint, Method},
    extract,
    http::{memory::Account, observe},
    identity::auth::Caller,
    problem::ApiError,
    uploads::unavailable,
};

/// What an upload takes up in memory: the parts of it on their way to the store.
const ROOM_BYTES: usize = 1280 * 1024;

/// How long the bytes may be that an upload has to send…
const PACE_WAIT: Duration = Duration::from_secs(10);

/// …in each such time: some 3 KiB a second, as answers are taken in.
const PACE_BYTES: usize = 32 * 1024;

pub fn endpoint() -> Endpoint {
    let (id, summary) = ("put_upload", "Keeps a file that inputs may refer to.");
    Endpoint::new(Method::Put, observe::UPLOADS, Access::OWN, (id, summary), put)
        .optional_body(Content::Other("application/octet-stream"))
        .answer(Answer::json::<Upload>(200, "It was there."))
        .answer(Answer::json::<Upload>(201, "It is kept."))
        .problems(&[ProblemCode::UploadQuota, ProblemCode::StorageFull])
}

pub async fn put(
    State(app): State<Arc<App>>,
    caller: Caller,
    Extension(account): Extension<Account>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    extract::nothing(&uri)?;
    let most = app.uploads.limits.bytes_max;
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if text(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        let detail = "an upload is kept as it comes, and must not be compressed by the client";
        return Err(ApiError::new(ProblemCode::UnsupportedMediaType, detail));
    }
    let announced = text(header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    if announced.is_some_and(|length| length > most) {
        return Err(too_large(most));
    }
    let _room = account.take(ROOM_BYTES)?;
    let uploader = Uploader { tenant: &caller.tenant, user: &caller.user };
    let uploads = &app.uploads.uploads;
    let mut incoming = uploads.begin(uploader, ids::unique()).await.map_err(unavailable)?;
    let mut chunks = body.into_data_stream();
    loop {
        // Whoever sends a byte now and then keeps neither connection nor room.
        let pace = async {
            let before = incoming.size();
            while incoming.size() < before + PACE_BYTES as u64 {
                let Some(chunk) = chunks.next().await else { return Ok(true) };
                let chunk = chunk.map_err(|error| {
                    let detail = format!("the body broke off: {error}");
                    ApiError::new(ProblemCode::InvalidRequest, detail)
                })?;
                if incoming.size() + chunk.len() as u64 > most {
                    return Err(too_large(most));
                }
                incoming.write(chunk).await.map_err(unavailable)?;
            }
            Ok(false)
        };
        let paced = timeout(PACE_WAIT, pace).await.unwrap_or_else(|_| {
            let detail = format!("the body brought less than {PACE_BYTES} bytes in {PACE_WAIT:?}");
            Err(ApiError::new(ProblemCode::BodyTimeout, detail))
        });
        match paced {
            Ok(false) => {}
            Ok(true) => break,
            Err(error) => {
                incoming.abort().await;
                return Err(error);
            }
        }
    }
    let quota = app.uploads.limits.quota_bytes;
    let Some((upload, is_new)) = incoming.finish(quota).await.map_err(unavailable)? else {
        let detail = format!("your uploads have at most {quota} bytes together");
        return Err(ApiError::new(ProblemCode::UploadQuota, detail));
    };
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(upload)).into_response())
}

fn too_large(most: u64) -> ApiError {
    ApiError::new(ProblemCode::BodyTooLarge, format!("an upload has at most {most} bytes"))
}
