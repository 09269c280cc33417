//! User-supplied JSON that passes through unparsed.

use std::{borrow::Cow, fmt, sync::Arc};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::{JSON_DEPTH_MAX, OUTPUTS_BYTES_MAX};

/// A JSON text, kept byte for byte. Cheap to clone.
#[derive(Clone, Serialize)]
#[serde(transparent)]
pub struct RawJson(Arc<RawValue>);

/// Why Postgres could not store a JSON text as `jsonb`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnstorableJson {
    #[error("is not valid JSON")]
    Invalid,
    #[error("contains the character U+0000")]
    Nul,
    #[error("contains a lone surrogate")]
    LoneSurrogate,
    #[error("contains a number out of range")]
    Number,
    #[error("is nested deeper than {JSON_DEPTH_MAX} levels")]
    Depth,
    #[error(
        "has more than {OUTPUTS_BYTES_MAX} bytes when its numbers are written without exponents"
    )]
    Expanded,
}

impl RawJson {
    /// Takes a JSON text over; fails if it is not one JSON value.
    pub fn parse(text: String) -> Result<Self, serde_json::Error> {
        RawValue::from_string(text).map(|raw| Self(raw.into()))
    }

    /// Serialises `value`.
    pub fn of<T: Serialize>(value: &T) -> Result<Self, serde_json::Error> {
        serde_json::value::to_raw_value(value).map(|raw| Self(raw.into()))
    }

    pub fn get(&self) -> &str {
        self.0.get()
    }

    /// Checks that Postgres can store this as `jsonb`, in one pass over the text. What it keeps as `json` has
    /// to pass as well, so that its functions can read it.
    ///
    /// A `jsonb` string holds neither U+0000 nor half a surrogate pair, and a `jsonb` number is a
    /// `numeric`, whose exponent we bound well inside its range. One user's string must never stop
    /// the projector. And `numeric` is written without an exponent, so what is small enough as it stands
    /// here has to be so there, too: a few kilobytes of `1e300` are a megabyte.
    pub fn check_storable(&self) -> Result<(), UnstorableJson> {
        let length = self.get().len();
        let expanded = expanded(self.get().as_bytes())?;
        if length <= OUTPUTS_BYTES_MAX && expanded > OUTPUTS_BYTES_MAX {
            return Err(UnstorableJson::Expanded);
        }
        Ok(())
    }

    /// How many bytes the text has when its numbers are written without exponents, as Postgres does.
    pub fn expanded_len(&self) -> Result<usize, UnstorableJson> {
        expanded(self.get().as_bytes())
    }
}

impl Default for RawJson {
    fn default() -> Self {
        Self(RawValue::NULL.to_owned().into())
    }
}

impl fmt::Debug for RawJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.get())
    }
}

impl PartialEq for RawJson {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl Eq for RawJson {}

impl<'de> Deserialize<'de> for RawJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(|raw| Self(raw.into()))
    }
}

impl JsonSchema for RawJson {
    fn schema_name() -> Cow<'static, str> {
        "Json".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        true.into()
    }
}

/// Largest power of ten, and number of digits, of a number that we let through.
const EXPONENT_MAX: usize = 1000;

/// Checks a text, and returns its length with all numbers written out.
fn expanded(text: &[u8]) -> Result<usize, UnstorableJson> {
    let mut depth = 0usize;
    let mut at = 0;
    let mut length = text.len();
    while at < text.len() {
        match text[at] {
            b'{' | b'[' => {
                depth += 1;
                if depth > JSON_DEPTH_MAX {
                    return Err(UnstorableJson::Depth);
                }
                at += 1;
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                at += 1;
            }
            b'"' => at = check_string(text, at + 1)?,
            b'-' | b'0'..=b'9' => {
                let zeros;
                (at, zeros) = check_number(text, at)?;
                length += zeros;
            }
            _ => at += 1,
        }
    }
    Ok(length)
}

