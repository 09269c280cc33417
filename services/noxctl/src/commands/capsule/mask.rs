//! What is not for strangers: values whose names say that they are secret.

use std::{collections::BTreeSet, sync::LazyLock};

use nox_executor::logs::Mask;
use regex::Regex;
use serde_json::Value;

/// What stands in their place.
const MASK: &str = "***";

/// Parts of names, in lower case.
const NAMES: [&str; 8] =
    ["secret", "password", "passwd", "token", "api_key", "apikey", "credential", "private_key"];

/// How secrets are written within texts: behind a name, as a bearer's, in a URL. Shorter ones would mask what is none.
const WRITTEN: &str = r#"(?ix)
    \bbearer\s+ (\S{6,})
    | :// [^\s/@:]* : ([^\s/@]{3,}) @
    | (?:secret|password|passwd|token|api[_-]?key|credential|private[_-]?key) [\w-]* ["']? \s*[=:]\s* ["']?
      ([^\s"',;&]{6,})
    | --? [\w-]* (?:secret|password|passwd|token|api[_-]?key|credential|private[_-]?key) [\w-]* \s+ (\S{6,})
"#;

/// Never wrong: a test compiles it.
static SECRETS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(WRITTEN).ok());

/// Masks all of them; says how many there were. What they were is put into `secrets`, for it may stand elsewhere, too.
pub fn mask(value: &mut Value, secrets: &mut BTreeSet<String>) -> u64 {
    match value {
        Value::Object(members) => members
            .iter_mut()
            .map(|(name, value)| {
                let name = name.to_lowercase();
                if !value.is_null() && NAMES.iter().any(|secret| name.contains(secret)) {
                    texts(value, secrets);
                    *value = Value::String(MASK.to_owned());
                    return 1;
                }
                mask(value, secrets)
            })
            .sum(),
        Value::Array(values) => values.iter_mut().map(|value| mask(value, secrets)).sum(),
        _ => 0,
    }
}

/// All texts within a value.
fn texts(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            found.insert(text.clone());
        }
        Value::Array(values) => values.iter().for_each(|value| texts(value, found)),
        Value::Object(members) => members.values().for_each(|value| texts(value, found)),
        _ => {}
    }
}

/// Members of facts in which anything may stand; others are words and names of Nox's own.
const FREE: [&str; 7] = ["inputs", "outputs", "error", "message", "detail", "metadata", "progress"];

/// Secrets that users and programs wrote into texts, as [`WRITTEN`] has them; arguments of a command are read as one text.
pub fn find_written(value: &Value, secrets: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            let found = SECRETS.iter().flat_map(|secret| secret.captures_iter(text));
            secrets
                .extend(found.filter_map(|of| {
                    Some(of.iter().skip(1).flatten().next()?.as_str().to_owned())
                }));
        }
        Value::Array(values) => {
            values.iter().for_each(|value| find_written(value, secrets));
            let texts: Vec<_> = values.iter().filter_map(Value::as_str).collect();
            if texts.len() > 1 {
                find_written(&Value::String(texts.join(" ")), secrets);
            }
        }
        Value::Object(members) => members.values().for_each(|value| find_written(value, secrets)),
        _ => {}
    }
}

/// Masks secrets in what users and programs wrote: in the message of an error, say.
pub fn mask_free(value: &mut Value, mask: &Mask) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(|value| mask_free(value, mask)),
        Value::Object(members) => {
            for (name, value) in members {
                if FREE.contains(&name.as_str()) {
                    mask_texts(value, mask);
                } else {
                    mask_free(value, mask);
                }
            }
        }
        _ => {}
    }
}

fn mask_texts(value: &mut Value, mask: &Mask) {
    match value {
        Value::String(text) => {
            let mut masking = mask.begin();
            let mut seen = masking.push(text.as_bytes()).into_owned();
            seen.extend(masking.end());
            *text = String::from_utf8_lossy(&seen).into_owned();
        }
        Value::Array(values) => values.iter_mut().for_each(|value| mask_texts(value, mask)),
        Value::Object(members) => members.values_mut().for_each(|value| mask_texts(value, mask)),
        _ => {}
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
        let mut secrets = BTreeSet::new();
        assert_eq!(mask(&mut value, &mut secrets), 2);
        let masked =
            json!({"inputs": [{"Api_Key": "***", "charge": 1, "db": {"PASSWORD": "***"}}]});
        assert_eq!(value, masked);
        assert_eq!(secrets, BTreeSet::from(["k".to_owned()]));
    }

    #[test]
    fn a_secret_is_masked_where_it_is_not_named_as_one_and_names_stay() {
        let mut value =
            json!({"failed": {"error": {"message": "denied to ada22"}}, "worker_id": "ada22"});
        mask_free(&mut value, &Mask::new(["ada22"]).unwrap());
        let masked =
            json!({"failed": {"error": {"message": "denied to ***"}}, "worker_id": "ada22"});
        assert_eq!(value, masked);
    }

    #[test]
    fn a_secret_is_found_where_people_write_it_within_a_text() {
        assert!(SECRETS.is_some());
        let told = json!({"command": ["curl", "-H", "Authorization: Bearer sk-live-1", "--password", "hunter3!"],
            "env": "API_KEY=abcdef1; X=1", "url": "https://ada:hunter2@example.org/a:b@c",
            "note": "a token between others, and a bearer bond; method: gfn2-xtb"});
        let mut secrets = BTreeSet::new();
        find_written(&told, &mut secrets);
        assert_eq!(
            secrets,
            BTreeSet::from(["sk-live-1", "hunter3!", "abcdef1", "hunter2"].map(str::to_owned))
        );
    }
}
