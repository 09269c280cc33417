//! A job's inputs, with what the module's schema gives where the job gives nothing.

use nox_contract::RawJson;
use serde_json::Value;

/// Reads `inputs` and fills in the schema's `default`s, member by member.
pub fn read(inputs: &RawJson, schema: &Value) -> Result<Value, serde_json::Error> {
    let mut value = serde_json::from_str(inputs.get())?;
    fill(&mut value, schema);
    Ok(value)
}

fn fill(value: &mut Value, schema: &Value) {
    let (Value::Object(members), Some(Value::Object(properties))) =
        (value, schema.get("properties"))
    else {
        return;
    };
    for (name, property) in properties {
        if !members.contains_key(name)
            && let Some(default) = property.get("default")
        {
            members.insert(name.clone(), default.clone());
        }
        if let Some(member) = members.get_mut(name) {
            fill(member, property);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn defaults_fill_what_is_absent_and_nothing_else() {
        let schema = json!({"properties": {
            "charge": {"default": 0},
            "params": {"default": {}, "properties": {"gfn": {"default": 2}}},
            "label": {},
        }});
        let read =
            |inputs: &str| read(&RawJson::parse(inputs.to_owned()).unwrap(), &schema).unwrap();
        assert_eq!(read("{}"), json!({"charge": 0, "params": {"gfn": 2}}));
        assert_eq!(
            read(r#"{"charge": -1, "params": {"gfn": 1, "x": null}}"#),
            json!({"charge": -1, "params": {"gfn": 1, "x": null}})
        );
        assert_eq!(read("null"), json!(null));
    }
}
