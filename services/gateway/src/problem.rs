//! Refusals as problem documents (RFC 9457).
//!
//! The one table of what each code means, and the one place where a failed request is logged.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use nox_contract::{ProblemCode, Refusal};
use serde::Serialize;
use serde_json::{Value, json};

use crate::request_id;

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
}

impl FieldError {
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into() }
    }
}

/// What a code means.
pub struct Meaning {
    pub status: StatusCode,
    pub title: &'static str,
    /// For the code's page: what happened and what to do about it.
    pub text: &'static str,
    /// Seconds after which to try again, where the refusal itself doesn't know better; 0 where
    /// waiting doesn't help.
    pub retry_after_s: u32,
}

/// The table.
pub fn meaning(code: ProblemCode) -> Meaning {
    let (status, retry_after_s, title, text) = match code {
        ProblemCode::MalformedJson => (
            400,
            0,
            "Malformed JSON",
            "The body is not one JSON value in UTF-8. Send the same data as valid JSON.",
        ),
        ProblemCode::InvalidRequest => (
            422,
            0,
            "Invalid request",
            "A member, parameter or header is missing, unknown or of the wrong kind. `errors` names \
             each with a JSON pointer into the body, or as `?name` for a query parameter.",
        ),
        ProblemCode::InvalidInputs => (
            422,
            0,
            "Inputs do not fit the module",
            "The module's input schema (`GET /modules/{name}`) refuses the inputs. `errors` says \
             where and why.",
        ),
        ProblemCode::UnstorableJson => (
            422,
            0,
            "JSON that cannot be stored",
            "The inputs hold something that no store keeps: the character U+0000, half of a \
             surrogate pair, a number out of all bounds, or more than 64 levels.",
        ),
        ProblemCode::InvalidId => {
            (400, 0, "Malformed id", "The id in the path is not one. Job ids are UUIDs.")
        }
        ProblemCode::BodyTooLarge => (
            413,
            0,
            "Too large",
            "The body, or the inputs in it, are larger than the limit that `detail` names.",
        ),
        ProblemCode::UnsupportedMediaType => (
            415,
            0,
            "Unsupported media type",
            "Send `Content-Type: application/json`, without a content encoding.",
        ),
        ProblemCode::MethodNotAllowed => {
            (405, 0, "Method not allowed", "The `Allow` header says what this address can do.")
        }
        ProblemCode::RouteNotFound => (404, 0, "No such address", "Nothing is served here."),
        ProblemCode::Unauthenticated => (
            401,
            0,
            "Not authenticated",
            "Send one `Authorization: Bearer <token>` header with a JWT that is signed with HS256, \
             names `sub` and `exp`, and lives no longer than this server allows. All refused \
             tokens are answered alike; the server's log has the reason.",
        ),
        ProblemCode::TokenExpired => (401, 0, "Token expired", "Get a new token."),
        ProblemCode::Forbidden => (
            403,
            0,
            "Not allowed",
            "The token is valid, but its roles or scopes do not allow this.",
        ),
        ProblemCode::UnknownModule => (
            422,
            0,
            "Unknown module",
            "No worker ever declared this module. `GET /modules` lists what there is.",
        ),
        ProblemCode::DisabledModule => {
            (409, 0, "Module disabled", "An administrator switched the module off.")
        }
        ProblemCode::JobNotFound => {
            (404, 0, "No such job", "There is no such job among those that you may see.")
        }
        ProblemCode::AlreadyEnded => (409, 0, "Job already ended", "An ended job stays as it is."),
        ProblemCode::IdempotencyConflict => (
            422,
            0,
            "Idempotency key used otherwise",
            "This `Idempotency-Key` was used for another request. Use a key for one request alone, \
             and repeat that request unchanged.",
        ),
        ProblemCode::StaleStamp => {
            (503, 1, "Try again", "The request took too long inside. Repeat it.")
        }
        ProblemCode::BudgetExhausted => (
            429,
            60,
            "Budget exhausted",
            "The day's core seconds are spent or reserved. They free when jobs end early, and at \
             0:00 UTC.",
        ),
        ProblemCode::QueueFull => {
            (429, 5, "Too many jobs", "Too many jobs are queued or running. Wait for some to end.")
        }
        ProblemCode::RequestTooLarge => (
            403,
            0,
            "Larger than allowed",
            "The job asks for more than its owner may ever have at once. Waiting does not help.",
        ),
        ProblemCode::Overloaded => {
            (503, 2, "Overloaded", "More is asked for than can be taken in. Try again later.")
        }
        ProblemCode::Lagging => (
            503,
            1,
            "View is behind",
            "What is shown is behind what was acknowledged, so this cannot be answered truthfully \
             yet. Try again.",
        ),
        ProblemCode::Unavailable => (
            503,
            2,
            "Not available",
            "A part of the system does not answer. Repeat the request; with the same \
             `Idempotency-Key` that is safe even if it was admitted.",
        ),
        ProblemCode::Internal => {
            (500, 0, "Internal error", "This is a defect. The request id finds it in the log.")
        }
    };
    let status = StatusCode::from_u16(status).expect("the table holds valid statuses");
    Meaning { status, title, text, retry_after_s }
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

    pub fn code(&self) -> ProblemCode {
        self.0.refusal.code
    }

    pub fn status(&self) -> StatusCode {
        self.0.status.unwrap_or_else(|| meaning(self.code()).status)
    }

    fn retry_after_s(&self) -> Option<u32> {
        let fallback = meaning(self.code()).retry_after_s;
        self.0.refusal.retry_after_s.or((fallback > 0).then_some(fallback))
    }

    /// The problem document.
    pub fn document(&self) -> Value {
        let Inner { refusal, errors, .. } = &*self.0;
        let title = meaning(refusal.code).title;
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

/// The address of the code's page.
pub fn type_of(code: ProblemCode) -> String {
    format!("/v1/problems/{}", code.as_str().replace('_', "-"))
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
