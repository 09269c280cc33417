//! Bodies: JSON, whole, in time and of bounded size.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderMap, header},
};
use futures_util::StreamExt;
use nox_contract::ProblemCode;

use crate::problem::ApiError;

/// Largest body of one job: its inputs and what stands around them have room many times over.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Largest body of a request with many jobs.
pub const BULK_BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Longest time from the head of a request to the end of its body.
const BODY_WAIT: Duration = Duration::from_secs(10);

/// Reads a JSON body as text, at most `limit` bytes of it.
pub async fn read_json(headers: &HeaderMap, body: Body, limit: usize) -> Result<String, ApiError> {
    check_kind(headers)?;
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(too_large(limit));
    }
    let read = read(body, limit, announced.unwrap_or_default() as usize);
    let bytes = tokio::time::timeout(BODY_WAIT, read).await.map_err(|_| {
        ApiError::new(ProblemCode::BodyTimeout, format!("the body took longer than {BODY_WAIT:?}"))
    })??;
    String::from_utf8(bytes)
        .map_err(|_| ApiError::new(ProblemCode::MalformedJson, "the body is not UTF-8"))
}

async fn read(body: Body, limit: usize, announced: usize) -> Result<Vec<u8>, ApiError> {
    let mut bytes = Vec::with_capacity(announced);
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| {
            ApiError::new(ProblemCode::MalformedJson, format!("the body broke off: {error}"))
        })?;
        if bytes.len() + chunk.len() > limit {
            return Err(too_large(limit));
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
