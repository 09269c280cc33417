//! How messages of a newer version are read: what this one cannot read costs one part of a message,
//! never its neighbours.
//!
//! Facts keep their bytes ([`crate::FactOrUnknown`]), for the log is for ever. All else is said once,
//! and whoever cannot read a part of it does without.

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::{Map, Value, value::RawValue};

use crate::{ProblemCode, Refusal};

/// A part whose place in its message counts, so that something has to stand there.
pub(crate) trait Part: DeserializeOwned {
    const UNREADABLE: Self;
}

/// Reads the parts of a message one by one, each in its place. The message has to be in memory: its parts
/// are borrowed, for thousands of them are read a second.
pub(crate) fn parts<'de, D: Deserializer<'de>, T: Part>(d: D) -> Result<Vec<T>, D::Error> {
    let parts = Vec::<&RawValue>::deserialize(d)?.into_iter();
    Ok(parts.map(|part| serde_json::from_str(part.get()).unwrap_or(T::UNREADABLE)).collect())
}

/// Reads those of a list that can be read; the others are as if they were not there.
pub(crate) fn readable<'de, D, T>(d: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let items = Vec::<Box<RawValue>>::deserialize(d)?.into_iter();
    Ok(items.filter_map(|item| serde_json::from_str(item.get()).ok()).collect())
}

/// Reads a word that one can do without.
pub(crate) fn known<'de, D, T>(d: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let word = Option::<Box<RawValue>>::deserialize(d)?;
    Ok(word.and_then(|word| serde_json::from_str(word.get()).ok()))
}

/// Reads a refusal. One with a code of a newer version is a refusal all the same: it keeps its text,
/// and what its numbers say.
pub(crate) fn refusal<'de, D: Deserializer<'de>>(d: D) -> Result<Refusal, D::Error> {
    let text = Box::<RawValue>::deserialize(d)?;
    serde_json::from_str(text.get())
        .or_else(|_| foreign(text.get()))
        .map_err(serde::de::Error::custom)
}

fn foreign(text: &str) -> serde_json::Result<Refusal> {
    let mut members: Map<String, Value> = serde_json::from_str(text)?;
    let word = members.insert("code".to_owned(), ProblemCode::Refused.as_str().into());
    let mut refusal: Refusal = serde_json::from_value(Value::Object(members))?;
    if let Some(Value::String(word)) = word {
        refusal.detail = format!("{word}: {}", refusal.detail);
    }
    Ok(refusal)
}
