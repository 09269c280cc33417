//! Refusals as problem documents (RFC 9457), and the one place where a failed request is logged.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use nox_contract::{ProblemCode, Refusal};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    jobs::Moved,
    problem_type::{problem_type, type_of},
    request_id,
};

/// Why a request failed, with all that its problem document says.
#[derive(Debug)]
pub struct ApiError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    refusal: Refusal,
    /// Where the code's own status doesn't fit.
    status: Option<StatusCode>,
    errors: Vec<FieldError>,
    /// For our log alone.
    cause: Option<anyhow::Error>,
}

/// One thing that is wrong with a request's body or query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// A JSON pointer into the body, or the name of a query parameter after `?`.
    pub pointer: String,
    pub detail: String,
    /// Where in a text, if it is in one.
    #[serde(flatten)]
    pub place: Option<TextPlace>,
}

/// A line and a column of a text in the body, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TextPlace {
    pub line: usize,
    pub column: usize,
}

impl From<(usize, usize)> for TextPlace {
    fn from((line, column): (usize, usize)) -> Self {
        Self { line, column }
    }
}

impl FieldError {
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into(), place: None }
    }
}

impl ApiError {
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Refusal::new(code, detail).into()
    }

    /// No job of this id is visible to the asker. The one text for it, so that another's job and
    /// none at all look the same.
    pub fn no_job() -> Self {
        Self::new(ProblemCode::JobNotFound, "no such job")
    }

    /// A body or query that is wrong in `errors`.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [one] => format!("{}: {}", one.pointer, one.detail),
            many => format!("{} things are wrong with the request", many.len()),
        };
        Self::new(ProblemCode::InvalidRequest, detail).with_errors(errors)
    }

    /// A part of the system that we need does not answer.
    pub fn unavailable(what: &str, cause: impl Into<anyhow::Error>) -> Self {
        Self::new(ProblemCode::Unavailable, format!("{what} does not answer")).caused_by(cause)
    }

    pub fn internal(cause: impl Into<anyhow::Error>) -> Self {
        Self::new(ProblemCode::Internal, "an internal error").caused_by(cause)
    }

    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.0.status = Some(status);
        self
    }

    /// Adds what our log is to say beside what the asker is told.
    pub fn caused_by(mut self, cause: impl Into<anyhow::Error>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    pub fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.0.errors = errors;
        self
    }

    /// Names places as the body has them that was sent.
    pub fn placed(mut self, moved: &[Moved]) -> Self {
        for error in &mut self.0.errors {
            if let Some(Moved { from, .. }) = moved.iter().find(|moved| moved.to == error.pointer) {
                (*from).clone_into(&mut error.pointer);
            }
        }
        self
    }

    pub fn code(&self) -> ProblemCode {
        self.0.refusal.code
    }

    pub fn status(&self) -> StatusCode {
        self.0.status.unwrap_or_else(|| problem_type(self.code()).status)
    }

    fn retry_after_s(&self) -> Option<u32> {
        let fallback = problem_type(self.code()).retry_after_s;
        self.0.refusal.retry_after_s.or((fallback > 0).then_some(fallback))
    }

    /// The problem document.
    pub fn document(&self) -> Value {
        let Inner { refusal, errors, .. } = &*self.0;
        let title = problem_type(refusal.code).title;
        let mut document = json!({
            "type": type_of(refusal.code),
            "title": title,
            "status": self.status().as_u16(),
            "detail": refusal.detail,
            "code": refusal.code,
            // What clients of older systems look for.
            "error": title,
            "message": refusal.detail,
        });
        let mut add = |name: &str, value: Value| {
            if !value.is_null() {
                document[name] = value;
            }
        };
        add("request_id", json!(request_id::current()));
        add("retry_after", json!(self.retry_after_s()));
        add("quota_type", json!(refusal.quota));
        add("account", json!(refusal.account));
        add("current_usage", json!(refusal.usage));
        add("limit", json!(refusal.limit));
        add("requested", json!(refusal.requested));
        add("percentage", json!(percentage(refusal.usage, refusal.limit)));
        if !errors.is_empty() {
            add("errors", json!(errors));
        }
        document
    }

    fn log(&self) {
        let (status, code, detail) = (self.status(), self.code(), &self.0.refusal.detail);
        if !status.is_server_error() {
            tracing::debug!(status = status.as_u16(), %code, detail, "Request refused");
            return;
        }
        let cause = self.0.cause.as_ref().map(|cause| format!("{cause:#}"));
        let request = request_id::current();
        tracing::error!(status = status.as_u16(), %code, detail, cause, request, "Request failed");
    }
}

