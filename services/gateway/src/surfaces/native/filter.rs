//! The words by which jobs are chosen from a list, the same wherever one is asked for.
//!
//! `key=value` lists those that are so, `key!=value` all others. Words with commas between mean any of them.

use std::{fmt::Display, str::FromStr};

use axum::{extract::Query, http::Uri};
use nox_contract::{ModuleName, Timestamp, WaitingCode, command::PRIORITY_MAX};
use nox_readmodel::query::{Condition, Is};
use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    extract::{self, PAGE, Paging, check_controls},
    problem::{ApiError, FieldError},
    use_cases::list::Wanted,
};

/// Most words of one parameter.
const WORDS_MAX: usize = 20;

/// A misspelt filter would silently show everything, so unknown ones are refused.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// In any spelling that a surface has for it.
    #[serde(alias = "state")]
    status: Option<String>,
    #[serde(rename = "status!", alias = "state!")]
    not_status: Option<String>,
    module: Option<String>,
    #[serde(rename = "module!")]
    not_module: Option<String>,
    user_id: Option<String>,
    #[serde(rename = "user_id!")]
    not_user_id: Option<String>,
    /// `name=value`, or `name` for whatever value.
    label: Option<String>,
    #[serde(rename = "label!")]
    not_label: Option<String>,
    release_id: Option<String>,
    #[serde(rename = "release_id!")]
    not_release_id: Option<String>,
    /// With which a job failed.
    error_code: Option<String>,
    #[serde(rename = "error_code!")]
    not_error_code: Option<String>,
    /// Why it does not run now.
    waiting: Option<String>,
    #[serde(rename = "waiting!")]
    not_waiting: Option<String>,
    priority: Option<String>,
    #[serde(rename = "priority!")]
    not_priority: Option<String>,
    /// The job that it repeats.
    retry_of: Option<String>,
    #[serde(rename = "retry_of!")]
    not_retry_of: Option<String>,
    /// At this instant or later.
    #[schemars(with = "Option<Timestamp>")]
    created_after: Option<String>,
    /// Before this instant.
    #[schemars(with = "Option<Timestamp>")]
    created_before: Option<String>,
    #[schemars(with = "Option<Timestamp>")]
    ended_after: Option<String>,
    #[schemars(with = "Option<Timestamp>")]
    ended_before: Option<String>,
    /// Newest first (`-created_at`, if left out), or oldest first.
    #[schemars(extend("enum" = ["-created_at", "created_at", null]))]
    sort: Option<String>,
    #[schemars(with = "Option<u32>", range(min = 1, max = 200))]
    limit: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
    pub n: Option<u64>,
}

impl Asked {
    /// What to show. All that is wrong with it is named at once.
    pub fn wanted(self) -> Result<Wanted, ApiError> {
        let mut read = Read::default();
        let page = (self.limit.as_deref(), self.cursor.as_deref());
        let Paging { limit, after } = Paging::read(page, PAGE, &mut read.errors);
        let mut wanted = Wanted { limit, before: after, ..Wanted::default() };
        match self.sort.as_deref() {
            None | Some("-created_at") => {}
            Some("created_at") => wanted.oldest_first = true,
            Some(_) => read.wrong("?sort", "must be -created_at or created_at".to_owned()),
        }
        // One word alone has an index of its own.
        wanted.status = read.some("?status", self.status, Is::Status);
        wanted.module = read.some::<ModuleName>("?module", self.module, Is::Module);
        wanted.user = read.some("?user_id", self.user_id, Is::User);
        wanted.release = read.some("?release_id", self.release_id, Is::Release);
        read.all("?status!", self.not_status, Is::Status);
        read.all("?module!", self.not_module, Is::Module);
        read.all("?user_id!", self.not_user_id, Is::User);
        read.all("?release_id!", self.not_release_id, Is::Release);
        read.all("?error_code", self.error_code, Is::ErrorCode);
        read.all("?error_code!", self.not_error_code, Is::ErrorCode);
        let waiting = |codes: Vec<Waiting>| Is::Waiting(codes.into_iter().map(|of| of.0).collect());
        read.all("?waiting", self.waiting, waiting);
        read.all("?waiting!", self.not_waiting, waiting);
        let priority = |of: Vec<Priority>| Is::Priority(of.into_iter().map(|of| of.0).collect());
        read.all("?priority", self.priority, priority);
        read.all("?priority!", self.not_priority, priority);
        read.all("?retry_of", self.retry_of, Is::RetryOf);
        read.all("?retry_of!", self.not_retry_of, Is::RetryOf);
        read.label("?label", self.label);
        read.label("?label!", self.not_label);
        read.instant("?created_before", self.created_before, Is::CreatedBefore, false);
        read.instant("?created_after", self.created_after, Is::CreatedBefore, true);
        read.instant("?ended_before", self.ended_before, Is::EndedBefore, false);
        read.instant("?ended_after", self.ended_after, Is::EndedBefore, true);
        wanted.conditions = read.end()?;
        Ok(wanted)
    }
}

