//! Who asks, from where and why, as the log is told of it beside the request's commands. For the audit alone.

use std::{net::IpAddr, sync::Arc};

use axum::http::{HeaderMap, HeaderName};
use nox_contract::{Asker, asker::REASON_CHARS_MAX};

use crate::{
    identity::auth::Caller,
    problem::{ApiError, FieldError},
    request_id,
};

/// Why the asker asks, in its own words.
pub const REASON: HeaderName = HeaderName::from_static("nox-reason");

/// See the head of this file.
#[derive(Debug, PartialEq, Eq)]
pub struct Asking {
    pub asker: Asker,
    pub request_id: Option<String>,
    pub reason: Option<String>,
}

tokio::task_local! {
    static CURRENT: Arc<Asking>;
}

impl Asking {
    /// Of a request by `caller`, from the address `from`.
    ///
    /// # Errors
    /// Its reason is none.
    pub fn of(
        caller: &Caller,
        from: Option<IpAddr>,
        headers: &HeaderMap,
    ) -> Result<Self, ApiError> {
        let asker = Asker {
            tenant: caller.tenant.clone(),
            user_id: caller.user.clone(),
            role: caller.role().to_owned(),
            token_id: caller.token_id.clone(),
            key_id: caller.key_id,
            from: from.map(|ip| ip.to_canonical().to_string()),
        };
        Ok(Self { asker, request_id: request_id::current(), reason: reason(headers)? })
    }
}

/// Runs `future` as part of a request. Commands that it sends are the asker's; those of a task that it spawns, and
/// does not wait for, are the gateway's own.
pub async fn scope<F: Future>(asking: Asking, future: F) -> F::Output {
    CURRENT.scope(Arc::new(asking), future).await
}

/// Who asks for what is being done.
pub fn current() -> Option<Arc<Asking>> {
    CURRENT.try_with(Clone::clone).ok()
}

/// The one reason of a request, if it gives any.
fn reason(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let wrong =
        |detail: String| Err(ApiError::invalid(vec![FieldError::new(REASON.as_str(), detail)]));
    let mut values = headers.get_all(REASON).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return wrong("stands there twice".to_owned());
    }
    let plain = |text: &&str| {
        (1..=REASON_CHARS_MAX).contains(&text.chars().count()) && !text.contains(char::is_control)
    };
    match std::str::from_utf8(value.as_bytes())
        .ok()
        .map(|text| text.trim_matches([' ', '\t']))
        .filter(plain)
    {
        Some(text) => Ok(Some(text.to_owned())),
        None => wrong(format!(
            "must be 1 to {REASON_CHARS_MAX} characters of UTF-8, none of them a control character"
        )),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_reason_is_one_plain_text() {
        let mut headers = HeaderMap::new();
        assert_eq!(reason(&headers).unwrap(), None);
        let mut give = |bytes: &[u8]| {
            headers.insert(REASON, HeaderValue::from_bytes(bytes).unwrap());
            reason(&headers)
        };
        for good in ["a deadline", "Prüfung läuft", &"ü".repeat(REASON_CHARS_MAX)] {
            assert_eq!(give(good.as_bytes()).unwrap().as_deref(), Some(good));
        }
        let long = "x".repeat(REASON_CHARS_MAX + 1);
        for bad in [&b""[..], b"  ", b"a\tb", "\u{85}x".as_bytes(), b"\xff", long.as_bytes()] {
            assert!(give(bad).is_err(), "{bad:?}");
        }
        give(b"one").unwrap();
        headers.append(REASON, HeaderValue::from_static("two"));
        assert!(reason(&headers).is_err());
    }
}
