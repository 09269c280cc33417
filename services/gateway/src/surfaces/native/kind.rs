//! As what a job was asked for, which chooses the words in which it is told.
//!
//! The kind is stored nowhere: the job's module and inputs say it.

use nox_contract::{COMMAND_MODULE, JobState, ModuleName, RawJson};
use serde::Deserialize;

use super::request::engine;

/// As what a job was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A module, in the canonical words.
    Module,
    /// A line of shell.
    Command,
    /// An engine, for what is named here.
    Engine { kind: &'static str },
}

/// The member of an engine's inputs that says what it was asked for.
#[derive(Deserialize)]
struct Marked {
    kind: Option<String>,
}

impl Kind {
    /// The kind of a job of `module` with such inputs, which may be absent where they could not be stored.
    pub fn of(module: &ModuleName, inputs: Option<&RawJson>) -> Self {
        if module.as_str() == COMMAND_MODULE {
            return Self::Command;
        }
        if !engine::is_engine(module.as_str()) {
            return Self::Module;
        }
        let marked = inputs.and_then(|inputs| serde_json::from_str::<Marked>(inputs.get()).ok());
        match marked.and_then(|marked| engine::kind(&marked.kind?)) {
            Some(kind) => Self::Engine { kind },
            None => Self::Module,
        }
    }

    /// The kind's word for where a job is.
    pub fn word(self, state: JobState) -> &'static str {
        match (self, state) {
            (Self::Module, state) => state.as_str(),
            (_, JobState::Draft) => "draft",
            (_, JobState::Queued) => "pending",
            (_, JobState::Running) => "running",
            (Self::Command, JobState::Succeeded) => "success",
            (Self::Command, JobState::Failed) => "failure",
            (Self::Engine { .. }, JobState::Succeeded) => "completed",
            (Self::Engine { .. }, JobState::Failed) => "failed",
            (_, JobState::Canceled) => "cancelled",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [JobState; 6] = [
        JobState::Draft,
        JobState::Queued,
        JobState::Running,
        JobState::Succeeded,
        JobState::Failed,
        JobState::Canceled,
    ];

    fn kind(module: &str, inputs: &str) -> Kind {
        let inputs = RawJson::parse(inputs.to_owned()).unwrap();
        Kind::of(&module.parse().unwrap(), Some(&inputs))
    }

    #[test]
    fn the_kind_of_a_job_follows_from_what_is_stored_of_it() {
        let engine = Kind::Engine { kind: "opt_properties" };
        assert_eq!(kind("command", r#"{"command": "true"}"#), Kind::Command);
        assert_eq!(kind("xtb", r#"{"xyz": "", "kind": "opt_properties"}"#), engine);
        assert_eq!(kind("xtb", r#"{"xyz": ""}"#), Kind::Module);
        assert_eq!(kind("xtb", r#"{"kind": {"a": 1}}"#), Kind::Module);
        assert_eq!(kind("xtb", r#"{"kind": "command"}"#), Kind::Module);
        assert_eq!(kind("xtb", "[]"), Kind::Module);
        assert_eq!(kind("own", r#"{"kind": "opt_properties"}"#), Kind::Module);
        // Where inputs could not be stored, the module says what it can.
        let command = "command".parse().unwrap();
        assert_eq!(Kind::of(&command, None), Kind::Command);
    }

    #[test]
    fn every_word_is_understood_again_and_means_the_same() {
        for kind in [Kind::Module, Kind::Command, Kind::Engine { kind: "opt_properties" }] {
            for state in STATES {
                assert_eq!(kind.word(state).parse(), Ok(state), "{kind:?}");
            }
        }
    }
}
