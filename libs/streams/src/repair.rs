//! Makes the log again from its genuine part, where a message is in it that is none of ours.
//!
//! No such message can be removed: `deny_delete` cannot be taken back, and what follows would keep the wrong
//! sequences. So all of it is kept as another stream, and the log is made anew from the messages before the first foreign one: the same bytes under the same sequences, and as
//! the same incarnation, for no reader can have got any further. Every step may be cut off, and the
//! next run goes on there: until the end, nobody but this works with the stream.

use std::time::Duration;

use async_nats::Message as Reply;
use futures_util::future::join_all;
use nox_contract::subject;
use nox_protocol::Reader;
use serde_json::{Map, Value, json};

use crate::{
    Broker, Error,
    api::{ID_KEY, INCARNATION_KEY, StreamInfo},
    direct::{DirectGet, Stored},
    publish::Headers,
};

/// All that was in the log when it was repaired.
pub const BACKUP: &str = "NOX_EVENTS_BACKUP";
/// The key in the log's metadata that says that it is not whole yet. Nobody knows it, so everybody
/// refuses the stream.
const REPAIR_KEY: &str = "nox_repair";

/// Messages and bytes read at a time, and on their way at a time.
const CHUNK: usize = 1000;
const CHUNK_BYTES: usize = 8 * 1024 * 1024;
/// How often in a row the backup may be found no longer than before: for a minute.
const BACKUP_LOOKS_MAX: u32 = 600;
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What is in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFinding {
    /// The stream that was read: the log, or what was kept of it by a repair that was cut off.
    pub stream: &'static str,
    /// The last message of the part that is ours without a gap.
    pub genuine: u64,
    /// What follows it.
    pub dropped: Vec<DroppedMessage>,
    /// Why the first of these is none of ours.
    pub reason: Option<String>,
}

/// A message that is not taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DroppedMessage {
    pub seq: u64,
    pub subject: String,
    pub bytes: usize,
}

impl Broker {
    /// Reads the log, or what an earlier repair kept of it, from its beginning.
    pub async fn inspect_log(&self) -> Result<LogFinding, Error> {
        match self.backup().await? {
            Some(_) if !self.is_repaired().await? => self.inspect(BACKUP).await,
            _ => self.inspect(subject::EVENTS).await,
        }
    }

    /// Makes the log again from the part that is ours. Everybody else must have stopped.
    ///
    /// # Errors
    /// It was cut off, and is to be begun again; or an earlier repair's backup is still there.
    pub async fn repair_log(&self, finding: &LogFinding) -> Result<(), Error> {
        let refused = |text: String| Error::Refused { code: 0, description: text };
        let backup = match (self.backup().await?, finding.stream) {
            // Cut off while it was made.
            (Some(backup), BACKUP) if backup.config.contains_key("sources") => {
                let last = self.info_unchecked(subject::EVENTS).await?.state.last_seq;
                self.detach(last).await?
            }
            (Some(backup), BACKUP) => backup,
            (None, subject::EVENTS) => self.make_backup().await?,
            (Some(_), _) => {
                return Err(refused(format!(
                    "{BACKUP} is there from an earlier repair: remove it"
                )));
            }
            (None, _) => return Err(refused(format!("{BACKUP} is gone"))),
        };
        let from = match self.info_unchecked(subject::EVENTS).await {
            // Not the copy yet.
            Ok(log) if !is_copy(&log) => {
                self.delete(subject::EVENTS).await?;
                self.make_copy(&backup).await?;
                1
            }
            Ok(log) => log.state.last_seq + 1,
            Err(Error::Missing(_)) => {
                self.make_copy(&backup).await?;
                1
            }
            Err(error) => return Err(error),
        };
        self.copy(from, finding.genuine).await?;
        let copied = self.inspect(subject::EVENTS).await?;
        if copied.genuine != finding.genuine || !copied.dropped.is_empty() {
            return Err(refused(format!("the copy ends at {}, not as it should", copied.genuine)));
        }
        self.finish_copy().await
    }

