//! The seven kinds of message, and how today's types read each of them.

use std::path::PathBuf;

use nox_contract::{
    AnswerMessage, Beat, CommandMessage, EpochRecord, FactOrUnknown, Frame, ReportMessage,
    WorkMessage,
};
use schemars::{JsonSchema, Schema, schema_for};
use serde::{Serialize, de::DeserializeOwned};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Commands,
    Answers,
    Reports,
    Work,
    Beats,
    Frames,
    Epochs,
}

impl Kind {
    pub const ALL: [Self; 7] = [
        Self::Commands,
        Self::Answers,
        Self::Reports,
        Self::Work,
        Self::Beats,
        Self::Frames,
        Self::Epochs,
    ];

    /// The folder of its examples, and the name of its schema.
    pub fn name(self) -> &'static str {
        match self {
            Self::Commands => "commands",
            Self::Answers => "answers",
            Self::Reports => "reports",
            Self::Work => "work",
            Self::Beats => "beats",
            Self::Frames => "frames",
            Self::Epochs => "epochs",
        }
    }

    /// Reads a message with today's type and writes it again.
    pub fn rewrite(self, text: &str) -> Result<String, String> {
        match self {
            Self::Commands => again::<CommandMessage>(text),
            Self::Answers => again::<AnswerMessage>(text),
            Self::Reports => again::<ReportMessage>(text),
            Self::Work => again::<WorkMessage>(text),
            Self::Beats => again::<Beat>(text),
            Self::Frames => {
                let frame: Frame = serde_json::from_str(text).map_err(|e| e.to_string())?;
                for entry in &frame.entries {
                    let unknown = |fact: &&FactOrUnknown| matches!(fact, FactOrUnknown::Unknown(_));
                    if let Some(fact) = entry.facts.iter().find(unknown) {
                        return Err(format!("a fact is unknown: {fact:?}"));
                    }
                    entry.entity().ok_or("it is about several entities")?;
                }
                again::<Frame>(text)
            }
            Self::Epochs => again::<EpochRecord>(text),
        }
    }

    pub fn schema(self) -> Schema {
        fn of<T: JsonSchema>() -> Schema {
            schema_for!(T)
        }
        match self {
            Self::Commands => of::<CommandMessage>(),
            Self::Answers => of::<AnswerMessage>(),
            Self::Reports => of::<ReportMessage>(),
            Self::Work => of::<WorkMessage>(),
            Self::Beats => of::<Beat>(),
            Self::Frames => of::<Frame>(),
            Self::Epochs => of::<EpochRecord>(),
        }
    }

    pub fn corpus_folder(self) -> PathBuf {
        folder("corpus").join(self.name())
    }

    pub fn schema_file(self) -> PathBuf {
        folder("schemas").join(format!("{}.json", self.name()))
    }

    /// Every stored message of this kind, by its file's name.
    pub fn stored(self) -> Vec<(String, String)> {
        let folder = self.corpus_folder();
        let entries = std::fs::read_dir(&folder)
            .unwrap_or_else(|e| panic!("{}: {e}; NOX_BLESS=1 writes it", folder.display()));
        let mut stored: Vec<_> = entries
            .map(|entry| {
                let path = entry.expect("a folder can be listed").path();
                let text = std::fs::read_to_string(&path).expect("a file can be read");
                (format!("{}/{}", self.name(), path.file_stem().unwrap().display()), text)
            })
            .collect();
        stored.sort();
        stored
    }
}

fn again<T: DeserializeOwned + Serialize>(text: &str) -> Result<String, String> {
    let value: T = serde_json::from_str(text).map_err(|e| e.to_string())?;
    serde_json::to_string_pretty(&value).map_err(|e| e.to_string())
}

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name).join("v1")
}

/// Whether files that do not exist yet are to be written.
#[expect(
    clippy::disallowed_methods,
    reason = "no product code: a switch of whoever runs the tests"
)]
pub fn bless() -> bool {
    std::env::var_os("NOX_BLESS").is_some_and(|value| value == "1")
}
