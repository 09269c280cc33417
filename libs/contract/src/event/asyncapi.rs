//! The AsyncAPI 3 document of the feed: which subjects there are, and what is published on them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{EventKind, EventType, MEDIA_TYPE, schemas};
use crate::subject;

const SCHEMAS: &str = "#/components/schemas/";
const MESSAGES: &str = "#/components/messages/";

/// The document, with an example of each type that has one, by its name.
pub fn asyncapi(examples: &BTreeMap<String, Value>) -> Value {
    let channels: Map<_, _> =
        EventKind::ALL.into_iter().map(|kind| (kind.as_str().to_owned(), channel(kind))).collect();
    let operations: Map<_, _> = EventKind::ALL
        .into_iter()
        .map(|kind| (format!("publish_{}", kind.as_str()), operation(kind)))
        .collect();
    let mut definitions = definitions();
    let messages: Map<_, _> = EventType::ALL
        .iter()
        .map(|of| (key(*of), message(*of, &definitions, examples.get(&of.to_string()))))
        .collect();
    definitions.values_mut().for_each(relocate);
    let schemas: Map<_, _> =
        definitions.into_iter().map(|(name, schema)| (plain(&name), object(schema))).collect();
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Nox feed",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What becomes true, as CloudEvents 1.0 in a JetStream stream: each event once, in the order of the log. docs/subscribing.md says how to read it. The same events are told over HTTP, see openapi.json.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": MEDIA_TYPE,
        "servers": {
            "broker": {
                "host": "{host}",
                "protocol": "nats",
                "description": "nats-server with JetStream.",
                "variables": {"host": {"default": "localhost:4222", "description": "Where it listens."}},
                "security": [{"$ref": "#/components/securitySchemes/user"}],
            },
        },
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": messages,
            "schemas": schemas,
            "securitySchemes": {
                "user": {
                    "type": "userPassword",
                    "description": "A user that may read its tenant's part of the feed, as nats/subscriber.conf has it.",
                },
            },
        },
    })
}

/// The parameter that says what an event is about.
fn about(kind: EventKind) -> (&'static str, &'static str) {
    match kind {
        EventKind::Job => ("job_id", "The job."),
        EventKind::Module => ("module", "The module's name."),
        EventKind::Worker => ("worker_id", "The worker's name."),
        EventKind::Quota => ("account", "The account: `tenant`, or `user%2F` and the user's id."),
        EventKind::Schedule => ("schedule_id", "The schedule."),
        EventKind::Webhook => ("webhook_id", "The webhook."),
        EventKind::Key => ("key_id", "The API key's id, not the key."),
        EventKind::Topic => ("topic", "The topic that tasks wait in."),
    }
}

fn of(kind: EventKind) -> impl Iterator<Item = EventType> {
    EventType::ALL.iter().copied().filter(move |of| of.kind() == kind)
}

/// What a type is called within the document, where names have no dots: `job_succeeded_v1`.
fn key(of: EventType) -> String {
    plain(&of.to_string())
}

/// The same of any definition.
fn plain(name: &str) -> String {
    name.trim_start_matches("nox.").replace('.', "_")
}

/// A schema that has a name is an object: one that allows anything is an empty one.
fn object(schema: Value) -> Value {
    if schema == Value::Bool(true) { json!({}) } else { schema }
}

fn channel(kind: EventKind) -> Value {
    let (id, description) = about(kind);
    let name = kind.as_str();
    let words: Vec<_> = of(kind).map(EventType::word).collect();
    let messages: Map<_, _> = of(kind)
        .map(|of| (of.word().to_owned(), json!({"$ref": format!("{MESSAGES}{}", key(of))})))
        .collect();
    json!({
        "address": format!("nox.feed.{{tenant}}.{name}.{{{id}}}.{{what}}"),
        "title": format!("Events of a {name}"),
        "parameters": {
            "tenant": {"description": "Whose it is; workers and registered modules are `_system`'s."},
            id: {"description": format!(
                "{description} Percent-encoded but for letters, digits, - and _, so that it is one token."
            )},
            "what": {"description": "What happened: the third word of the event's type.", "enum": words},
        },
        "messages": messages,
        "bindings": {"nats": {}},
        "x-jetstream": {
            "stream": subject::FEED,
            "subjects": ["nox.feed.*.*.*.*"],
            "filter": format!("nox.feed.{{tenant}}.{name}.>"),
            "order": "of the log, for a consumer with max_ack_pending 1",
            "deduplication": "Nats-Msg-Id",
        },
    })
}

fn operation(kind: EventKind) -> Value {
    let name = kind.as_str();
    let messages: Vec<_> = of(kind)
        .map(|of| json!({"$ref": format!("#/channels/{name}/messages/{}", of.word())}))
        .collect();
    json!({
        "action": "send",
        "summary": format!("The notifier publishes what becomes true of a {name}."),
        "channel": {"$ref": format!("#/channels/{name}")},
        "messages": messages,
        "bindings": {"nats": {"bindingVersion": "0.1.0"}},
    })
}

fn message(of: EventType, definitions: &Map<String, Value>, example: Option<&Value>) -> Value {
    let name = of.to_string();
    let said = &definitions[&name]["properties"]["data"]["description"];
    let summary = said.as_str().unwrap_or_default().lines().next().unwrap_or_default();
    let mut message = json!({
        "name": name,
        "title": name,
        "summary": summary,
        "contentType": MEDIA_TYPE,
        "headers": {
            "type": "object",
            "properties": {
                "Nats-Msg-Id": {"type": "string", "description": "The event's id: its place in the log."},
                "Nox-Log": {"type": "string", "description": "The log that the place is in."},
            },
            "required": ["Nats-Msg-Id", "Nox-Log"],
        },
        "payload": {"$ref": format!("{SCHEMAS}{}", key(of))},
    });
    if let Some(example) = example {
        message["examples"] = json!([{
            "name": of.word(),
            "headers": {"Nats-Msg-Id": example["id"], "Nox-Log": "2026-11-21T22:00:00Z/0193"},
            "payload": example,
        }]);
    }
    message
}

/// The schemas of all types, and of what they have in common.
fn definitions() -> Map<String, Value> {
    let schemas = schemas().to_value();
    schemas["$defs"].as_object().cloned().unwrap_or_default()
}

/// Schemas refer to each other where they stand in the document.
fn relocate(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get_mut("$ref")
                && let Some(name) = reference.strip_prefix("#/$defs/")
            {
                *reference = format!("{SCHEMAS}{}", plain(name));
            }
            members.values_mut().for_each(relocate);
        }
        Value::Array(items) => items.iter_mut().for_each(relocate),
        _ => {}
    }
}
