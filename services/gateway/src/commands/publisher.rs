//! One message of commands: to the broker, and its answers back.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{FutureExt, future::FusedFuture};
use nox_contract::{Answer, AnswerMessage, TenantId, subject};
use nox_service::crash_point;
use nox_streams::{
    AnswerInbox, Broker, PublishError,
    publish::{MESSAGE_ID, NOBODY_THERE},
};
use tokio::sync::mpsc;

use crate::commands::{
    Delivery, Undelivered, Until,
    batch::{Asker, Batch, Text},
};

/// How long an answer is waited for after the command was acknowledged.
const ANSWER_WAIT: Duration = Duration::from_secs(2);

/// How long a message without an acknowledgement is published again and again. The broker remembers
/// its name for longer, see `duplicate_window` in `nats/streams.toml`.
const PUBLISH_WAIT: Duration = Duration::from_secs(6);

/// Pause before publishing again.
const PUBLISH_PAUSE: Duration = Duration::from_millis(50);

/// A message in flight; tells the packer when it is no longer.
pub struct InFlight {
    tenant: TenantId,
    landed: mpsc::UnboundedSender<TenantId>,
}

impl InFlight {
    pub fn new(tenant: TenantId, landed: mpsc::UnboundedSender<TenantId>) -> Self {
        Self { tenant, landed }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        // An error says that the packer has ended.
        let _ = self.landed.send(self.tenant.clone());
    }
}

/// Carries one message to the broker and its answers back.
#[derive(Clone)]
pub struct Publisher {
    broker: Broker,
    inbox: Arc<AnswerInbox>,
}

impl Publisher {
    pub fn new(broker: Broker) -> Self {
        Self { inbox: Arc::new(broker.answer_inbox()), broker }
    }

    /// Publishes one message and sees each of its commands to its end.
    pub async fn deliver(self, batches: Vec<Batch>, in_flight: InFlight) {
        let (reply_to, answer) = self.inbox.next();
        let message = Text::message(&reply_to, batches.iter().map(|batch| &batch.text));
        let mut waiting = Waiting::new(batches);
        let payload = match message {
            Ok(message) => Bytes::from(message),
            Err(error) => return waiting.fail(&Undelivered::Refused(error.to_string())),
        };

        crash_point("gateway.before_publish");
        // One that will not come any more is not asked for again.
        let mut answer = answer.fuse();
        let published = tokio::select! {
            // An answer proves that the message is stored, whatever became of its acknowledgement.
            biased;
            Ok(answer) = &mut answer => {
                drop(in_flight);
                return waiting.answered(answer);
            }
            published = self.publish(&in_flight.tenant, &reply_to, payload) => published,
        };
        crash_point("gateway.after_publish");
        drop(in_flight);
        if let Err(error) = published {
            return waiting.fail(&error);
        }

        waiting.published(|asker| asker.until == Until::Published);
        if answer.is_terminated() {
            return waiting.published(|_| true);
        }
        match tokio::time::timeout(ANSWER_WAIT, answer).await {
            Ok(Ok(answer)) => waiting.answered(answer),
            Ok(Err(_)) | Err(_) => waiting.published(|_| true),
        }
    }

    /// Publishes until the broker has acknowledged or refused for good. Every copy has the same name,
    /// so that one is stored: of two, the second might be admitted after the first was refused, and
    /// the refusal answered.
    async fn publish(
        &self,
        tenant: &TenantId,
        name: &str,
        payload: Bytes,
    ) -> Result<(), Undelivered> {
        let subject = subject::commands(tenant);
        let mut in_doubt = false;
        let mut why = String::new();
        let tries = async {
            loop {
                let doubted_before = in_doubt;
                in_doubt = true;
                let named = vec![(MESSAGE_ID, name.to_owned())];
                match self.broker.publish(subject.clone(), Some(named), payload.clone()).await {
                    Ok(_) => return Ok(()),
                    // The link is down or the stream is between two leaders: nothing was sent.
                    Err(PublishError::Refused { code: NOBODY_THERE, description }) => {
                        in_doubt = doubted_before;
                        why = description;
                    }
                    // This copy is not stored, but an earlier one may be.
                    Err(error @ PublishError::Refused { .. }) if doubted_before => {
                        return Err(Undelivered::Unknown(error.to_string()));
                    }
                    Err(error) if error.is_full() => return Err(Undelivered::StreamFull),
                    Err(error @ PublishError::Refused { .. }) => {
                        return Err(Undelivered::Refused(error.to_string()));
                    }
                    Err(PublishError::Unknown(reason)) => why = reason,
                }
                tokio::time::sleep(PUBLISH_PAUSE).await;
            }
        };
        match tokio::time::timeout(PUBLISH_WAIT, tries).await {
            Ok(outcome) => outcome,
            Err(_) if in_doubt => Err(Undelivered::Unknown(why)),
            Err(_) => Err(Undelivered::Refused(why)),
        }
    }
}

/// Who waits for the commands of one message, and for how many each, until it is done with. Whoever
/// sent one may have gone.
struct Waiting(Vec<(usize, Option<Asker>)>);

impl Waiting {
    fn new(batches: Vec<Batch>) -> Self {
        Self(batches.into_iter().map(|batch| (batch.text.count, Some(batch.asker))).collect())
    }

    /// Hands the answers out. A part that is not in there was left to another leader, whose answer
    /// nobody listens for: it will be decided, but is not known to be.
    fn answered(&mut self, message: AnswerMessage) {
        let parts = self.0.iter().map(|(count, _)| count).sum();
        let mut deliveries = vec![Delivery::Published; parts];
        for Answer { part, outcome } in message.answers {
            if let Some(delivery @ Delivery::Published) = deliveries.get_mut(part as usize) {
                *delivery = Delivery::Answered(outcome);
            }
        }
        let mut deliveries = deliveries.into_iter();
        for (count, asker) in &mut self.0 {
            let deliveries = deliveries.by_ref().take(*count).collect();
            if let Some(asker) = asker.take() {
                let _ = asker.reply.send(Ok(deliveries));
            }
        }
    }

    fn published(&mut self, which: impl Fn(&Asker) -> bool) {
        for (count, asker) in &mut self.0 {
            if let Some(asker) = asker.take_if(|asker| which(asker)) {
                let _ = asker.reply.send(Ok(vec![Delivery::Published; *count]));
            }
        }
    }

    fn fail(&mut self, why: &Undelivered) {
        for asker in self.0.iter_mut().filter_map(|(_, asker)| asker.take()) {
            let _ = asker.reply.send(Err(why.clone()));
        }
    }
}
