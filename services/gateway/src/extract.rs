//! What handlers take from a request.

mod incoming;
mod paging;
mod query;

use std::{convert::Infallible, sync::Arc};

use axum::{
    extract::{FromRequestParts, Path},
    http::{HeaderMap, Uri, request::Parts},
};
use nox_contract::{FrameNumber, JobId, ProblemCode};
use schemars::JsonSchema;
use serde::Deserialize;

pub use self::{
    incoming::Incoming,
    paging::{AskedPage, PAGE, PageSize, Paging, check_controls, paging},
    query::query,
};
use crate::{
    app::App,
    identity::auth::{self, Caller},
    problem::{ApiError, FieldError},
};

/// Longest `Idempotency-Key`, in bytes.
const KEY_BYTES_MAX: usize = 255;

/// Names the frame that a reader has heard of and wants to see in the answer, as `?n=` does.
const MIN_N: &str = "nox-min-n";

/// A request that reads, by somebody who is known.
pub struct Reading {
    pub app: Arc<App>,
    pub caller: Caller,
    pub uri: Uri,
    pub headers: HeaderMap,
}

impl FromRequestParts<Arc<App>> for Reading {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, app).await?;
        let (uri, headers) = (parts.uri.clone(), parts.headers.clone());
        Ok(Self { app: app.clone(), caller, uri, headers })
    }
}

/// Checks that `uri` asks for nothing beyond its path.
pub fn nothing(uri: &Uri) -> Result<(), ApiError> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}

    let Nothing {} = query(uri)?;
    Ok(())
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = ApiError;

    /// As the gate in front of the handler has found it.
    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, ApiError> {
        let nobody =
            || ApiError::internal(anyhow::anyhow!("an endpoint for anyone asks who it is"));
        parts.extensions.get::<Self>().cloned().ok_or_else(nobody)
    }
}

/// Who asks, where nobody has to say so.
pub struct Named(pub Option<Caller>);

impl FromRequestParts<Arc<App>> for Named {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Infallible> {
        let now = app.runtime.clock.wall();
        let caller = auth::authenticate(app.identities(), now, &parts.method, &parts.headers);
        Ok(Self(caller.await.ok()))
    }
}

/// The one variable part of a path.
pub struct Segment(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(text) = Path::from_request_parts(parts, state).await.map_err(|_| no_text())?;
        Ok(Self(text))
    }
}

/// The two variable parts of a path.
pub struct Segments(pub String, pub String);

impl<S: Send + Sync> FromRequestParts<S> for Segments {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        let Path((first, second)) = path.map_err(|_| no_text())?;
        Ok(Self(first, second))
    }
}

fn no_text() -> ApiError {
    ApiError::new(ProblemCode::InvalidId, "the path is not UTF-8")
}

/// Reads a job's id from a path.
pub fn job_id(text: &str) -> Result<JobId, ApiError> {
    text.parse().map_err(|_| ApiError::new(ProblemCode::InvalidId, "a job's id is a UUID"))
}

/// The query of what can be asked of from a place in the log on, and nothing else.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OnlyN {
    /// The frame that the answer must have taken in; it waits for a while.
    n: Option<u64>,
}

/// The frame that a request wants to see, which can ask for nothing else: `?n=` or the header.
pub fn only_min_n(uri: &Uri, headers: &HeaderMap) -> Result<Option<FrameNumber>, ApiError> {
    let OnlyN { n } = query(uri)?;
    min_n(n, headers)
}

/// The newer of what `?n=` and the header name.
pub fn min_n(n: Option<u64>, headers: &HeaderMap) -> Result<Option<FrameNumber>, ApiError> {
    let wrong = |detail| Err(ApiError::invalid(vec![FieldError::new(MIN_N, detail)]));
    let mut values = headers.get_all(MIN_N).iter();
    let header = match (values.next(), values.next()) {
        (None, _) => None,
        (Some(value), None) => match value.to_str().ok().and_then(|text| text.parse().ok()) {
            Some(header) => Some(header),
            None => return wrong("must be the number of a frame"),
        },
        (Some(_), Some(_)) => return wrong("stands there twice"),
    };
    Ok(n.max(header).map(FrameNumber))
}

/// Refuses a key where none is heeded: passed over, it would make two things of what was meant to be one.
pub fn no_idempotency_key(headers: &HeaderMap) -> Result<(), ApiError> {
    const KEY: &str = "idempotency-key";
    if headers.contains_key(KEY) {
        return Err(ApiError::invalid(vec![FieldError::new(KEY, "is not known here")]));
    }
    Ok(())
}

/// The one `Idempotency-Key` of a request, if it has any.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let wrong = |detail: &str| {
        Err(ApiError::new(ProblemCode::InvalidRequest, format!("Idempotency-Key {detail}")))
    };
    let mut keys = headers.get_all("idempotency-key").iter();
    let Some(key) = keys.next() else { return Ok(None) };
    if keys.next().is_some() {
        return wrong("stands there twice");
    }
    // A tab is the one control character that a header may carry.
    let plain = |key: &&str| {
        (1..=KEY_BYTES_MAX).contains(&key.len()) && !key.contains(|c: char| c.is_control())
    };
    match key.to_str().ok().map(str::trim).filter(plain) {
        Some(key) => Ok(Some(key)),
        None => wrong("must be 1 to 255 printable ASCII characters"),
    }
}

/// The W3C trace context of a request, if it is one.
pub fn traceparent(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get("traceparent")?.to_str().ok()?;
    let lengths = text.split('-').map(str::len);
    let hex = text.bytes().all(|b| b == b'-' || b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    (hex && lengths.eq([2, 32, 16, 2])).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_trace_context_is_passed_on() {
        let mut headers = HeaderMap::new();
        assert_eq!(traceparent(&headers), None);
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        headers.insert("traceparent", good.parse().unwrap());
        assert_eq!(traceparent(&headers), Some(good));
        for bad in ["", "00", &good.to_uppercase(), &format!("{good}-x"), &good[1..]] {
            headers.insert("traceparent", bad.parse().unwrap());
            assert_eq!(traceparent(&headers), None, "{bad}");
        }
    }

    #[test]
    fn a_key_is_one_plain_text() {
        let mut headers = HeaderMap::new();
        assert_eq!(idempotency_key(&headers).unwrap(), None);
        headers.insert("idempotency-key", "order-1".parse().unwrap());
        assert_eq!(idempotency_key(&headers).unwrap(), Some("order-1"));
        headers.append("idempotency-key", "order-2".parse().unwrap());
        assert!(idempotency_key(&headers).is_err());
        for wrong in ["", "  ", "a\tb", &"x".repeat(256)] {
            headers.insert("idempotency-key", wrong.parse().unwrap());
            assert!(idempotency_key(&headers).is_err(), "{wrong}");
        }
    }
}