impl Asked {
    /// What to count: all of it, in no order.
    pub fn unpaged(self) -> Result<Wanted, ApiError> {
        let paging = [("?sort", &self.sort), ("?limit", &self.limit), ("?cursor", &self.cursor)];
        let asked = paging.into_iter().filter(|(_, value)| value.is_some());
        let errors: Vec<_> =
            asked.map(|(name, _)| FieldError::new(name, "is not known here".to_owned())).collect();
        if errors.is_empty() { self.wanted() } else { Err(ApiError::invalid(errors)) }
    }
}

/// Leaves those parameters out of what is described that choose pages.
pub(super) fn without_paging(schema: &mut Schema) {
    if let Some(known) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        known.retain(|name, _| !["sort", "limit", "cursor"].contains(&name.as_str()));
    }
}

/// The words of a query that choose jobs, and beside them its parameters of these names, each of which stands there
/// once at most.
pub(super) fn apart<const N: usize>(
    uri: &Uri,
    names: [&str; N],
) -> Result<(Asked, [Option<String>; N]), ApiError> {
    let mut own = [const { None }; N];
    let mut others = Vec::new();
    for pair in uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let alone = format!("/?{pair}").parse().map_err(ApiError::internal)?;
        // Any query is pairs of texts.
        let Query(read) =
            Query::<Vec<(String, String)>>::try_from_uri(&alone).map_err(ApiError::internal)?;
        let known = read.into_iter().next().and_then(|(name, value)| {
            Some((names.iter().position(|known| *known == name)?, value))
        });
        let Some((place, value)) = known else {
            others.push(pair);
            continue;
        };
        if own[place].replace(value).is_some() {
            let error = FieldError::new(format!("?{}", names[place]), "stands there twice");
            return Err(ApiError::invalid(vec![error]));
        }
    }
    let others = format!("/?{}", others.join("&")).parse().map_err(ApiError::internal)?;
    Ok((extract::query(&others)?, own))
}

const EMPTY: &str = "is empty: leave it out, or name what is meant";

/// A reason for waiting, by its word.
struct Waiting(WaitingCode);

impl FromStr for Waiting {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let code = serde_json::from_value(text.into());
        code.map(Self).map_err(|_| "must be a reason for waiting, as `waiting.code` has it")
    }
}

/// A priority that a job may have.
struct Priority(u8);

impl FromStr for Priority {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let priority = text.parse().ok().filter(|priority| *priority <= PRIORITY_MAX);
        priority.map(Self).ok_or("must be a whole number from 0 to 9")
    }
}

/// The words between commas, without the blanks around them. Behind a backslash, a comma, a blank and a backslash
/// are part of the word.
fn words_of(text: &str) -> Result<Vec<String>, &'static str> {
    let (mut words, mut word, mut blanks) = (Vec::new(), String::new(), String::new());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            ',' => {
                words.push(std::mem::take(&mut word));
                blanks.clear();
            }
            ' ' if word.is_empty() => {}
            // They belong to it if it goes on.
            ' ' => blanks.push(' '),
            '\\' => match characters.next() {
                Some(escaped @ (',' | '\\' | ' ')) => {
                    word.push_str(&std::mem::take(&mut blanks));
                    word.push(escaped);
                }
                _ => {
                    return Err(
                        "has a backslash before something else than a comma, a blank or a backslash",
                    );
                }
            },
            character => {
                word.push_str(&std::mem::take(&mut blanks));
                word.push(character);
            }
        }
    }
    words.push(word);
    Ok(words)
}

