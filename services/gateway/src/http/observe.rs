//! What happens around every request: its name, its limit in time, its panics, its numbers.

use std::{any::Any, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderValue, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use nox_contract::ProblemCode;

use crate::{
    app::App,
    http::{head, memory::Account, prefer, unread::BodyEnd},
    problem::{ApiError, closing},
    request_id,
};

/// Longest time to the head of an answer. Every wait inside has its own, shorter limit; this one
/// holds for what hangs all the same.
const REQUEST_WAIT: Duration = Duration::from_secs(25);

/// The same for an upload, which is answered when all of it has come, at the pace that it has to keep.
const UPLOAD_WAIT: Duration = Duration::from_secs(24 * 3_600);

/// Where uploads are put.
pub const UPLOADS: &str = "/uploads";

/// The outermost layer.
pub async fn around(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let begun = app.runtime.clock.monotonic();
    let method = method_label(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let name = request_id::of(request.headers());
    let name_header = HeaderValue::from_str(&name);
    let (account, from) = client(&app, &request);
    let replaceable = request.method().is_safe();
    let wait = prefer::asked_wait(&app, request.headers());
    let longest = longest(request.method(), route.as_ref().map_or("", MatchedPath::as_str), wait);
    let (head, body) = request.into_parts();
    let (body, body_end) = BodyEnd::watch(body);
    let mut request = Request::from_parts(head, body);
    if let Some(account) = &account {
        request.extensions_mut().insert(account.clone());
    }

    let answer = async {
        let response = match from.and_then(|()| head::check(&request)) {
            Ok(()) => next.run(request).await,
            Err(error) => closing(error),
        };
        match account {
            Some(account) => account.count(response, replaceable).await,
            None => response,
        }
    };
    let mut response = request_id::scope(name, guarded(answer, longest)).await;

    let headers = response.headers_mut();
    if let Ok(name) = name_header {
        headers.insert(request_id::HEADER, name);
    }
    if !body_end.has_come() {
        // Nobody reads the rest, so no other request can follow it.
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert_with(|| HeaderValue::from_static("no-store"));
    let took = app.runtime.clock.monotonic().saturating_sub(begun);
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    app.metrics.answered(method, route, response.status().as_u16(), took);
    response
}

/// What a request takes from, as one of the address that it is from, and whether that can be told.
fn client(app: &App, request: &Request) -> (Option<Account>, Result<(), ApiError>) {
    let Some(account) = request.extensions().get::<Account>().cloned() else {
        return (None, Ok(()));
    };
    match app.proxies.client(account.client(), request.headers()) {
        Ok(client) => (Some(account.of(client)), Ok(())),
        Err(error) => (Some(account), Err(error)),
    }
}

/// How long a request may take to the head of its answer, which asks to be kept waiting for `wait` where it can.
fn longest(method: &Method, route: &str, wait: Option<Duration>) -> Duration {
    match route {
        UPLOADS if method == Method::PUT => UPLOAD_WAIT,
        _ if method == Method::GET => REQUEST_WAIT + wait.unwrap_or_default(),
        _ => REQUEST_WAIT,
    }
}

/// Turns what hangs and what panics into answers.
async fn guarded(answer: impl Future<Output = Response>, longest: Duration) -> Response {
    let caught = AssertUnwindSafe(answer).catch_unwind();
    match tokio::time::timeout(longest, caught).await {
        Ok(Ok(response)) => response,
        Ok(Err(panic)) => {
            ApiError::internal(anyhow::anyhow!("panic: {}", words(&*panic))).into_response()
        }
        Err(_) => {
            ApiError::new(ProblemCode::Unavailable, "the request took too long").into_response()
        }
    }
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without words")
}

/// Methods are whatever a client sends; only known ones become labels.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    #[test]
    fn only_what_is_to_wait_may_take_longer_and_only_as_long_as_it_asked() {
        let asked = Duration::from_secs(120);
        let (get, wait) = (Method::GET, Some(asked));
        assert_eq!(longest(&get, "/jobs/{id}", wait), REQUEST_WAIT + asked);
        assert_eq!(longest(&get, "/jobs/{id}", None), REQUEST_WAIT);
        assert_eq!(longest(&Method::PATCH, "/v1/joblib/tasks/{task_id}", wait), REQUEST_WAIT);
        assert_eq!(longest(&Method::PUT, UPLOADS, None), UPLOAD_WAIT);
        assert_eq!(longest(&Method::PUT, "/v1/joblib/rooms/{room_id}/jobs", wait), REQUEST_WAIT);
    }

    #[tokio::test]
    async fn a_panic_is_an_internal_error_without_its_words() {
        let response = guarded(async { panic!("secret {}", 7) }, REQUEST_WAIT).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = axum::body::to_bytes(response.into_body(), 4_096).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert!(!body.contains("secret"), "{body}");
    }
}
