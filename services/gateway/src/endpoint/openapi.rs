//! The OpenAPI 3.1 document of all endpoints (<https://spec.openapis.org/oas/v3.1.1>).
//!
//! Its schemas are those of the types that are served, in JSON Schema 2020-12, which is the dialect of
//! OpenAPI 3.1.

use std::collections::{BTreeMap, BTreeSet};

use nox_contract::ProblemCode;
use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{Answer, Content, Endpoint, Header, HeaderKind, Role};
use crate::problem::{Document, kind::problem_type};

/// Problems that any request may meet.
const OF_ALL: [ProblemCode; 7] = [
    ProblemCode::AmbiguousHead,
    ProblemCode::HeadTooLarge,
    ProblemCode::InvalidRequest,
    ProblemCode::Overloaded,
    ProblemCode::Lagging,
    ProblemCode::Unavailable,
    ProblemCode::Internal,
];
/// Those of whoever has to say who it is.
const OF_CALLERS: [ProblemCode; 4] = [
    ProblemCode::Unauthenticated,
    ProblemCode::TokenExpired,
    ProblemCode::Forbidden,
    ProblemCode::RateLimited,
];
/// Those of whoever sends a body.
const OF_BODIES: [ProblemCode; 4] = [
    ProblemCode::MalformedJson,
    ProblemCode::BodyTooLarge,
    ProblemCode::BodyTimeout,
    ProblemCode::UnsupportedMediaType,
];

const COMPONENTS: &str = "#/components/schemas/";

/// Headers that any answer may have.
const HEADERS_OF_ALL: [Header; 5] = [
    Header::text("X-Request-Id", "Names the request in the log: as it named itself, or anew."),
    Header::text("Cache-Control", "Whether the answer may be kept (RFC 9111)."),
    Header::text("X-Content-Type-Options", "nosniff"),
    Header::text("RateLimit", "What is left of the asker's requests, where these are limited."),
    Header::text("RateLimit-Policy", "How many requests there may be, where these are limited."),
];

/// The document.
pub fn document(endpoints: &[Endpoint]) -> Value {
    let answers = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into());
    let requests = answers.clone().for_deserialize().into_generator();
    let mut schemas = Schemas { answers: answers.for_serialize().into_generator(), requests };
    let problem = schemas.answers.subschema_for::<Document>();

    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for endpoint in endpoints {
        let operation = operation(endpoint, &mut schemas, problem.as_value());
        let method = endpoint.method.as_str().to_ascii_lowercase();
        paths.entry(address(endpoint.path)).or_default().insert(method, operation);
    }
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Nox",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Jobs, the modules that they run, and what became of them.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "headers": HEADERS_OF_ALL.map(|header| (header.name, described(&header)))
                .into_iter()
                .collect::<BTreeMap<_, _>>(),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            },
        },
    });
    let (text, components) = schemas.joined(&document.to_string());
    document = serde_json::from_str(&text).unwrap_or(document);
    document["components"]["schemas"] = components;
    document
}

/// The schemas of what is sent and of what is answered: of one type they may differ, since what may be left
/// out of a request may always be there in an answer.
struct Schemas {
    answers: SchemaGenerator,
    requests: SchemaGenerator,
}

/// Where a request's schema is referred to until its name is settled.
const OF_REQUESTS: &str = "#/requests/";

impl Schemas {
    fn of_answer(&mut self, content: Content) -> (String, Value) {
        match content {
            Content::Json(described) => {
                ("application/json".to_owned(), described(&mut self.answers).to_value())
            }
            Content::Other(kind) => (kind.to_owned(), json!({})),
        }
    }

    fn of_request(&mut self, content: Content) -> (String, Value) {
        match content {
            Content::Json(described) => {
                let schema = described(&mut self.requests).to_value();
                ("application/json".to_owned(), moved(schema))
            }
            Content::Other(kind) => (kind.to_owned(), json!({})),
        }
    }

