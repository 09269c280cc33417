//! JSON that its reader may have already (RFC 9110, section 8.8.3).

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::problem::ApiError;

/// It may be kept, and is asked for each time: who may see it is judged then.
const CACHE: HeaderValue = HeaderValue::from_static("private, no-cache");

/// `value` with the tag of these very bytes, or 304 if the asker names it.
pub fn json(asked: &HeaderMap, value: &impl Serialize) -> Result<Response, ApiError> {
    let body = serde_json::to_vec(value).map_err(ApiError::internal)?;
    let tag = format!("\"{}\"", &blake3::hash(&body).to_hex()[..32]);
    let mut headers = HeaderMap::from_iter([
        (header::CACHE_CONTROL, CACHE),
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
    ]);
    let listed = lists(asked, header::IF_NONE_MATCH, &tag);
    headers.extend(HeaderValue::from_str(&tag).ok().map(|tag| (header::ETAG, tag)));
    if listed {
        headers.remove(header::CONTENT_TYPE);
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    Ok((headers, body).into_response())
}

/// Whether a header lists `etag`, or `*`. What is weak is the same file as well.
pub fn lists(headers: &HeaderMap, name: HeaderName, etag: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_the_asker_has_is_not_sent_again() {
        for (tags, expected) in [
            ("\"e\"", true),
            ("W/\"e\"", true),
            ("\"f\", \"e\"", true),
            ("*", true),
            ("\"f\"", false),
        ] {
            let headers = HeaderMap::from_iter([(header::IF_NONE_MATCH, tags.parse().unwrap())]);
            assert_eq!(lists(&headers, header::IF_NONE_MATCH, "\"e\""), expected, "{tags}");
        }
    }
}
