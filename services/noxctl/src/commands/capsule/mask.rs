//! What is not for strangers: values whose names say that they are secret.

use serde_json::Value;

/// What stands in their place.
const MASK: &str = "***";

/// Parts of names, in lower case.
const NAMES: [&str; 8] =
    ["secret", "password", "passwd", "token", "api_key", "apikey", "credential", "private_key"];

/// Masks all of them; says how many there were.
pub fn mask(value: &mut Value) -> u64 {
    match value {
        Value::Object(members) => members
            .iter_mut()
            .map(|(name, value)| {
                let name = name.to_lowercase();
                if !value.is_null() && NAMES.iter().any(|secret| name.contains(secret)) {
                    *value = Value::String(MASK.to_owned());
                    return 1;
                }
                mask(value)
            })
            .sum(),
        Value::Array(values) => values.iter_mut().map(mask).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_named_as_a_secret_is_masked_wherever_it_stands() {
        let mut value =
            json!({"inputs": [{"Api_Key": "k", "charge": 1, "db": {"PASSWORD": {"x": 1}}}]});
        assert_eq!(mask(&mut value), 2);
        let masked =
            json!({"inputs": [{"Api_Key": "***", "charge": 1, "db": {"PASSWORD": "***"}}]});
        assert_eq!(value, masked);
    }
}
