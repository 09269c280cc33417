//! `POST /jobs`

use std::sync::Arc;

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use nox_contract::{FrameNumber, JobId, JobState};
use nox_service::crash_point;
use serde::Serialize;

use super::{
    admit::{Keyed, Prepared, decide, prepare},
    kind::Kind,
    request::{JobRequest, Manner, idempotency_key},
};
use crate::{
    app::App,
    auth::Caller,
    body::{BODY_BYTES_MAX, read_json},
    memory::Account,
    problem::ApiError,
    routes,
};

/// Says that an answer repeats an earlier one, under the name that clients know from elsewhere.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// A job that will be decided, or was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    pub job_id: JobId,
    /// A reader that names this number sees the job; absent while nobody has decided.
    pub n: Option<FrameNumber>,
    /// Whether an earlier request with the same key was answered so.
    pub replayed: bool,
}

impl Admitted {
    pub fn decided(job_id: JobId, n: FrameNumber, replayed: bool) -> Self {
        Self { job_id, n: Some(n), replayed }
    }

    pub fn pending(job_id: JobId) -> Self {
        Self { job_id, n: None, replayed: false }
    }

    /// What is said of it to whoever asked for it so.
    pub fn receipt(self, manner: Manner) -> Receipt {
        let Self { job_id, n, replayed } = self;
        let is_engine = matches!(manner.kind, Kind::Engine { .. });
        Receipt {
            job_id,
            id: job_id,
            status: manner.kind.word(JobState::Queued),
            state: JobState::Queued,
            message: is_engine.then_some("the job waits for its turn"),
            progress: is_engine.then_some(0),
            n,
            pending: n.is_none(),
            replayed,
            is_command: manner.is_command,
        }
    }
}

/// The answer to a job that was taken in.
#[derive(Debug, Serialize)]
pub struct Receipt {
    job_id: JobId,
    id: JobId,
    /// What the job begins as, also while nobody has decided; in the words of its kind.
    status: &'static str,
    state: JobState,
    /// What clients of engines look for.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'static str>,
    /// How far it is, from 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<FrameNumber>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pending: bool,
    #[serde(skip)]
    replayed: bool,
    #[serde(skip)]
    is_command: bool,
}

impl IntoResponse for Receipt {
    fn into_response(self) -> Response {
        let status = if self.is_command { StatusCode::CREATED } else { StatusCode::ACCEPTED };
        let mut response = (status, Json(&self)).into_response();
        let headers = response.headers_mut();
        if let Ok(location) = HeaderValue::from_str(&format!("/jobs/{}", self.job_id)) {
            headers.insert(header::LOCATION, location);
        }
        if self.replayed {
            headers.insert(REPLAYED, HeaderValue::from_static("true"));
        }
        response
    }
}

pub async fn submit(
    State(app): State<Arc<App>>,
    caller: Caller,
    Extension(account): Extension<Account>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Receipt, ApiError> {
    routes::nothing(&uri)?;
    let key = idempotency_key(&headers)?;
    let body = read_json(&account, &headers, body, BODY_BYTES_MAX).await?;
    let request = JobRequest::parse(body.text())?;
    let keyed = key.map(|key| Keyed::new(&caller, key, None, &request));
    let admitted = match prepare(&app, &caller, &request, keyed, traceparent(&headers)).await? {
        Prepared::Known(admitted) => admitted,
        Prepared::New(submit) => decide(&app, &caller, *submit).await?,
    };
    crash_point("gateway.before_answer");
    Ok(admitted.receipt(request.manner))
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
}