    /// The document's text with all references settled, and what they refer to.
    fn joined(mut self, text: &str) -> (String, Value) {
        let mut components = self.answers.take_definitions(true);
        let requests = self.requests.take_definitions(true);
        let name = |name: &str, schema: &Value| match components.get(name) {
            Some(known) if known != schema => format!("{name}Request"),
            _ => name.to_owned(),
        };
        let names: BTreeMap<_, _> =
            requests.iter().map(|(known, schema)| (known.clone(), name(known, schema))).collect();
        let settle = |text: &str| {
            names.iter().fold(text.to_owned(), |text, (known, name)| {
                let from = format!("\"{OF_REQUESTS}{known}\"");
                text.replace(&from, &format!("\"{COMPONENTS}{name}\""))
            })
        };
        for (known, schema) in requests {
            let settled = serde_json::from_str(&settle(&moved(schema).to_string()));
            components.insert(names[&known].clone(), settled.unwrap_or_default());
        }
        (settle(text), Value::Object(components))
    }
}

/// A schema whose references are marked as those of a request.
fn moved(schema: Value) -> Value {
    let text = schema.to_string().replace(&format!("\"{COMPONENTS}"), &format!("\"{OF_REQUESTS}"));
    serde_json::from_str(&text).unwrap_or(schema)
}

/// The path as OpenAPI writes it, which knows no rest.
fn address(path: &str) -> String {
    path.replace("{*", "{")
}

fn operation(endpoint: &Endpoint, schemas: &mut Schemas, problem: &Value) -> Value {
    let Endpoint { method, id, summary, access, query, headers, body, answers, .. } = endpoint;
    let mut parameters = of_path(endpoint.path);
    if let Some(query) = query {
        parameters.extend(of_query(&query(&mut schemas.requests).to_value()));
    }
    let of_caller = access.role > Role::Anyone && method.scope() == super::Scope::Write;
    let headers = headers.iter().chain(of_caller.then_some(&super::REASON));
    parameters.extend(headers.map(|header| {
        let Header { name, description, kind } = header;
        json!({"name": name, "in": "header", "description": description, "schema": of_header(*kind)})
    }));
    let mut responses: BTreeMap<u16, Value> = BTreeMap::new();
    for answer in answers {
        responses.insert(answer.status, good(answer, schemas));
    }
    let mut codes = BTreeSet::from(OF_ALL);
    codes.extend(&endpoint.problems);
    if access.role > Role::Anyone {
        codes.extend(OF_CALLERS);
    }
    if body.is_some() || method.scope() == super::Scope::Write {
        codes.extend(OF_BODIES);
    }
    for (status, response) in bad(&codes, problem) {
        // What answers well says more of a status than what fails does; no endpoint has both.
        responses.entry(status).or_insert(response);
    }
    let mut operation = json!({
        "operationId": id,
        "summary": summary,
        "tags": [tag(endpoint.path)],
        "parameters": parameters,
        "responses": responses,
        "security": [],
        "x-nox-role": format!("{:?}", access.role).to_ascii_lowercase(),
        "x-nox-relation": relation(*access),
    });
    if access.role > Role::Anyone {
        operation["security"] = json!([{"bearer": []}]);
        operation["x-nox-scope"] = json!(method.scope().as_str());
    }
    if let Some(body) = body {
        let (kind, schema) = schemas.of_request(*body);
        let mut content = json!({"schema": schema});
        if let Some(example) = endpoint.example {
            // What is no JSON is noticed by the test that looks for all of them.
            content["example"] = serde_json::from_str(example).unwrap_or_default();
        }
        operation["requestBody"] =
            json!({"required": endpoint.body_required, "content": {kind: content}});
    }
    operation
}

fn of_header(kind: HeaderKind) -> Value {
    match kind {
        HeaderKind::Text => json!({"type": "string"}),
        HeaderKind::Number => json!({"type": "integer", "minimum": 0}),
        HeaderKind::Pattern(pattern) => json!({"type": "string", "pattern": pattern}),
    }
}

