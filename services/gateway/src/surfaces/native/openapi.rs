//! `GET /openapi.json`, and the same for people: `GET /docs`. `GET /asyncapi.json` describes the feed.

use std::{fmt::Write, sync::LazyLock};

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde_json::Value;

use crate::{
    endpoint::{Access, Answer, Content, ETAG, Endpoint, IF_NONE_MATCH, Method, openapi},
    extract,
    http::etag,
    problem::ApiError,
    surfaces,
};

/// It stays the same for as long as the process runs.
static DOCUMENT: LazyLock<Page> = LazyLock::new(|| {
    let document = openapi::document(&surfaces::endpoints());
    Page::new("application/json", format!("{document:#}"))
});

static DOCS: LazyLock<Page> = LazyLock::new(|| {
    Page::new("text/html; charset=utf-8", html(&openapi::document(&surfaces::endpoints())))
});

/// What is published in the feed.
static FEED: LazyLock<Page> = LazyLock::new(|| {
    let document = include_str!("../../../../../docs/asyncapi.json").to_owned();
    Page::new("application/json", document)
});

static STYLE: LazyLock<Page> =
    LazyLock::new(|| Page::new("text/css; charset=utf-8", include_str!("docs.css").to_owned()));

/// Nothing but its own style is loaded, and nothing runs.
const POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; style-src 'self'");

pub fn endpoints() -> Vec<Endpoint> {
    let page = |path, id, summary, kind, handler: fn() -> &'static Page| {
        let show = move |uri: Uri, headers: HeaderMap| async move {
            extract::nothing(&uri)?;
            Ok::<_, ApiError>(handler().answer(&headers))
        };
        Endpoint::new(Method::Get, path, Access::ANYONE, (id, summary), show)
            .headers([IF_NONE_MATCH])
            .answer(Answer::of(200, summary, vec![Content::Other(kind)]).headers([ETAG]))
            .answer(Answer::empty(304, "The asker has it.").headers([ETAG]))
    };
    vec![
        page("/openapi.json", "get_openapi", "This description.", "application/json", || &DOCUMENT),
        page(
            "/asyncapi.json",
            "get_asyncapi",
            "What is published in the feed.",
            "application/json",
            || &FEED,
        ),
        page("/docs", "get_docs", "This description, for people.", "text/html", || &DOCS),
        page("/docs/style.css", "get_docs_style", "How that looks.", "text/css", || &STYLE),
    ]
}

/// Bytes that are the same for everybody.
struct Page {
    kind: &'static str,
    etag: String,
    text: String,
}

impl Page {
    fn new(kind: &'static str, text: String) -> Self {
        let etag = format!("\"{}\"", &blake3::hash(text.as_bytes()).to_hex()[..32]);
        Self { kind, etag, text }
    }

    fn answer(&'static self, headers: &HeaderMap) -> Response {
        let value = |text: &str| HeaderValue::from_str(text);
        let mut described = HeaderMap::from_iter([
            (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (header::CONTENT_SECURITY_POLICY, POLICY),
        ]);
        described.extend(value(&self.etag).ok().map(|etag| (header::ETAG, etag)));
        if etag::lists(headers, header::IF_NONE_MATCH, &self.etag) {
            return (StatusCode::NOT_MODIFIED, described).into_response();
        }
        let kind = [(header::CONTENT_TYPE, HeaderValue::from_static(self.kind))];
        let kind: [(HeaderName, HeaderValue); 1] = kind;
        (described, kind, self.text.as_str()).into_response()
    }
}

/// All operations by their tags. Nothing in here is from outside.
fn html(document: &Value) -> String {
    let mut page = String::from(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Nox API</title>\n\
         <link rel=\"stylesheet\" href=\"/docs/style.css\">\n<h1>Nox API</h1>\n\
         <p>As <a href=\"/openapi.json\">OpenAPI 3.1</a>. The feed is described by <a href=\"/asyncapi.json\">AsyncAPI 3</a>. Every refusal is a problem document (RFC 9457).</p>\n",
    );
    let mut sections: Vec<(&str, String)> = Vec::new();
    for (path, operations) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in operations.as_object().into_iter().flatten() {
            let tag = operation["tags"][0].as_str().unwrap_or_default();
            let place = sections.iter().position(|(known, _)| *known == tag);
            let place = place.unwrap_or_else(|| {
                sections.push((tag, String::new()));
                sections.len() - 1
            });
            describe(&mut sections[place].1, path, method, operation);
        }
    }
    for (tag, text) in &sections {
        let _ = write!(page, "<h2>{tag}</h2>\n{text}");
    }
    page.push_str("<h2>Schemas</h2>\n");
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        let _ = writeln!(
            page,
            "<details id=\"{name}\"><summary>{name}</summary><pre>{}</pre></details>",
            escaped(&format!("{schema:#}")),
        );
    }
    page
}

