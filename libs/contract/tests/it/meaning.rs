//! Properties of canonical JSON and of instants.

use nox_contract::{RawJson, Timestamp};
use proptest::prelude::*;
use serde_json::Value;

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (any::<i32>(), 0_i32..9).prop_map(|(n, p)| Value::from(f64::from(n) / 10_f64.powi(p))),
        "[^\u{0}]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map("[^\u{0}]{0,6}", inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Writes `value` in another way: members turned round, blanks, every character escaped.
fn otherwise(value: &Value) -> String {
    let escaped = |text: &str| {
        let units: String = text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
        format!("\"{units}\"")
    };
    match value {
        Value::String(text) => escaped(text),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(otherwise).collect();
            format!("[ {}\n]", items.join(" ,\t"))
        }
        Value::Object(members) => {
            let members = members.iter().rev();
            let members: Vec<_> = members
                .map(|(name, value)| format!("{} :\r{}", escaped(name), otherwise(value)))
                .collect();
            format!("{{\n{} }}", members.join(" , "))
        }
        Value::Number(number) if number.is_f64() => number.to_string(),
        Value::Number(number) => format!("{number}000E-3"),
        other => other.to_string(),
    }
}

fn canonical(text: String) -> RawJson {
    RawJson::parse(text).unwrap().canonical().unwrap()
}

proptest! {
    #[test]
    fn every_spelling_of_a_value_has_one_canonical_text(value in json()) {
        let text = canonical(value.to_string());
        prop_assert_eq!(&canonical(otherwise(&value)), &text);
        prop_assert_eq!(&canonical(text.get().to_owned()), &text);
        prop_assert!(text.get().len() <= value.to_string().len());
        // It means what it meant.
        let read: Value = serde_json::from_str(text.get()).unwrap();
        prop_assert_eq!(numbers_as_doubles(read), numbers_as_doubles(value));
    }

    #[test]
    fn every_instant_is_read_as_it_is_written_whatever_the_offset(
        micros in Timestamp::MIN.as_micros()..=Timestamp::MAX.as_micros(),
        hours in -23_i64..=23,
        minutes in 0_i64..60,
    ) {
        let at = Timestamp::from_micros(micros);
        prop_assert_eq!(at.to_string().parse::<Timestamp>(), Ok(at));
        // The same instant by another clock.
        let minutes = hours * 60 + if hours < 0 { -minutes } else { minutes };
        let local = micros + minutes * 60_000_000;
        prop_assume!(Timestamp::from_micros(local).as_micros() == local);
        let local = Timestamp::from_micros(local).to_string();
        let sign = if minutes < 0 { '-' } else { '+' };
        let (hour, minute) = (minutes.abs() / 60, minutes.abs() % 60);
        let text = format!("{}{sign}{hour:02}:{minute:02}", local.trim_end_matches('Z'));
        prop_assert_eq!(text.parse::<Timestamp>(), Ok(at), "{}", text);
    }

    #[test]
    fn no_text_whatever_is_an_instant_that_is_written_otherwise(text in "[0-9TtZz:.+\\-]{0,30}") {
        if let Ok(at) = text.parse::<Timestamp>() {
            prop_assert_eq!(at.to_string().parse::<Timestamp>(), Ok(at));
        }
    }
}

fn numbers_as_doubles(value: Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().map_or(Value::Null, |n| Value::from(n + 0.0)),
        Value::Array(items) => items.into_iter().map(numbers_as_doubles).collect(),
        Value::Object(members) => {
            let members =
                members.into_iter().map(|(name, value)| (name, numbers_as_doubles(value)));
            Value::Object(members.collect())
        }
        other => other,
    }
}
