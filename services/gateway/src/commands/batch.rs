//! Commands as text: those of one asker in batches, and batches in a message.

use std::sync::Arc;

use nox_contract::{Asker as Who, Requested, Submit, TenantId};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::{
    commands::{
        Delivery, Undelivered, Until,
        packer::{BYTES_MAX, COMMANDS_MAX, Load},
    },
    identity::asking::Asking,
};

/// What a submit with few inputs takes, and some more.
const SUBMIT_BYTES: usize = 1_024;

/// What an asker and its request take in a message beside the words of others.
const ASKER_BYTES: usize = 256;

/// Commands of one asker, which travel in one message and are done with together.
pub struct Batch {
    pub tenant: TenantId,
    pub text: Text,
    pub asker: Asker,
}

/// Who waits for the commands of a batch.
pub struct Asker {
    pub until: Until,
    /// Takes what became of each command.
    pub reply: oneshot::Sender<Result<Vec<Delivery>, Undelivered>>,
    /// Held for its end.
    pub _place: OwnedSemaphorePermit,
}

/// A submit that its sender keeps, as [`Command`](nox_contract::Command) has it.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kept<'a> {
    Submit(&'a Submit),
}

/// Commands as they stand in a message.
#[derive(Debug, Default)]
pub struct Text {
    /// Without the brackets of the array.
    json: Vec<u8>,
    /// The request that asked for them; none where the gateway does.
    asking: Option<Arc<Asking>>,
    pub count: usize,
    /// What they are counted for while they are in hand, each rounded up.
    pub kib: u32,
}

impl Text {
    /// Writes commands, in as few texts as they fit in.
    pub fn of<C: Serialize>(
        commands: &[C],
        asking: Option<Arc<Asking>>,
    ) -> serde_json::Result<Vec<Self>> {
        let mut texts = Vec::new();
        let new = || Self { asking: asking.clone(), ..Self::default() };
        let mut text = new();
        let mut json = Vec::with_capacity(SUBMIT_BYTES);
        for (place, command) in commands.iter().enumerate() {
            json.clear();
            serde_json::to_writer(&mut json, command)?;
            let full = text.count == COMMANDS_MAX || text.json.len() + json.len() > BYTES_MAX;
            if full && text.count > 0 {
                texts.push(std::mem::replace(&mut text, new()));
            }
            if text.count == 0 {
                // Those of one asker are much alike.
                let alike = (commands.len() - place).min(COMMANDS_MAX) * (json.len() + 1);
                text.json.reserve_exact(alike.min(BYTES_MAX).max(json.len()));
            } else {
                text.json.push(b',');
            }
            text.json.extend_from_slice(&json);
            text.count += 1;
            text.kib += u32::try_from(json.len() / 1024 + 1).unwrap_or(u32::MAX);
        }
        if text.count > 0 {
            texts.push(text);
        }
        Ok(texts)
    }

    pub fn load(&self) -> Load {
        let asking = self.asking.as_ref().map_or(0, |of| {
            let [token_id, reason] = [&of.asker.token_id, &of.reason];
            let texts = [token_id, reason].map(|text| text.as_ref().map_or(0, String::len));
            ASKER_BYTES + of.asker.user_id.as_str().len() + texts.iter().sum::<usize>()
        });
        Load { commands: self.count, bytes: self.json.len() + asking }
    }

    /// The [`CommandMessage`](nox_contract::CommandMessage) of all these, to be answered to `reply_to`.
    pub fn message<'a>(
        reply_to: &str,
        texts: impl Iterator<Item = &'a Self> + Clone,
    ) -> serde_json::Result<Vec<u8>> {
        let mut askers: Vec<&Who> = Vec::new();
        let requests = texts.clone().map(|text| {
            let asking = text.asking.as_deref();
            let asker = asking.map(|of| {
                askers.iter().rposition(|known| **known == of.asker).unwrap_or_else(|| {
                    askers.push(&of.asker);
                    askers.len() - 1
                })
            });
            Requested {
                commands: u32::try_from(text.count).unwrap_or(u32::MAX),
                asker: asker.and_then(|place| u32::try_from(place).ok()),
                request_id: asking.and_then(|of| of.request_id.clone()),
                reason: asking.and_then(|of| of.reason.clone()),
            }
        });
        let requests: Vec<_> = requests.collect();
        let head = serde_json::to_vec(&Head { reply_to, askers, requests })?;
        let (commands, end) = (r#","commands":["#, "]}");
        let around = head.len() + commands.len() + end.len();
        let length = texts.clone().map(|text| text.json.len() + ",".len()).sum::<usize>();

        let mut message = Vec::with_capacity(around + length);
        message.extend_from_slice(head.strip_suffix(b"}").unwrap_or(&head));
        message.extend_from_slice(commands.as_bytes());
        for (place, text) in texts.enumerate() {
            if place > 0 {
                message.push(b',');
            }
            message.extend_from_slice(&text.json);
        }
        message.extend_from_slice(end.as_bytes());
        Ok(message)
    }
}