/// How much of `limit` is used, in per cent with two decimals.
pub fn percentage(usage: Option<i64>, limit: Option<i64>) -> Option<f64> {
    let (usage, limit) = (usage?, limit.filter(|limit| *limit > 0)?);
    Some((usage as f64 * 10_000.0 / limit as f64).round() / 100.0)
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self(Box::new(Inner { refusal, status: None, errors: Vec::new(), cause: None }))
    }
}

impl IntoResponse for ApiError {
    /// The one place where a failed request is logged; its causes stay on this side.
    fn into_response(self) -> Response {
        self.log();
        let status = self.status();
        let body = self.document().to_string();
        let kind = HeaderValue::from_static("application/problem+json");
        let mut response = (status, [(header::CONTENT_TYPE, kind)], body).into_response();
        if let Some(seconds) = self.retry_after_s() {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        if status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

/// A refusal with which the connection ends: whoever asks so should not keep the room for it.
pub fn closing(error: ApiError) -> Response {
    let close = [(header::CONNECTION, HeaderValue::from_static("close"))];
    (close, error).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_refusal_says_what_its_clients_look_for() {
        let mut refusal = Refusal::new(ProblemCode::BudgetExhausted, "the day's budget is spent");
        refusal.quota = Some("cpu_seconds".to_owned());
        refusal.usage = Some(199_990);
        refusal.limit = Some(200_000);
        refusal.retry_after_s = Some(120);
        let error = ApiError::from(refusal);

        let document = error.document();
        assert_eq!(document["type"], "/v1/problems/budget-exhausted");
        assert_eq!(document["status"], 429);
        assert_eq!(document["quota_type"], "cpu_seconds");
        assert_eq!(document["current_usage"], 199_990);
        assert_eq!(document["limit"], 200_000);
        assert_eq!(document["percentage"], 100.0);
        assert_eq!(document["retry_after"], 120);
        assert!(document["message"].is_string() && document["error"].is_string());

        let response = error.into_response();
        assert_eq!(response.headers()[header::RETRY_AFTER], "120");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
    }

    #[test]
    fn a_limit_of_nothing_has_no_percentage() {
        assert_eq!(percentage(Some(5), Some(0)), None);
        assert_eq!(percentage(Some(1), Some(3)), Some(33.33));
        assert_eq!(percentage(None, Some(3)), None);
    }

    #[test]
    fn refusals_for_size_are_forbidden_and_refusals_that_pass_say_when() {
        let status = |code| ApiError::new(code, "").status().as_u16();
        assert_eq!(status(ProblemCode::RequestTooLarge), 403);
        assert_eq!(status(ProblemCode::QueueFull), 429);
        for code in [ProblemCode::QueueFull, ProblemCode::BudgetExhausted, ProblemCode::Lagging] {
            let response = ApiError::new(code, "").into_response();
            assert!(response.headers().contains_key(header::RETRY_AFTER), "{code}");
        }
        let response = ApiError::new(ProblemCode::RequestTooLarge, "").into_response();
        assert!(!response.headers().contains_key(header::RETRY_AFTER));
    }

    #[test]
    fn an_unauthenticated_asker_is_told_the_scheme() {
        for code in [ProblemCode::Unauthenticated, ProblemCode::TokenExpired] {
            let response = ApiError::new(code, "").into_response();
            assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Bearer");
        }
    }
}
