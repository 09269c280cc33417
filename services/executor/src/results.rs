//! The scalars of an attempt that ended well: what the manifest's rules find in what it wrote.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::Read,
    os::fd::OwnedFd,
};

use nox_contract::RawJson;
use rustix::fs::OFlags;
use serde_json::{Value, value::RawValue};

use crate::{
    failure::Failure,
    manifest::{GROUP, How, Kind, Require, ResultRule, Source, Stream, Take},
    relative::open_beneath,
};

/// Largest file that rules look into: 64 MiB.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Largest text of all scalars together; they travel in one message with other reports.
const SCALARS_BYTES_MAX: usize = 128 * 1024;

/// What a program left for the rules.
pub struct Written<'w> {
    pub work: &'w OwnedFd,
    pub stdout: &'w [u8],
    pub stderr: &'w [u8],
}

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

/// Why a rule gives no value.
enum Nothing {
    /// There is nothing that it could be.
    Absent(String),
    /// What is there is not what it should be.
    Wrong(String),
    /// It is what it should be, but cannot be stored.
    Unstorable,
}

/// Applies the rules, and checks what the values are required to be. Blocks.
pub fn read(
    rules: &[ResultRule],
    required: &[Require],
    inputs: &Value,
    written: &Written<'_>,
) -> Result<Scalars, Failure> {
    let mut texts = Texts { written, files: BTreeMap::new() };
    let mut scalars = Scalars::default();
    for rule in rules {
        let applies = rule.when.as_ref().is_none_or(|when| when.holds(inputs));
        if !applies || scalars.values.contains_key(&rule.name) {
            continue;
        }
        let value = match texts.of(&rule.source).and_then(|text| find(rule, text)) {
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
    check(required, &scalars)?;
    let bytes: usize = scalars.values.values().map(|value| value.get().len()).sum();
    if bytes > SCALARS_BYTES_MAX {
        scalars.values.clear();
        scalars.flags.insert(TOO_LARGE);
    }
    Ok(scalars)
}

fn check(required: &[Require], scalars: &Scalars) -> Result<(), Failure> {
    for Require { relation, of: [a, b], message } in required {
        let value = |name| scalars.values.get(name)?.get().parse::<i64>().ok();
        if let (Some(x), Some(y)) = (value(a), value(b))
            && !relation.holds(x, y)
        {
            return Err(Failure::input_invalid(format!("{message} ({a}: {x}, {b}: {y})")));
        }
    }
    Ok(())
}

/// What rules look into, each read once.
struct Texts<'t> {
    written: &'t Written<'t>,
    files: BTreeMap<String, String>,
}

impl Texts<'_> {
    fn of(&mut self, source: &Source) -> Result<&str, Nothing> {
        let name = match source {
            Source::File(path) => path.as_str(),
            Source::Stream(stream) => stream.as_str(),
        };
        if !self.files.contains_key(name) {
            let text = match source {
                Source::File(path) => self.read_file(path.as_str())?,
                Source::Stream(Stream::Stdout) => lossy(self.written.stdout.to_vec()),
                Source::Stream(Stream::Stderr) => lossy(self.written.stderr.to_vec()),
            };
            self.files.insert(name.to_owned(), text);
        }
        Ok(&self.files[name])
    }

    fn read_file(&self, path: &str) -> Result<String, Nothing> {
        let absent = |error: std::io::Error| Nothing::Absent(format!("{path}: {error}"));
        let file = open_beneath(self.written.work, path, OFlags::RDONLY).map_err(absent)?;
        let file = File::from(file);
        if !file.metadata().map_err(absent)?.is_file() {
            return Err(Nothing::Wrong(format!("{path} is no file")));
        }
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(absent)?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(Nothing::Wrong(format!("{path} is larger than {FILE_BYTES_MAX} bytes")));
        }
        Ok(lossy(bytes))
    }
}

fn lossy(bytes: Vec<u8>) -> String {
    match String::from_utf8_lossy(&bytes) {
        Cow::Owned(text) => text,
        Cow::Borrowed(_) => String::from_utf8(bytes).unwrap_or_default(),
    }
}

fn find(rule: &ResultRule, text: &str) -> Result<RawJson, Nothing> {
    match &rule.how {
        How::Pointer { pointer, norm } => {
            let value = at_pointer(text, pointer)
                .map_err(|error| Nothing::Wrong(format!("the file is no JSON: {error}")))?
                .filter(|value| value.get() != "null")
                .ok_or_else(|| Nothing::Absent(format!("nothing at {pointer}")))?;
            if *norm { length(rule, value.get()) } else { of_json(rule, value.get()) }
        }
        How::Pattern { pattern, take } => {
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

/// The value at an RFC 6901 pointer, unparsed: what stands beside it, and numbers that no type
/// holds, do not matter.
fn at_pointer<'t>(text: &'t str, pointer: &str) -> Result<Option<&'t RawValue>, serde_json::Error> {
    let mut value: &RawValue = serde_json::from_str(text)?;
    for token in pointer.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        let next = if value.get().starts_with('{') {
            serde_json::from_str::<BTreeMap<String, &RawValue>>(value.get())?.remove(&token)
        } else if value.get().starts_with('[') {
            let items: Vec<&RawValue> = serde_json::from_str(value.get())?;
            token.parse::<usize>().ok().and_then(|index| items.get(index).copied())
        } else {
            None
        };
        match next {
            Some(next) => value = next,
            None => return Ok(None),
        }
    }
    Ok(Some(value))
}

