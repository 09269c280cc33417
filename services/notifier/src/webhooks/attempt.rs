//! One attempt, and what follows from its answer.

use std::{sync::Arc, time::Duration};

use nox_contract::{DisableReason, FrameNumber, Timestamp, WebhookId, event::MEDIA_TYPE};
use nox_egress::{Answer, Failure, Request};
use nox_readmodel::outbox::{Attempted, Due, StoredTarget};
use nox_service::ids;

use super::{Webhooks, sign};

/// What an endpoint says that is not there any more.
const GONE: u16 = 410;

/// An attempt that was made.
pub(super) struct Made {
    pub(super) attempted: Attempted,
    pub(super) took: Duration,
    /// The whole webhook is to be switched off, if it is still as it was set in that frame.
    pub(super) disable: Option<(DisableReason, FrameNumber)>,
    /// How long the endpoint asks to be left alone.
    pub(super) rest: Option<Duration>,
}

impl Webhooks {
    /// Sends a delivery, once.
    pub(super) async fn attempt(&self, due: Due, target: Arc<StoredTarget>) -> Made {
        let now = self.clock.wall();
        let of = (due.webhook_id, &*target);
        let headers = sign::headers(&self.key, of, due.delivery_id, now, &due.body);
        let (of, webhook_id) = ((due.seq, due.due_at, due.attempts + 1), due.webhook_id);
        let request = Request { content_type: MEDIA_TYPE, headers, body: due.body.into() };
        let began = self.clock.monotonic();
        let outcome = self.client.send(&target.spec.url, request).await;
        let (at, took) = (self.clock.wall(), self.clock.monotonic().saturating_sub(began));
        let word = match &outcome {
            Ok(answer) if is_taken(answer) => "taken",
            Ok(_) => "status",
            Err(failure) => failure.class(),
        };
        self.metrics.webhook_attempts.with_label_values(&[word]).inc();
        if let Err(failure) = &outcome {
            tracing::debug!(webhook.id = %webhook_id, %failure, "An attempt failed");
        }
        let set_in = target.set_in;
        self.made(outcome, of, (webhook_id, set_in), (at, took))
    }

    fn made(
        &self,
        outcome: Result<Answer, Failure>,
        (seq, due_at, attempt): (i64, Timestamp, u32),
        (webhook_id, set_in): (WebhookId, FrameNumber),
        (at, took): (Timestamp, Duration),
    ) -> Made {
        let (status, retry_after, error) = match &outcome {
            Ok(answer) => {
                let now = at.as_micros().div_euclid(1_000_000);
                (Some(answer.status), answer.retry_after.map(|after| after.from(now)), None)
            }
            Err(failure) => (None, None, Some(failure.class())),
        };
        let taken = outcome.as_ref().is_ok_and(is_taken);
        let is_gone = status == Some(GONE);
        let again = self.delays.after(attempt, chance(), retry_after);
        let again_at = again.filter(|_| !taken && !is_gone).map(|delay| at + delay);
        let attempted =
            Attempted { seq, webhook_id, due_at, attempt, at, again_at, taken, status, error };
        let disable = is_gone.then_some((DisableReason::Gone, set_in));
        Made { attempted, took, disable, rest: retry_after.filter(|_| !taken) }
    }
}

fn is_taken(answer: &Answer) -> bool {
    (200..300).contains(&answer.status)
}

/// Anything from 0 to 1.
fn chance() -> f64 {
    let bits = ids::unique().as_u128() as u32;
    f64::from(bits) / f64::from(u32::MAX)
}
