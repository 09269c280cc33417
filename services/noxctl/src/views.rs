//! What is read of the gateway's answers. Members that are not named here are left alone.

use base64::{DecodeError, Engine, engine::general_purpose::STANDARD};
use nox_contract::{
    Fact, FactOrUnknown, FrameNumber, JobError, JobId, JobState, TenantId, Timestamp,
    artifact::Artifact, upload::MEMBER,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};

/// Whether a job was taken in.
#[derive(Debug, Clone, Deserialize)]
pub struct Admitted {
    pub job_id: JobId,
    /// A reader that names this number sees the job; absent while nobody has decided.
    pub n: Option<FrameNumber>,
}

/// A job.
#[derive(Debug, Clone, Deserialize)]
pub struct Job {
    pub id: JobId,
    pub module: String,
    pub user_id: String,
    pub state: JobState,
    pub waiting: Option<Waiting>,
    pub attempt: u32,
    pub progress: Option<Progress>,
    pub priority: u8,
    pub outputs: Option<Box<RawValue>>,
    pub error: Option<JobError>,
    pub worker_id: Option<String>,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
}

/// How far its newest attempt is.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Progress {
    Told {
        percent: Option<f64>,
        message: Option<String>,
    },
    /// As jobs by engine have it.
    Percent(f64),
}

impl Progress {
    fn words(&self) -> Option<String> {
        let (percent, message) = match self {
            Self::Told { percent, message } => (*percent, message.clone()),
            Self::Percent(percent) => (Some(*percent), None),
        };
        let percent = percent.map(|percent| format!("{percent} %"));
        percent.into_iter().chain(message).reduce(|all, word| format!("{all}, {word}"))
    }
}

/// Why a job does not run.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Waiting {
    pub code: String,
    pub message: String,
}

/// A page of a job's entries in the log, each as it was written.
#[derive(Debug, Deserialize)]
pub struct Events {
    pub events: Vec<Box<RawValue>>,
    /// Where to go on. An empty page is the end so far.
    pub next: Option<u64>,
}

/// An entry of a job, with what its frame says of all of its entries.
#[derive(Debug, Deserialize)]
pub struct Entry {
    /// The frame.
    pub n: FrameNumber,
    pub at: Timestamp,
    pub tenant: TenantId,
    pub facts: Vec<FactOrUnknown>,
}

/// What came of a job, as far as it is files.
#[derive(Debug, Deserialize)]
pub struct Artifacts {
    pub artifacts: Vec<Artifact>,
}

/// What was uploaded.
#[derive(Debug, Deserialize)]
pub struct Upload {
    pub id: String,
    pub sha256: String,
}

impl Upload {
    /// What stands in inputs in the place of the text.
    pub fn reference(&self) -> Value {
        json!({ MEMBER: self.id, "sha256": self.sha256 })
    }
}

/// A page of what a job printed.
#[derive(Debug, Deserialize)]
pub struct Logs {
    pub chunks: Vec<Box<RawValue>>,
    /// Where to go on. An empty page is the end so far.
    pub next: Option<u64>,
}

/// A piece of what a job printed.
#[derive(Debug, Deserialize)]
pub struct LogChunk {
    pub stream: String,
    /// Bytes right before these that are not there.
    #[serde(default)]
    pub missing: u64,
    pub text: String,
    /// The bytes, where they are no text; what stands for them in `text` is not all.
    pub base64: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct Modules {
    pub modules: Vec<Box<RawValue>>,
}

#[derive(Debug, Deserialize)]
pub struct Module {
    pub name: String,
    pub version: String,
    #[serde(default)]
    pub title: String,
    pub enabled: bool,
}

impl LogChunk {
    /// What the job printed, byte for byte.
    pub fn bytes(self) -> Result<Vec<u8>, DecodeError> {
        match self.base64 {
            Some(bytes) => STANDARD.decode(bytes),
            None => Ok(self.text.into_bytes()),
        }
    }
}

impl Job {
    /// Where it stands and why, in a few words.
    pub fn standing(&self) -> String {
        match (&self.waiting, &self.error, self.state) {
            (Some(waiting), _, JobState::Queued) => {
                format!("queued ({}: {})", waiting.code, waiting.message)
            }
            (_, Some(error), JobState::Failed) => {
                format!("failed ({}: {})", error.code, error.message)
            }
            (_, _, JobState::Running) => format!("running (attempt {})", self.attempt),
            (_, _, state) => state.to_string(),
        }
    }

    /// The same, with how far it is.
    pub fn standing_with_progress(&self) -> String {
        let progress = self.progress.as_ref().filter(|_| !self.state.is_ended());
        match progress.and_then(Progress::words) {
            Some(words) => format!("{}: {words}", self.standing()),
            None => self.standing(),
        }
    }

    /// Seconds from start to end, once both are known.
    pub fn took(&self) -> Option<f64> {
        Some(self.ended_at?.since(self.started_at?).as_secs_f64())
    }
}

impl Events {
    /// The entries of this page, understood.
    pub fn read(&self) -> serde_json::Result<Vec<Entry>> {
        self.events.iter().map(|entry| serde_json::from_str(entry.get())).collect()
    }
}

impl Entry {
    /// The facts that this version of the code knows.
    pub fn known_facts(&self) -> impl Iterator<Item = &Fact> {
        self.facts.iter().filter_map(|fact| match fact {
            FactOrUnknown::Known(fact) => Some(fact),
            FactOrUnknown::Unknown(_) => None,
        })
    }
}