fn of_json(rule: &ResultRule, text: &str) -> Result<RawJson, Nothing> {
    let first = text.as_bytes().first().copied().unwrap_or_default();
    let is_number = first == b'-' || first.is_ascii_digit();
    let fits = match rule.kind {
        Kind::Number => is_number,
        Kind::Integer => is_number && text.parse::<i64>().is_ok(),
        Kind::String => first == b'"',
        Kind::Boolean => matches!(text, "true" | "false"),
        Kind::Json => true,
    };
    if !fits {
        return Err(Nothing::Wrong(format!("it is no {}", name(rule.kind))));
    }
    if rule.kind == Kind::Number {
        return number(text.parse().unwrap_or(f64::INFINITY), rule, text);
    }
    storable(text.to_owned())
}

fn of_text(rule: &ResultRule, text: &str) -> Result<RawJson, Nothing> {
    let wrong = || Nothing::Wrong(format!("`{text:.40}` is no {}", name(rule.kind)));
    match rule.kind {
        Kind::Number => {
            // Fortran writes 1.0D-05.
            let text = text.trim().trim_start_matches('+').replace(['D', 'd'], "e");
            number(text.parse().map_err(|_| wrong())?, rule, "")
        }
        Kind::Integer => {
            let number: i64 = text.trim().trim_start_matches('+').parse().map_err(|_| wrong())?;
            storable(number.to_string())
        }
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
    number(vector.iter().map(|x| x * x).sum::<f64>().sqrt(), rule, "")
}

/// A number keeps its `text` unless it is scaled.
fn number(value: f64, rule: &ResultRule, text: &str) -> Result<RawJson, Nothing> {
    let value = value * rule.scale.unwrap_or(1.0);
    // JSON has neither infinity nor not-a-number.
    if !value.is_finite() {
        return Err(Nothing::Unstorable);
    }
    if rule.scale.is_none() && !text.is_empty() {
        return storable(text.to_owned());
    }
    storable(Value::from(value).to_string())
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
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(serde::Deserialize)]
    struct Rules {
        result: Vec<ResultRule>,
        #[serde(default)]
        require: Vec<Require>,
    }

    fn rules(toml: &str) -> Rules {
        toml::from_str::<Rules>(toml).unwrap()
    }

    fn read_from(rules: &Rules, file: &str, stdout: &str) -> Result<Scalars, Failure> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("out.json"), file).unwrap();
        let work = File::open(folder.path()).unwrap().into();
        let written = Written { work: &work, stdout: stdout.as_bytes(), stderr: b"" };
        read(&rules.result, &rules.require, &json!({"opt": true, "hess": false}), &written)
    }

    fn value(toml: &str, file: &str, stdout: &str) -> Result<String, String> {
        let rules = rules(&format!("[[result]]\nname = 'x'\n{toml}"));
        let scalars = read_from(&rules, file, stdout).map_err(|failure| failure.error.code)?;
        let flags: String = scalars.flags.iter().copied().collect();
        let value = scalars.values.get("x").map_or("-", RawJson::get);
        Ok(format!("{value}{flags}"))
    }

    #[test]
    fn pointers_find_values_of_their_type() {
        let file = r#"{"a b": {"c/d": [1, -2.50, "x"]}, "zero": 0.0, "n": null, "v": [3, 4]}"#;
        for (rule, expected) in [
            ("pointer = '/a b/c~1d/1'\ntype = 'number'", Ok("-2.50")),
            ("pointer = '/a b/c~1d/0'\ntype = 'integer'", Ok("1")),
            ("pointer = '/a b/c~1d/1'\ntype = 'integer'", Err("output_invalid")),
            ("pointer = '/a b/c~1d/2'\ntype = 'string'", Ok("\"x\"")),
            ("pointer = '/a b/c~1d/9'\ntype = 'string'", Err("output_missing")),
            ("pointer = '/zero'\ntype = 'number'", Ok("0.0")),
            ("pointer = '/n'\ntype = 'number'", Err("output_missing")),
            ("pointer = '/n'\ntype = 'number'\nrequired = false", Ok("-")),
            ("pointer = '/v'\ntype = 'number'\nnorm = true\nscale = 2.0", Ok("10.0")),
            ("pointer = '/v'\ntype = 'json'", Ok("[3, 4]")),
            ("pointer = '/zero'\ntype = 'string'", Err("output_invalid")),
        ] {
            let found = value(&format!("file = 'out.json'\n{rule}"), file, "");
            assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned), "{rule}");
        }
        let absent = value("file = 'none'\npointer = ''\ntype = 'json'", "", "");
        assert_eq!(absent, Err("output_missing".to_owned()));
        let broken = value("file = 'out.json'\npointer = ''\ntype = 'json'", "{", "");
        assert_eq!(broken, Err("output_invalid".to_owned()));
    }

    #[test]
    fn patterns_find_the_last_match_unless_the_first_is_asked_for() {
        let stdout = "energy  1.5D+01\nenergy -2.0\nsteps 7\n";
        for (rule, expected) in [
            ("pattern = 'energy +(?<value>\\S+)'\ntype = 'number'", Ok("-2.0")),
            ("pattern = 'energy +(?<value>\\S+)'\ntype = 'number'\ntake = 'first'", Ok("15.0")),
            ("pattern = 'steps (?<value>\\d+)'\ntype = 'integer'", Ok("7")),
            ("pattern = '(?<value>s\\w+)'\ntype = 'string'", Ok("\"steps\"")),
            ("pattern = '(?<value>s\\w+)'\ntype = 'number'", Err("output_invalid")),
            ("pattern = 'none(?<value>)'\ntype = 'number'", Err("output_missing")),
            ("pattern = '(?<value>energy)'\ntype = 'integer'\ntake = 'count'", Ok("2")),
            ("pattern = 'none(?<value>)'\ntype = 'integer'\ntake = 'count'", Ok("0")),
        ] {
            let found = value(&format!("stream = 'stdout'\n{rule}"), "", stdout);
            assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned), "{rule}");
        }
    }

    #[test]
    fn results_that_contradict_each_other_mean_that_the_inputs_did() {
        let two = |relation: &str| {
            let rule = |name| {
                format!(
                    "[[result]]\nname = '{name}'\ntype = 'integer'\nstream = 'stdout'\n\
                     pattern = '{name}=(?<value>\\S+)'\n"
                )
            };
            let require =
                format!("[[require]]\nrelation = '{relation}'\nof = ['a', 'b']\nmessage = 'no'");
            rules(&format!("{}{}{require}", rule("a"), rule("b")))
        };
        for (relation, stdout, fits) in [
            ("equal", "a=3 b=3", true),
            ("equal", "a=3 b=2", false),
            ("same_parity", "a=8 b=0", true),
            ("same_parity", "a=-7 b=1", true),
            ("same_parity", "a=8 b=1", false),
        ] {
            let read = read_from(&two(relation), "", stdout);
            let code =
                read.map_err(|failure| failure.error.code).map(|scalars| scalars.values.len());
            let expected = if fits { Ok(2) } else { Err("input_invalid".to_owned()) };
            assert_eq!(code, expected, "{relation} {stdout}");
        }
        let failure = read_from(&two("equal"), "", "a=3 b=2").unwrap_err();
        assert_eq!(failure.error.message, "no (a: 3, b: 2)");
    }

    #[test]
    fn what_cannot_be_stored_is_replaced_and_flagged() {
        let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
        for (kind, text) in [
            ("string", r#""a\u0000b""#),
            ("string", r#""\ud800""#),
            ("number", "1e99999"),
            ("number", "1e400"),
            ("json", r#"{"\u0000": 1}"#),
            ("json", &deep),
        ] {
            let rule = format!("file = 'out.json'\npointer = '/x'\ntype = '{kind}'");
            let found = value(&rule, &format!("{{\"x\": {text}, \"y\": \"\\ud800\"}}"), "");
            assert_eq!(found, Ok(format!("null{UNSTORABLE}")), "{text:.20}");
        }
        let rule = "stream = 'stdout'\npattern = '(?s)(?<value>.+)'\ntype = 'string'";
        assert_eq!(value(rule, "", "a\0"), Ok(format!("null{UNSTORABLE}")));
        let rule = "file = 'out.json'\npointer = ''\ntype = 'string'";
        let large = format!("\"{}\"", "x".repeat(SCALARS_BYTES_MAX));
        assert_eq!(value(rule, &large, ""), Ok(format!("-{TOO_LARGE}")));
    }

    #[test]
    fn the_first_rule_that_applies_gives_the_value() {
        let rules = rules(
            "[[result]]\nname = 'x'\ntype = 'number'\nfile = 'out.json'\npointer = '/a'\nwhen = 'hess'\n\
             [[result]]\nname = 'x'\ntype = 'number'\nfile = 'out.json'\npointer = '/b'\nwhen = 'opt'\n\
             [[result]]\nname = 'x'\ntype = 'number'\nfile = 'out.json'\npointer = '/c'\n",
        );
        let scalars = read_from(&rules, r#"{"a": 1, "b": 2, "c": 3}"#, "").unwrap();
        assert_eq!(scalars.values["x"].get(), "2");
    }
}
