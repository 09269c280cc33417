//! Bodies: JSON, whole, in time, of bounded size each and of bounded size together.

use std::time::Duration;

use axum::{
    body::{Body, HttpBody},
    http::{HeaderMap, header},
};
use futures_util::StreamExt;
use nox_contract::{ProblemCode, canonical::pointer_token};

use crate::{
    http::memory::{Account, Room},
    object::Object,
    problem::{ApiError, FieldError},
};

/// Largest body of one job: its inputs and what stands around them have room many times over.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Largest body of a request with many jobs.
pub const BATCH_BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Largest body where there is nothing to say: enough to find out what somebody would say.
const NOTHING_BYTES_MAX: usize = 4 * 1024;

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
    let text = text(within(read(body, limit, &mut room)).await?)?;
    room.grow(COPIES * text.len())?;
    Ok(JsonBody { text, _room: room })
}

/// What comes in time.
async fn within<T>(read: impl Future<Output = Result<T, ApiError>>) -> Result<T, ApiError> {
    tokio::time::timeout(BODY_WAIT, read).await.unwrap_or_else(|_| {
        let detail = format!("the body took longer than {BODY_WAIT:?}");
        Err(ApiError::new(ProblemCode::BodyTimeout, detail))
    })
}

fn text(bytes: Vec<u8>) -> Result<String, ApiError> {
    String::from_utf8(bytes)
        .map_err(|_| ApiError::new(ProblemCode::MalformedJson, "the body is not UTF-8"))
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

/// Reads a body where there is nothing to say: there is none, or an object without members.
pub async fn read_nothing(
    account: &Account,
    headers: &HeaderMap,
    body: Body,
) -> Result<(), ApiError> {
    if body.is_end_stream() {
        return Ok(());
    }
    let mut room = account.take(0)?;
    let bytes = within(read(body, NOTHING_BYTES_MAX, &mut room)).await?;
    if bytes.is_empty() {
        return Ok(());
    }
    check_kind(headers)?;
    let text = text(bytes)?;
    let Object(members) = Object::read(&text)?;
    let errors = members.iter().map(|(name, _)| {
        let name: String = name.chars().take(64).collect();
        FieldError::new(format!("/{}", pointer_token(&name)), "is not known here; nothing is")
    });
    let errors: Vec<_> = errors.collect();
    if errors.is_empty() { Ok(()) } else { Err(ApiError::invalid(errors)) }
}

/// Reads a JSON body where there may be none.
pub async fn read_json_or_nothing(
    account: &Account,
    headers: &HeaderMap,
    body: Body,
    limit: usize,
) -> Result<Option<JsonBody>, ApiError> {
    if body.is_end_stream() {
        return Ok(None);
    }
    read_json(account, headers, body, limit).await.map(Some)
}

fn check_kind(headers: &HeaderMap) -> Result<(), ApiError> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let kind = text(header::CONTENT_TYPE).unwrap_or_default();
    let mut parts = kind.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
    if !is_json || headers.get_all(header::CONTENT_TYPE).iter().count() > 1 {
        let detail = "the body must be application/json, and nothing beside it";
        return Err(ApiError::new(ProblemCode::UnsupportedMediaType, detail));
    }
    let mut charsets = parts.filter_map(|part| part.split_once('=')).filter_map(|(name, value)| {
        name.trim().eq_ignore_ascii_case("charset").then_some(value.trim().trim_matches('"'))
    });
    let is_utf_8 =
        |charset: &str| ["utf-8", "utf8"].iter().any(|name| charset.eq_ignore_ascii_case(name));
    if !charsets.all(is_utf_8) {
        let detail = "the body must be in UTF-8";
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
