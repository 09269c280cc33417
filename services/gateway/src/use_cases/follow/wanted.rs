//! Which events a viewer wants, of those that it may see.

use std::{collections::BTreeMap, str::FromStr};

use nox_contract::{Entry, EventKind, EventType, Fact, JobState, near};
use nox_readmodel::query::{Condition, Is};

/// All of these.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wanted {
    pub types: Vec<OfType>,
    /// Of the job, as the list of jobs has them: by module, user, label and state.
    pub conditions: Vec<Condition>,
}

/// One of these types, or none of them.
#[derive(Debug, Clone, PartialEq)]
pub struct OfType {
    pub any: Vec<TypeWord>,
    pub negated: bool,
}

/// `job`, `job.succeeded` or `nox.job.succeeded.v1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TypeWord {
    Kind(EventKind),
    Type(EventType),
}

impl FromStr for TypeWord {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(kind) = EventKind::ALL.into_iter().find(|kind| kind.as_str() == text) {
            return Ok(Self::Kind(kind));
        }
        let whole =
            if text.starts_with("nox.") { text.to_owned() } else { format!("nox.{text}.v1") };
        whole.parse().map(Self::Type).map_err(|_| misspelt(text))
    }
}

/// Names what may have been meant.
fn misspelt(text: &str) -> String {
    let types = EventType::ALL.iter().map(|of| format!("{}.{}", of.kind().as_str(), of.word()));
    let kinds = EventKind::ALL.into_iter().map(|kind| kind.as_str().to_owned());
    let known: Vec<_> = kinds.chain(types).collect();
    let text = text.strip_prefix("nox.").unwrap_or(text);
    match near(text, known.iter().map(String::as_str)).as_slice() {
        [] => "must be a type of event, such as job or job.succeeded".to_owned(),
        near => format!("must be a type of event; did you mean {}?", near.join(" or ")),
    }
}

impl OfType {
    fn holds(&self, event_type: EventType) -> bool {
        let is = |word: &TypeWord| match word {
            TypeWord::Kind(kind) => event_type.kind() == *kind,
            TypeWord::Type(known) => event_type == *known,
        };
        self.any.iter().any(is) != self.negated
    }
}

impl Wanted {
    pub fn wants_type(&self, event_type: EventType) -> bool {
        self.types.iter().all(|of| of.holds(event_type))
    }

    /// Whether a job's labels have to be known.
    pub fn asks_for_labels(&self) -> bool {
        self.conditions.iter().any(|of| matches!(of.is, Is::Label(..) | Is::Labeled(_)))
    }

    /// Whether a fact of `entry` is as it has to be, of a job with these labels. What a fact does not have is
    /// neither this nor that, as in the list of jobs.
    pub fn wants(&self, entry: &Entry, fact: &Fact, labels: &BTreeMap<String, String>) -> bool {
        self.conditions.iter().all(|Condition { is, negated }| {
            let holds = match is {
                Is::Status(states) => state(fact).is_some_and(|state| states.contains(&state)),
                Is::Module(names) => entry.module.as_ref().is_some_and(|of| names.contains(of)),
                Is::User(users) => entry.user_id.as_ref().is_some_and(|of| users.contains(of)),
                Is::Label(name, value) => labels.get(name) == Some(value),
                Is::Labeled(name) => labels.contains_key(name),
                // No surface asks for events by these.
                Is::Release(_)
                | Is::ErrorCode(_)
                | Is::Waiting(_)
                | Is::CreatedBefore(_)
                | Is::EndedBefore(_) => false,
            };
            holds != *negated
        })
    }
}

/// The state that a fact brings a job into, or says that it is in.
fn state(fact: &Fact) -> Option<JobState> {
    match fact {
        Fact::Drafted(_) => Some(JobState::Draft),
        Fact::Submitted(_)
        | Fact::DraftSubmitted {}
        | Fact::Waiting { .. }
        | Fact::Assigned { .. }
        | Fact::RetryScheduled { .. } => Some(JobState::Queued),
        Fact::Started { .. } | Fact::Progressed { .. } => Some(JobState::Running),
        Fact::Succeeded { .. } => Some(JobState::Succeeded),
        Fact::Failed { .. } | Fact::Rejected(_) => Some(JobState::Failed),
        Fact::Canceled { .. } => Some(JobState::Canceled),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use nox_contract::{Attempt, Cause, Entity, RawJson, Source};

    use super::*;

    #[test]
    fn types_are_chosen_by_kind_or_by_name_and_can_be_ruled_out() {
        let word = |text: &str| text.parse::<TypeWord>();
        assert_eq!(word("job"), Ok(TypeWord::Kind(EventKind::Job)));
        let succeeded = Ok(TypeWord::Type(EventType::Succeeded));
        assert_eq!(word("job.succeeded"), succeeded);
        assert_eq!(word("nox.job.succeeded.v1"), succeeded);
        for other in ["", "jobs", "succeeded", "nox.job.succeeded.v2", "job.*"] {
            assert!(word(other).is_err(), "{other}");
        }
        let refused = word("job.suceeded").unwrap_err();
        assert!(refused.contains("did you mean job.succeeded?"), "{refused}");
        assert!(word("elephants").unwrap_err().contains("such as job"));
        let of = |text: &str, negated| OfType { any: vec![word(text).unwrap()], negated };
        let wanted =
            Wanted { types: vec![of("job", false), of("job.waiting", true)], ..Wanted::default() };
        assert!(wanted.wants_type(EventType::Succeeded));
        assert!(!wanted.wants_type(EventType::Waiting) && !wanted.wants_type(EventType::Reserved));
    }

    #[test]
    fn what_a_fact_does_not_have_is_neither_this_nor_that() {
        let by = Cause { src: Source::Match, seq: 0, part: 0 };
        let entity = Entity::Job {
            tenant: "acme".parse().unwrap(),
            job_id: "0193a000-0000-7000-8000-000000000001".parse().unwrap(),
            user_id: "ada".parse().unwrap(),
            module: "xtb".parse().unwrap(),
        };
        let outputs = RawJson::default();
        let done = Fact::Succeeded { attempt: Attempt(1), outputs, wall_ms: 1 };
        let entry = Entry::new(by, entity, vec![done.clone().into()]);
        let labels = BTreeMap::from([("team".to_owned(), "a".to_owned())]);
        let holds = |is: Is, negated| {
            let conditions = vec![Condition { is, negated }];
            Wanted { conditions, ..Wanted::default() }.wants(&entry, &done, &labels)
        };
        assert!(holds(Is::Module(vec!["xtb".parse().unwrap()]), false));
        assert!(!holds(Is::Module(vec!["xtb".parse().unwrap()]), true));
        assert!(holds(Is::Status(vec![JobState::Succeeded, JobState::Failed]), false));
        assert!(holds(Is::Label("team".to_owned(), "a".to_owned()), false));
        assert!(holds(Is::Label("team".to_owned(), "b".to_owned()), true));
        assert!(holds(Is::Labeled("zone".to_owned()), true));
        let worker = Entry::new(by, Entity::Worker("exec-1".parse().unwrap()), Vec::new());
        let of_module = Wanted {
            conditions: vec![Condition {
                is: Is::Module(vec!["xtb".parse().unwrap()]),
                negated: false,
            }],
            ..Wanted::default()
        };
        assert!(!of_module.wants(&worker, &done, &labels));
    }
}
