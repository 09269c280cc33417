//! A JSON object as its members stand in the text, none of them twice.

mod strict;

use std::{borrow::Cow, fmt};

use nox_contract::ProblemCode;
use serde::{
    Deserialize,
    de::{self, Deserializer, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use self::strict::Wrong;
use crate::problem::{ApiError, FieldError};

/// Most members that we look at. No request has nearly as many, and a million of them should not
/// cost a million allocations before they are refused.
const MEMBERS_MAX: usize = 64;

/// Members in their order, their values unparsed.
#[derive(Debug)]
pub struct Object<'a>(pub Vec<(Cow<'a, str>, &'a RawValue)>);

/// A name that is copied only where it is written with escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Object<'a> {
    /// Reads an object; what is no JSON, and what is no object, are refused differently.
    pub fn read(text: &'a str) -> Result<Self, ApiError> {
        serde_json::from_str(text).map_err(|error| {
            if error.is_data() {
                ApiError::invalid(vec![FieldError::new("", error.to_string())])
            } else {
                ApiError::new(ProblemCode::MalformedJson, error.to_string())
            }
        })
    }
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor;

        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut members: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::new();
                while let Some((Name(name), value)) = map.next_entry()? {
                    if members.iter().any(|(known, _)| *known == name) {
                        return Err(de::Error::custom(format_args!(
                            "the member {name:.40?} stands there twice"
                        )));
                    }
                    if members.len() == MEMBERS_MAX {
                        return Err(de::Error::custom(format_args!(
                            "there are more than {MEMBERS_MAX} members"
                        )));
                    }
                    members.push((name, value));
                }
                Ok(Object(members))
            }
        }

        deserializer.deserialize_map(ObjectVisitor)
    }
}

/// Reads a body whose members are all known. What is wrong is named by its place.
pub fn read<'t, T: Deserialize<'t>>(text: &'t str) -> Result<T, ApiError> {
    let raw: &RawValue = serde_json::from_str(text)
        .map_err(|error| ApiError::new(ProblemCode::MalformedJson, error.to_string()))?;
    strict::read(raw).map_err(|Wrong { pointer, detail }| {
        ApiError::invalid(vec![FieldError::new(pointer, detail)])
    })
}
