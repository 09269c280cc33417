//! One attachment to a stream: an ephemeral pull consumer, asked for more before it runs dry.
//!
//! It ends at the first sign that something may be missing (a gap, silence, a lost connection, a
//! consumer that is gone), and says so; `consume` then attaches anew after the last message.

use std::time::Duration;

use async_nats::{Client, Subscriber};
use futures_util::{FutureExt, StreamExt};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::{Broker, Error, Message, difference, mux::Link};

/// Messages yielded at a time, and asked for at a time.
const CHUNK: usize = 1000;
/// Bytes yielded at a time, and asked for at a time: what a slow reader holds is bounded by a few of
/// these, however large the messages are.
const CHUNK_BYTES: usize = 8 * 1024 * 1024;
/// How long the server keeps a request for messages open.
const PULL_EXPIRES: Duration = Duration::from_secs(30);
/// How often the server says that there is nothing new.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Silence after which the consumer is taken for gone. Restarts are noticed by the connection; this
/// is for what is not.
const SILENCE_MAX: Duration = Duration::from_secs(4);
/// How long the server keeps a consumer that nobody asks: it is gone a minute after its process.
const INACTIVE: Duration = Duration::from_secs(60);

/// Where an attachment begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    /// With the message of this sequence, or the first one after it.
    At(u64),
    /// With whatever comes from now on.
    New,
}

/// Why an attachment ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Lost(pub(crate) String);

pub(crate) struct Attachment {
    client: Client,
    replies: Subscriber,
    inbox: String,
    /// The subject of requests for messages.
    next: String,
    link: watch::Receiver<Link>,
    generation: u64,
    /// Messages that were asked for and have not come.
    asked: usize,
    /// The consumer's number of its last delivery: these have no gaps.
    delivered: u64,
    /// Found while messages before it were still to be yielded.
    lost: Option<Lost>,
}

impl Attachment {
    /// Makes a consumer and asks it for the first messages.
    pub(crate) async fn new(
        broker: &Broker,
        stream: &str,
        filter: Option<&str>,
        begin: Begin,
    ) -> Result<Self, Error> {
        let client = broker.inner.client.clone();
        let link = broker.link();
        let generation = link.borrow().generation;
        let inbox = client.new_inbox();
        let replies =
            client.subscribe(inbox.clone()).await.map_err(|e| Error::Unavailable(e.to_string()))?;

        let name = broker.unique();
        let mut config = json!({
            "name": name,
            "ack_policy": "none",
            "replay_policy": "instant",
            "inactive_threshold": nanoseconds(INACTIVE),
            "num_replicas": 1,
            "mem_storage": true,
        });
        match begin {
            Begin::At(seq) => {
                config["deliver_policy"] = json!("by_start_sequence");
                config["opt_start_seq"] = json!(seq.max(1));
            }
            Begin::New => config["deliver_policy"] = json!("new"),
        }
        let mut subject = format!("CONSUMER.CREATE.{stream}.{name}");
        if let Some(filter) = filter {
            config["filter_subject"] = json!(filter);
            subject = format!("{subject}.{filter}");
        }
        let body = json!({ "stream_name": stream, "config": config, "action": "create" });
        let created = broker.api::<Value>(&subject, &body).await;
        let created = created.map_err(|error| error.about(stream))?;
        check_consumer(stream, &config, &created["config"])?;

        let mut attachment = Self {
            client,
            replies,
            inbox,
            next: format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{name}"),
            link,
            generation,
            asked: 0,
            delivered: 0,
            lost: None,
        };
        attachment.ask().await.map_err(|Lost(reason)| Error::Unavailable(reason))?;
        Ok(attachment)
    }

    /// The messages that are there, at least one.
    ///
    /// Cancelling loses nothing: between the first message and the return nothing is awaited.
    pub(crate) async fn chunk(&mut self) -> Result<Vec<Message>, Lost> {
        loop {
            if let Some(lost) = self.lost.take() {
                return Err(lost);
            }
            if self.asked <= CHUNK / 2 {
                self.ask().await?;
            }
            let first = self.next_reply().await?;
            let mut messages = Vec::new();
            let mut bytes = 0;
            let mut reply = Some(first);
            while let Some(message) = reply {
                match self.accept(message) {
                    Ok(Some(message)) => {
                        bytes += message.payload.len();
                        messages.push(message);
                    }
                    Ok(None) => {}
                    Err(lost) => {
                        self.lost = Some(lost);
                        break;
                    }
                }
                if messages.len() >= CHUNK || bytes >= CHUNK_BYTES {
                    break;
                }
                reply = self.replies.next().now_or_never().flatten();
            }
            if !messages.is_empty() {
                return Ok(messages);
            }
        }
    }

