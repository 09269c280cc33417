//! `GET /jobs/{id}/artifacts/{*name}`: a kept file, or a part of it.

use std::{fmt::Write, ops::RangeInclusive, sync::Arc};

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use nox_contract::{ProblemCode, artifact::Artifact};
use nox_store::{StoreError, artifacts::Owner, media_type};

use crate::{
    app::App,
    endpoint::{Access, Answer, Content, Endpoint, Header, IF_NONE_MATCH, MIN_N, Method, RANGE},
    extract::{self, OnlyN, Segments, only_min_n},
    http::etag,
    identity::auth::Caller,
    problem::ApiError,
    use_cases::outputs::{not_found, outputs},
};

/// A browser that shows a file all the same gives it no script, no origin and no request of its own.
const POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; sandbox");

/// It may be kept, and is asked for by its hash: who may see it is judged each time.
const CACHE: HeaderValue = HeaderValue::from_static("private, no-cache");

pub fn endpoint() -> Endpoint {
    let (id, summary) = ("get_artifact", "A file that a job kept, or a part of it.");
    let file = || vec![Content::Other("*/*")];
    let path = "/jobs/{id}/artifacts/{*name}";
    Endpoint::new(Method::Get, path, Access::OWNER_OR_ADMIN, (id, summary), download)
        .query::<OnlyN>()
        .headers([MIN_N, RANGE, IF_NONE_MATCH])
        .answer(Answer::of(200, "All of it.", file()).headers(FILE_HEADERS))
        .answer(Answer::of(206, "The range.", file()).headers(FILE_HEADERS))
        .answer(Answer::empty(304, "The asker has it.").headers(FILE_HEADERS))
        .problems(&[
            ProblemCode::InvalidId,
            ProblemCode::JobNotFound,
            ProblemCode::ArtifactNotFound,
            ProblemCode::RangeNotSatisfiable,
        ])
}

const FILE_HEADERS: &[Header] = &[
    Header::text("ETag", "The file's SHA-256."),
    Header::text("Content-Disposition", "Its name (RFC 6266)."),
];

pub async fn download(
    State(app): State<Arc<App>>,
    caller: Caller,
    Segments(id, name): Segments,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let id = extract::job_id(&id)?;
    let (row, outputs) = outputs(&app, &caller, id, only_min_n(&uri, &headers)?).await?;
    // Whatever a path says beside: only what the fact names is there.
    let artifact = outputs.artifacts.into_iter().find(|artifact| artifact.name == name);
    let artifact = artifact.ok_or_else(|| not_found("the job has no such file"))?;

    let tag = format!("\"{}\"", artifact.sha256);
    if etag::lists(&headers, header::IF_NONE_MATCH, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, described(&artifact, &tag)).into_response());
    }
    let part = match part(&headers, &tag, artifact.size) {
        Part::Whole => None,
        Part::Of(part) => Some(part),
        Part::Nowhere => return Ok(not_satisfiable(artifact.size)),
    };
    let owner =
        Owner { tenant: &row.tenant, user: &row.user_id, job: row.id, attempt: row.attempt };
    let range = part.as_ref().map(|part| *part.start()..part.end() + 1);
    let reading = app.artifacts.read(owner, &artifact.name, range).await.map_err(unreadable)?;
    if reading.size != artifact.size {
        let sizes = format!("{} bytes, not {}", reading.size, artifact.size);
        return Err(ApiError::internal(anyhow::anyhow!("a kept file was changed: {sizes}")));
    }

    let mut response = Body::from_stream(reading.bytes).into_response();
    let headers = response.headers_mut();
    headers.extend(described(&artifact, &tag));
    let length = match &part {
        None => artifact.size,
        Some(part) => {
            let (start, end) = (part.start(), part.end());
            headers.insert(
                header::CONTENT_RANGE,
                value(&format!("bytes {start}-{end}/{}", artifact.size)),
            );
            end - start + 1
        }
    };
    headers.insert(header::CONTENT_LENGTH, length.into());
    if part.is_some() {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(response)
}

fn unreadable(error: StoreError) -> ApiError {
    if error.is_absent() {
        return not_found("the file has expired");
    }
    let details = error.details();
    ApiError::unavailable("the artifact store", anyhow::Error::new(error).context(details))
}

