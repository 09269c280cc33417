//! `PUT /uploads`, and what jobs' inputs refer to.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use futures_util::StreamExt;
use nox_contract::{ProblemCode, RawJson, upload};
use nox_service::{Clock, ids};
use nox_store::{
    StoreError, Uploads,
    references::{self, Reference},
    uploads::{TextError, Uploader},
};
use tokio::{sync::Semaphore, time::timeout};

use crate::{
    app::App,
    auth::Caller,
    config::UploadLimits,
    memory::Account,
    problem::{ApiError, FieldError},
    routes,
};

/// What an upload takes up in memory: the parts of it on their way to the store.
const ROOM_BYTES: usize = 1280 * 1024;

/// How long the bytes may be that an upload has to send…
const PACE_WAIT: Duration = Duration::from_secs(10);

/// …in each such time: some 3 KiB a second, as answers are taken in.
const PACE_BYTES: usize = 32 * 1024;

/// Jobs whose uploads are looked into at a time; each has 16 MiB in memory, and a few copies.
const CHECKED_AT_A_TIME: usize = 2;

/// How long such a job waits for its turn.
const TURN_WAIT: Duration = Duration::from_secs(20);

/// Seconds of a day.
const DAY: u64 = 86_400;

/// The uploads, and how much of them there may be.
pub struct UploadStore {
    uploads: Uploads,
    pub limits: UploadLimits,
    turns: Semaphore,
}

impl UploadStore {
    pub fn new(uploads: Uploads, limits: UploadLimits) -> Self {
        Self { uploads, limits, turns: Semaphore::new(CHECKED_AT_A_TIME) }
    }

    /// `inputs` with the texts that they refer to; `None` if they refer to nothing.
    ///
    /// # Errors
    /// They refer to what is not there, not the caller's, not what it was, or no text.
    pub async fn resolve(
        &self,
        caller: &Caller,
        inputs: &RawJson,
        clock: &Clock,
    ) -> Result<Option<RawJson>, ApiError> {
        let found =
            references::of(inputs).map_err(|error| refused(&error.pointer, &error.to_string()))?;
        if found.is_empty() {
            return Ok(None);
        }
        let turn = timeout(TURN_WAIT, self.turns.acquire()).await;
        let _turn = turn.map_err(|_| {
            let detail = "too many jobs refer to uploads at this moment";
            ApiError::new(ProblemCode::Overloaded, detail)
        })?;
        let uploader = Uploader { tenant: &caller.tenant, user: &caller.user };
        let mut texts: BTreeMap<String, String> = BTreeMap::new();
        let mut room = upload::INPUT_BYTES_MAX;
        for Reference { pointer, id, sha256 } in found {
            // Another's looks as one that never was.
            if upload::id(&caller.tenant, &caller.user, &sha256).to_string() != id {
                return Err(refused(&pointer, "no upload of yours has this id and this SHA-256"));
            }
            let too_much = || {
                let most = upload::INPUT_BYTES_MAX;
                let detail = format!("all uploads of a job together have at most {most} bytes");
                refused(&pointer, &detail)
            };
            // It stands there once more.
            if let Some(text) = texts.get(&sha256) {
                room = room.checked_sub(text.len() as u64).ok_or_else(too_much)?;
                continue;
            }
            let wrong = |error| match error {
                TextError::Store(error) => unavailable(error),
                TextError::TooLarge(_) => too_much(),
                other => refused(&pointer, &other.to_string()),
            };
            let stored = self.uploads.find(uploader, &sha256).await.map_err(unavailable)?;
            let expires = self.limits.days;
            let is_old = stored.is_some_and(|stored| {
                let since = stored.at.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
                let now = u64::try_from(clock.wall().as_micros()).unwrap_or_default() / 1_000_000;
                expires > 0 && now.saturating_sub(since.as_secs()) > u64::from(expires) * DAY
            });
            // It is removed some time later, when all jobs that referred to it before can be seen.
            if is_old {
                return Err(wrong(TextError::Absent));
            }
            let text = self.uploads.text(uploader, &sha256, room).await.map_err(wrong)?;
            room -= text.len() as u64;
            texts.insert(sha256, text);
        }
        let resolved = references::replaced(inputs, &texts);
        resolved.map(Some).map_err(|error| refused(&error.pointer, &error.to_string()))
    }
}

pub async fn put(
    State(app): State<Arc<App>>,
    caller: Caller,
    Extension(account): Extension<Account>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    routes::nothing(&uri)?;
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

fn refused(pointer: &str, detail: &str) -> ApiError {
    let place = FieldError::new(format!("/inputs{pointer}"), detail);
    let detail = format!("the inputs refer to an upload: {detail}");
    ApiError::new(ProblemCode::InvalidInputs, detail).with_errors(vec![place])
}

fn too_large(most: u64) -> ApiError {
    ApiError::new(ProblemCode::BodyTooLarge, format!("an upload has at most {most} bytes"))
}

fn unavailable(error: StoreError) -> ApiError {
    if error.is_full() {
        let detail = "the store of uploads is full";
        let full = ApiError::new(ProblemCode::Overloaded, detail).caused_by(error);
        return full.with_status(StatusCode::INSUFFICIENT_STORAGE);
    }
    let details = error.details();
    ApiError::unavailable("the store of uploads", anyhow::Error::new(error).context(details))
}
