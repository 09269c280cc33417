//! `Prefer: wait=N` (RFC 7240).

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::app::App;

const PREFER: HeaderName = HeaderName::from_static("prefer");
const APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// How long a request asks to be kept waiting for an end, as far as that is allowed.
pub fn asked_wait(app: &App, headers: &HeaderMap) -> Option<Duration> {
    asked(headers, app.joblib.long_poll_max_wait_seconds)
}

fn asked(headers: &HeaderMap, seconds_max: u64) -> Option<Duration> {
    let preferences = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
    let mut waits = preferences.flat_map(|value| value.split([',', ';'])).filter_map(|one| {
        let (name, value) = one.trim().split_once('=')?;
        let is_wait = name.trim().eq_ignore_ascii_case("wait");
        let digits = value.trim().trim_matches('"');
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        // Of a number beyond all bounds, the bound counts as well.
        (is_wait && is_number).then(|| digits.parse().unwrap_or(u64::MAX))
    });
    // What cannot be read is no preference, and preferences may be passed over.
    waits.next().map(|seconds| Duration::from_secs(seconds.min(seconds_max)))
}

/// Says that the wish was granted, and how far.
pub fn applied(headers: &mut HeaderMap, wait: Duration) {
    if let Ok(value) = HeaderValue::from_str(&format!("wait={}", wait.as_secs())) {
        headers.insert(APPLIED, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_to_wait_is_read_among_others_and_bounded() {
        let asked = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(PREFER, value.parse().unwrap());
            }
            asked(&headers, 120).map(|wait| wait.as_secs())
        };
        assert_eq!(asked(&["wait=5"]), Some(5));
        assert_eq!(asked(&["respond-async, Wait = \"7\""]), Some(7));
        assert_eq!(asked(&["return=minimal", "wait=100000"]), Some(120));
        assert_eq!(asked(&["wait=99999999999999999999999"]), Some(120));
        for none in [&[][..], &["wait"], &["wait=-1"], &["wait=soon"], &["waiting=3"]] {
            assert_eq!(asked(none), None, "{none:?}");
        }
    }
}