fn describe(text: &mut String, path: &str, method: &str, operation: &Value) {
    let word = |name: &str| escaped(operation[name].as_str().unwrap_or_default());
    let _ = write!(
        text,
        "<details id=\"{}\"><summary><b>{}</b> <code>{}</code> {}</summary>\n\
         <p>For: {}. Relation to the object: {}.</p>\n<ul>\n",
        word("operationId"),
        method.to_ascii_uppercase(),
        escaped(path),
        word("summary"),
        word("x-nox-role"),
        word("x-nox-relation").replace('_', " "),
    );
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let of = |name: &str| escaped(parameter[name].as_str().unwrap_or_default());
        let _ = writeln!(
            text,
            "<li><code>{}</code> in {}: {}",
            of("name"),
            of("in"),
            of("description")
        );
    }
    for (kind, content) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
        let _ = writeln!(text, "<li>body, {}: {}", escaped(kind), schema(&content["schema"]));
    }
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        let description = escaped(response["description"].as_str().unwrap_or_default());
        let _ = write!(text, "<li>{status}: {description}");
        for (kind, content) in response["content"].as_object().into_iter().flatten() {
            let _ = write!(text, " {} {}", escaped(kind), schema(&content["schema"]));
        }
        text.push('\n');
    }
    text.push_str("</ul></details>\n");
}

/// A link to a schema that has a name, else all of it.
fn schema(schema: &Value) -> String {
    match schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
        Some(name) => format!("<a href=\"#{name}\">{name}</a>"),
        None => format!("<code>{}</code>", escaped(&schema.to_string())),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every text under `$ref` in the document.
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    match member.as_str().filter(|_| name == "$ref") {
                        Some(reference) => drop(found.insert(reference.to_owned())),
                        None => references(member, found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_to_a_schema_and_every_schema_is_referred_to() {
        let document: Value = serde_json::from_str(&DOCUMENT.text).unwrap();
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let headers = document["components"]["headers"].as_object().unwrap();
        let headers = headers.keys().map(|name| format!("#/components/headers/{name}"));
        let named: BTreeSet<_> = schemas
            .keys()
            .map(|name| format!("#/components/schemas/{name}"))
            .chain(headers)
            .collect();
        assert!(named.len() > 20);
        // Two types of one name would be told apart by a number.
        let numbered = |name: &&String| name.ends_with(|c: char| c.is_ascii_digit());
        assert_eq!(schemas.keys().find(numbered), None);
        assert_eq!(found, named);
    }

    #[test]
    fn every_body_of_json_has_an_example() {
        let document: Value = serde_json::from_str(&DOCUMENT.text).unwrap();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for operation in methods.as_object().unwrap().values() {
                let json = &operation["requestBody"]["content"]["application/json"];
                assert!(json.is_null() || json["example"].is_object(), "{path}");
            }
        }
    }

    #[test]
    fn the_stored_document_is_the_served_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
        let served = format!("{}\n", DOCUMENT.text);
        if std::env::var_os("NOX_BLESS").is_some() {
            std::fs::write(path, &served).unwrap();
        }
        let stored = std::fs::read_to_string(path).unwrap_or_default();
        assert!(stored == served, "docs/openapi.json differs: NOX_BLESS=1 writes it anew");
    }

    #[test]
    fn the_page_for_people_has_every_operation_and_no_script() {
        for endpoint in surfaces::endpoints() {
            assert!(DOCS.text.contains(&format!("id=\"{}\"", endpoint.id)), "{}", endpoint.id);
        }
        assert!(!DOCS.text.contains("<script") && !DOCS.text.contains("style=\""));
    }
}
