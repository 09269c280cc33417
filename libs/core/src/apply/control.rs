//! Facts about the log itself.

use nox_contract::{Entry, Fact, Place, Source};

use super::{ApplyError, misplaced};
use crate::state::State;

impl State {
    pub(super) fn apply_control(&mut self, entry: &Entry) -> Result<(), ApplyError> {
        let n = self.n;
        for fact in entry.known_facts() {
            match fact {
                Fact::Configured { config } => {
                    self.config = Some((**config).clone());
                    // Ranks depend on the worth of a priority.
                    self.reindex();
                }
                Fact::InputsReset { src, incarnation, .. } => match src {
                    Source::Commands => {
                        self.commands = incarnation.clone();
                        self.pos.commands = Place::default();
                    }
                    Source::Reports => {
                        self.reports = incarnation.clone();
                        self.pos.reports = Place::default();
                    }
                    _ => return Err(misplaced(n, fact, "an input that is in no stream")),
                },
                other => return Err(misplaced(n, other, "the log")),
            }
        }
        Ok(())
    }
}
