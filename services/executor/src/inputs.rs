//! A job's inputs, with what the module's schema gives where the job gives nothing.

use nox_contract::RawJson;
use serde_json::{Number, Value};

/// Reads `inputs` and fills in the schema's `default`s, member by member.
pub fn read(inputs: &RawJson, schema: &Value) -> Result<Value, serde_json::Error> {
    let mut value = parse(inputs)?;
    fill(&mut value, schema);
    Ok(value)
}

/// Reads `inputs`. To JSON Schema 1.0 and 1e2 are whole numbers, and so they are here.
pub fn parse(inputs: &RawJson) -> Result<Value, serde_json::Error> {
    let mut value = serde_json::from_str(inputs.get())?;
    make_whole(&mut value);
    Ok(value)
}

fn make_whole(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(whole) = number.as_f64().filter(|_| number.is_f64()).and_then(whole) {
                *number = Number::from(whole);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(make_whole),
        Value::Object(members) => members.values_mut().for_each(make_whole),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// The number as an integer, if it is one that such a number can tell from its neighbours.
fn whole(number: f64) -> Option<i64> {
    const EXACT_MAX: f64 = (1u64 << f64::MANTISSA_DIGITS) as f64;
    (number.fract() == 0.0 && number.abs() <= EXACT_MAX).then_some(number as i64)
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

    #[test]
    fn whole_numbers_are_integers_however_they_are_written() {
        let parse = |inputs: &str| parse(&RawJson::parse(inputs.to_owned()).unwrap()).unwrap();
        assert_eq!(
            parse(r#"{"a": [1.0, -0, 1e2, -3.0e0], "b": {"c": 9007199254740992.0}}"#),
            json!({"a": [1, 0, 100, -3], "b": {"c": 9_007_199_254_740_992_i64}})
        );
        for same in ["0.5", "1e26", "-1e300", "18446744073709551615", "7", "\"1.0\""] {
            let value: Value = serde_json::from_str(same).unwrap();
            assert_eq!(parse(same), value);
        }
    }
}
