//! The name of a request, in its answer, its problem document and the log.

use axum::http::{HeaderMap, HeaderName};
use nox_service::ids;

pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Longest name that we take over from a client.
const LENGTH_MAX: usize = 64;

tokio::task_local! {
    static CURRENT: String;
}

/// The client's own name for its request, if that is plain, or a new one.
pub fn of(headers: &HeaderMap) -> String {
    let plain = |text: &&str| {
        (1..=LENGTH_MAX).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    let given = headers.get(HEADER).and_then(|value| value.to_str().ok()).filter(plain);
    given.map_or_else(|| ids::unique().to_string(), str::to_owned)
}

/// Runs `future` as part of the request of this name.
pub async fn scope<F: Future>(name: String, future: F) -> F::Output {
    CURRENT.scope(name, future).await
}

/// The name of the request that is being served.
pub fn current() -> Option<String> {
    CURRENT.try_with(Clone::clone).ok()
}
