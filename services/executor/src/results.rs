//! What is found in what a program that ended well wrote: the manifest's rules for scalars.

mod number;
pub mod series;
mod texts;

use std::collections::{BTreeMap, BTreeSet};

use nox_contract::RawJson;
use serde_json::Value;

use crate::{
    failure::Failure,
    manifest::{GROUP, How, Kind, ResultRule, Take},
    template::Values,
};

use number::{computed, is_number, is_whole, json_number, number};
use texts::{Nothing, at_pointer};
pub use texts::{Texts, Written};

/// Largest text of all scalars together; they travel in one message with other reports.
const SCALARS_BYTES_MAX: usize = 128 * 1024;

/// The values, and what is wrong with them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scalars {
    pub values: BTreeMap<String, RawJson>,
    pub flags: BTreeSet<&'static str>,
}

/// A value was found that Postgres cannot store; `null` stands for it.
pub const UNSTORABLE: &str = "unstorable_scalars";
/// The values were larger than a message can be; they were left out.
pub const TOO_LARGE: &str = "scalars_too_large";

/// Applies the rules. Blocks.
pub fn read(
    rules: &[ResultRule],
    values: Values<'_>,
    texts: &mut Texts<'_>,
) -> Result<Scalars, Failure> {
    let mut scalars = Scalars::default();
    for rule in rules {
        if !rule.when.holds(values) || scalars.values.contains_key(&rule.name) {
            continue;
        }
        let value = match find(rule, values, texts) {
            Ok(value) => value,
            Err(Nothing::Unstorable) => {
                scalars.flags.insert(UNSTORABLE);
                RawJson::default()
            }
            Err(Nothing::Absent(_) | Nothing::Wrong(_)) if !rule.required => continue,
            Err(Nothing::Absent(reason)) => {
                return Err(Failure::output_missing(format!("no `{}`: {reason}", rule.name)));
            }
            Err(Nothing::Wrong(reason)) => {
                return Err(Failure::output_invalid(format!("`{}`: {reason}", rule.name)));
            }
        };
        scalars.values.insert(rule.name.clone(), value);
    }
    let bytes: usize = scalars.values.values().map(|value| value.get().len()).sum();
    if bytes > SCALARS_BYTES_MAX {
        scalars.values.clear();
        scalars.flags.insert(TOO_LARGE);
    }
    Ok(scalars)
}

fn find(rule: &ResultRule, values: Values<'_>, texts: &mut Texts<'_>) -> Result<RawJson, Nothing> {
    match &rule.how {
        How::Value(template) => {
            let text = template.text(values);
            of_text(rule, &text.map_err(|error| Nothing::Absent(error.to_string()))?)
        }
        How::Pointer { source, pointer, norm } => {
            let value = at_pointer(texts.get(source)?, pointer)?;
            if *norm { length(rule, value.get()) } else { of_json(rule, value.get()) }
        }
        How::Pattern { source, pattern, take } => {
            let text = texts.get(source)?;
            let mut found = pattern.captures_iter(text).filter_map(|groups| groups.name(GROUP));
            let found = match take {
                Take::First => found.next(),
                Take::Last => found.last(),
                Take::Count => return storable(found.count().to_string()),
            };
            let found = found.ok_or_else(|| Nothing::Absent(format!("no match of {pattern}")))?;
            of_text(rule, found.as_str())
        }
    }
}

fn of_json(rule: &ResultRule, text: &str) -> Result<RawJson, Nothing> {
    let fits = match rule.kind {
        Kind::Number => is_number(text),
        Kind::Integer => is_whole(text),
        Kind::String => text.starts_with('"'),
        Kind::Boolean => matches!(text, "true" | "false"),
        Kind::Json => true,
    };
    if !fits {
        return Err(Nothing::Wrong(format!("it is no {}", name(rule.kind))));
    }
    if rule.kind == Kind::Number {
        return number(text, rule.scale);
    }
    storable(text.to_owned())
}

fn of_text(rule: &ResultRule, text: &str) -> Result<RawJson, Nothing> {
    let wrong = || Nothing::Wrong(format!("`{text:.40}` is no {}", name(rule.kind)));
    match rule.kind {
        Kind::Number => {
            let text = text.trim();
            number(&json_number(text).ok_or_else(wrong)?, rule.scale)
        }
        Kind::Integer => match json_number(text.trim()).filter(|text| is_whole(text)) {
            Some(text) => storable(text),
            None => Err(wrong()),
        },
        Kind::Boolean => match text.trim() {
            text @ ("true" | "false") => storable(text.to_owned()),
            _ => Err(wrong()),
        },
        Kind::String | Kind::Json => storable(Value::from(text).to_string()),
    }
}

/// The Euclidean length of a vector.
fn length(rule: &ResultRule, text: &str) -> Result<RawJson, Nothing> {
    let vector: Vec<f64> = serde_json::from_str(text)
        .map_err(|_| Nothing::Wrong("it is no vector of numbers".to_owned()))?;
    computed(vector.iter().map(|x| x * x).sum::<f64>().sqrt(), rule.scale)
}

fn storable(text: String) -> Result<RawJson, Nothing> {
    let json = RawJson::parse(text).map_err(|error| Nothing::Wrong(error.to_string()))?;
    json.check_storable().map_err(|_| Nothing::Unstorable)?;
    Ok(json)
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Number => "number",
        Kind::Integer => "whole number",
        Kind::String => "text",
        Kind::Boolean => "truth value",
        Kind::Json => "JSON",
    }
}

#[cfg(test)]
mod tests;
