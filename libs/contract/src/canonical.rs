//! What a JSON text means, however it is written: one text for all that say the same.
//!
//! As RFC 8785 has it: no blanks, members in order, no needless escapes. But numbers keep their exact
//! decimal value, where RFC 8785 and the crates for it make doubles of them: 2^53 and 2^53 + 1 stay
//! two numbers, while 1, 1.0 and 1e0 are one.

use std::collections::{BTreeMap, btree_map::Entry};

use crate::{RawJson, UnstorableJson};

/// Why a JSON text has no one meaning that can be stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoMeaning {
    /// Readers would choose different ones of the two.
    #[error("stands there twice")]
    Twice {
        /// A JSON pointer to the member.
        pointer: String,
    },
    #[error(transparent)]
    Unstorable(#[from] UnstorableJson),
}

impl RawJson {
    /// The one text for all that mean the same. It is seldom longer than what was written, and then
    /// by a few bytes.
    pub fn canonical(&self) -> Result<Self, NoMeaning> {
        self.check_storable()?;
        let mut reader = Reader { text: self.get(), at: 0 };
        let text = reader.value()?;
        Self::parse(text).map_err(|_| UnstorableJson::Invalid.into())
    }
}

/// Escapes a member's name for a JSON pointer (RFC 6901).
pub fn pointer_token(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

impl NoMeaning {
    /// The same, of a value inside of another.
    fn under(self, name: &str) -> Self {
        match self {
            Self::Twice { pointer } => {
                Self::Twice { pointer: format!("/{}{pointer}", pointer_token(name)) }
            }
            other => other,
        }
    }
}

/// Reads a text that is known to be one JSON value, and not too deep.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn value(&mut self) -> Result<String, NoMeaning> {
        match self.peek()? {
            b'{' => self.object(),
            b'[' => self.array(),
            b'"' => Ok(quoted(&self.string()?)),
            b'-' | b'0'..=b'9' => Ok(number(self.word())),
            _ => Ok(self.word().to_owned()),
        }
    }

    fn object(&mut self) -> Result<String, NoMeaning> {
        self.at += 1;
        let mut members = BTreeMap::new();
        while self.another(b'}')? {
            let name = self.string()?;
            self.skip(b':')?;
            match members.entry(name) {
                Entry::Occupied(known) => {
                    return Err(NoMeaning::Twice { pointer: String::new() }.under(known.key()));
                }
                Entry::Vacant(place) => {
                    let value = self.value().map_err(|error| error.under(place.key()))?;
                    place.insert(value);
                }
            }
        }
        let members = members.iter().map(|(name, value)| format!("{}:{value}", quoted(name)));
        Ok(format!("{{{}}}", members.collect::<Vec<_>>().join(",")))
    }

    fn array(&mut self) -> Result<String, NoMeaning> {
        self.at += 1;
        let mut items = Vec::new();
        while self.another(b']')? {
            let place = items.len();
            items.push(self.value().map_err(|error| error.under(&place.to_string()))?);
        }
        Ok(format!("[{}]", items.join(",")))
    }

    /// Whether another item comes before the end, which is passed.
    fn another(&mut self, end: u8) -> Result<bool, NoMeaning> {
        if self.peek()? == b',' {
            self.at += 1;
        }
        let ended = self.peek()? == end;
        self.at += usize::from(ended);
        Ok(!ended)
    }

    fn string(&mut self) -> Result<String, NoMeaning> {
        self.peek()?;
        let rest = &self.text.as_bytes()[self.at..];
        let mut escaped = false;
        let end = rest.iter().skip(1).position(|byte| {
            let ends = *byte == b'"' && !escaped;
            escaped = *byte == b'\\' && !escaped;
            ends
        });
        // Both quotes.
        let length = end.ok_or(UnstorableJson::Invalid)? + 2;
        let token = &self.text[self.at..self.at + length];
        self.at += length;
        Ok(serde_json::from_str(token).map_err(|_| UnstorableJson::Invalid)?)
    }

    /// A number or a literal.
    fn word(&mut self) -> &str {
        let rest = &self.text[self.at..];
        let length = rest.find(|c: char| c.is_ascii_whitespace() || ",]}".contains(c));
        let word = &rest[..length.unwrap_or(rest.len())];
        self.at += word.len();
        word
    }

    fn skip(&mut self, wanted: u8) -> Result<(), NoMeaning> {
        if self.peek()? != wanted {
            return Err(UnstorableJson::Invalid.into());
        }
        self.at += 1;
        Ok(())
    }

    /// The next byte that is no blank.
    fn peek(&mut self) -> Result<u8, NoMeaning> {
        let rest = &self.text.as_bytes()[self.at..];
        let blanks = rest.iter().position(|byte| !byte.is_ascii_whitespace());
        self.at += blanks.ok_or(UnstorableJson::Invalid)?;
        Ok(self.text.as_bytes()[self.at])
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The shortest text of a number's exact value.
fn number(written: &str) -> String {
    let (sign, written) = written.strip_prefix('-').map_or(("", written), |rest| ("-", rest));
    let (mantissa, exponent) = written.split_once(['e', 'E']).unwrap_or((written, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    // It is far smaller in what can be stored.
    let exponent: i64 = exponent.parse().unwrap_or_default();

    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0');
    // Where the point stands, counted from the first digit that is not 0.
    let point = whole.len() as i64 + exponent - (digits.len() - significant.len()) as i64;
    let digits = significant.trim_end_matches('0');
    if digits.is_empty() {
        return "0".to_owned();
    }
    let length = digits.len() as i64;
    let zeros = |count: i64| "0".repeat(count.max(0) as usize);
    let plain = if point >= length {
        format!("{digits}{}", zeros(point - length))
    } else if point > 0 {
        let (whole, fraction) = digits.split_at(point as usize);
        format!("{whole}.{fraction}")
    } else {
        format!("0.{}{digits}", zeros(-point))
    };
    let with_exponent = format!("{digits}e{}", point - length);
    let shorter = if with_exponent.len() < plain.len() { with_exponent } else { plain };
    format!("{sign}{shorter}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> Result<String, NoMeaning> {
        let raw = RawJson::parse(text.to_owned()).unwrap_or_else(|e| panic!("{e} in {text}"));
        raw.canonical().map(|raw| raw.get().to_owned())
    }

    #[track_caller]
    fn assert_one(texts: &[&str]) {
        let first = canonical(texts[0]).unwrap();
        for text in texts {
            assert_eq!(canonical(text).as_ref(), Ok(&first), "{text}");
        }
        assert_eq!(canonical(&first), Ok(first.clone()), "it stays as it is");
    }

    #[test]
    fn what_means_the_same_is_one_text() {
        assert_one(&[r#"{"a":1,"b":[true,null]}"#, "{ \"b\" :\t[ true , null ],\r\n\"a\" : 1 }"]);
        assert_one(&[r#""é""#, r#""\u00e9""#, r#""\u00E9""#]);
        assert_one(&[r#""😀/""#, r#""\ud83d\ude00\/""#, r#""\uD83D\uDE00/""#]);
        assert_one(&[r#"{"é":0}"#, r#"{"\u00e9":0}"#]);
        assert_one(&[r#""\n\t\"\\""#, r#""\u000a\u0009\u0022\u005c""#]);
        assert_one(&["1", "1.0", "1e0", "10e-1", "0.1E+1", "1.000", "100E-2"]);
        assert_one(&["0", "-0", "0.0", "-0e5", "0e-7"]);
        assert_one(&["1e999", "10e998", "0.1e1000", "1000e996"]);
        assert_one(&["-12.5", "-125e-1", "-0.125E2"]);
        assert_one(&["{}", " { } "]);
        assert_one(&["[]", "[ \n]"]);
    }

    #[test]
    fn what_means_something_else_is_another_text() {
        let texts = [
            "9007199254740992",
            "9007199254740993",
            "9007199254740993.5",
            "0.1",
            "0.1000000000000000055511151231257827",
            "1",
            "\"1\"",
            "-1",
            "10",
            "[1]",
            "{\"1\":1}",
            "{\"1\":[1]}",
            "[]",
            "{}",
            "null",
            "\"\"",
            "[[],[]]",
            "[[[]]]",
            "\"e\u{301}\"",
            "\"é\"",
        ];
        let texts = texts.map(|text| canonical(text).unwrap());
        let different: std::collections::BTreeSet<_> = texts.iter().collect();
        assert_eq!(different.len(), texts.len(), "{texts:?}");
    }

    #[test]
    fn a_member_that_stands_there_twice_is_named_by_its_place() {
        for (text, pointer) in [
            (r#"{"a":1,"a":1}"#, "/a"),
            (r#"{"x":[0,{"y/z":{"a":1,"b":2,"\u0061":3}}]}"#, "/x/1/y~1z/a"),
            (r#"[{"~":1,"~":2}]"#, "/0/~0"),
        ] {
            let pointer = pointer.to_owned();
            assert_eq!(canonical(text), Err(NoMeaning::Twice { pointer }), "{text}");
        }
        assert!(canonical(r#"[{"a":1},{"a":{"a":1}}]"#).is_ok());
    }

    #[test]
    fn no_text_means_more_than_can_be_stored() {
        for text in [r#""\u0000""#, r#""\ud800""#, "1e1001", &"[".repeat(65)] {
            let text = format!("{text}{}", "]".repeat(text.matches('[').count()));
            assert!(matches!(canonical(&text), Err(NoMeaning::Unstorable(_))), "{text}");
        }
    }
}