/// What is said of a file beside its bytes.
fn described(artifact: &Artifact, etag: &str) -> HeaderMap {
    let kind = HeaderValue::from_str(&artifact.mime);
    let kind = kind.unwrap_or_else(|_| HeaderValue::from_static(media_type::UNKNOWN));
    HeaderMap::from_iter([
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_DISPOSITION, value(&disposition(&artifact.name))),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, CACHE),
        (header::ACCEPT_RANGES, HeaderValue::from_static("bytes")),
        (header::ETAG, value(etag)),
    ])
}

/// Of what was made here out of visible ASCII.
fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Has a browser save the file under its own name, RFC 6266: once in letters that need no quoting, and
/// once whole.
fn disposition(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let plain: String = last.chars().map(|c| if plain(c) { c } else { '_' }).collect();
    let mut whole = String::with_capacity(last.len());
    for byte in last.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            whole.push(char::from(byte));
        } else {
            let _ = write!(whole, "%{byte:02X}");
        }
    }
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{whole}")
}

/// What is asked for of a file.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Whole,
    Of(RangeInclusive<u64>),
    /// It is behind the end.
    Nowhere,
}

/// One range is heeded; several, and what is none, are answered with the whole, as RFC 9110 lets.
fn part(headers: &HeaderMap, etag: &str, size: u64) -> Part {
    let mut ranges = headers.get_all(header::RANGE).iter();
    let (Some(range), None) = (ranges.next(), ranges.next()) else { return Part::Whole };
    // The file that the asker has a part of is another one.
    if headers.get(header::IF_RANGE).is_some_and(|tag| tag != etag) {
        return Part::Whole;
    }
    let range = range.to_str().ok().filter(|range| !range.contains(','));
    let parsed = range.and_then(|range| http_range_header::parse_range_header(range).ok());
    let Some(parsed) = parsed else { return Part::Whole };
    match parsed.validate(size).as_deref() {
        Ok([range]) => Part::Of(range.clone()),
        _ => Part::Nowhere,
    }
}

fn not_satisfiable(size: u64) -> Response {
    let detail = format!("the file has {size} bytes");
    let error = ApiError::new(ProblemCode::RangeNotSatisfiable, detail);
    ([(header::CONTENT_RANGE, value(&format!("bytes */{size}")))], error).into_response()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    fn asked(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap()));
        pairs.collect()
    }

    #[test]
    fn one_range_within_the_file_is_heeded() {
        for (range, expected) in [
            ("bytes=0-0", Part::Of(0..=0)),
            ("bytes=2-", Part::Of(2..=9)),
            ("bytes=-3", Part::Of(7..=9)),
            ("bytes=-30", Part::Of(0..=9)),
            ("bytes=5-99", Part::Of(5..=9)),
            ("bytes=10-", Part::Nowhere),
            ("bytes=-0", Part::Nowhere),
            ("bytes=0-1,3-4", Part::Whole),
            ("bytes=x-", Part::Whole),
            ("bytes=99999999999999999999999-", Part::Nowhere),
            ("lines=0-1", Part::Whole),
            ("", Part::Whole),
        ] {
            let headers = asked(&[(header::RANGE, range)]);
            assert_eq!(part(&headers, "\"e\"", 10), expected, "{range}");
        }
        let empty = asked(&[(header::RANGE, "bytes=0-")]);
        assert_eq!(part(&empty, "\"e\"", 0), Part::Nowhere);
        for (tag, expected) in [("\"e\"", Part::Of(1..=1)), ("\"f\"", Part::Whole)] {
            let headers = asked(&[(header::RANGE, "bytes=1-1"), (header::IF_RANGE, tag)]);
            assert_eq!(part(&headers, "\"e\"", 10), expected);
        }
    }

    #[test]
    fn no_name_adds_a_header_or_leaves_its_quotes() {
        for name in
            ["a\"; filename=\"b", "a\r\nSet-Cookie: x", "ü\u{202e}.txt", "sub/a b", ";", "\\", ""]
        {
            let text = disposition(name);
            assert!(HeaderValue::from_str(&text).unwrap().to_str().is_ok());
            assert_eq!(text.matches('"').count(), 2, "{text}");
            assert_eq!(text.matches(';').count(), 2, "{text}");
        }
        assert_eq!(
            disposition("sub/grün.txt"),
            "attachment; filename=\"gr_n.txt\"; filename*=UTF-8''gr%C3%BCn.txt"
        );
    }
}