/// Returns the index after the closing quote. The text is known to be well-formed JSON.
fn check_string(text: &[u8], mut at: usize) -> Result<usize, UnstorableJson> {
    let mut high_surrogate = false;
    while at < text.len() {
        let (unit, length) = match text[at] {
            b'"' if high_surrogate => return Err(UnstorableJson::LoneSurrogate),
            b'"' => return Ok(at + 1),
            b'\\' if text.get(at + 1) == Some(&b'u') => {
                let unit = text
                    .get(at + 2..at + 6)
                    .and_then(|digits| std::str::from_utf8(digits).ok())
                    .and_then(|digits| u16::from_str_radix(digits, 16).ok())
                    .ok_or(UnstorableJson::Invalid)?;
                (unit, 6)
            }
            b'\\' => (u16::from(b'\\'), 2),
            byte => (u16::from(byte), 1),
        };
        let low = (0xdc00..0xe000).contains(&unit);
        if unit == 0 {
            return Err(UnstorableJson::Nul);
        }
        if low != high_surrogate {
            return Err(UnstorableJson::LoneSurrogate);
        }
        high_surrogate = (0xd800..0xdc00).contains(&unit);
        at += length;
    }
    Err(UnstorableJson::Invalid)
}

/// Returns the index after the number that begins at `at`, and how many zeros its exponent stands for.
fn check_number(text: &[u8], at: usize) -> Result<(usize, usize), UnstorableJson> {
    let end = text[at..]
        .iter()
        .position(|b| !matches!(b, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9'))
        .map_or(text.len(), |length| at + length);
    let number = &text[at..end];
    let mantissa = number.iter().position(|b| matches!(b, b'e' | b'E')).unwrap_or(number.len());
    let exponent = std::str::from_utf8(number.get(mantissa + 1..).unwrap_or_default())
        .map_err(|_| UnstorableJson::Invalid)?;
    let power = match exponent.trim_start_matches('+') {
        "" => 0,
        digits => digits.parse::<i64>().map_err(|_| UnstorableJson::Number)?.unsigned_abs(),
    };
    let zeros = usize::try_from(power).unwrap_or(usize::MAX);
    if mantissa > EXPONENT_MAX || zeros > EXPONENT_MAX {
        return Err(UnstorableJson::Number);
    }
    Ok((end, zeros))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<(), UnstorableJson> {
        RawJson::parse(text.to_owned()).expect("valid JSON").check_storable()
    }

    #[test]
    fn what_postgres_cannot_store_is_named() {
        assert_eq!(check(r#"{"a": "\u0000"}"#), Err(UnstorableJson::Nul));
        assert_eq!(check(r#"{"\u0000": 1}"#), Err(UnstorableJson::Nul));
        assert_eq!(check(r#"["\ud800"]"#), Err(UnstorableJson::LoneSurrogate));
        assert_eq!(check(r#"["\udc00"]"#), Err(UnstorableJson::LoneSurrogate));
        assert_eq!(check(r#"["\ud800x"]"#), Err(UnstorableJson::LoneSurrogate));
        assert_eq!(check(r#"["\ud800\ud800"]"#), Err(UnstorableJson::LoneSurrogate));
        assert_eq!(check("1e99999"), Err(UnstorableJson::Number));
        assert_eq!(check("[1e-99999999999999999999]"), Err(UnstorableJson::Number));
        assert_eq!(check(&"9".repeat(2000)), Err(UnstorableJson::Number));
        let deep = format!("{}{}", "[".repeat(65), "]".repeat(65));
        assert_eq!(check(&deep), Err(UnstorableJson::Depth));
    }

    #[test]
    fn a_text_counts_with_all_the_digits_of_its_numbers() {
        let expanded = |text: &str| RawJson::parse(text.to_owned()).unwrap().expanded_len();
        for (text, plain) in [
            ("[1,-2.5]", "[1,-2.5]".len()),
            (r#"{"1e300":"1e300"}"#, r#"{"1e300":"1e300"}"#.len()),
            ("1e300", 301),
            ("-1.5E+20", "-150000000000000000000".len()),
            ("1e-300", "0.".len() + 300),
            ("[1e1000,1e-1000]", "[,]".len() + 1_001 + 1_002),
        ] {
            let counted = expanded(text).unwrap();
            // Exact but for the exponent itself.
            assert!((plain..=plain + 16).contains(&counted), "{text}: {counted}, {plain}");
        }

        let numbers = |count: usize| format!("[{}]", vec!["1e300"; count].join(","));
        let most = OUTPUTS_BYTES_MAX / 306;
        assert_eq!(check(&numbers(most - 1)), Ok(()));
        assert_eq!(check(&numbers(most + 1)), Err(UnstorableJson::Expanded));
    }

    #[test]
    fn what_postgres_can_store_passes() {
        let deep = format!("{}{}", "[".repeat(64), "]".repeat(64));
        for text in [
            r#"{"a": [1, -2.5e10, "\ud83d\ude00 \\u0000 \" é"], "b": null}"#,
            "1e308",
            r#""\\""#,
            &deep,
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }
}