/// What was read, and what is wrong. A parameter without a word is wrong: left out, it would choose more than
/// whoever wrote it meant.
#[derive(Default)]
pub(super) struct Read {
    conditions: Vec<Condition>,
    errors: Vec<FieldError>,
}

impl Read {
    /// What was read, if nothing is wrong with it.
    pub(super) fn end(self) -> Result<Vec<Condition>, ApiError> {
        if self.errors.is_empty() {
            Ok(self.conditions)
        } else {
            Err(ApiError::invalid(self.errors))
        }
    }

    pub(super) fn wrong(&mut self, name: &str, detail: impl Display) {
        self.errors.push(FieldError::new(name, detail.to_string()));
    }

    pub(super) fn one<T: FromStr<Err: Display>>(
        &mut self,
        name: &str,
        text: Option<String>,
    ) -> Option<T> {
        let text = text?;
        if text.is_empty() {
            self.wrong(name, EMPTY);
            return None;
        }
        if let Err(rule) = check_controls(&text) {
            self.wrong(name, rule);
            return None;
        }
        text.parse().map_err(|error: T::Err| self.wrong(name, error)).ok()
    }

    pub(super) fn words<T: FromStr<Err: Display>>(
        &mut self,
        name: &str,
        text: Option<String>,
    ) -> Vec<T> {
        let Some(text) = text else { return Vec::new() };
        if text.is_empty() {
            self.wrong(name, EMPTY);
            return Vec::new();
        }
        let words = match words_of(&text) {
            Ok(words) if words.iter().any(String::is_empty) => {
                self.wrong(name, "has a comma with no word beside it, or no word at all");
                return Vec::new();
            }
            Ok(words) if words.len() <= WORDS_MAX => words,
            Ok(_) => {
                self.wrong(name, format!("has at most {WORDS_MAX} words"));
                return Vec::new();
            }
            Err(rule) => {
                self.wrong(name, rule);
                return Vec::new();
            }
        };
        words.into_iter().filter_map(|word| self.one(name, Some(word))).collect()
    }

    /// The one word that is there; several become a condition.
    fn some<T: FromStr<Err: Display>>(
        &mut self,
        name: &str,
        text: Option<String>,
        is: fn(Vec<T>) -> Is,
    ) -> Option<T> {
        let mut words = self.words(name, text);
        if words.len() < 2 {
            return words.pop();
        }
        self.conditions.push(Condition { is: is(words), negated: false });
        None
    }

    pub(super) fn all<T: FromStr<Err: Display>>(
        &mut self,
        name: &str,
        text: Option<String>,
        is: impl Fn(Vec<T>) -> Is,
    ) {
        let words = self.words(name, text);
        if !words.is_empty() {
            self.conditions.push(Condition { is: is(words), negated: name.ends_with('!') });
        }
    }

    pub(super) fn label(&mut self, name: &str, text: Option<String>) {
        let Some(text) = text else { return };
        if text.is_empty() || text.starts_with('=') {
            return self.wrong(name, EMPTY);
        }
        if let Err(rule) = check_controls(&text) {
            return self.wrong(name, rule);
        }
        let is = match text.split_once('=') {
            Some((label, value)) => Is::Label(label.to_owned(), value.to_owned()),
            None => Is::Labeled(text),
        };
        self.conditions.push(Condition { is, negated: name.ends_with('!') });
    }

    fn instant(
        &mut self,
        name: &str,
        text: Option<String>,
        is: fn(Timestamp) -> Is,
        negated: bool,
    ) {
        if let Some(at) = self.one(name, text) {
            self.conditions.push(Condition { is: is(at), negated });
        }
    }
}

#[cfg(test)]
mod tests {
    use nox_contract::JobState;

    use super::*;

