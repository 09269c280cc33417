//! The JSON Schema of every type of event, made from those of the facts.

use schemars::{Schema, schema_for};
use serde_json::{Map, Value, json};

use super::{CloudEvent, EventKind, EventType};
use crate::Fact;

/// One document: a definition for each type of event, by its name, and the choice of them.
pub fn schemas() -> Schema {
    let facts = schema_for!(Fact).to_value();
    let envelope = schema_for!(CloudEvent).to_value();
    let mut definitions = facts["$defs"].as_object().cloned().unwrap_or_default();
    let types: Map<_, _> = EventType::ALL
        .iter()
        .map(|event_type| {
            let mut event = envelope.clone();
            if let Some(event) = event.as_object_mut() {
                event.retain(|name, _| !name.starts_with('$'));
                event.insert("title".to_owned(), event_type.to_string().into());
            }
            let properties = &mut event["properties"];
            properties["type"] = json!({"const": event_type.to_string()});
            properties["id"] = json!({"type": "string"});
            properties["data"] = data(*event_type, &facts, &mut definitions);
            (event_type.to_string(), event)
        })
        .collect();
    let choice: Vec<_> = types.keys().map(|name| reference(name)).collect();
    definitions.extend(types);
    let mut document =
        json!({"$schema": envelope["$schema"], "title": "CloudEvent", "oneOf": choice});
    retain_used(&document, &mut definitions);
    document["$defs"] = Value::Object(definitions);
    Schema::try_from(document).unwrap_or_default()
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/$defs/{name}")})
}

/// The schema of a type's `data`. What is withheld is removed from the fact's schema.
fn data(event_type: EventType, facts: &Value, definitions: &mut Map<String, Value>) -> Value {
    let fact_name = event_type.fact_name();
    let all = facts["oneOf"].as_array().into_iter().flatten();
    let mut tagged = all.filter_map(|one| {
        let (name, schema) = one["properties"].as_object()?.iter().next()?;
        (*name == fact_name).then(|| (schema.clone(), one["description"].clone()))
    });
    let (mut fact, description) = tagged.next().unwrap_or_default();
    for path in event_type.withheld() {
        remove(&mut fact, path, definitions);
    }
    let ids: &[&str] = match event_type.kind() {
        _ if event_type.is_of_job() => &["job_id", "user_id", "module"],
        EventKind::Job => &[],
        EventKind::Quota => &["account"],
        EventKind::Worker => &["worker_id"],
        EventKind::Module => &["module"],
        EventKind::Topic => &["topic"],
        EventKind::Key => &["key_id"],
        EventKind::Schedule => &["schedule_id"],
        EventKind::Webhook => &["webhook_id"],
    };
    let properties: Map<_, _> =
        ids.iter().map(|id| ((*id).to_owned(), json!({"type": "string"}))).collect();
    let about = json!({"properties": properties, "required": ids});
    json!({"description": description, "type": "object", "allOf": [about, fact]})
}

/// Takes the property at `path` out of a schema of an object.
fn remove(schema: &mut Value, path: &str, definitions: &mut Map<String, Value>) {
    if let Some(name) = schema["$ref"].as_str().and_then(|name| name.strip_prefix("#/$defs/")) {
        let name = name.to_owned();
        let mut target = definitions.remove(&name).unwrap_or_default();
        remove(&mut target, path, definitions);
        definitions.insert(name, target);
        return;
    }
    if let Some((outer, inner)) = path.split_once('/') {
        return remove(&mut schema["properties"][outer], inner, definitions);
    }
    if let Some(properties) = schema["properties"].as_object_mut() {
        properties.remove(path);
    }
    if let Some(required) = schema["required"].as_array_mut() {
        required.retain(|name| name != path);
    }
}

/// Drops definitions that only facts need which are not published.
fn retain_used(document: &Value, definitions: &mut Map<String, Value>) {
    let mut used = Vec::new();
    references(document, &mut used);
    let mut seen = 0;
    while seen < used.len() {
        let of = definitions.get(&used[seen]).cloned().unwrap_or_default();
        references(&of, &mut used);
        seen += 1;
    }
    definitions.retain(|name, _| used.contains(name));
}

/// Adds the names of definitions that a schema refers to.
fn references(schema: &Value, found: &mut Vec<String>) {
    match schema {
        Value::Object(object) => {
            let name = object.get("$ref").and_then(Value::as_str);
            let name = name.and_then(|name| name.strip_prefix("#/$defs/"));
            if let Some(name) = name.filter(|name| !found.iter().any(|known| known == name)) {
                found.push(name.to_owned());
            }
            object.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}
