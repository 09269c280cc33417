//! Facts of a topic.

use nox_contract::{Entry, Fact, TenantId, TopicName};

use super::{ApplyError, misplaced};
use crate::state::State;

impl State {
    pub(super) fn apply_topic(
        &mut self,
        entry: &Entry,
        tenant: &TenantId,
        topic: &TopicName,
    ) -> Result<(), ApplyError> {
        let n = self.n;
        for fact in entry.known_facts() {
            match fact {
                Fact::TopicRegistered { schema, .. } => self.topics.register(tenant, topic, schema),
                Fact::TopicRemoved {} => self.topics.remove(tenant, topic),
                other => return Err(misplaced(n, other, "a topic")),
            }
        }
        Ok(())
    }
}
