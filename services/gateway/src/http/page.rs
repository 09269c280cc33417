//! Pages of lists: which there are beside one (RFC 8288), and whether its reader has it already.

use axum::{
    http::{HeaderMap, HeaderValue, Uri, header},
    response::Response,
};
use serde::Serialize;

use super::etag;
use crate::problem::ApiError;

/// The parameter by which a page is asked for.
pub const CURSOR: &str = "cursor";

/// Where the page after one begins.
pub struct Next<'a> {
    /// The parameter that says so.
    pub parameter: &'a str,
    /// As it stands in a query.
    pub cursor: Option<String>,
}

impl Next<'_> {
    /// `cursor` as most lists have it; `None` on the last page.
    pub fn page(cursor: Option<String>) -> Self {
        Self { parameter: CURSOR, cursor }
    }

    /// Of a list that is told as a whole.
    pub fn none() -> Self {
        Self::page(None)
    }
}

/// `page` with its tag and its links, or 304 if the asker names the tag.
pub fn answer(
    uri: &Uri,
    headers: &HeaderMap,
    page: &impl Serialize,
    next: &Next<'_>,
) -> Result<Response, ApiError> {
    let mut response = etag::json(headers, page)?;
    let links = HeaderValue::from_str(&links(uri, next)).map_err(ApiError::internal)?;
    response.headers_mut().insert(header::LINK, links);
    Ok(response)
}

/// The same question from the beginning on, and from where the page ends.
pub fn links(uri: &Uri, Next { parameter, cursor }: &Next<'_>) -> String {
    let kept: Vec<_> = uri.query().unwrap_or_default().split('&').collect();
    let is_place = |pair: &str| pair.split('=').next() == Some(parameter);
    let kept: Vec<_> =
        kept.into_iter().filter(|pair| !pair.is_empty() && !is_place(pair)).collect();
    let link = |relation: &str, query: &[&str]| {
        let mark = if query.is_empty() { "" } else { "?" };
        format!("<{}{mark}{}>; rel=\"{relation}\"", uri.path(), query.join("&"))
    };
    let first = link("first", &kept);
    let Some(cursor) = cursor else { return first };
    let place = format!("{parameter}={}", encoded(cursor));
    let next = link("next", &[&kept[..], &[&*place]].concat());
    format!("{first}, {next}")
}

/// `text` as a value in a query.
fn encoded(text: &str) -> percent_encoding::PercentEncode<'_> {
    percent_encoding::utf8_percent_encode(text, VALUE)
}

/// All that means something in a query or a header.
const VALUE: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[cfg(test)]
mod tests {
    use super::*;

    fn told(uri: &str, parameter: &str, cursor: Option<&str>) -> String {
        let next = Next { parameter, cursor: cursor.map(str::to_owned) };
        links(&uri.parse().unwrap(), &next)
    }

    #[test]
    fn the_next_page_asks_the_same_question_and_the_first_one_does_as_well() {
        assert_eq!(
            told("/jobs?status=succeeded&cursor=1&module=a", CURSOR, Some("7")),
            "</jobs?status=succeeded&module=a>; rel=\"first\", \
             </jobs?status=succeeded&module=a&cursor=7>; rel=\"next\""
        );
        assert_eq!(told("/keys", CURSOR, None), "</keys>; rel=\"first\"");
        assert_eq!(
            told("/jobs/1/events?after=3", "after", Some("7")),
            "</jobs/1/events>; rel=\"first\", </jobs/1/events?after=7>; rel=\"next\""
        );
    }

    #[test]
    fn a_cursor_is_one_value_whatever_it_says() {
        let told = told("/quotas", CURSOR, Some("user/a b&c=<ü>\r"));
        assert!(
            told.ends_with("</quotas?cursor=user%2Fa%20b%26c%3D%3C%C3%BC%3E%0D>; rel=\"next\""),
            "{told}"
        );
    }
}
