//! How far readers of the log have come: what they say, and what is known of them.

use std::{collections::BTreeMap, time::Duration};

use nox_contract::{FrameNumber, Incarnation, Position, subject};
use serde_json::json;

use crate::{Broker, Error, api::StreamInfo, publish::PublishError};

/// Between two words of a reader on how far it is. The log is cut by minutes, and who is silent for a week is taken
/// for gone.
const TELL_EVERY: Duration = Duration::from_secs(5);
/// Between two looks at the end of the log: often enough for a dashboard, and no load for the broker.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What readers of the log said last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Readers {
    /// How far each has come, by its name.
    pub positions: BTreeMap<String, Position>,
    /// Subjects whose newest word says nothing of that, and why.
    pub unreadable: BTreeMap<String, String>,
}

impl Broker {
    /// Looks every second where the log ends, and tells; for ever.
    pub async fn watch_log(self, tell: impl Fn(Result<u64, Error>)) {
        loop {
            tell(self.last_sequence(subject::EVENTS).await);
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Says every few seconds how far a reader of `log` has come, once it knows; for ever. What is said last stands
    /// while the reader is away.
    pub async fn keep_telling_reader(
        self,
        name: &str,
        log: Incarnation,
        place: impl Fn() -> Option<FrameNumber>,
    ) {
        loop {
            if let Some(n) = place() {
                let position = Position { incarnation: log.clone(), seq: n.0 };
                if let Err(error) = self.tell_reader(name, &position).await {
                    tracing::debug!(%error, reader.name = name, "Cannot say how far a reader is");
                }
            }
            tokio::time::sleep(TELL_EVERY).await;
        }
    }

    /// Says how far a reader of the log has come; only its newest word counts. Once in some seconds is
    /// enough: it holds back what is removed, and nothing else.
    pub async fn tell_reader(&self, name: &str, position: &Position) -> Result<(), PublishError> {
        let said = serde_json::to_vec(position).unwrap_or_default();
        self.publish(subject::reader(name), None, said.into()).await.map(drop)
    }

    /// What a reader of the log said last within a week, if that can be read.
    pub async fn reader_position(&self, name: &str) -> Result<Option<Position>, Error> {
        let said = self.read_last(subject::READERS, &subject::reader(name)).await?;
        Ok(said.and_then(|(said, _)| serde_json::from_slice(&said.payload).ok()))
    }

    /// The readers of the log that said something within a week, and what they said last.
    pub async fn readers(&self) -> Result<Readers, Error> {
        let all = json!({ "subjects_filter": subject::reader("*") });
        let info: StreamInfo = self.api(&format!("STREAM.INFO.{}", subject::READERS), &all).await?;
        let mut readers = Readers::default();
        for subject in info.state.subjects.into_keys() {
            let Some((said, _)) = self.read_last(subject::READERS, &subject).await? else {
                continue;
            };
            match serde_json::from_slice(&said.payload) {
                Ok(at) => {
                    readers.positions.insert(subject::last_token(&subject).to_owned(), at);
                }
                Err(error) => {
                    readers.unreadable.insert(subject, error.to_string());
                }
            }
        }
        Ok(readers)
    }
}
