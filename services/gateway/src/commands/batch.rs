//! Commands as text: those of one asker in batches, and batches in a message.

use nox_contract::{Submit, TenantId};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::commands::{
    Delivery, Undelivered, Until,
    packer::{BYTES_MAX, COMMANDS_MAX, Load},
};

/// What a submit with few inputs takes, and some more.
const SUBMIT_BYTES: usize = 1_024;

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
    pub count: usize,
    /// What they are counted for while they are in hand, each rounded up.
    pub kib: u32,
}

impl Text {
    /// Writes commands, in as few texts as they fit in.
    pub fn of<C: Serialize>(commands: &[C]) -> serde_json::Result<Vec<Self>> {
        let mut texts = Vec::new();
        let mut text = Self::default();
        let mut json = Vec::with_capacity(SUBMIT_BYTES);
        for (place, command) in commands.iter().enumerate() {
            json.clear();
            serde_json::to_writer(&mut json, command)?;
            let full = text.count == COMMANDS_MAX || text.json.len() + json.len() > BYTES_MAX;
            if full && text.count > 0 {
                texts.push(std::mem::take(&mut text));
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
        Load { commands: self.count, bytes: self.json.len() }
    }

    /// The [`CommandMessage`](nox_contract::CommandMessage) of all these, to be answered to `reply_to`.
    pub fn message<'a>(
        reply_to: &str,
        texts: impl Iterator<Item = &'a Self> + Clone,
    ) -> serde_json::Result<Vec<u8>> {
        let (begin, commands, end) = (r#"{"reply_to":"#, r#","commands":["#, "]}");
        let reply_to = serde_json::to_string(reply_to)?;
        let around = begin.len() + reply_to.len() + commands.len() + end.len();
        let length = texts.clone().map(|text| text.json.len() + ",".len()).sum::<usize>();

        let mut message = Vec::with_capacity(around + length);
        message.extend_from_slice(begin.as_bytes());
        message.extend_from_slice(reply_to.as_bytes());
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
        let kept: Vec<_> = submits.iter().map(Kept::Submit).collect();
        Text::of(&kept).unwrap()
    }

    #[test]
    fn what_is_packed_is_what_the_scheduler_reads() {
        let submits: Vec<_> = (0..5).map(|number| submit(number, "a \" quote")).collect();
        let (first, second) = submits.split_at(3);
        let texts: Vec<_> = [texts(first), texts(second)].into_iter().flatten().collect();
        assert_eq!(texts.iter().map(|text| text.count).collect::<Vec<_>>(), [3, 2]);

        let message = Text::message("_INBOX.\"x", texts.iter()).unwrap();
        let read: CommandMessage = serde_json::from_slice(&message).unwrap();
        assert_eq!(read.reply_to.as_deref(), Some("_INBOX.\"x"));
        let sent: Vec<_> = submits.into_iter().map(|one| Command::Submit(Box::new(one))).collect();
        assert_eq!(read.commands, sent);
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
