//! A JSON value whose numbers are the text that was written. `serde_json` makes doubles of them, and with
//! `arbitrary_precision` no tagged enum of the whole program reads a number any more.

use std::{collections::BTreeMap, fmt};

use nox_contract::RawJson;
use serde_json::value::RawValue;

use crate::decimal::Decimal;

/// A JSON value. A number without a fraction is written as a whole one, if it is not too long: to JSON
/// Schema 1.0 and 1e2 are whole numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exact {
    Null,
    Bool(bool),
    /// As JSON has it.
    Number(String),
    String(String),
    Array(Vec<Exact>),
    Object(BTreeMap<String, Exact>),
}

impl Exact {
    /// Reads a JSON text.
    pub fn read(json: &RawJson) -> Result<Self, serde_json::Error> {
        Self::parse(json.get())
    }

    /// Level by level: each text is looked through once for each level that it is in, and there are few.
    fn parse(text: &str) -> Result<Self, serde_json::Error> {
        let text = text.trim();
        Ok(match text.as_bytes().first() {
            Some(b'{') => {
                let members: BTreeMap<String, &RawValue> = serde_json::from_str(text)?;
                let read = |(name, raw): (_, &RawValue)| Ok((name, Self::parse(raw.get())?));
                Self::Object(
                    members.into_iter().map(read).collect::<Result<_, serde_json::Error>>()?,
                )
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(text)?;
                Self::Array(
                    items.iter().map(|raw| Self::parse(raw.get())).collect::<Result<_, _>>()?,
                )
            }
            Some(b'"') => Self::String(serde_json::from_str(text)?),
            Some(b'-' | b'0'..=b'9') => Self::number(text),
            Some(b't' | b'f') => Self::Bool(serde_json::from_str(text)?),
            _ => serde_json::from_str::<()>(text).map(|()| Self::Null)?,
        })
    }

    /// A number by its JSON text.
    pub fn number(text: &str) -> Self {
        Self::Number(Decimal::of(text).written_out().unwrap_or_else(|| text.to_owned()))
    }

    /// The member of that name, of an object.
    pub fn member(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.get(name),
            _ => None,
        }
    }

    /// What is at a path of members, as `a.b`.
    pub fn at(&self, path: &str) -> Option<&Self> {
        path.split('.').try_fold(self, |value, name| value.member(name))
    }

    /// The value at a path, and room for one if its parent is an object.
    pub(crate) fn entry(&mut self, path: &str) -> Option<&mut Self> {
        let mut value = self;
        for name in path.split('.') {
            let Self::Object(members) = value else { return None };
            value = members.entry(name.to_owned()).or_insert(Self::Null);
        }
        Some(value)
    }

    /// What is at a JSON pointer.
    pub fn at_pointer(&self, pointer: &str) -> Option<&Self> {
        pointer.split('/').skip(1).try_fold(self, |value, token| {
            let token = token.replace("~1", "/").replace("~0", "~");
            match value {
                Self::Object(members) => members.get(&token),
                Self::Array(items) => items.get(token.parse::<usize>().ok()?),
                _ => None,
            }
        })
    }

    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// A whole number within the range.
    pub fn as_whole(&self) -> Option<i64> {
        match self {
            Self::Number(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// Fills in a schema's `default`s, member by member.
    pub(crate) fn fill(&mut self, schema: &Self) {
        let (Self::Object(members), Some(Self::Object(properties))) =
            (self, schema.member("properties"))
        else {
            return;
        };
        for (name, property) in properties {
            if !members.contains_key(name)
                && let Some(default) = property.member("default")
            {
                members.insert(name.clone(), default.clone());
            }
            if let Some(member) = members.get_mut(name) {
                member.fill(property);
            }
        }
    }
}

/// JSON without blanks.
impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(text) => f.write_str(text),
            Self::String(text) => f.write_str(&quoted(text)),
            Self::Array(items) => {
                f.write_str("[")?;
                for (place, item) in items.iter().enumerate() {
                    let comma = if place > 0 { "," } else { "" };
                    write!(f, "{comma}{item}")?;
                }
                f.write_str("]")
            }
            Self::Object(members) => {
                f.write_str("{")?;
                for (place, (name, value)) in members.iter().enumerate() {
                    let comma = if place > 0 { "," } else { "" };
                    write!(f, "{comma}{}:{value}", quoted(name))?;
                }
                f.write_str("}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(text: &str) -> String {
        Exact::parse(text).unwrap().to_string()
    }

    #[test]
    fn digits_stay_and_whole_numbers_are_written_as_such() {
        for same in [
            "18446744073709551616",
            "1e400",
            "0.1000000000000000055",
            "9007199254740993",
            "1e26",
            "-1.50",
            r#"{"a":[1,"1.0",null,true],"b":{}}"#,
            r#""\u0001\"é""#,
        ] {
            assert_eq!(written(same), same);
        }
        assert_eq!(
            written(r#" {"b": {"c" : 9007199254740992.0}, "a": [1.0, -0, 1e2, -3.0e0]} "#),
            r#"{"a":[1,0,100,-3],"b":{"c":9007199254740992}}"#
        );
        for wrong in ["", "{", "nul", "[1,]", "1 2 3 x{"] {
            assert!(RawJson::parse(wrong.to_owned()).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_number_that_is_not_whole_stays_as_it_was_written(whole in 0..1_000u32, fraction in "[0-9]{0,40}[1-9]") {
            let text = format!("{whole}.{fraction}");
            prop_assert_eq!(written(&text), text);
        }
    }
}
