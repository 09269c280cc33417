//! Reads JSON into types, an object wherever a type is a struct, and names what is wrong by its place.
//!
//! serde_json reads an array of a struct's members as well, at any depth, and tells a line. serde_path_to_error
//! tells places, and lets such arrays through.

use std::{borrow::Cow, fmt};

use nox_contract::canonical::pointer_token;
use serde::{
    Deserialize,
    de::{
        self, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor,
        value::CowStrDeserializer,
    },
};
use serde_json::value::RawValue;

use super::Object;

/// What serde_json calls a value that stays as it was written.
const RAW: &str = "$serde_json::private::RawValue";

/// Reads the JSON `text`.
pub fn read<'de, T: Deserialize<'de>>(text: &'de RawValue) -> Result<T, Wrong> {
    T::deserialize(Node(text))
}

/// What is wrong with a text that is JSON.
#[derive(Debug, PartialEq, Eq)]
pub struct Wrong {
    /// A JSON pointer.
    pub pointer: String,
    pub detail: String,
}

impl Wrong {
    fn here(detail: impl fmt::Display) -> Self {
        Self { pointer: String::new(), detail: detail.to_string() }
    }

    fn under(self, name: &str) -> Self {
        Self { pointer: format!("/{}{}", pointer_token(name), self.pointer), ..self }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.pointer, self.detail)
    }
}

impl std::error::Error for Wrong {}

impl de::Error for Wrong {
    fn custom<T: fmt::Display>(detail: T) -> Self {
        Self::here(detail)
    }
}

impl From<serde_json::Error> for Wrong {
    /// Of a piece of the text, whose lines nobody has numbered.
    fn from(error: serde_json::Error) -> Self {
        let told = error.to_string();
        let place = format!(" at line {} column {}", error.line(), error.column());
        Self::here(told.strip_suffix(&place).unwrap_or(&told))
    }
}

/// A value, its parts unparsed.
#[derive(Clone, Copy)]
struct Node<'de>(&'de RawValue);

impl<'de> Node<'de> {
    fn begins_with(self, first: char) -> bool {
        self.0.get().starts_with(first)
    }

    fn json(self) -> serde_json::Deserializer<serde_json::de::StrRead<'de>> {
        serde_json::Deserializer::from_str(self.0.get())
    }

    fn members<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        if !self.begins_with('{') {
            return Err(Wrong::here("must be an object"));
        }
        let Object(members) = serde_json::from_str(self.0.get())?;
        visitor.visit_map(Members { left: members.into_iter(), value: None })
    }

    fn items<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        if !self.begins_with('[') {
            return Err(Wrong::here("must be an array"));
        }
        let items: Vec<&RawValue> = serde_json::from_str(self.0.get())?;
        visitor.visit_seq(Items { left: items.into_iter().enumerate() })
    }
}

/// Methods in which serde_json has nothing to be strict about.
macro_rules! as_serde_json {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
            Ok(self.json().$method(visitor)?)
        }
    )*};
}

