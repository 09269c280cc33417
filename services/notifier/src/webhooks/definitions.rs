//! Which webhooks there are at a place in the log, and which of them want an event. A fold of facts; no I/O.

use std::{collections::BTreeMap, sync::Arc};

use nox_contract::{Entry, EventType, Fact, FrameNumber, Timestamp, Viewer, WebhookId};
use nox_readmodel::outbox::{StoredTarget, Taken};

/// All that has to be known of webhooks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Definitions {
    pub(crate) webhooks: BTreeMap<WebhookId, Arc<StoredTarget>>,
}

impl Definitions {
    /// Whether anything is sent at all.
    pub(crate) fn any_is_on(&self) -> bool {
        self.webhooks.values().any(|webhook| webhook.is_on)
    }

    /// Whether a fact that concerns webhooks may stand in a payload, which is not parsed for that.
    pub(crate) fn concerns(payload: &[u8]) -> bool {
        // What is no UTF-8 is no frame either, and whoever parses it says so.
        std::str::from_utf8(payload).map_or(true, |text| text.contains("\"webhook_"))
    }

    /// Webhooks that want an event of `fact`, whatever its labels, and whether those have to be known for that.
    pub(crate) fn wanting(
        &self,
        entry: &Entry,
        fact: &Fact,
        at: Timestamp,
    ) -> Vec<(WebhookId, Arc<StoredTarget>)> {
        let Some(event_type) = EventType::of(fact) else { return Vec::new() };
        let wants = |webhook: &StoredTarget| {
            let admin = webhook.spec.of_tenant;
            let viewer = Viewer { tenant: &webhook.tenant, user: &webhook.owner, admin };
            webhook.is_on
                && webhook.expires_at.is_none_or(|expires_at| at < expires_at)
                && webhook.spec.filter.wants_type(event_type)
                && viewer.sees(entry, fact)
        };
        let all = self.webhooks.iter().filter(|(_, webhook)| wants(webhook));
        all.map(|(id, webhook)| (*id, webhook.clone())).collect()
    }

    /// Folds a fact in, and notes what changes.
    pub(crate) fn hear(&mut self, n: FrameNumber, entry: &Entry, fact: &Fact, taken: &mut Taken) {
        let Some(id) = entry.webhook_id else { return };
        let known = self.webhooks.get(&id).map(|known| StoredTarget::clone(known));
        let webhook = match (fact, known) {
            (Fact::WebhookSet { spec, owner, expires_at, .. }, known) => Some(StoredTarget {
                tenant: entry.tenant.clone(),
                owner: owner.clone(),
                spec: (**spec).clone(),
                expires_at: *expires_at,
                rotation: known.as_ref().map_or(0, |known| known.rotation),
                previous_until: known.as_ref().and_then(|known| known.previous_until),
                is_on: spec.enabled,
                set_in: n,
            }),
            (Fact::WebhookRotated { rotation, previous_until, .. }, Some(known)) => {
                let (rotation, previous_until) = (*rotation, Some(*previous_until));
                Some(StoredTarget { rotation, previous_until, ..known })
            }
            (Fact::WebhookDisabled { .. }, Some(known)) => {
                Some(StoredTarget { is_on: false, ..known })
            }
            (Fact::WebhookRedelivered { delivery_id, .. }, Some(_)) => {
                taken.again.push((id, *delivery_id));
                return;
            }
            (Fact::WebhookDeleted { .. }, Some(_)) => None,
            _ => return,
        };
        match &webhook {
            Some(webhook) => self.webhooks.insert(id, Arc::new(webhook.clone())),
            None => self.webhooks.remove(&id),
        };
        taken.webhooks.insert(id, webhook);
    }
}

#[cfg(test)]
mod tests {
    use nox_contract::{
        Cause, DisableReason, Entity, EventFilter, Source, TenantId, UserId, WebhookSpec,
    };
    use uuid::Uuid;

    use super::*;

    fn by() -> Cause {
        Cause { src: Source::Commands, seq: 1, part: 0 }
    }

    fn id(n: u128) -> WebhookId {
        WebhookId(Uuid::from_u128(n))
    }

    fn entry(tenant: &str, webhook: u128, fact: &Fact) -> Entry {
        let tenant: TenantId = tenant.parse().unwrap();
        let entity = Entity::Webhook { tenant, webhook_id: id(webhook) };
        Entry::new(by(), entity, vec![fact.clone().into()])
    }

