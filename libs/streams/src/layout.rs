//! The streams as data.

use nox_contract::subject;
use serde_json::{Map, Value, json};

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

    /// The same with so many bytes for the log.
    pub fn with_log_bytes(mut self, bytes: u64) -> Self {
        for config in &mut self.streams {
            if name(config) == subject::EVENTS {
                config.insert("max_bytes".into(), json!(bytes));
            }
        }
        self
    }

    /// The same with what jobs print kept for so many days; 0 for ever, as far as there is room.
    pub fn with_job_log_days(mut self, days: u32) -> Self {
        for config in &mut self.streams {
            if name(config) == subject::LOGS {
                config.insert("max_age".into(), json!(u64::from(days) * 86_400 * 1_000_000_000));
            }
        }
        self
    }

    /// The bytes that a size stands for: a number, or one of GiB, MiB or KiB.
    pub fn size(text: &str) -> Option<u64> {
        match text.parse() {
            Ok(bytes) => Some(bytes),
            Err(_) => number("max_bytes", &json!(text))?.as_ref()?.as_u64(),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_table_names_every_stream_of_the_contract() {
        let layout = Layout::embedded();
        let lease = format!("KV_{}", subject::LEASE);
        let snapshots = format!("OBJ_{}", subject::SNAPSHOTS);
        let mut expected = vec![
            subject::COMMANDS,
            subject::REPORTS,
            subject::EVENTS,
            subject::READERS,
            subject::BEATS,
            subject::LOGS,
            subject::FEED,
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
    fn a_size_is_a_number_or_has_a_unit() {
        assert_eq!(Layout::size("64GiB"), Some(64 << 30));
        assert_eq!(Layout::size("1000"), Some(1000));
        for text in ["", "-1", "64GB", "1.5GiB", "-1GiB", "9999999999GiB"] {
            assert_eq!(Layout::size(text), None, "{text}");
        }
        let layout = Layout::embedded().with_log_bytes(7 << 20);
        assert_eq!(layout.stream(subject::EVENTS).unwrap()["max_bytes"], json!(7 << 20));
        assert_eq!(layout.stream(subject::COMMANDS).unwrap()["max_bytes"], json!(4_i64 << 30));
        let layout = layout.with_job_log_days(3);
        let three_days = json!(3 * 86_400_000_000_000_i64);
        assert_eq!(layout.stream(subject::LOGS).unwrap()["max_age"], three_days);
        assert_ne!(layout.stream(subject::COMMANDS).unwrap()["max_age"], three_days);
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
}