fn relation(access: super::Access) -> &'static str {
    match access.relation {
        super::Relation::None => "none",
        super::Relation::Own => "own",
        super::Relation::OwnerOrAdmin => "owner_or_admin",
        super::Relation::Tenant => "tenant",
        super::Relation::Holder => "holder",
    }
}

/// Operations are sorted by the first word of their path, or the surface that it names.
fn tag(path: &str) -> &str {
    let mut words = path.split('/').filter(|word| !word.is_empty());
    match (words.next(), words.next()) {
        (Some("v1"), Some(surface)) => surface,
        (Some(word), _) => word,
        _ => "nox",
    }
}

fn of_path(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|word| word.strip_prefix('{')?.strip_suffix('}'));
    let of = |name: &str| {
        let name = name.trim_start_matches('*');
        let schema = match name {
            "id" | "task_id" | "job_id" => json!({"type": "string", "format": "uuid"}),
            "room_id" => {
                json!({"type": "string", "pattern": "^(@global|[^@:/\\u0000-\\u001f\\u007f-\\u009f]{1,32})$"})
            }
            _ => json!({"type": "string", "minLength": 1}),
        };
        json!({"name": name, "in": "path", "required": true, "schema": schema})
    };
    names.map(of).collect()
}

fn of_query(schema: &Value) -> Vec<Value> {
    let members = schema["properties"].as_object().cloned().unwrap_or_default();
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let of = |(name, mut schema): (String, Value)| {
        let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        // Absent is absent; there is no text for null.
        if let Some(kinds) = schema["type"].as_array() {
            let kinds: Vec<_> = kinds.iter().filter(|kind| **kind != "null").cloned().collect();
            schema["type"] = kinds.first().cloned().unwrap_or(json!("string"));
        }
        let is_required = required.contains(&name.as_str());
        let mut parameter =
            json!({"name": name, "in": "query", "required": is_required, "schema": schema});
        if let Some(description) = description {
            parameter["description"] = description;
        }
        parameter
    };
    members.into_iter().map(of).collect()
}

fn good(answer: &Answer, schemas: &mut Schemas) -> Value {
    let mut response = json!({"description": answer.description});
    let contents: Map<_, _> = answer
        .contents
        .iter()
        .map(|content| {
            let (kind, schema) = schemas.of_answer(*content);
            (kind, json!({"schema": schema}))
        })
        .collect();
    if !contents.is_empty() {
        response["content"] = Value::Object(contents);
    }
    let headers: Map<_, _> = answer
        .headers
        .iter()
        .map(|header| (header.name.to_owned(), described(header)))
        .chain(headers_of_all())
        .collect();
    response["headers"] = Value::Object(headers);
    response
}

fn described(Header { description, kind, .. }: &Header) -> Value {
    json!({"description": description, "schema": of_header(*kind)})
}

fn headers_of_all() -> impl Iterator<Item = (String, Value)> {
    HEADERS_OF_ALL.into_iter().map(|Header { name, .. }| {
        (name.to_owned(), json!({"$ref": format!("#/components/headers/{name}")}))
    })
}

/// Problems by their status.
fn bad(codes: &BTreeSet<ProblemCode>, problem: &Value) -> BTreeMap<u16, Value> {
    let mut by_status: BTreeMap<u16, Vec<ProblemCode>> = BTreeMap::new();
    for code in codes {
        by_status.entry(problem_type(*code).status.as_u16()).or_default().push(*code);
    }
    let response = |codes: Vec<ProblemCode>| {
        let words: Vec<_> = codes.iter().map(|code| format!("`{code}`")).collect();
        let mut response = json!({
            "description": words.join(", "),
            "content": {"application/problem+json": {"schema": problem}},
        });
        response["headers"] = headers_of_all().collect::<Map<_, _>>().into();
        if codes.iter().any(|code| problem_type(*code).retry_after_s > 0) {
            response["headers"]["Retry-After"] = json!({
                "description": "Seconds after which to try again.",
                "schema": {"type": "integer"},
            });
        }
        response
    };
    by_status.into_iter().map(|(status, codes)| (status, response(codes))).collect()
}
