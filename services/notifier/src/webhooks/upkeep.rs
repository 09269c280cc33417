//! Drops and forgets what is kept no longer, and has webhooks switched off that cannot be delivered.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use nox_contract::{DisableReason, Timestamp};
use nox_readmodel::{OutboxError, outbox::Limits};

use super::{PART, Webhooks, log_postgres};

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
            for (id, set_in) in self.expired(now) {
                self.disable(id, DisableReason::KeyExpired, set_in).await;
            }
        }
        Ok(())
    }

    /// Those that are bound to a key that has run out.
    fn expired(&self, now: Timestamp) -> Vec<(nox_contract::WebhookId, nox_contract::FrameNumber)> {
        let targets = self.targets.borrow().clone();
        let is_expired = |at: Timestamp| at <= now;
        let expired =
            targets.iter().filter(|(_, of)| of.is_on && of.expires_at.is_some_and(is_expired));
        expired.map(|(id, of)| (*id, of.set_in)).collect()
    }
}