    fn asked(query: &str) -> Result<Wanted, ApiError> {
        extract::query::<Asked>(&format!("/jobs?{query}").parse().unwrap())?.wanted()
    }

    #[test]
    fn a_status_is_understood_in_every_spelling() {
        for (word, state) in [
            ("cancelled", JobState::Canceled),
            ("completed", JobState::Succeeded),
            ("pending", JobState::Queued),
        ] {
            assert_eq!(asked(&format!("status={word}")).unwrap().status, Some(state));
            assert_eq!(asked(&format!("state={word}")).unwrap().status, Some(state));
        }
    }

    #[test]
    fn what_is_not_so_and_any_of_several_words_become_conditions() {
        let condition = |is, negated| vec![Condition { is, negated }];
        let failed = || Is::Status(vec![JobState::Failed]);
        assert_eq!(asked("status!=failed").unwrap().conditions, condition(failed(), true));
        let both = Is::Status(vec![JobState::Failed, JobState::Canceled]);
        assert_eq!(asked("status=failed,cancelled").unwrap().conditions, condition(both, false));
        let team = || Is::Label("team".to_owned(), "a=b".to_owned());
        assert_eq!(asked("label=team=a%3Db").unwrap().conditions, condition(team(), false));
        let any = Is::Labeled("team".to_owned());
        assert_eq!(asked("label!=team").unwrap().conditions, condition(any, true));
        let at: Timestamp = "2026-11-27T00:00:00Z".parse().unwrap();
        let after = asked("created_after=2026-11-27T00:00:00Z").unwrap().conditions;
        assert_eq!(after, condition(Is::CreatedBefore(at), true));
        assert!(asked("sort=created_at").unwrap().oldest_first);
    }

    #[test]
    fn a_comma_that_belongs_to_a_word_stands_behind_a_backslash() {
        let words = |text: &str| words_of(text).unwrap();
        assert_eq!(words(r"a,b\,c, d e ,"), ["a", "b,c", "d e", ""]);
        assert_eq!(words(r"\ a\ ,\\,b"), [" a ", r"\", "b"]);
        assert!(words_of(r"a\").is_err() && words_of(r"\a").is_err());
        let wanted = asked(r"user_id=Lovelace%5C,+Ada").unwrap();
        assert_eq!(wanted.user, Some("Lovelace, Ada".parse().unwrap()));
        assert_eq!(wanted.conditions, []);
        let wanted = asked(r"release_id=1%5C,5,2").unwrap();
        let either = Is::Release(vec!["1,5".to_owned(), "2".to_owned()]);
        assert_eq!(wanted.conditions, vec![Condition { is: either, negated: false }]);
        // A label is one, whatever stands in it.
        let team = Is::Label("team".to_owned(), r"a,b\,c".to_owned());
        let wanted = asked(r"label=team=a,b%5C,c").unwrap();
        assert_eq!(wanted.conditions, vec![Condition { is: team, negated: false }]);
        assert!(asked(r"user_id=a%5Cb").is_err());
    }

    #[test]
    fn filters_that_mean_nothing_are_refused() {
        for query in [
            "status=done",
            // As a script has it whose variable is empty: passed over, it would choose all.
            "status=",
            "module=",
            "user_id!=",
            "label=",
            "label==x",
            "created_before=",
            "sort=",
            "stauts=failed",
            "module=A",
            "limit=0",
            "limit=201",
            "limit=x",
            "n=-1",
            "sort=size",
            "waiting=long",
            "priority=10",
            "priority=high",
            "retry_of=1",
            "created_after=yesterday",
            "status=a,b",
            "label=%00",
            "label=a%3D%00",
            "error_code=%00",
            "release_id!=%00",
        ] {
            assert!(asked(query).is_err(), "{query}");
        }
        assert!(asked(&format!("error_code={}", ["x"; 21].join(","))).is_err());
        // What is wrong is not sent back, however long it is.
        let document = asked(&format!("status={}", "x".repeat(9_000))).unwrap_err().shown();
        assert!(document["detail"].as_str().unwrap().contains("queued"), "{document}");
        assert!(document.to_string().len() < 1_000, "{document}");
    }
}
