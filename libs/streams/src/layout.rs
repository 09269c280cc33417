//! The streams as data, and what it means where the broker's differ.

use serde_json::{Map, Value, json};

use crate::{
    api::{ID_KEY, INCARNATION_KEY},
    error::Drift,
};

const EMBEDDED: &str = include_str!("../../../nats/streams.toml");

/// The streams that there should be, with the broker's own names for their settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    streams: Vec<Map<String, Value>>,
}

/// The table of streams cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("streams.toml: {0}")]
pub struct LayoutError(String);

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

impl Layout {
    /// What `nats/streams.toml` said when this program was built.
    pub fn embedded() -> Self {
        Self::parse(EMBEDDED).expect("the embedded table is read by a test of this crate")
    }

    /// Reads a table of streams.
    ///
    /// # Errors
    /// It is no TOML, a stream has no name, or a span or size cannot be read.
    pub fn parse(text: &str) -> Result<Self, LayoutError> {
        let bad = |text: String| LayoutError(text);
        let table: toml::Table = text.parse().map_err(|e: toml::de::Error| bad(e.to_string()))?;
        let streams = table.get("stream").and_then(toml::Value::as_array);
        let streams = streams.ok_or_else(|| bad("no [[stream]]".into()))?;
        let streams = streams.iter().map(|stream| {
            let value = serde_json::to_value(stream).map_err(|e| bad(e.to_string()))?;
            let Value::Object(mut config) = value else {
                return Err(bad("a stream is not a table".into()));
            };
            let name = config.get("name").and_then(Value::as_str);
            let name = name.ok_or_else(|| bad("a stream without a name".into()))?.to_owned();
            for (key, value) in &mut config {
                if let Some(number) = number(key, value) {
                    *value = number.ok_or_else(|| bad(format!("{name}: cannot read {key}")))?;
                }
            }
            config.entry("num_replicas").or_insert(json!(1));
            Ok(config)
        });
        Ok(Self { streams: streams.collect::<Result<_, _>>()? })
    }

    /// The same on `count` replicas: 1, 3 or 5. More than one replica cannot persist asynchronously.
    pub fn on_replicas(mut self, count: u32) -> Self {
        for config in &mut self.streams {
            config.insert("num_replicas".into(), json!(count));
            if count > 1 {
                config.remove("persist_mode");
            }
        }
        self
    }

    pub(crate) fn streams(&self) -> impl Iterator<Item = (&str, &Map<String, Value>)> {
        self.streams.iter().map(|config| (name(config), config))
    }

    pub(crate) fn stream(&self, wanted: &str) -> Option<&Map<String, Value>> {
        self.streams.iter().find(|config| name(config) == wanted)
    }
}

fn name(config: &Map<String, Value>) -> &str {
    config.get("name").and_then(Value::as_str).unwrap_or_default()
}

/// The number that a span (in nanoseconds) or size (in bytes) stands for; `None` if `key` is neither.
fn number(key: &str, value: &Value) -> Option<Option<Value>> {
    let units: &[(&str, i64)] = match key {
        "max_age" | "duplicate_window" | "subject_delete_marker_ttl" => &[
            ("d", 86_400_000_000_000),
            ("h", 3_600_000_000_000),
            ("m", 60_000_000_000),
            ("s", 1_000_000_000),
        ],
        "max_bytes" | "max_msg_size" => &[("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)],
        _ => return None,
    };
    let Some(text) = value.as_str() else {
        return Some(value.is_i64().then(|| value.clone()));
    };
    Some(units.iter().find_map(|(unit, size)| {
        let count: i64 = text.strip_suffix(unit)?.trim().parse().ok()?;
        count.checked_mul(*size).map(Value::from)
    }))
}

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
        let found = found.get(setting).cloned().unwrap_or_else(|| unset_like(wanted));
        let remedy = remedy(setting, wanted, &found);
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
    fn the_embedded_table_names_every_stream_of_the_contract() {
        use nox_contract::subject;

        let layout = Layout::embedded();
        let lease = format!("KV_{}", subject::LEASE);
        let snapshots = format!("OBJ_{}", subject::SNAPSHOTS);
        let mut expected = vec![
            subject::COMMANDS,
            subject::REPORTS,
            subject::EVENTS,
            subject::BEATS,
            subject::LOGS,
            lease.as_str(),
            snapshots.as_str(),
        ];
        let mut named: Vec<_> = layout.streams().map(|(name, _)| name).collect();
        expected.sort_unstable();
        named.sort_unstable();
        assert_eq!(named, expected);
    }

    #[test]
    fn spans_become_nanoseconds_and_sizes_bytes() {
        let layout = Layout::parse(
            "[[stream]]\nname = 'S'\nmax_age = '7d'\nmax_bytes = '4GiB'\nduplicate_window = '2m'",
        );
        let layout = layout.unwrap();
        let stream = layout.stream("S").unwrap();
        assert_eq!(stream["max_age"], json!(7 * 86_400_000_000_000_i64));
        assert_eq!(stream["max_bytes"], json!(4_i64 << 30));
        assert_eq!(stream["duplicate_window"], json!(120_000_000_000_i64));
        assert_eq!(stream["num_replicas"], json!(1));
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        for text in [
            "",
            "[[stream]]",
            "[[stream]]\nname='S'\nmax_age='soon'",
            "[[stream]]\nname='S'\nmax_bytes='1e3GiB'",
        ] {
            assert!(Layout::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn more_replicas_cannot_persist_asynchronously() {
        let layout = Layout::embedded().on_replicas(3);
        for (name, config) in layout.streams() {
            assert_eq!(config["num_replicas"], json!(3), "{name}");
            assert!(!config.contains_key("persist_mode"), "{name}");
        }
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