    fn job_entry(tenant: &str, user: &str, fact: &Fact) -> Entry {
        let entity = Entity::Job {
            tenant: tenant.parse().unwrap(),
            job_id: "0193a000-0000-7000-8000-000000000001".parse().unwrap(),
            user_id: user.parse().unwrap(),
            module: "xtb".parse().unwrap(),
        };
        Entry::new(by(), entity, vec![fact.clone().into()])
    }

    fn set(owner: &str, filter: &str, of_tenant: bool) -> Fact {
        let filter: EventFilter = serde_json::from_str(filter).unwrap();
        let spec = WebhookSpec {
            url: "https://hooks.example.org/".to_owned(),
            description: String::new(),
            filter,
            of_tenant,
            enabled: true,
        };
        let owner: UserId = owner.parse().unwrap();
        let (by, key_id) = (owner.clone(), None);
        Fact::WebhookSet { spec: Box::new(spec), owner, by, key_id, expires_at: None }
    }

    fn hear(definitions: &mut Definitions, tenant: &str, webhook: u128, fact: &Fact) -> Taken {
        let mut taken = Taken::default();
        definitions.hear(FrameNumber(1), &entry(tenant, webhook, fact), fact, &mut taken);
        taken
    }

    #[test]
    fn each_is_sent_what_its_owner_may_see_and_wants() {
        let mut definitions = Definitions::default();
        hear(&mut definitions, "acme", 1, &set("ada", "{}", false));
        hear(&mut definitions, "acme", 2, &set("root", r#"{"type!":["job.canceled"]}"#, true));
        hear(&mut definitions, "other", 3, &set("ada", "{}", true));
        let at = Timestamp::from_micros(0);
        let canceled = Fact::Canceled { by: "ada".parse().unwrap() };
        let waiting = Fact::Waiting { code: nox_contract::WaitingCode::Priority };
        let sent = |tenant: &str, user: &str, fact: &Fact| -> Vec<WebhookId> {
            let entry = job_entry(tenant, user, fact);
            definitions.wanting(&entry, fact, at).into_iter().map(|(id, _)| id).collect()
        };
        assert_eq!(sent("acme", "ada", &canceled), [id(1)]);
        assert_eq!(sent("acme", "ada", &waiting), [id(1), id(2)]);
        assert_eq!(sent("acme", "bob", &waiting), [id(2)]);
        assert_eq!(sent("other", "bob", &waiting), [id(3)]);
    }

    #[test]
    fn one_that_was_switched_off_or_deleted_wants_nothing_and_one_that_is_set_anew_goes_on() {
        let mut definitions = Definitions::default();
        let waiting = Fact::Waiting { code: nox_contract::WaitingCode::Priority };
        let wanted = |definitions: &Definitions| {
            let entry = job_entry("acme", "ada", &waiting);
            definitions.wanting(&entry, &waiting, Timestamp::from_micros(0)).len()
        };
        hear(&mut definitions, "acme", 1, &set("ada", "{}", false));
        let rotated = Fact::WebhookRotated {
            rotation: 1,
            previous_until: Timestamp::from_micros(9),
            by: "ada".parse().unwrap(),
        };
        hear(&mut definitions, "acme", 1, &rotated);
        assert_eq!(wanted(&definitions), 1);
        hear(&mut definitions, "acme", 1, &Fact::WebhookDisabled { reason: DisableReason::Gone });
        assert_eq!((wanted(&definitions), definitions.any_is_on()), (0, false));
        let taken = hear(&mut definitions, "acme", 1, &set("ada", "{}", false));
        assert_eq!(wanted(&definitions), 1);
        assert_eq!(taken.webhooks[&id(1)].as_ref().unwrap().rotation, 1, "its secret stays");
        let taken =
            hear(&mut definitions, "acme", 1, &Fact::WebhookDeleted { by: "ada".parse().unwrap() });
        assert_eq!((wanted(&definitions), taken.webhooks[&id(1)].is_none()), (0, true));
    }

    #[test]
    fn what_concerns_webhooks_is_found_without_parsing() {
        assert!(Definitions::concerns(br#"{"facts":[{"webhook_set":{}}]}"#));
        assert!(!Definitions::concerns(br#"{"facts":[{"succeeded":{}}]}"#));
        assert!(Definitions::concerns(b"\xff"));
    }
}
