//! Uploads, and what jobs' inputs refer to.

use std::{collections::BTreeMap, time::Duration};

use nox_contract::{ProblemCode, RawJson, upload};
use nox_service::Clock;
use nox_store::{
    StoreError, Uploads,
    references::{self, Reference},
    uploads::{TextError, Uploader},
};
use tokio::{sync::Semaphore, time::timeout};

use crate::{
    config::UploadLimits,
    identity::auth::Caller,
    problem::{ApiError, FieldError},
};

/// Jobs whose uploads are looked into at a time; each has 16 MiB in memory, and a few copies.
const CHECKED_AT_A_TIME: usize = 2;

/// How long such a job waits for its turn.
const TURN_WAIT: Duration = Duration::from_secs(20);

/// Seconds of a day.
const DAY: u64 = 86_400;

/// The uploads, and how much of them there may be.
pub struct UploadStore {
    pub uploads: Uploads,
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

fn refused(pointer: &str, detail: &str) -> ApiError {
    let place = FieldError::new(format!("/inputs{pointer}"), detail);
    let detail = format!("the inputs refer to an upload: {detail}");
    ApiError::new(ProblemCode::InvalidInputs, detail).with_errors(vec![place])
}

pub fn unavailable(error: StoreError) -> ApiError {
    if error.is_full() {
        let detail = "the store of uploads is full";
        return ApiError::new(ProblemCode::StorageFull, detail).caused_by(error);
    }
    let details = error.details();
    ApiError::unavailable("the store of uploads", anyhow::Error::new(error).context(details))
}
