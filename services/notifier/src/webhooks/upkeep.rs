//! Drops and forgets what is kept no longer, and has webhooks switched off that cannot be delivered.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::Context;
use nox_contract::{DisableReason, FrameNumber, Timestamp, WebhookId};
use nox_readmodel::{OutboxError, outbox::Limits};

use super::{PART, Targets, Webhooks, log_postgres};

/// How often, so that a backlog is not much longer than its bound.
const EVERY: Duration = Duration::from_secs(5);
/// How often it is looked who is to be switched off.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// How much is kept, of each webhook. A backlog of an hour at five events a second; and what somebody may want to see,
/// or to have sent once more.
const LIMITS: Limits = Limits {
    pending_max: 20_000,
    bytes_max: 64 * 1024 * 1024,
    ended_max: 1_000,
    keep: Duration::from_secs(7 * 24 * 3_600),
};

/// So long nothing may be taken, over so many attempts: longer than all attempts of one event, which are as many.
const FAILING_MAX: Duration = Duration::from_secs(5 * 24 * 3_600);
const FAILURES_MIN: u32 = 10;

/// Looks after the outbox, for ever.
pub(super) async fn run(webhooks: Arc<Webhooks>) -> anyhow::Result<()> {
    let mut looked: Option<Duration> = None;
    loop {
        let now = webhooks.clock.monotonic();
        let look = looked.is_none_or(|looked| now.saturating_sub(looked) >= LOOK_EVERY);
        match webhooks.keep_up(look).await {
            Ok(()) => {
                webhooks.readiness.set(PART, Ok::<(), String>(()));
                if look {
                    looked = Some(now);
                }
            }
            Err(error @ OutboxError::Unavailable(_)) => log_postgres(&webhooks.readiness, &error),
            Err(error) => return Err(error).context("cannot look after the outbox"),
        }
        tokio::time::sleep(EVERY).await;
    }
}

impl Webhooks {
    async fn keep_up(&self, look: bool) -> Result<(), OutboxError> {
        let now = self.clock.wall();
        let removed = self.outbox.prune(LIMITS, now).await?;
        if removed.dropped > 0 {
            tracing::warn!(
                deliveries = removed.dropped,
                "Too many deliveries wait: dropped the oldest"
            );
        }
        self.metrics.webhooks_dropped(removed.dropped);
        self.metrics.webhooks_waiting(self.outbox.waiting().await?);
        if look {
            for (id, set_in) in self.outbox.failing(now - FAILING_MAX, FAILURES_MIN).await? {
                self.disable(id, DisableReason::Failing, set_in).await;
            }
            let targets = self.targets.borrow().clone();
            for (id, set_in) in expired(&targets, now) {
                self.disable(id, DisableReason::KeyExpired, set_in).await;
            }
            let closed = self.closed.borrow().clone();
            for (id, set_in) in still_on(&targets, closed) {
                self.disable(id, DisableReason::Gone, set_in).await;
            }
        }
        Ok(())
    }
}

/// Those that are bound to a key that has run out.
fn expired(targets: &Targets, now: Timestamp) -> Vec<(WebhookId, FrameNumber)> {
    let is_expired = |at: Timestamp| at <= now;
    let expired =
        targets.iter().filter(|(_, of)| of.is_on && of.expires_at.is_some_and(is_expired));
    expired.map(|(id, of)| (*id, of.set_in)).collect()
}

/// Those that were closed and are on, as they were set then: whoever was asked to switch them off was not reached.
fn still_on(
    targets: &Targets,
    closed: BTreeMap<WebhookId, FrameNumber>,
) -> BTreeMap<WebhookId, FrameNumber> {
    let is_on = |id: &WebhookId, set_in: FrameNumber| {
        targets.get(id).is_some_and(|of| of.is_on && of.set_in == set_in)
    };
    closed.into_iter().filter(|(id, set_in)| is_on(id, *set_in)).collect()
}

#[cfg(test)]
mod tests {
    use nox_contract::WebhookSpec;
    use nox_readmodel::outbox::StoredTarget;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn one_whose_endpoint_is_gone_is_asked_for_until_it_is_off_or_set_anew() {
        let id = WebhookId(Uuid::from_u128(1));
        let set_in = FrameNumber(7);
        let target = StoredTarget {
            tenant: "acme".parse().unwrap(),
            owner: "ada".parse().unwrap(),
            spec: WebhookSpec {
                url: "https://hooks.example.org/".to_owned(),
                description: String::new(),
                filter: Default::default(),
                of_tenant: false,
                enabled: true,
            },
            expires_at: None,
            rotation: 1,
            previous_until: None,
            is_on: true,
            set_in,
        };
        let closed = BTreeMap::from([(id, set_in)]);
        let asked = |target: Option<StoredTarget>| {
            let targets = target.map(|of| (id, Arc::new(of))).into_iter().collect();
            still_on(&targets, closed.clone())
        };
        assert_eq!(asked(Some(target.clone())), closed);
        assert_eq!(asked(Some(StoredTarget { is_on: false, ..target.clone() })), BTreeMap::new());
        let anew = StoredTarget { set_in: FrameNumber(8), ..target };
        assert_eq!(asked(Some(anew)), BTreeMap::new());
        assert_eq!(asked(None), BTreeMap::new());
    }
}
