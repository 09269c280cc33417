//! Failures as problem documents (RFC 9457), and the one place where a failed request is logged.

use std::borrow::Cow;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use nox_contract::ProblemCode;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, Serializer};

use super::{
    ApiError, FieldError, Inner,
    kind::{problem_type, type_of},
    percentage,
};
use crate::request_id;

/// A problem as it is answered (RFC 9457).
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub struct Document<'a> {
    /// A page that says what to do.
    #[serde(rename = "type")]
    kind: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: ProblemCode,
    /// `title` and `detail` once more, as clients of older systems look for them.
    error: &'a str,
    message: &'a str,
    /// Finds the request in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    /// Seconds after which to try again.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quota_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_usage: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requested: Option<i64>,
    /// How much of the limit is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    percentage: Option<f64>,
    /// What is wrong with a body or a query, each by its place.
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    errors: &'a [FieldError],
}

impl ApiError {
    pub fn status(&self) -> StatusCode {
        problem_type(self.code()).status
    }

    fn retry_after_s(&self) -> Option<u32> {
        let fallback = problem_type(self.code()).retry_after_s;
        self.0.refusal.retry_after_s.or((fallback > 0).then_some(fallback))
    }

    /// The problem document.
    pub fn document(&self) -> Document<'_> {
        let Inner { refusal, errors, .. } = &*self.0;
        let title = problem_type(refusal.code).title;
        Document {
            kind: type_of(refusal.code),
            title,
            status: self.status().as_u16(),
            detail: &refusal.detail,
            code: refusal.code,
            error: title,
            message: &refusal.detail,
            request_id: request_id::current(),
            retry_after: self.retry_after_s(),
            quota_type: refusal.quota.as_deref(),
            account: refusal.account.as_deref(),
            current_usage: refusal.usage,
            limit: refusal.limit,
            requested: refusal.requested,
            percentage: percentage(refusal.usage, refusal.limit),
            errors,
        }
    }

    /// The document as its readers have it.
    #[cfg(test)]
    pub fn shown(&self) -> serde_json::Value {
        serde_json::to_value(self.document()).unwrap()
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

impl Serialize for ApiError {
    /// As its document.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.document().serialize(serializer)
    }
}

impl JsonSchema for ApiError {
    fn schema_name() -> Cow<'static, str> {
        Document::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        Document::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Document::json_schema(generator)
    }
}

impl IntoResponse for ApiError {
    /// The one place where a failed request is logged; its causes stay on this side.
    fn into_response(self) -> Response {
        self.log();
        let status = self.status();
        let body = serde_json::to_vec(&self.document()).unwrap_or_default();
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
    use nox_contract::Refusal;

    use super::*;

    #[test]
    fn a_quota_refusal_says_what_its_clients_look_for() {
        let mut refusal = Refusal::new(ProblemCode::BudgetExhausted, "the day's budget is spent");
        refusal.quota = Some("cpu_seconds".to_owned());
        refusal.usage = Some(199_990);
        refusal.limit = Some(200_000);
        refusal.retry_after_s = Some(120);
        let error = ApiError::from(refusal);

        let document = error.shown();
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
