//! An address that is served: what it does, who may ask, and how it is described, in one value.
//!
//! The router, the policy and the OpenAPI document are made of these values alone, so none of them knows
//! an address that the others do not, and none can be forgotten: there is no endpoint without [`Access`].

mod access;
mod answer;
pub mod openapi;

use std::sync::Arc;

use axum::{
    Router,
    handler::Handler,
    middleware,
    routing::{MethodFilter, MethodRouter, on},
};
use nox_contract::ProblemCode;
use schemars::{JsonSchema, Schema, SchemaGenerator};

pub use self::{
    access::{Access, Relation, Role, Scope},
    answer::{Answer, Content},
};
use crate::app::App;

/// Methods that are served; `HEAD` with every `GET`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// What a token that is narrowed down must let its holder do.
    pub fn scope(self) -> Scope {
        if self == Self::Get { Scope::Read } else { Scope::Write }
    }

    fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Put => MethodFilter::PUT,
            Self::Patch => MethodFilter::PATCH,
            Self::Delete => MethodFilter::DELETE,
        }
    }
}

/// Describes a type where it is used, by reference into the document's components.
type Described = fn(&mut SchemaGenerator) -> Schema;

/// An address with one method.
pub struct Endpoint {
    pub method: Method,
    /// As the router writes it: `{id}` is a segment, `{*name}` the rest.
    pub path: &'static str,
    /// Stable: generated clients call their functions so.
    pub id: &'static str,
    /// One sentence.
    pub summary: &'static str,
    pub access: Access,
    /// A struct whose members are the query's parameters; none, if absent.
    query: Option<Described>,
    /// Headers that are heeded, beside those of every request.
    headers: Vec<Header>,
    body: Option<Content>,
    body_required: bool,
    /// A body that is taken as it is, as JSON.
    example: Option<&'static str>,
    answers: Vec<Answer>,
    problems: Vec<ProblemCode>,
    handler: MethodRouter<Arc<App>>,
}

/// A header that an endpoint heeds, or answers with.
#[derive(Debug, Clone, Copy)]
pub struct Header {
    pub name: &'static str,
    pub description: &'static str,
    pub kind: HeaderKind,
}

/// What a header says.
#[derive(Debug, Clone, Copy)]
pub enum HeaderKind {
    Text,
    Number,
    /// As this regular expression (ECMA-262) has it.
    Pattern(&'static str),
}

impl Header {
    pub const fn text(name: &'static str, description: &'static str) -> Self {
        Self { name, description, kind: HeaderKind::Text }
    }

    pub const fn number(name: &'static str, description: &'static str) -> Self {
        Self { name, description, kind: HeaderKind::Number }
    }

    const fn of(name: &'static str, kind: HeaderKind, description: &'static str) -> Self {
        Self { name, description, kind }
    }
}

pub const IDEMPOTENCY_KEY: Header = Header::of(
    "Idempotency-Key",
    HeaderKind::Pattern("^[!-~]([ -~]{0,253}[!-~])?$"),
    "1 to 255 printable ASCII characters: the same key with the same request is answered as the first time, with \
     another one it is 422.",
);
pub const TRACEPARENT: Header = Header::text(
    "traceparent",
    "W3C trace context, kept with the job; what is none is passed over.",
);
pub const REASON: Header = Header::text(
    "Nox-Reason",
    "Why, in the asker's own words, for the audit: 1 to 500 characters of UTF-8, none of them a control character.",
);
pub const MIN_N: Header = Header::of(
    "Nox-Min-N",
    HeaderKind::Number,
    "The frame that the answer must have taken in, as ?n= says it.",
);
pub const PREFER: Header =
    Header::text("Prefer", "wait=N: answer when it has ended, or after N seconds (RFC 7240).");
pub const IF_NONE_MATCH: Header =
    Header::text("If-None-Match", "ETags that the asker has: 304 if it is one.");
pub const RANGE: Header = Header::text("Range", "One range of bytes (RFC 9110).");

pub const ETAG: Header = Header::text("ETag", "Names these very bytes.");
pub const LINK: Header = Header::text(
    "Link",
    "The first page, as rel=first, and the next one, as rel=next, while there is more (RFC 8288).",
);
pub const PREFERENCE_APPLIED: Header =
    Header::text("Preference-Applied", "wait=N, where so many seconds were granted.");

impl Endpoint {
    pub fn new<H, T>(
        method: Method,
        path: &'static str,
        access: Access,
        (id, summary): (&'static str, &'static str),
        handler: H,
    ) -> Self
    where
        H: Handler<T, Arc<App>>,
        T: 'static,
    {
        Self {
            method,
            path,
            id,
            summary,
            access,
            query: None,
            headers: Vec::new(),
            body: None,
            body_required: false,
            example: None,
            answers: Vec::new(),
            problems: Vec::new(),
            handler: on(method.filter(), handler),
        }
    }

    /// The members of `T` are its query's parameters.
    pub fn query<T: JsonSchema>(mut self) -> Self {
        self.query = Some(|generator| generator.root_schema_for::<T>());
        self
    }

    pub fn headers(mut self, headers: impl AsRef<[Header]>) -> Self {
        self.headers.extend_from_slice(headers.as_ref());
        self
    }

    /// It answers with a page of a list, which the asker may have already.
    pub fn page<T: JsonSchema>(self, description: &'static str) -> Self {
        self.headers([IF_NONE_MATCH])
            .answer(Answer::json::<T>(200, description).headers([ETAG, LINK]))
            .answer(Answer::empty(304, "It is as the asker has it.").headers([ETAG, LINK]))
    }

    /// It needs this body.
    pub fn body(mut self, body: Content) -> Self {
        self.body = Some(body);
        self.body_required = true;
        self
    }

    /// It may come with this body, or with none.
    pub fn optional_body(mut self, body: Content) -> Self {
        self.body = Some(body);
        self
    }

    /// A body that anybody may send who may ask, as JSON.
    pub fn example(mut self, example: &'static str) -> Self {
        self.example = Some(example);
        self
    }

    /// One more way in which it answers well.
    pub fn answer(mut self, answer: Answer) -> Self {
        self.answers.push(answer);
        self
    }

    /// Problems of its own, beside those that any request may meet, and those that were named before.
    pub fn problems(mut self, problems: &'static [ProblemCode]) -> Self {
        self.problems.extend_from_slice(problems);
        self
    }
}

/// Serves `endpoints`, each to those whom its access lets in.
pub fn router(endpoints: Vec<Endpoint>, app: &Arc<App>) -> Router<Arc<App>> {
    endpoints.into_iter().fold(Router::new(), |router, endpoint| {
        let Endpoint { path, access, handler, .. } = endpoint;
        let gate = access::Gate { app: app.clone(), access };
        router.route(path, handler.layer(middleware::from_fn_with_state(gate, access::admit)))
    })
}
