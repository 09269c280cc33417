//! The words by which events are chosen: those of the list of jobs, and the types of events.

use axum::http::HeaderMap;
use nox_contract::{EventFilter, FactPlace, LabelWord, ModuleName, TypeWord};
use nox_readmodel::query::{Condition, Is};
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::filter::Read;
use crate::problem::{ApiError, FieldError};

const LAST_EVENT_ID: &str = "last-event-id";

/// A misspelt word would silently show everything, so unknown ones are refused.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// Events behind this one, by its `id`; from now on, if left out. `0-0-0` is the beginning of the log.
    pub after: Option<String>,
    /// `job`, `job.succeeded` or `nox.job.succeeded.v1`; several with commas between.
    #[serde(rename = "type")]
    of_type: Option<String>,
    #[serde(rename = "type!")]
    not_type: Option<String>,
    /// The state that an event brings its job into, or says that it is in.
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
}

impl Asked {
    /// From where on, and what. All that is wrong is named at once.
    pub fn read(self, headers: &HeaderMap) -> Result<(Option<FactPlace>, EventFilter), ApiError> {
        let mut read = Read::default();
        let after: Option<FactPlace> = read.one("?after", self.after);
        let last = last_event(headers, &mut read);
        let types: Vec<TypeWord> = read.words("?type", self.of_type);
        let not_types: Vec<TypeWord> = read.words("?type!", self.not_type);
        read.all("?status", self.status, Is::Status);
        read.all("?status!", self.not_status, Is::Status);
        read.all::<ModuleName>("?module", self.module, Is::Module);
        read.all::<ModuleName>("?module!", self.not_module, Is::Module);
        read.all("?user_id", self.user_id, Is::User);
        read.all("?user_id!", self.not_user_id, Is::User);
        read.label("?label", self.label);
        read.label("?label!", self.not_label);
        let filter = EventFilter { types, not_types, ..EventFilter::default() };
        Ok((after.max(last), of_conditions(read.end()?, filter)))
    }
}

/// The words of the list of jobs, as those of events.
fn of_conditions(conditions: Vec<Condition>, mut filter: EventFilter) -> EventFilter {
    for Condition { is, negated } in conditions {
        let label = |name, value| LabelWord { name, value };
        match (is, negated) {
            (Is::Status(states), false) => filter.status = states,
            (Is::Status(states), true) => filter.not_status = states,
            (Is::Module(names), false) => filter.module = names,
            (Is::Module(names), true) => filter.not_module = names,
            (Is::User(users), false) => filter.user_id = users,
            (Is::User(users), true) => filter.not_user_id = users,
            (Is::Label(name, value), false) => filter.label.push(label(name, Some(value))),
            (Is::Label(name, value), true) => filter.not_label.push(label(name, Some(value))),
            (Is::Labeled(name), false) => filter.label.push(label(name, None)),
            (Is::Labeled(name), true) => filter.not_label.push(label(name, None)),
            // Nobody asks for events by these.
            (
                Is::Release(_)
                | Is::ErrorCode(_)
                | Is::Waiting(_)
                | Is::Priority(_)
                | Is::RetryOf(_)
                | Is::CreatedBefore(_)
                | Is::EndedBefore(_),
                _,
            ) => {}
        }
    }
    filter
}

/// The same of one job, of which only the types can be chosen.
pub fn of_job(
    after: Option<String>,
    types_asked: (Option<String>, Option<String>),
    headers: &HeaderMap,
) -> Result<(Option<FactPlace>, EventFilter), ApiError> {
    let mut read = Read::default();
    let after: Option<FactPlace> = read.one("?after", after);
    let last = last_event(headers, &mut read);
    let types: Vec<TypeWord> = read.words("?type", types_asked.0);
    let not_types: Vec<TypeWord> = read.words("?type!", types_asked.1);
    read.end()?;
    Ok((after.max(last), EventFilter { types, not_types, ..EventFilter::default() }))
}

/// What a client that was cut off had last.
fn last_event(headers: &HeaderMap, read: &mut Read) -> Option<FactPlace> {
    let mut values = headers.get_all(LAST_EVENT_ID).iter();
    let value = values.next()?;
    if values.next().is_some() {
        read.wrong(LAST_EVENT_ID, "stands there twice");
    }
    let place = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    if place.is_none() {
        read.wrong(LAST_EVENT_ID, "is no place in the log, such as 41822-0-2");
    }
    place
}

/// Refuses what only those can ask for who follow.
pub fn not_in_a_page(asked: &[(&'static str, bool)]) -> Result<(), ApiError> {
    let errors: Vec<_> = asked
        .iter()
        .filter(|(_, is_there)| *is_there)
        .map(|(name, _)| {
            let detail = "is for Accept: text/event-stream or application/x-ndjson";
            FieldError::new(*name, detail)
        })
        .collect();
    if errors.is_empty() { Ok(()) } else { Err(ApiError::invalid(errors)) }
}

#[cfg(test)]
mod tests {
    use nox_contract::JobState;

    use super::*;
    use crate::extract;

    fn asked(
        query: &str,
        last: Option<&str>,
    ) -> Result<(Option<FactPlace>, EventFilter), ApiError> {
        let mut headers = HeaderMap::new();
        if let Some(last) = last {
            headers.insert(LAST_EVENT_ID, last.parse().unwrap());
        }
        let asked = extract::query::<Asked>(&format!("/events?{query}").parse().unwrap())?;
        asked.read(&headers)
    }

    #[test]
    fn the_later_of_two_places_counts_and_nothing_else_is_one() {
        let place = |text: &str| Some(text.parse().unwrap());
        assert_eq!(asked("", None).unwrap().0, None);
        assert_eq!(asked("after=9-1-0", Some("10-0-0")).unwrap().0, place("10-0-0"));
        assert_eq!(asked("after=9-1-0", Some("8-7-7")).unwrap().0, place("9-1-0"));
        for wrong in ["after=9", "after=9-1", "after=x-0-0", "after=-1-0-0"] {
            assert!(asked(wrong, None).is_err(), "{wrong}");
        }
        assert!(asked("", Some("9")).is_err());
    }

    #[test]
    fn words_are_those_of_the_list_of_jobs() {
        let (_, wanted) =
            asked("type=job,quota.settled&type!=job.waiting&state!=failed", None).unwrap();
        assert_eq!((wanted.types.len(), wanted.not_types.len()), (2, 1));
        assert_eq!(wanted.not_status, [JobState::Failed]);
        let (_, wanted) = asked("label=team=a&module=xtb", None).unwrap();
        assert_eq!((wanted.label.len(), wanted.module.len()), (1, 1));
        assert!(wanted.asks_for_labels());
        for wrong in ["type=jobs", "status=done", "module=A", "sort=created_at", "type=job,"] {
            assert!(asked(wrong, None).is_err(), "{wrong}");
        }
    }
}
