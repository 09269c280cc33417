//! What it means where the broker's streams and consumers differ from what is wanted.

use serde_json::{Map, Value, json};

use crate::{
    api::{ID_KEY, INCARNATION_KEY},
    error::Drift,
};

/// What the broker sets where a stream's table is silent, and which changes nothing: every other
/// setting that ours does not name must be empty. So one that a later server invents is noticed.
const DEFAULTS: [(&str, &str); 9] = [
    ("max_consumers", "-1"),
    ("max_msgs", "-1"),
    ("max_bytes", "-1"),
    ("max_msgs_per_subject", "-1"),
    ("max_msg_size", "-1"),
    ("num_replicas", "1"),
    ("discard", "\"old\""),
    ("duplicate_window", "120000000000"),
    ("compression", "\"none\""),
];
/// The same of consumers.
const CONSUMER_DEFAULTS: [(&str, &str); 2] = [("max_deliver", "-1"), ("max_waiting", "512")];
/// What the broker notes of its own version in metadata.
const BROKER_METADATA: &str = "_nats.";

/// One setting in which the broker's stream is not as wanted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Difference {
    pub(crate) setting: String,
    pub(crate) wanted: Value,
    pub(crate) found: Value,
    pub(crate) remedy: Remedy,
}

impl Difference {
    pub(crate) fn of(self, stream: &str) -> Drift {
        Drift {
            stream: stream.to_owned(),
            setting: self.setting,
            wanted: self.wanted.to_string(),
            found: self.found.to_string(),
        }
    }
}

/// What can be done about a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// Somebody gave the stream more room on purpose.
    Leave,
    /// Changing it loses nothing.
    Update,
    /// It cannot be changed, or changing it would lose something or hide that something was lost.
    Stop,
}

/// The differences between what is wanted and what the broker has, by what is wanted.
pub(crate) fn differences(
    wanted: &Map<String, Value>,
    found: &Map<String, Value>,
) -> Vec<Difference> {
    let differences = wanted.iter().filter_map(|(setting, wanted)| {
        let remedied = setting == "persist_mode" && is_replicated(found);
        let found = found.get(setting).cloned().unwrap_or_else(|| unset_like(wanted));
        let remedy = match remedied {
            // The other servers have it by then.
            true => Remedy::Leave,
            false => remedy(setting, wanted, &found),
        };
        (found != *wanted).then(|| Difference {
            setting: setting.clone(),
            wanted: wanted.clone(),
            found,
            remedy,
        })
    });
    differences.collect()
}

/// The first setting with which a stream must not be used: one that has to be as wanted and is not,
/// or one that nobody wanted.
pub(crate) fn foreign(
    wanted: &Map<String, Value>,
    found: &Map<String, Value>,
) -> Option<Difference> {
    let differs = differences(wanted, found).into_iter().find(|d| d.remedy == Remedy::Stop);
    differs.or_else(|| unwanted(wanted, found, &DEFAULTS))
}

/// The same of a consumer, which has to be exactly as it was asked for.
pub(crate) fn foreign_consumer(
    asked: &Map<String, Value>,
    made: &Map<String, Value>,
) -> Option<Difference> {
    let differs = differences(asked, made).into_iter().next();
    differs.or_else(|| unwanted(asked, made, &CONSUMER_DEFAULTS))
}

/// The first setting that is not named by what is wanted, and that means something.
fn unwanted(
    wanted: &Map<String, Value>,
    found: &Map<String, Value>,
    defaults: &[(&str, &str)],
) -> Option<Difference> {
    let is_default = |setting: &str, value: &Value| {
        defaults.iter().any(|(of, default)| {
            *of == setting
                && serde_json::from_str(default).is_ok_and(|default: Value| default == *value)
        })
    };
    let unnamed = found.iter().filter(|(setting, _)| !wanted.contains_key(*setting));
    let mut foreign = unnamed.filter(|(setting, value)| match setting.as_str() {
        "metadata" => !is_known_metadata(value),
        _ => !is_empty(value) && !is_default(setting, value),
    });
    let (setting, found) = foreign.next()?;
    Some(Difference {
        setting: setting.clone(),
        wanted: Value::Null,
        found: found.clone(),
        remedy: Remedy::Stop,
    })
}

/// The broker leaves out, or shows as empty, what is off.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(on) => !on,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
    }
}

fn is_known_metadata(value: &Value) -> bool {
    let known = |key: &String| {
        key.starts_with(BROKER_METADATA) || [ID_KEY, INCARNATION_KEY].contains(&key.as_str())
    };
    value.as_object().is_some_and(|metadata| metadata.keys().all(known))
}

/// The broker leaves out what is not set.
fn unset_like(wanted: &Value) -> Value {
    match wanted {
        Value::Bool(_) => json!(false),
        Value::Number(_) => json!(0),
        Value::String(_) => json!(""),
        _ => Value::Null,
    }
}

fn remedy(setting: &str, wanted: &Value, found: &Value) -> Remedy {
    // 0 and below is "no limit".
    let room = |value: &Value| value.as_i64().filter(|limit| *limit > 0).unwrap_or(i64::MAX);
    match setting {
        "max_bytes" | "max_age" if room(found) > room(wanted) => Remedy::Leave,
        "num_replicas" if found.as_u64() > wanted.as_u64() => Remedy::Leave,
        "subjects" if contains_all(wanted, found) => Remedy::Update,
        // These can be switched on but never off again.
        "deny_delete" | "deny_purge" | "allow_msg_ttl" if wanted == &json!(true) => Remedy::Update,
        // One that goes elsewhere was put there by somebody.
        "republish" if !found.is_null() => Remedy::Stop,
        "max_bytes"
        | "max_age"
        | "max_msg_size"
        | "max_msgs_per_subject"
        | "duplicate_window"
        | "description"
        | "discard"
        | "allow_direct"
        | "allow_atomic"
        | "compression"
        | "republish"
        | "subject_delete_marker_ttl" => Remedy::Update,
        _ => Remedy::Stop,
    }
}

