//! The scheduler's answers: no stream, one message to whoever waits.

use nox_contract::AnswerMessage;
use tokio::sync::oneshot;

use crate::Broker;

/// Where answers to a gateway's commands come in.
#[derive(Clone)]
pub struct AnswerInbox {
    broker: Broker,
}

impl AnswerInbox {
    /// A subject for one command message's answer, and the answer when it comes. One that cannot be
    /// read comes without parts.
    ///
    /// It may never come: the leader may have gone, or the connection with it. The place is kept for
    /// 30 s, after which the receiver sees its sender dropped.
    pub fn next(&self) -> (String, oneshot::Receiver<AnswerMessage>) {
        self.broker.inner.mux.expect_answer()
    }
}

/// What the subjects of all inboxes begin with.
const INBOXES: &str = "_INBOX_";

impl Broker {
    pub fn answer_inbox(&self) -> AnswerInbox {
        AnswerInbox { broker: self.clone() }
    }

    /// Sends an answer to where it was asked for; nobody waits for it to arrive.
    ///
    /// `reply_to` comes from a message, so only inboxes are taken: the scheduler may write where
    /// whoever asks may not.
    pub fn answer(&self, reply_to: String, message: &AnswerMessage) {
        if !reply_to.starts_with(INBOXES) {
            tracing::warn!(reply_to, "An answer was wanted where no inbox is");
            return;
        }
        match serde_json::to_vec(message) {
            Ok(payload) => self.publish_unacked(reply_to, payload.into()),
            Err(error) => tracing::error!(%error, "Cannot write an answer"),
        }
    }
}
