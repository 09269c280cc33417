//! The head of a request: how large it may be.

use axum::http::{Request, Version, header};
use nox_contract::ProblemCode;

use crate::problem::ApiError;

/// Largest head of a request: a token of 8 KiB, and as much again for all else.
pub const HEAD_BYTES_MAX: usize = 32 * 1024;

/// Most header lines of a request.
pub const HEADERS_MAX: usize = 64;

/// What stands between name and value of a header line, and at its end.
const LINE_BYTES: usize = ": \r\n".len();

/// What else stands in the first line, and the empty line at the end.
const FRAME_BYTES: usize = "  HTTP/1.1\r\n\r\n".len();

/// Refuses a head that is too large, or whose host two servers could understand in two ways.
pub fn check<B>(request: &Request<B>) -> Result<(), ApiError> {
    check_size(request)?;
    let hosts = request.headers().get_all(header::HOST).iter().count();
    // HTTP/1.0 knows no hosts (RFC 9112, 3.2).
    if hosts > 1 || hosts == 0 && request.version() == Version::HTTP_11 {
        let detail = format!("a request has one Host, and this one has {hosts}");
        return Err(ApiError::new(ProblemCode::AmbiguousHead, detail));
    }
    Ok(())
}

fn check_size<B>(request: &Request<B>) -> Result<(), ApiError> {
    let detail = if request.headers().len() > HEADERS_MAX {
        format!("a request has at most {HEADERS_MAX} header lines")
    } else if bytes(request) > HEAD_BYTES_MAX {
        format!("the head of a request has at most {HEAD_BYTES_MAX} bytes")
    } else {
        return Ok(());
    };
    Err(ApiError::new(ProblemCode::HeadTooLarge, detail))
}

/// The bytes of a head as it is usually written.
fn bytes<B>(request: &Request<B>) -> usize {
    let uri = request.uri();
    let address = uri.path().len() + uri.query().map_or(0, |query| "?".len() + query.len());
    let lines = request.headers().iter();
    let lines = lines.map(|(name, value)| name.as_str().len() + LINE_BYTES + value.len());
    request.method().as_str().len() + address + FRAME_BYTES + lines.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    /// A head of exactly `size` bytes.
    fn head(size: usize) -> Request<()> {
        let empty = "GET /health?a HTTP/1.1\r\nhost: x\r\nx: \r\n\r\n".len();
        let value = "v".repeat(size - empty);
        Request::get("/health?a").header("host", "x").header("x", value).body(()).unwrap()
    }

    #[test]
    fn a_head_has_exactly_the_bytes_that_it_may_have() {
        assert!(check(&head(HEAD_BYTES_MAX)).is_ok());
        let refused = check(&head(HEAD_BYTES_MAX + 1)).unwrap_err();
        assert_eq!(refused.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    }

    #[test]
    fn a_head_has_a_bounded_number_of_lines() {
        let head = |lines: usize| {
            let request = Request::get("/").header("host", "x");
            let request = (1..lines).fold(request, |r, _| r.header("a", "b"));
            request.body(()).unwrap()
        };
        assert!(check(&head(HEADERS_MAX)).is_ok());
        assert!(check(&head(HEADERS_MAX + 1)).is_err());
    }

    #[test]
    fn a_request_has_one_host() {
        let head = |hosts: &[&str], version: Version| {
            let request = Request::get("/").version(version);
            hosts.iter().fold(request, |r, host| r.header("host", *host)).body(()).unwrap()
        };
        assert!(check(&head(&["x"], Version::HTTP_11)).is_ok());
        assert!(check(&head(&[], Version::HTTP_10)).is_ok());
        for (hosts, version) in [
            (&[][..], Version::HTTP_11),
            (&["x", "x"], Version::HTTP_11),
            (&["x", "y"], Version::HTTP_11),
            (&["x", "y"], Version::HTTP_10),
        ] {
            let refused = check(&head(hosts, version)).unwrap_err();
            assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{hosts:?}");
        }
    }
}
