//! Queries, read into types. What is wrong is named by its parameter, in words of ours.
//!
//! axum's `Query` reads the same types, and tells what is wrong with them in serde's words, some without a name.

use std::fmt;

use axum::{extract::Query, http::Uri};
use serde::{
    de::{
        self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, Visitor,
    },
    forward_to_deserialize_any,
};

use crate::problem::{ApiError, FieldError};

/// Longest name of a parameter that is sent back, in characters.
const NAME_CHARS_MAX: usize = 64;

/// Reads the query of `uri`. What nobody heeds is refused, so that a misspelt parameter is not passed
/// over: every `T` denies unknown fields.
pub fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, ApiError> {
    // Any query is pairs of texts.
    let Query(pairs) =
        Query::<Vec<(String, String)>>::try_from_uri(uri).map_err(ApiError::internal)?;
    T::deserialize(Parameters { left: pairs.into_iter(), value: None }).map_err(|wrong| {
        let name: String = wrong.name.chars().take(NAME_CHARS_MAX).collect();
        ApiError::invalid(vec![FieldError::new(format!("?{name}"), wrong.detail)])
    })
}

/// What is wrong with a parameter.
#[derive(Debug)]
struct Wrong {
    /// Empty until it is known whose value it is.
    name: String,
    detail: String,
}

impl Wrong {
    fn of(name: &str, detail: impl Into<String>) -> Self {
        Self { name: name.to_owned(), detail: detail.into() }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.detail)
    }
}

impl std::error::Error for Wrong {}

impl de::Error for Wrong {
    fn custom<T: fmt::Display>(detail: T) -> Self {
        Self::of("", detail.to_string())
    }

    fn unknown_field(name: &str, known: &'static [&'static str]) -> Self {
        let detail = match known {
            [] => "is not known here; nothing is".to_owned(),
            known => format!("is not known here; there are {}", known.join(", ")),
        };
        Self::of(name, detail)
    }

    fn unknown_variant(_: &str, known: &'static [&'static str]) -> Self {
        Self::of("", format!("must be one of {}", known.join(", ")))
    }

    fn missing_field(name: &'static str) -> Self {
        Self::of(name, "is required")
    }

    fn duplicate_field(name: &'static str) -> Self {
        Self::of(name, "stands there twice")
    }
}

/// The pairs of a query, as the members of a struct.
struct Parameters {
    left: std::vec::IntoIter<(String, String)>,
    /// Of the name that was read last.
    value: Option<(String, String)>,
}

impl<'de> Deserializer<'de> for Parameters {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_map(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> MapAccess<'de> for Parameters {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Wrong> {
        let Some((name, value)) = self.left.next() else { return Ok(None) };
        let key = seed.deserialize(name.as_str().into_deserializer())?;
        self.value = Some((name, value));
        Ok(Some(key))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Wrong> {
        let (name, value) = self.value.take().unwrap_or_default();
        seed.deserialize(Value(value)).map_err(|wrong| Wrong { name, ..wrong })
    }
}

/// The text of one parameter.
struct Value(String);

/// Types that are read off a text by `parse`.
macro_rules! parsed {
    ($($method:ident $visit:ident $rule:literal)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
            visitor.$visit(self.0.parse().map_err(|_| Wrong::of("", $rule))?)
        }
    )*};
}

impl<'de> Deserializer<'de> for Value {
    type Error = Wrong;

    parsed! {
        deserialize_bool visit_bool "must be true or false"
        deserialize_u8 visit_u8 "must be a whole number from 0 to 255"
        deserialize_u16 visit_u16 "must be a whole number from 0 to 65535"
        deserialize_u32 visit_u32 "must be a whole number from 0 to 4294967295"
        deserialize_u64 visit_u64 "must be a whole number from 0 to 18446744073709551615"
        deserialize_i64 visit_i64 "must be a whole number"
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_string(self.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        visitor.visit_enum(self.0.into_deserializer())
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Order {
        Newest,
        Oldest,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Asked {
        name: String,
        #[serde(alias = "frame")]
        n: Option<u64>,
        preview: Option<bool>,
        order: Option<Order>,
    }

    fn read(text: &str) -> Result<Asked, ApiError> {
        query(&format!("/jobs?{text}").parse().unwrap())
    }

    #[test]
    fn what_is_asked_is_read_as_forms_write_it() {
        let asked = read("name=a%26b+c&n=7&preview=true&order=oldest").unwrap();
        let order = Some(Order::Oldest);
        assert_eq!(
            asked,
            Asked { name: "a&b c".to_owned(), n: Some(7), preview: Some(true), order }
        );
        let least = read("name=&&frame=18446744073709551615").unwrap();
        assert_eq!((&*least.name, least.n, least.preview), ("", Some(u64::MAX), None));
    }

    #[test]
    fn what_is_wrong_is_named_by_its_parameter_in_our_words() {
        for (text, pointer, detail) in [
            ("", "?name", "is required"),
            ("name=a&name=b", "?name", "stands there twice"),
            ("name=a&n=1&frame=1", "?n", "stands there twice"),
            ("name=a&n=", "?n", "must be a whole number from 0 to 18446744073709551615"),
            ("name=a&n=-1", "?n", "must be a whole number from 0 to 18446744073709551615"),
            ("name=a&frame=x", "?frame", "must be a whole number from 0 to 18446744073709551615"),
            ("name=a&preview=yes", "?preview", "must be true or false"),
            ("name=a&order=worst", "?order", "must be one of newest, oldest"),
            ("nme=a", "?nme", "is not known here; there are name, frame, n, preview, order"),
        ] {
            let shown = read(text).unwrap_err().shown();
            assert_eq!(shown["errors"][0]["pointer"], pointer, "{shown}");
            assert_eq!(shown["errors"][0]["detail"], detail, "{shown}");
            assert_eq!(shown["detail"], format!("{pointer}: {detail}"), "{shown}");
        }
        let shown = read(&"x".repeat(1_000)).unwrap_err().shown();
        assert_eq!(shown["errors"][0]["pointer"], format!("?{}", "x".repeat(NAME_CHARS_MAX)));
    }
}
