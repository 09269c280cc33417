//! What of an event is its job's own.
//!
//! One input may concern many jobs of many tenants (a timer wakes all that are due), and the log has
//! it whole in the first event that it caused.

use nox_contract::RawJson;
use serde_json::value::RawValue;

use crate::object::Object;

/// Leaves out of an event what it tells of others, and the rest as it was written.
pub fn own_part(event: RawJson) -> serde_json::Result<RawJson> {
    let Object(mut members) = serde_json::from_str(event.get())?;
    let Some((_, input)) = members.iter_mut().find(|(name, _)| name == "input") else {
        return Ok(event);
    };
    let Object(mut parts) = serde_json::from_str(input.get())?;
    let count = parts.len();
    parts.retain(|(name, _)| name != "body");
    if parts.len() == count {
        return Ok(event);
    }
    *input = RawValue::from_string(written(&parts)?)?;
    RawJson::parse(written(&members)?)
}

fn written(members: &[(String, Box<RawValue>)]) -> serde_json::Result<String> {
    let members: Vec<String> = members
        .iter()
        .map(|(name, value)| Ok(format!("{}:{}", serde_json::to_string(name)?, value.get())))
        .collect::<serde_json::Result<_>>()?;
    Ok(format!("{{{}}}", members.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(text: &str) -> String {
        own_part(RawJson::parse(text.to_owned()).unwrap()).unwrap().get().to_owned()
    }

    #[test]
    fn only_the_input_s_body_is_left_out() {
        let text = r#"{"n":7,"input":{"src":"timer","seq":7,"last":false,"body":{"timer":{"due":["a","b"]}}},"facts":[{"x":1.0e2,"body":"é"}]}"#;
        let kept = r#"{"n":7,"input":{"src":"timer","seq":7,"last":false},"facts":[{"x":1.0e2,"body":"é"}]}"#;
        assert_eq!(own(text), kept);
    }

    #[test]
    fn what_has_none_is_as_it_was_written() {
        for text in [
            r#"{ "n" : 1, "input": {"src":"commands","seq":3}, "facts": [{"body": 1.50}] }"#,
            r#"{"n":1,"body":{"due":[]}}"#,
        ] {
            assert_eq!(own(text), text);
        }
    }
}
