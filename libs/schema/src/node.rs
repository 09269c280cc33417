//! [`Exact`] as the validator sees it: whether a number is whole, and whether it is one that the schema
//! lists, is decided by all its digits. Bounds and a `const` that are no 64-bit integers are doubles, and so
//! are the numbers while they are compared with these.

use std::{
    borrow::Cow,
    collections::{BTreeMap, btree_map},
    ptr, slice,
};

use jsonschema::{
    JsonType,
    json::{Array, Json, JsonNumber, Node, NodeIdentity, Object},
};
use serde_json::{Number, Value};

use crate::{decimal::Decimal, effort, exact::Exact};

/// The representation, for the validator's type parameter.
#[derive(Debug)]
pub(crate) enum ExactJson {}

impl Json for ExactJson {
    type Node<'a> = &'a Exact;
    type PreparedKey = String;
    type StringBuffer = Buffer;

    fn prepare_key(key: &str) -> String {
        key.to_owned()
    }

    fn with_string_node<T>(buffer: &mut Buffer, string: &str, f: impl FnOnce(&Exact) -> T) -> T {
        f(buffer.0.insert(Exact::String(string.to_owned())))
    }
}

#[derive(Default)]
pub(crate) struct Buffer(Option<Exact>);

pub(crate) struct NumberText<'a>(&'a str);

impl JsonNumber for NumberText<'_> {
    fn as_u64(&self) -> Option<u64> {
        self.0.parse().ok()
    }

    fn as_i64(&self) -> Option<i64> {
        self.0.parse().ok()
    }

    /// Infinite beyond what a double holds.
    fn as_f64(&self) -> Option<f64> {
        self.0.parse().ok()
    }

    fn as_str(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.0)
    }

    fn to_number(&self) -> Cow<'_, Number> {
        Cow::Owned(nearest(self.0))
    }

    fn is_integer(&self) -> bool {
        Decimal::of(self.0).is_whole()
    }
}

/// The nearest number that `serde_json` holds.
fn nearest(text: &str) -> Number {
    if let Ok(number) = text.parse::<i64>() {
        return number.into();
    }
    if let Ok(number) = text.parse::<u64>() {
        return number.into();
    }
    let number = text.parse().unwrap_or(0.0_f64).clamp(f64::MIN, f64::MAX);
    Number::from_f64(number).unwrap_or_else(|| 0.into())
}

impl<'a> Node<'a, ExactJson> for &'a Exact {
    type Object = &'a BTreeMap<String, Exact>;
    type Array = &'a [Exact];
    type Number = NumberText<'a>;

    fn as_object(&self) -> Option<Self::Object> {
        effort::look();
        match self {
            Exact::Object(members) => Some(members),
            _ => None,
        }
    }

    fn as_array(&self) -> Option<Self::Array> {
        effort::look();
        match self {
            Exact::Array(items) => Some(items),
            _ => None,
        }
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        effort::look();
        self.as_text().map(Cow::Borrowed)
    }

    fn as_number(&self) -> Option<NumberText<'a>> {
        effort::look();
        match self {
            Exact::Number(text) => Some(NumberText(text)),
            _ => None,
        }
    }

    fn as_boolean(&self) -> Option<bool> {
        effort::look();
        match self {
            Exact::Bool(value) => Some(*value),
            _ => None,
        }
    }

    fn is_null(&self) -> bool {
        effort::look();
        matches!(self, Exact::Null)
    }

    fn json_type(&self) -> JsonType {
        effort::look();
        match self {
            Exact::Null => JsonType::Null,
            Exact::Bool(_) => JsonType::Boolean,
            Exact::Number(_) => JsonType::Number,
            Exact::String(_) => JsonType::String,
            Exact::Array(_) => JsonType::Array,
            Exact::Object(_) => JsonType::Object,
        }
    }

    fn equals_value(&self, expected: &Value) -> bool {
        effort::look();
        match (self, expected) {
            (Exact::Number(text), Value::Number(number)) => {
                Decimal::of(text).equals(&Decimal::of(&number.to_string()))
            }
            (Exact::Array(items), Value::Array(expected)) => {
                items.len() == expected.len()
                    && items
                        .iter()
                        .zip(expected)
                        .all(|(item, expected)| item.equals_value(expected))
            }
            (Exact::Object(members), Value::Object(expected)) => {
                members.len() == expected.len()
                    && members.iter().all(|(name, value)| {
                        expected.get(name).is_some_and(|expected| value.equals_value(expected))
                    })
            }
            (Exact::Number(_) | Exact::Array(_) | Exact::Object(_), _) => false,
            _ => *self.to_value() == *expected,
        }
    }

    fn to_value(&self) -> Cow<'a, Value> {
        let value = |value: &Exact| <&Exact as Node<'_, ExactJson>>::to_value(&value).into_owned();
        Cow::Owned(match self {
            Exact::Null => Value::Null,
            Exact::Bool(value) => Value::Bool(*value),
            Exact::Number(text) => Value::Number(nearest(text)),
            Exact::String(text) => Value::String(text.clone()),
            Exact::Array(items) => Value::Array(items.iter().map(value).collect()),
            Exact::Object(members) => Value::Object(
                members.iter().map(|(name, member)| (name.clone(), value(member))).collect(),
            ),
        })
    }

    fn identity(&self) -> Option<NodeIdentity> {
        Some(NodeIdentity::new(ptr::from_ref::<Exact>(self) as usize))
    }
}

impl<'a> Object<'a, ExactJson> for &'a BTreeMap<String, Exact> {
    type Node = &'a Exact;
    type MemberName = &'a str;
    type MembersIter = Members<'a>;

    fn len(&self) -> usize {
        BTreeMap::len(self)
    }

    fn get(&self, key: &String) -> Option<&'a Exact> {
        (*self).get(key)
    }

    fn members(&self) -> Members<'a> {
        Members((*self).iter())
    }
}

pub(crate) struct Members<'a>(btree_map::Iter<'a, String, Exact>);

impl<'a> Iterator for Members<'a> {
    type Item = (&'a str, &'a Exact);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(name, value)| (name.as_str(), value))
    }
}

impl<'a> Array<'a, ExactJson> for &'a [Exact] {
    type Node = &'a Exact;
    type ElementsIter = slice::Iter<'a, Exact>;

    fn len(&self) -> usize {
        <[Exact]>::len(self)
    }

    fn elements(&self) -> slice::Iter<'a, Exact> {
        (*self).iter()
    }

    fn is_unique(&self) -> bool {
        // Each with each: what takes too long ends as all else does.
        self.iter()
            .enumerate()
            .all(|(place, item)| !self[..place].iter().any(|other| same(item, other)))
    }
}

fn same(a: &Exact, b: &Exact) -> bool {
    effort::look();
    match (a, b) {
        (Exact::Number(a), Exact::Number(b)) => Decimal::of(a).equals(&Decimal::of(b)),
        (Exact::Array(a), Exact::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Exact::Object(a), Exact::Object(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && same(a.1, b.1))
        }
        _ => a == b,
    }
}
