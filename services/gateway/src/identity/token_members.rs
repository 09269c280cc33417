//! The members of a token's header or claims, each read as the type that it ought to have.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, value::RawValue};

use crate::{identity::token_rule::Rule, object::Object};

/// The members of a JSON object, none of them twice: two readers of one token must not see two
/// different tokens.
pub struct Members {
    members: Vec<(String, Value)>,
    /// A test takes this rule away, to see what it stops.
    #[cfg(test)]
    any_type: bool,
}

impl Members {
    /// Reads a part of a token.
    pub fn decode(part: &str) -> Result<Self, Rule> {
        let bytes = bytes_of(part)?;
        let Object(members) = serde_json::from_slice(&bytes).map_err(|error| {
            // What is JSON, and an object, has too many members or one of them twice.
            let is_object = serde_json::from_slice::<serde_json::Map<_, _>>(&bytes).is_ok();
            if error.is_data() && is_object { Rule::Doubled } else { Rule::Json }
        })?;
        let parsed = |(name, value): (Cow<'_, str>, &RawValue)| {
            Ok((name.into_owned(), serde_json::from_str(value.get()).map_err(|_| Rule::Json)?))
        };
        let members = members.into_iter().map(parsed).collect::<Result<_, _>>()?;
        Ok(Self {
            members,
            #[cfg(test)]
            any_type: false,
        })
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|(name, _)| name.as_str())
    }

    pub fn text(&self, name: &str) -> Result<Option<&str>, Rule> {
        match self.member(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => self.of_another_type(),
        }
    }

    /// A text, or an array of texts, as RFC 7519 allows for `aud`; issuers write roles in both ways.
    pub fn texts(&self, name: &str) -> Result<Vec<&str>, Rule> {
        let texts = match self.member(name) {
            None => Some(Vec::new()),
            Some(Value::String(text)) => Some(vec![text.as_str()]),
            Some(Value::Array(items)) => items.iter().map(Value::as_str).collect(),
            Some(_) => None,
        };
        texts.map_or_else(|| self.of_another_type(), Ok)
    }

    pub fn flag(&self, name: &str) -> Result<bool, Rule> {
        match self.member(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => self.of_another_type(),
        }
    }

    /// A NumericDate: seconds since 1970, of which RFC 7519 allows fractions. They are cut off; what is
    /// beyond all whole numbers is the largest one.
    pub fn seconds(&self, name: &str) -> Result<Option<u64>, Rule> {
        let Some(value) = self.member(name) else { return Ok(None) };
        let fraction =
            || value.as_f64().filter(|at| at.is_finite() && *at >= 0.0).map(|at| at as u64);
        value.as_u64().or_else(fraction).map_or_else(|| self.of_another_type(), |at| Ok(Some(at)))
    }

    /// A member; `null` is how some issuers write one that is not there.
    fn member(&self, name: &str) -> Option<&Value> {
        let member = self.members.iter().find(|(known, _)| known == name);
        member.map(|(_, value)| value).filter(|value| !value.is_null())
    }

    /// What a member is that has another type than it ought to.
    fn of_another_type<T: Default>(&self) -> Result<T, Rule> {
        #[cfg(test)]
        if self.any_type {
            return Ok(T::default());
        }
        Err(Rule::Type)
    }
}

fn bytes_of(part: &str) -> Result<Vec<u8>, Rule> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Rule::Encoding)
}

#[cfg(test)]
impl Members {
    /// The same as a reader would have it that takes members of any type for absent ones.
    pub fn with_any_type(self) -> Self {
        Self { any_type: true, ..self }
    }

    /// The same as a reader would have it that takes the last of several members of one name.
    pub fn decode_last(part: &str) -> Result<Self, Rule> {
        let members: serde_json::Map<String, Value> =
            serde_json::from_slice(&bytes_of(part)?).map_err(|_| Rule::Json)?;
        Ok(Self { members: members.into_iter().collect(), any_type: false })
    }
}