impl<'de> Deserializer<'de> for Node<'de> {
    type Error = Wrong;

    as_serde_json! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32
        deserialize_f64 deserialize_char deserialize_str deserialize_string deserialize_bytes
        deserialize_byte_buf deserialize_unit deserialize_identifier deserialize_ignored_any
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.0.get().as_bytes().first() {
            Some(b'{') => self.members(visitor),
            Some(b'[') => self.items(visitor),
            _ => Ok(self.json().deserialize_any(visitor)?),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        if self.0.get() == "null" { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        if name == RAW {
            return Ok(self.json().deserialize_newtype_struct(name, visitor)?);
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.members(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        self.members(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.items(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Wrong> {
        self.items(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        self.items(visitor)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        Ok(self.json().deserialize_unit_struct(name, visitor)?)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        // Those of bodies are words alone.
        Ok(self.json().deserialize_enum(name, variants, visitor)?)
    }
}

struct Members<'de> {
    left: std::vec::IntoIter<(Cow<'de, str>, &'de RawValue)>,
    /// Of the member whose name was read last.
    value: Option<(Cow<'de, str>, &'de RawValue)>,
}

impl<'de> MapAccess<'de> for Members<'de> {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Wrong> {
        let Some((name, value)) = self.left.next() else { return Ok(None) };
        let (name, _) = self.value.insert((name, value));
        let key: CowStrDeserializer<'_, Wrong> = name.clone().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|wrong| wrong.under(&short(name)))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Wrong> {
        let Some((name, value)) = self.value.take() else {
            return Err(Wrong::here("a value without a name"));
        };
        seed.deserialize(Node(value)).map_err(|wrong| wrong.under(&name))
    }
}

/// Names that are not known may be long.
fn short(name: &str) -> String {
    name.chars().take(64).collect()
}

struct Items<'de> {
    left: std::iter::Enumerate<std::vec::IntoIter<&'de RawValue>>,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Wrong;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Wrong> {
        let Some((place, item)) = self.left.next() else { return Ok(None) };
        let value = seed.deserialize(Node(item));
        value.map(Some).map_err(|wrong| wrong.under(&place.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        limits: Limits,
        #[serde(default)]
        more: Vec<Limits>,
        named: Option<BTreeMap<String, Limits>>,
        raw: Option<Box<RawValue>>,
        word: Option<Word>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Limits {
        cpu: u32,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Word {
        One,
    }

    fn outer(text: &str) -> Result<Outer, (String, String)> {
        let raw: &RawValue = serde_json::from_str(text).unwrap();
        read(raw).map_err(|wrong| (wrong.pointer, wrong.detail))
    }

    #[test]
    fn a_struct_is_an_object_at_any_depth_and_nothing_else() {
        let pointer = |text: &str| outer(text).unwrap_err().0;
        assert_eq!(pointer(r#"[{"cpu": 1}]"#), "");
        assert_eq!(pointer(r#"{"limits": [1]}"#), "/limits");
        assert_eq!(pointer(r#"{"limits": {"cpu": 1}, "more": [{"cpu": 1}, [2]]}"#), "/more/1");
        assert_eq!(pointer(r#"{"limits": {"cpu": 1}, "named": {"a/b": [2]}}"#), "/named/a~1b");
        // The control: serde_json by itself takes them.
        assert_eq!(serde_json::from_str::<Limits>("[1]").unwrap(), Limits { cpu: 1 });
    }

    #[test]
    fn what_is_wrong_is_named_by_its_place_alone() {
        let told = |text: &str| outer(text).unwrap_err();
        let (pointer, detail) = told(r#"{"limits": {"cpu": "x"}}"#);
        assert_eq!(pointer, "/limits/cpu");
        assert_eq!(detail, "invalid type: string \"x\", expected u32");
        assert_eq!(told(r#"{"limits": {}}"#), ("/limits".into(), "missing field `cpu`".into()));
        assert_eq!(told(r#"{"limits": {"cpu": 1, "gpu": 2}}"#).0, "/limits/gpu");
        let twice = told(r#"{"limits": {"cpu": 1, "cpu": 2}}"#);
        assert!(twice.0 == "/limits" && twice.1.contains("stands there twice"), "{twice:?}");
        assert_eq!(told(r#"{"limits": {"cpu": 1}, "word": "two"}"#).0, "/word");
    }

    #[test]
    fn what_is_right_is_read_as_it_was_written() {
        let read = outer(
            r#" {"limits": {"cpu": 1}, "more": [], "named": null, "raw": {"n": 1.50, "n": [1]}, "word": "one"}"#,
        );
        let Outer { limits, more, named, raw, word } = read.unwrap();
        assert_eq!((limits, more, named), (Limits { cpu: 1 }, vec![], None));
        assert_eq!(raw.unwrap().get(), r#"{"n": 1.50, "n": [1]}"#);
        assert_eq!(word, Some(Word::One));
    }
}