/// What stands before the commands of a message.
#[derive(Serialize)]
struct Head<'a> {
    reply_to: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    askers: Vec<&'a Who>,
    requests: Vec<Requested>,
}

#[cfg(test)]
mod tests {
    use nox_contract::{
        Command, CommandMessage, FrameNumber, JobId, RawJson, Resources, command::PRIORITY_DEFAULT,
    };

    use super::*;

    fn submit(number: u128, inputs: &str) -> Submit {
        Submit {
            module_version: None,
            worker_labels: Default::default(),
            job_id: format!("{number:032x}").parse::<JobId>().unwrap(),
            user_id: "ada".parse().unwrap(),
            role: "user".to_owned(),
            module: "noop".parse().unwrap(),
            inputs: RawJson::of(&inputs).unwrap(),
            requested_resources: Resources { cpu: 1, mem_mb: 1, wall_time_s: 1, gpu: 0 },
            priority: PRIORITY_DEFAULT,
            run_at: None,
            after: Vec::new(),
            fingerprint: None,
            seen: FrameNumber(7),
            pending: false,
            task: None,
            metadata: None,
            concurrency: None,
            draft: false,
            traceparent: None,
        }
    }

    fn texts(submits: &[Submit]) -> Vec<Text> {
        texts_of(submits, None)
    }

    fn texts_of(submits: &[Submit], asking: Option<Asking>) -> Vec<Text> {
        let kept: Vec<_> = submits.iter().map(Kept::Submit).collect();
        Text::of(&kept, asking.map(Arc::new)).unwrap()
    }

    #[test]
    fn what_is_packed_is_what_the_scheduler_reads() {
        let submits: Vec<_> = (0..5).map(|number| submit(number, "a \" quote")).collect();
        let (first, second) = submits.split_at(3);
        let asking = |reason: Option<&str>| Asking {
            asker: Who {
                tenant: "acme".parse().unwrap(),
                user_id: "ada".parse().unwrap(),
                role: "user".to_owned(),
                token_id: Some("t1".to_owned()),
                key_id: None,
                from: Some("192.0.2.7".to_owned()),
            },
            request_id: Some("r1".to_owned()),
            reason: reason.map(str::to_owned),
        };
        let texts = [
            texts_of(first, Some(asking(Some("a \"test\"")))),
            texts_of(second, Some(asking(None))),
            texts(&submits[..1]),
        ];
        let texts: Vec<_> = texts.into_iter().flatten().collect();
        assert_eq!(texts.iter().map(|text| text.count).collect::<Vec<_>>(), [3, 2, 1]);

        let message = Text::message("_INBOX.\"x", texts.iter()).unwrap();
        let read: CommandMessage = serde_json::from_slice(&message).unwrap();
        assert_eq!(read.reply_to.as_deref(), Some("_INBOX.\"x"));
        let sent = submits.iter().chain(&submits[..1]).cloned();
        let sent: Vec<_> = sent.map(|one| Command::Submit(Box::new(one))).collect();
        assert_eq!(read.commands, sent);
        // One token, and two requests; what the gateway asks by itself is nobody's.
        assert_eq!(read.askers, [asking(None).asker]);
        let requests: Vec<_> = read
            .requests
            .iter()
            .map(|of| (of.commands, of.asker, of.request_id.as_deref(), of.reason.as_deref()))
            .collect();
        let first = (3, Some(0), Some("r1"), Some("a \"test\""));
        assert_eq!(requests, [first, (2, Some(0), Some("r1"), None), (1, None, None, None)]);
    }

    #[test]
    fn a_text_is_as_long_as_a_message_may_be() {
        let counts = |submits: &[Submit]| -> Vec<_> {
            texts(submits).iter().map(|text| (text.count, text.kib)).collect()
        };
        let small: Vec<_> = (0..1_001).map(|number| submit(number, "")).collect();
        assert_eq!(counts(&small), [(500, 500), (500, 500), (1, 1)]);
        assert!(counts(&[]).is_empty());

        let half = "x".repeat(BYTES_MAX / 2 - 1_024);
        let large = [&half, &half, "", &half, &"x".repeat(BYTES_MAX)];
        let large: Vec<_> =
            (0..).zip(large).map(|(number, inputs)| submit(number, inputs)).collect();
        let counts: Vec<_> = counts(&large).into_iter().map(|(count, _)| count).collect();
        assert_eq!(counts, [3, 1, 1]);
    }
}