/// Whether more than one server keeps the stream: then each write waits for them.
fn is_replicated(found: &Map<String, Value>) -> bool {
    found.get("num_replicas").and_then(Value::as_u64) > Some(1)
}

fn contains_all(wanted: &Value, found: &Value) -> bool {
    let (Some(wanted), Some(found)) = (wanted.as_array(), found.as_array()) else { return false };
    found.iter().all(|subject| wanted.contains(subject))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Map<String, Value> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn more_room_is_left_alone_and_less_is_raised() {
        let wanted = config(r#"{"max_bytes": 100, "max_age": 100, "num_replicas": 1}"#);
        let remedies = |found: &str| {
            let differences = differences(&wanted, &config(found));
            differences.iter().map(|d| (d.setting.clone(), d.remedy)).collect::<Vec<_>>()
        };
        assert_eq!(remedies(r#"{"max_bytes": 100, "max_age": 100, "num_replicas": 1}"#), []);
        assert!(
            remedies(r#"{"max_bytes": -1, "max_age": 0, "num_replicas": 3}"#)
                .iter()
                .all(|(_, remedy)| *remedy == Remedy::Leave)
        );
        assert!(
            remedies(r#"{"max_bytes": 99, "max_age": 1, "num_replicas": 1}"#)
                .iter()
                .all(|(_, remedy)| *remedy == Remedy::Update)
        );
    }

    #[test]
    fn what_several_servers_keep_need_not_persist_asynchronously() {
        let wanted = config(r#"{"persist_mode": "async", "num_replicas": 1}"#);
        let foreign = |found: &str| foreign(&wanted, &config(found)).map(|d| d.setting);
        assert_eq!(foreign(r#"{"num_replicas": 3}"#), None);
        assert_eq!(foreign(r#"{"num_replicas": 1}"#).as_deref(), Some("persist_mode"));
    }

    #[test]
    fn what_could_hide_a_loss_stops_the_service() {
        for (wanted, found) in [
            (r#"{"storage": "file"}"#, r#"{"storage": "memory"}"#),
            (r#"{"subjects": ["a"]}"#, r#"{"subjects": ["a", "b"]}"#),
            (r#"{"allow_rollup_hdrs": false}"#, r#"{"allow_rollup_hdrs": true}"#),
            (r#"{"num_replicas": 3}"#, r#"{"num_replicas": 1}"#),
            (r#"{"persist_mode": "async"}"#, "{}"),
        ] {
            let differences = differences(&config(wanted), &config(found));
            assert_eq!(differences.len(), 1, "{wanted}");
            assert_eq!(differences[0].remedy, Remedy::Stop, "{wanted}");
        }
    }

    #[test]
    fn a_setting_that_nobody_wanted_is_refused_by_its_name() {
        let wanted = config(r#"{"name": "S", "subjects": ["a"]}"#);
        let plain = r#"{"name": "S", "subjects": ["a"], "max_msgs": -1, "duplicate_window":
            120000000000, "sealed": false, "consumer_limits": {}, "compression": "none",
            "metadata": {"_nats.ver": "2.15.1", "nox_id": "x"}"#;
        assert_eq!(foreign(&wanted, &config(&format!("{plain}}}"))), None);
        for (setting, value) in [
            ("republish", r#"{"src": "a", "dest": "b"}"#),
            ("sources", r#"[{"name": "OTHER"}]"#),
            ("mirror", r#"{"name": "OTHER"}"#),
            ("subject_transform", r#"{"src": "a", "dest": "b"}"#),
            ("max_age", "1000"),
            ("max_msgs_per_subject", "7"),
            ("allow_rollup_hdrs", "true"),
            ("no_ack", "true"),
            ("first_seq", "9"),
            ("a_setting_of_next_year", "\"on\""),
        ] {
            let found = config(&format!("{plain}, \"{setting}\": {value}}}"));
            let foreign = foreign(&wanted, &found).map(|d| (d.setting, d.remedy));
            assert_eq!(foreign, Some((setting.to_owned(), Remedy::Stop)));
        }
        let noted = config(r#"{"name": "S", "subjects": ["a"], "metadata": {"mine": "1"}}"#);
        assert_eq!(foreign(&wanted, &noted).map(|d| d.setting).as_deref(), Some("metadata"));
    }

    #[test]
    fn a_republish_to_elsewhere_is_not_quietly_corrected() {
        let wanted = config(r#"{"republish": {"src": ">", "dest": "live.>"}}"#);
        assert_eq!(differences(&wanted, &Map::new())[0].remedy, Remedy::Update);
        let found = config(r#"{"republish": {"src": ">", "dest": "nox.cmd.x"}}"#);
        assert_eq!(differences(&wanted, &found)[0].remedy, Remedy::Stop);
    }

    #[test]
    fn a_setting_that_the_broker_leaves_out_is_off() {
        let wanted = config(r#"{"allow_rollup_hdrs": false, "deny_purge": true}"#);
        let differences = differences(&wanted, &Map::new());
        assert_eq!(differences.len(), 1);
        assert_eq!(
            (differences[0].setting.as_str(), differences[0].remedy),
            ("deny_purge", Remedy::Update)
        );
    }
}
