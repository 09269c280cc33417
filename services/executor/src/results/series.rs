//! The series of an attempt that ended well: short ones stand in its outputs, longer ones in a file that is kept.

use std::{collections::BTreeMap, fs::File, io, io::Write, os::fd::OwnedFd};

use nox_contract::RawJson;
use rustix::fs::{AtFlags, Mode, OFlags, openat, unlinkat};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    number::{is_number, json_number, number},
    texts::{Nothing, Texts, at_pointer},
};
use crate::{
    failure::Failure,
    manifest::{Numbers, SeriesRule},
    template::Values,
};

/// The file of those that are too long for the outputs: an object, with an array for each.
pub const FILE: &str = "nox-series.json";

/// Most numbers of a series that stands in the outputs: everybody who asks for the job gets them.
const INLINE_MAX: usize = 1_000;

/// Longest text of all series in the outputs together; they travel in one message with other reports.
const INLINE_BYTES_MAX: usize = 64 * 1024;

/// Most numbers of a series at all.
const NUMBERS_MAX: usize = 1_000_000;

/// A series as the outputs have it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Series {
    Inline(Vec<RawJson>),
    /// So many numbers are in the kept file of this name.
    Kept {
        file: &'static str,
        count: usize,
    },
}

/// Applies the rules; what is too long for the outputs is written to [`FILE`] in the work directory. Blocks.
pub fn read(
    rules: &[SeriesRule],
    values: Values<'_>,
    texts: &mut Texts<'_>,
    work: &OwnedFd,
) -> Result<BTreeMap<String, Series>, Failure> {
    let mut found: BTreeMap<String, Vec<RawJson>> = BTreeMap::new();
    for rule in rules {
        if !rule.when.holds(values) || found.contains_key(&rule.name) {
            continue;
        }
        match texts.get(&rule.source).and_then(|text| find(rule, text)) {
            Ok(numbers) => {
                found.insert(rule.name.clone(), numbers);
            }
            Err(_) if !rule.required => {}
            Err(Nothing::Absent(reason)) => {
                return Err(Failure::output_missing(format!("no `{}`: {reason}", rule.name)));
            }
            Err(Nothing::Wrong(reason)) => {
                return Err(Failure::output_invalid(format!("`{}`: {reason}", rule.name)));
            }
            Err(Nothing::Unstorable) => {
                let reason = format!("`{}`: a number that cannot be stored", rule.name);
                return Err(Failure::output_invalid(reason));
            }
        }
    }
    let mut room = INLINE_BYTES_MAX;
    let mut long = BTreeMap::new();
    let series = found.into_iter().map(|(name, numbers)| {
        let bytes: usize = numbers.iter().map(|number| number.get().len() + 1).sum();
        if numbers.len() <= INLINE_MAX && bytes <= room {
            room -= bytes;
            return (name, Series::Inline(numbers));
        }
        let count = numbers.len();
        long.insert(name.clone(), numbers);
        (name, Series::Kept { file: FILE, count })
    });
    let series = series.collect();
    if !long.is_empty() {
        write(work, &long)
            .map_err(|error| Failure::artifacts(format!("cannot write {FILE}: {error}")))?;
    }
    Ok(series)
}

fn find(rule: &SeriesRule, text: &str) -> Result<Vec<RawJson>, Nothing> {
    let mut numbers = Vec::new();
    let mut add = |json: &str| {
        if numbers.len() == NUMBERS_MAX {
            return Err(Nothing::Wrong(format!("it has more than {NUMBERS_MAX} numbers")));
        }
        numbers.push(number(json, rule.scale)?);
        Ok(())
    };
    match &rule.how {
        Numbers::Pointer(pointer) => {
            let array = at_pointer(text, pointer)?;
            let items: Vec<&RawValue> = serde_json::from_str(array.get())
                .map_err(|_| Nothing::Wrong("it is no array".to_owned()))?;
            for item in items {
                if !is_number(item.get()) {
                    return Err(Nothing::Wrong(format!("`{:.40}` is no number", item.get())));
                }
                add(item.get())?;
            }
        }
        Numbers::Pattern { pattern, split } => {
            let values = pattern.captures_iter(text).filter_map(|groups| groups.name("value"));
            for value in values {
                let words = if *split { value.as_str() } else { value.as_str().trim() };
                let words: Vec<_> =
                    if *split { words.split_whitespace().collect() } else { vec![words] };
                for word in words {
                    let json = json_number(word)
                        .ok_or_else(|| Nothing::Wrong(format!("`{word:.40}` is no number")))?;
                    add(&json)?;
                }
            }
            if numbers.is_empty() {
                return Err(Nothing::Absent(format!("no match of {pattern}")));
            }
        }
    }
    Ok(numbers)
}

/// Nothing of the attempt runs any more, and what it left under this name is not wanted.
fn write(work: &OwnedFd, series: &BTreeMap<String, Vec<RawJson>>) -> io::Result<()> {
    let _ = unlinkat(work, FILE, AtFlags::empty());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(work, FILE, flags, Mode::RUSR | Mode::WUSR)?;
    let mut file = io::BufWriter::new(File::from(file));
    serde_json::to_writer(&mut file, series)?;
    file.flush()
}
