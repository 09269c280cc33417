//! Bodies: JSON, whole, in time, of bounded size each and of bounded size together.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderMap, header},
};
use futures_util::StreamExt;
use nox_contract::ProblemCode;

use crate::{
    memory::{Account, Room},
    problem::ApiError,
};

/// Largest body of one job: its inputs and what stands around them have room many times over.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Largest body of a request with many jobs.
pub const BULK_BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Longest time from the head of a request to the end of its body.
const BODY_WAIT: Duration = Duration::from_secs(10);

/// What is made of a body while it is answered, beside its text: its parts, and the commands.
const COPIES: usize = 2;

/// A body as text, with the room that it takes up.
pub struct JsonBody {
    text: String,
    _room: Room,
}

impl JsonBody {
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Reads a JSON body as text, at most `limit` bytes of it. Room is taken as it arrives: what a head
/// announces costs nobody anything.
pub async fn read_json(
    account: &Account,
    headers: &HeaderMap,
    body: Body,
    limit: usize,
) -> Result<JsonBody, ApiError> {
    check_kind(headers)?;
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(too_large(limit));
    }
    let mut room = account.take(0)?;
    let read = read(body, limit, &mut room);
    let bytes = tokio::time::timeout(BODY_WAIT, read).await.map_err(|_| {
        ApiError::new(ProblemCode::BodyTimeout, format!("the body took longer than {BODY_WAIT:?}"))
    })??;
    let text = String::from_utf8(bytes)
        .map_err(|_| ApiError::new(ProblemCode::MalformedJson, "the body is not UTF-8"))?;
    room.grow(COPIES * text.len())?;
    Ok(JsonBody { text, _room: room })
}

async fn read(body: Body, limit: usize, room: &mut Room) -> Result<Vec<u8>, ApiError> {
    let mut bytes: Vec<u8> = Vec::new();
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| {
            ApiError::new(ProblemCode::MalformedJson, format!("the body broke off: {error}"))
        })?;
        let needed = bytes.len() + chunk.len();
        if needed > limit {
            return Err(too_large(limit));
        }
        if needed > bytes.capacity() {
            let capacity = needed.max(2 * bytes.capacity()).min(limit);
            room.grow(capacity - bytes.capacity())?;
            bytes.reserve_exact(capacity - bytes.len());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn check_kind(headers: &HeaderMap) -> Result<(), ApiError> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let kind = text(header::CONTENT_TYPE).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence != "application/json" {
        let detail = "the body must be application/json";
        return Err(ApiError::new(ProblemCode::UnsupportedMediaType, detail));
    }
    let encoded = headers.contains_key(header::CONTENT_ENCODING)
        && text(header::CONTENT_ENCODING)
            .is_none_or(|coding| !coding.trim().eq_ignore_ascii_case("identity"));
    if encoded {
        // Sixteen compressed kilobytes can be half a gigabyte.
        let detail = "the body must not be compressed";
        return Err(ApiError::new(ProblemCode::UnsupportedMediaType, detail));
    }
    Ok(())
}

fn too_large(limit: usize) -> ApiError {
    ApiError::new(ProblemCode::BodyTooLarge, format!("a body has at most {limit} bytes here"))
}