    /// How many messages this attachment has brought.
    pub(crate) fn delivered(&self) -> u64 {
        self.delivered
    }

    async fn ask(&mut self) -> Result<(), Lost> {
        let request = json!({
            "batch": CHUNK,
            "max_bytes": CHUNK_BYTES,
            "expires": nanoseconds(PULL_EXPIRES),
            "idle_heartbeat": nanoseconds(HEARTBEAT),
        });
        let request = request.to_string().into();
        let sent = self.client.publish_with_reply(self.next.clone(), self.inbox.clone(), request);
        sent.await.map_err(|e| Lost(e.to_string()))?;
        self.asked += CHUNK;
        Ok(())
    }

    async fn next_reply(&mut self) -> Result<async_nats::Message, Lost> {
        let generation = self.generation;
        tokio::select! {
            // What has arrived is good, whatever became of the connection since.
            biased;
            reply = self.replies.next() => reply.ok_or_else(|| Lost("connection closed".into())),
            _ = self.link.wait_for(|link| link.generation != generation) => {
                Err(Lost("connection lost".into()))
            }
            () = tokio::time::sleep(SILENCE_MAX) => Err(Lost("silence".into())),
        }
    }

    /// Takes a reply in; a message if it is one.
    fn accept(&mut self, reply: async_nats::Message) -> Result<Option<Message>, Lost> {
        let Some(status) = reply.status.map(|status| status.as_u16()) else {
            return self.accept_message(reply).map(Some);
        };
        let description = reply.description.unwrap_or_default();
        let request_over = match status {
            100 => return Ok(None),
            404 | 408 => true,
            409 => {
                ["Batch Completed", "Message Size Exceeds MaxBytes"].contains(&description.as_str())
            }
            _ => false,
        };
        if !request_over {
            return Err(Lost(format!("{status} {description}")));
        }
        let unused = reply.headers.as_ref().and_then(|h| h.get("Nats-Pending-Messages"));
        let unused = unused.and_then(|value| value.as_str().parse().ok()).unwrap_or(CHUNK);
        self.asked = self.asked.saturating_sub(unused);
        Ok(None)
    }

    fn accept_message(&mut self, reply: async_nats::Message) -> Result<Message, Lost> {
        let place = reply.reply.as_deref().and_then(Place::read);
        let Place { seq, delivered } =
            place.ok_or_else(|| Lost("no place in the stream".into()))?;
        if delivered != self.delivered + 1 {
            return Err(Lost(format!("delivery {delivered} after {}", self.delivered)));
        }
        self.delivered = delivered;
        self.asked = self.asked.saturating_sub(1);
        Ok(Message { seq, subject: reply.subject.to_string(), payload: reply.payload })
    }
}

/// A consumer is the one that was asked for, or nobody reads from it.
fn check_consumer(stream: &str, asked: &Value, made: &Value) -> Result<(), Error> {
    let (Some(asked), Some(made)) = (asked.as_object(), made.as_object()) else {
        let reason = "no configuration".to_owned();
        return Err(Error::Unreadable { what: "consumer", reason });
    };
    match difference::foreign_consumer(asked, made) {
        Some(difference) => Err(Error::Drift(difference.of(&format!("{stream} (consumer)")))),
        None => Ok(()),
    }
}

/// A message's place, as its acknowledgement subject tells it.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    seq: u64,
    delivered: u64,
}

impl Place {
    /// Reads `$JS.ACK.<stream>.<consumer>.<tries>.<seq>.<delivered>.<time>.<pending>`, or the newer form
    /// with domain and account before the stream.
    fn read(subject: &str) -> Option<Self> {
        let tokens: Vec<&str> = subject.strip_prefix("$JS.ACK.")?.split('.').collect();
        let before = match tokens.len() {
            7 => 0,
            9.. => 2,
            _ => return None,
        };
        let number = |place: usize| tokens.get(before + place)?.parse().ok();
        Some(Self { seq: number(3)?, delivered: number(4)? })
    }
}

fn nanoseconds(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_from_both_forms_of_the_acknowledgement_subject() {
        let place = Some(Place { seq: 42, delivered: 7 });
        assert_eq!(Place::read("$JS.ACK.S.c.1.42.7.1700000000.0"), place);
        assert_eq!(Place::read("$JS.ACK.hub.hash.S.c.1.42.7.1700000000.0"), place);
        assert_eq!(Place::read("$JS.ACK.hub.hash.S.c.1.42.7.1700000000.0.random"), place);
        for other in ["", "_INBOX.x", "$JS.ACK.S.c.1.42", "$JS.ACK.S.c.1.x.7.1700000000.0"] {
            assert_eq!(Place::read(other), None, "{other}");
        }
    }
}