    async fn backup(&self) -> Result<Option<StreamInfo>, Error> {
        match self.info_unchecked(BACKUP).await {
            Ok(info) => Ok(Some(info)),
            Err(Error::Missing(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the log is one that was repaired to the end, and is in use.
    async fn is_repaired(&self) -> Result<bool, Error> {
        match self.info_unchecked(subject::EVENTS).await {
            Ok(log) => Ok(metadata(&log).contains_key(INCARNATION_KEY) && !is_copy(&log)),
            Err(Error::Missing(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn inspect(&self, stream: &'static str) -> Result<LogFinding, Error> {
        let last = self.info_unchecked(stream).await?.state.last_seq;
        let mut reader = Reader::default();
        let mut finding = LogFinding { stream, genuine: 0, dropped: Vec::new(), reason: None };
        let mut next = 1;
        while next <= last {
            let (replies, _) = self.direct_get(chunk(stream, next)).await?;
            let read = next;
            for message in replies.iter().filter_map(Stored::of).map(|stored| stored.message) {
                if message.seq > last {
                    break;
                }
                if message.seq != next {
                    return Err(cut(stream, message.seq));
                }
                next = message.seq + 1;
                if finding.reason.is_none() {
                    match reader.read(&message.subject, &message.payload) {
                        Ok(_) => {
                            finding.genuine = message.seq;
                            continue;
                        }
                        Err(error) => finding.reason = Some(error.to_string()),
                    }
                }
                let bytes = message.payload.len();
                let dropped = DroppedMessage { seq: message.seq, subject: message.subject, bytes };
                finding.dropped.push(dropped);
            }
            if next == read {
                return Err(Error::Unavailable(format!("{stream} cannot be read at {read}")));
            }
        }
        Ok(finding)
    }

    /// Keeps all of the log as a stream of its own, which then has nothing to do with it any more.
    async fn make_backup(&self) -> Result<StreamInfo, Error> {
        let log = self.info_unchecked(subject::EVENTS).await?;
        let replicas = log.config.get("num_replicas").cloned().unwrap_or(json!(1));
        let config = json!({
            "name": BACKUP,
            "storage": "file",
            "num_replicas": replicas,
            // No mirror: that would go on answering direct gets of the log, with what is in here.
            "sources": [{ "name": subject::EVENTS }],
            "allow_direct": true,
            "metadata": { INCARNATION_KEY: log.incarnation().0 },
        });
        let create = format!("STREAM.CREATE.{BACKUP}");
        self.api::<StreamInfo>(&create, &config).await?;
        self.detach(log.state.last_seq).await
    }

    /// Waits until the backup has everything, and cuts it off from the log, which is deleted next.
    async fn detach(&self, last: u64) -> Result<StreamInfo, Error> {
        let (mut reached, mut looks) = (0, 0);
        let mut backup = loop {
            let backup = self.info_unchecked(BACKUP).await?;
            match backup.state.last_seq {
                seq if seq >= last => break backup,
                seq if seq > reached => (reached, looks) = (seq, 0),
                _ if looks >= BACKUP_LOOKS_MAX => {
                    return Err(Error::Unavailable(format!("{BACKUP} stands still at {reached}")));
                }
                _ => looks += 1,
            }
            tokio::time::sleep(LOOK_EVERY).await;
        };
        backup.config.remove("sources");
        self.update(BACKUP, &backup.config).await?;
        self.info_unchecked(BACKUP).await
    }

    async fn make_copy(&self, backup: &StreamInfo) -> Result<(), Error> {
        let Some(wanted) = self.layout().stream(subject::EVENTS) else {
            return Err(Error::Missing(subject::EVENTS.to_owned()));
        };
        let mut config = wanted.clone();
        let incarnation = metadata(backup).get(INCARNATION_KEY).cloned();
        if let Some(replicas) = backup.config.get("num_replicas") {
            config.insert("num_replicas".into(), replicas.clone());
        }
        config.insert(
            "metadata".into(),
            json!({
                ID_KEY: self.unique(),
                INCARNATION_KEY: incarnation,
                REPAIR_KEY: "not whole yet: run `noxctl log repair` again",
            }),
        );
        let subject = format!("STREAM.CREATE.{}", subject::EVENTS);
        self.api::<StreamInfo>(&subject, &config).await.map(drop)
    }

    /// Writes the messages from `from` to `to` as they are in the backup.
    async fn copy(&self, from: u64, to: u64) -> Result<(), Error> {
        let mut next = from;
        while next <= to {
            let (replies, _) = self.direct_get(chunk(BACKUP, next)).await?;
            let mut written = Vec::with_capacity(replies.len());
            for reply in replies {
                let Some(Stored { message, .. }) = Stored::of(&reply) else { continue };
                if message.seq != next || next > to {
                    break;
                }
                let headers = kept_headers(&reply, message.seq);
                written.push(self.publish(message.subject, Some(headers), message.payload));
                next += 1;
            }
            if written.is_empty() {
                return Err(Error::Unavailable(format!("{BACKUP} cannot be read at {next}")));
            }
            for stored in join_all(written).await {
                stored.map_err(|error| Error::Unavailable(format!("copying the log: {error}")))?;
            }
        }
        Ok(())
    }

    /// From now on it is the log.
    async fn finish_copy(&self) -> Result<(), Error> {
        let mut config = self.info_unchecked(subject::EVENTS).await?.config;
        if let Some(Value::Object(metadata)) = config.get_mut("metadata") {
            metadata.remove(REPAIR_KEY);
        }
        self.update(subject::EVENTS, &config).await?;
        self.info(subject::EVENTS).await.map(drop)
    }

    async fn update(&self, stream: &str, config: &Map<String, Value>) -> Result<(), Error> {
        self.api::<StreamInfo>(&format!("STREAM.UPDATE.{stream}"), config).await.map(drop)
    }

    async fn delete(&self, stream: &str) -> Result<(), Error> {
        self.api::<Value>(&format!("STREAM.DELETE.{stream}"), &json!({})).await.map(drop)
    }
}

/// What was cut off cannot be copied to where it stood, and without it the log would be another one.
fn cut(stream: &str, before: u64) -> Error {
    let description = format!(
        "{stream} was cut before message {before}: a log that was cut cannot be made again from its stream; \
         see `docs/OPERATIONS.md`"
    );
    Error::Refused { code: 0, description }
}

/// The next messages of a stream, from `seq` on.
fn chunk(stream: &str, seq: u64) -> DirectGet<'_> {
    DirectGet { stream, subject: None, seq, messages_max: CHUNK, bytes_max: CHUNK_BYTES }
}

fn metadata(info: &StreamInfo) -> Map<String, Value> {
    let metadata = info.config.get("metadata").and_then(Value::as_object);
    metadata.cloned().unwrap_or_default()
}

/// Whether it is a copy that is not whole yet.
fn is_copy(log: &StreamInfo) -> bool {
    metadata(log).contains_key(REPAIR_KEY)
}

/// What a message says beside its payload, without the guards under which it was once written, and
/// with one for its place.
fn kept_headers(reply: &Reply, seq: u64) -> Headers {
    let value = |name: &'static str| {
        let value = reply.headers.as_ref()?.get(name)?;
        Some((name, value.as_str().to_owned()))
    };
    let mut headers: Headers = ["Nats-TTL", "Nats-Msg-Id"].into_iter().filter_map(value).collect();
    headers.push(("Nats-Expected-Last-Sequence", (seq - 1).to_string()));
    headers
}
