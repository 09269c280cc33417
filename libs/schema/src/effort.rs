//! How much work a schema may make of judging one value. It is somebody else's text, and a short one can ask for
//! more than any machine can do: references that double at each step, a search in each of the elements of each.

use std::{
    any::Any,
    cell::Cell,
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

use percent_encoding::percent_decode_str;
use serde_json::Value;

/// Most places of a value that are looked at while it is judged, each as often as it is: some tenths of a second
/// without optimisation.
const LOOKS_MAX: u64 = 2_000_000;

/// Most subschemas of a schema whose references are written out, where these do not lead back.
const SUBSCHEMAS_MAX: u64 = 100_000;

thread_local! {
    static LEFT: Cell<u64> = const { Cell::new(u64::MAX) };
}

/// There was more to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spent;

/// Judges, as long as that takes no more looks than there may be.
pub(crate) fn bounded<T>(judge: impl FnOnce() -> T) -> Result<T, Spent> {
    let before = LEFT.replace(LOOKS_MAX);
    // The validator cannot be told to stop in any other way; nothing of it is used afterwards.
    let judged = catch_unwind(AssertUnwindSafe(judge));
    LEFT.set(before);
    judged.map_err(|panic| match panic.downcast::<Spent>() {
        Ok(spent) => *spent,
        Err(other) => resume_unwind(other),
    })
}

/// A place of the value is looked at. Ends [`bounded`] when that was one too many.
pub(crate) fn look() {
    LEFT.with(|left| match left.get().checked_sub(1) {
        Some(rest) => left.set(rest),
        None => resume_unwind(Box::new(Spent) as Box<dyn Any + Send>),
    });
}

/// Refuses a schema that is too large once its references are written out, and references by which that cannot be
/// told.
pub(crate) fn check_size(schema: &Value) -> Result<(), String> {
    let mut anchors = BTreeMap::new();
    find_anchors(schema, true, &mut anchors)?;
    let size = Size { root: schema, anchors, known: BTreeMap::new() }.of(schema)?;
    if size > SUBSCHEMAS_MAX {
        return Err(format!(
            "has more than {SUBSCHEMAS_MAX} subschemas once its references are written out"
        ));
    }
    Ok(())
}

fn find_anchors<'s>(
    schema: &'s Value,
    is_root: bool,
    found: &mut BTreeMap<&'s str, &'s Value>,
) -> Result<(), String> {
    match schema {
        Value::Object(members) => {
            if !is_root && members.get("$id").is_some_and(Value::is_string) {
                return Err("has a schema with an $id of its own within it".to_owned());
            }
            for name in ["$anchor", "$dynamicAnchor"] {
                if let Some(anchor) = members.get(name).and_then(Value::as_str) {
                    found.insert(anchor, schema);
                }
            }
            members.values().try_for_each(|member| find_anchors(member, false, found))
        }
        Value::Array(items) => items.iter().try_for_each(|item| find_anchors(item, false, found)),
        _ => Ok(()),
    }
}

struct Size<'s> {
    root: &'s Value,
    anchors: BTreeMap<&'s str, &'s Value>,
    /// By their addresses; of those that are not measured yet, as if they were nothing.
    known: BTreeMap<*const Value, u64>,
}

impl<'s> Size<'s> {
    fn of(&mut self, schema: &'s Value) -> Result<u64, String> {
        if let Some(known) = self.known.get(&std::ptr::from_ref(schema)) {
            return Ok(*known);
        }
        let mut size = 1_u64;
        match schema {
            Value::Object(members) => {
                self.known.insert(schema, 1);
                for member in members.values() {
                    size = size.saturating_add(self.of(member)?);
                }
                for name in ["$ref", "$dynamicRef"] {
                    if let Some(reference) = members.get(name).and_then(Value::as_str) {
                        let to = self.target(reference)?;
                        size = size.saturating_add(to.map_or(Ok(1), |to| self.of(to))?);
                    }
                }
                self.known.insert(schema, size);
            }
            Value::Array(items) => {
                for item in items {
                    size = size.saturating_add(self.of(item)?);
                }
            }
            _ => {}
        }
        Ok(size)
    }

    /// What a reference leads to; nothing where nothing is there, which the validator says in its own words.
    fn target(&self, reference: &str) -> Result<Option<&'s Value>, String> {
        if reference == "#" {
            return Ok(Some(self.root));
        }
        match reference.strip_prefix('#') {
            // Written as in an address (RFC 6901, 6).
            Some(pointer) if pointer.starts_with('/') => {
                Ok(self.root.pointer(&percent_decode_str(pointer).decode_utf8_lossy()))
            }
            Some(anchor) => Ok(self.anchors.get(anchor).copied()),
            None => Err(format!("refers to {reference:.100?}, which is not within it")),
        }
    }
}

#[cfg(test)]
mod tests {
    use nox_contract::RawJson;
    use serde_json::json;

    use super::*;
    use crate::{Exact, Schema};

    fn compiled(schema: &Value) -> Result<Schema, String> {
        Schema::compile(&RawJson::of(schema).unwrap())
    }

    fn exact(value: &Value) -> Exact {
        Exact::read(&RawJson::of(value).unwrap()).unwrap()
    }

    /// Two references at each of `levels`.
    fn doubling(levels: usize, leaf: &Value) -> Value {
        let mut steps = serde_json::Map::new();
        for level in 0..levels {
            let next = json!({"$ref": format!("#/$defs/d{}", level + 1)});
            steps.insert(format!("d{level}"), json!({"allOf": [next, next]}));
        }
        steps.insert(format!("d{levels}"), leaf.clone());
        json!({"$defs": steps, "$ref": "#/$defs/d0"})
    }

    #[test]
    fn references_that_double_are_refused_and_those_that_lead_back_are_not() {
        for leaf in [json!({"type": "object"}), json!(true)] {
            assert!(compiled(&doubling(40, &leaf)).unwrap_err().contains("subschemas"));
            assert!(compiled(&doubling(8, &leaf)).unwrap().validate(&exact(&json!({}))).is_ok());
        }
        let tree =
            json!({"type": "object", "properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}});
        assert!(compiled(&tree).unwrap().validate(&exact(&json!({"a": {"b": {}}}))).is_ok());
        let anchored = json!({"$defs": {"x y": {"$anchor": "n", "type": "null"}}, "$ref": "#n"});
        assert!(compiled(&anchored).unwrap().validate(&exact(&json!(null))).is_ok());
        let escaped = json!({"$defs": {"x y": {"type": "null"}}, "$ref": "#/$defs/x%20y"});
        assert!(compiled(&escaped).unwrap().validate(&exact(&json!(1))).is_err());
        assert!(compiled(&json!({"$ref": "other"})).is_err());
        assert!(compiled(&json!({"properties": {"a": {"$id": "b"}}})).is_err());
    }

    #[test]
    fn a_value_that_takes_too_long_is_refused_and_the_next_one_is_judged() {
        let unique = json!({"uniqueItems": true});
        let many: Vec<_> = (0..3_000).collect();
        let schema = compiled(&unique).unwrap();
        let wrong = schema.validate(&exact(&json!(many))).unwrap_err();
        assert!(wrong[0].detail.contains("too long"), "{wrong:?}");
        assert!(schema.validate(&exact(&json!([1, 2]))).is_ok());
    }
}
