//! The console for browsers: `GET /ui/`, and what its pages load. It is in the program (build.rs), packed already.
//!
//! An address below `/ui` that is no file is a screen, and answered with the console's one page, but only for whoever
//! asks for HTML; everything else there is 404 as anywhere. Nothing outside of `/ui` is ever answered with a page, but
//! that `/` leads browsers to it.

use std::sync::LazyLock;

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use nox_contract::ProblemCode;

use crate::{
    endpoint::{Access, Answer, Content, ETAG, Endpoint, Header, IF_NONE_MATCH, Method},
    http::etag,
    problem::ApiError,
};

/// A file of the console.
struct File {
    /// Below `/ui/`.
    name: &'static str,
    plain: &'static [u8],
    brotli: Option<&'static [u8]>,
    gzip: Option<&'static [u8]>,
}

static FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/console.rs"));

/// Of each file, in their order.
static TAGS: LazyLock<Vec<String>> = LazyLock::new(|| {
    FILES.iter().map(|file| blake3::hash(file.plain).to_hex()[..32].to_owned()).collect()
});

const PAGE: &str = "index.html";

/// Their names say what is in them: another content has another name.
const ASSETS: &str = "assets/";

/// Scripts and styles of this server and no others; nothing that is made from text, no request to another host.
/// A picture may stand in a page (`data:`) or be made there (`blob:`).
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// Where the console was not built.
const ABSENT: &str = "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Nox</title>\n\
     <h1>This Nox has no console</h1>\n<p>It was built without: <code>make console</code> builds it, for which it takes \
     Node from PATH or fetches it, and the next build of Nox has it. Everything else works: <a href=\"/docs\">the API</a> \
     and <code>noxctl</code>.</p>\n";

pub fn endpoints() -> Vec<Endpoint> {
    let page = || vec![Content::Other("text/html")];
    let file = |path, id, summary| {
        Endpoint::new(Method::Get, path, Access::ANYONE, (id, summary), show)
            .headers([IF_NONE_MATCH])
            .answer(Answer::of(200, "It.", vec![Content::Other("*/*")]).headers([ETAG]))
            .answer(Answer::empty(304, "The asker has it.").headers([ETAG]))
            .problems(&[ProblemCode::RouteNotFound])
    };
    let to = Header::text("Location", "The console.");
    let redirect = |path, id, summary| {
        Endpoint::new(Method::Get, path, Access::ANYONE, (id, summary), lead)
            .answer(Answer::of(307, "The console is there.", page()).headers([to]))
            .problems(&[ProblemCode::RouteNotFound])
    };
    vec![
        redirect("/", "get_root", "Leads browsers to the console."),
        redirect("/ui", "get_ui", "Leads browsers to the console."),
        file("/ui/", "get_console", "The console, for browsers."),
        file("/ui/{*path}", "get_console_file", "A file or a screen of the console."),
    ]
}

/// The part of a link behind `#`, which may be a token, goes along: browsers keep it, and no server sees it.
async fn lead(headers: HeaderMap) -> Result<Response, ApiError> {
    if !wants_page(&headers) {
        return Err(nothing());
    }
    Ok((StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "/ui/")]).into_response())
}

/// Queries are the screens' own, and any is taken. Names of files have nothing that would be percent-encoded.
async fn show(uri: Uri, headers: HeaderMap) -> Result<Response, ApiError> {
    let path = uri.path().strip_prefix("/ui/").unwrap_or_default();
    if let Some(place) = FILES.iter().position(|file| file.name == path) {
        return Ok(answer(place, &headers));
    }
    if path.starts_with(ASSETS) || !wants_page(&headers) {
        return Err(nothing());
    }
    match FILES.iter().position(|file| file.name == PAGE) {
        Some(place) => Ok(answer(place, &headers)),
        None => {
            let kind = HeaderValue::from_static("text/html; charset=utf-8");
            let described =
                [(header::CONTENT_TYPE, kind), (header::CONTENT_SECURITY_POLICY, POLICY)];
            Ok((described, ABSENT).into_response())
        }
    }
}

fn nothing() -> ApiError {
    ApiError::new(ProblemCode::RouteNotFound, "nothing is served at this address")
}

fn answer(place: usize, asked: &HeaderMap) -> Response {
    let file = &FILES[place];
    let accepts = |coding| lists(asked, header::ACCEPT_ENCODING, coding);
    let packed = [("br", file.brotli), ("gzip", file.gzip)];
    let packed = packed
        .into_iter()
        .find_map(|(coding, bytes)| Some((coding, bytes?)).filter(|_| accepts(coding)));
    // Each form of it has a tag of its own.
    let tag = match packed {
        Some((coding, _)) => format!("\"{}-{coding}\"", TAGS[place]),
        None => format!("\"{}\"", TAGS[place]),
    };
    let lasting = file.name.starts_with(ASSETS);
    let cache = if lasting { "public, max-age=31536000, immutable" } else { "no-cache" };
    let mut described = HeaderMap::from_iter([
        (header::CACHE_CONTROL, HeaderValue::from_static(cache)),
        (header::VARY, HeaderValue::from_static("Accept, Accept-Encoding")),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ]);
    described.extend(HeaderValue::from_str(&tag).ok().map(|tag| (header::ETAG, tag)));
    if etag::lists(asked, header::IF_NONE_MATCH, &tag) {
        return (StatusCode::NOT_MODIFIED, described).into_response();
    }
    described.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type(file.name)));
    match packed {
        Some((coding, bytes)) => {
            described.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
            (described, bytes).into_response()
        }
        None => (described, file.plain).into_response(),
    }
}

/// Of what the console's build makes; of everything else, the browser is told nothing.
fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// Whether a browser goes there, or somebody who says the same. `*/*` does not.
fn wants_page(headers: &HeaderMap) -> bool {
    lists(headers, header::ACCEPT, "text/html")
}

/// Whether a header names `word` among others, and not with `q=0`.
fn lists(headers: &HeaderMap, name: HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|part| {
        let mut part = part.split(';').map(str::trim);
        let named = part.next().is_some_and(|named| named.eq_ignore_ascii_case(word));
        named
            && !part
                .any(|rest| rest.strip_prefix("q=").and_then(|q| q.parse().ok()) == Some(0.0_f32))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_is_not_listed() {
        for (value, expected) in [
            ("text/html,application/xhtml+xml,*/*;q=0.8", true),
            ("application/json, text/html;q=0.5", true),
            ("text/html;q=0", false),
            ("*/*", false),
            ("text/html2", false),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, value.parse().unwrap())]);
            assert_eq!(wants_page(&headers), expected, "{value}");
        }
    }

    #[test]
    fn the_policy_lets_nothing_be_made_from_text_and_no_other_host_be_asked() {
        let policy = POLICY.to_str().unwrap().to_owned();
        assert!(!policy.contains("unsafe") && !policy.contains("http") && !policy.contains('*'));
    }
}
