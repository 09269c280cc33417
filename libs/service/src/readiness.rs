//! Whether the process can serve, and if not, which part of it can't.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::Serialize;

/// The parts that a process is ready by: it is ready when each that was ever named is well, and at
/// least one was. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Mutex<Snapshot>>);

/// How it stands at one moment, as `/readyz` shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    pub parts: BTreeMap<&'static str, Part>,
    /// What operators want to see beside the parts, for example `durability`.
    pub notes: BTreeMap<&'static str, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "status", content = "reason")]
pub enum Part {
    Ok,
    NotReady(String),
}

impl Readiness {
    /// Says how `part` is; a change is logged.
    pub fn set<E: Into<String>>(&self, part: &'static str, state: Result<(), E>) {
        let state = match state {
            Ok(()) => Part::Ok,
            Err(reason) => Part::NotReady(reason.into()),
        };
        let before = self.lock().parts.insert(part, state.clone());
        if before.as_ref() == Some(&state) {
            return;
        }
        match state {
            Part::Ok => tracing::info!(part, "Ready"),
            Part::NotReady(reason) => tracing::warn!(part, reason, "Not ready"),
        }
    }

    /// Shows `value` under `name` beside the parts; it does not count for being ready.
    pub fn note(&self, name: &'static str, value: impl Into<String>) {
        self.lock().notes.insert(name, value.into());
    }

    pub fn snapshot(&self) -> Snapshot {
        self.lock().clone()
    }

    pub fn is_ready(&self) -> bool {
        self.lock().is_ready()
    }

    /// What is in there stays whole if a holder panics: each change is one insertion.
    fn lock(&self) -> MutexGuard<'_, Snapshot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Snapshot {
    pub fn is_ready(&self) -> bool {
        !self.parts.is_empty() && self.parts.values().all(|part| *part == Part::Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_ready_when_every_named_part_is_and_not_before_one_is_named() {
        let readiness = Readiness::default();
        assert!(!readiness.is_ready());

        readiness.set("nats", Ok::<_, String>(()));
        assert!(readiness.is_ready());

        readiness.set("postgres", Err("connection refused"));
        assert!(!readiness.is_ready());
        assert_eq!(
            serde_json::to_value(readiness.snapshot()).unwrap()["parts"]["postgres"],
            serde_json::json!({"status": "not_ready", "reason": "connection refused"}),
        );

        readiness.set("postgres", Ok::<_, String>(()));
        assert!(readiness.is_ready());
    }
}
