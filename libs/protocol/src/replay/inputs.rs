//! Where the messages of the input streams come from.

use std::collections::BTreeMap;

use bytes::Bytes;
use nox_contract::{Incarnation, Source};

/// Messages of NOX_COMMANDS and NOX_REPORTS, as far as they are kept.
pub trait Inputs {
    /// Subject and payload of message `seq` in this life of the stream; `None` if it is gone.
    fn message(&self, src: Source, incarnation: &Incarnation, seq: u64) -> Option<(&str, &[u8])>;
}

/// Messages in memory, of one life of each stream.
#[derive(Debug, Clone, Default)]
pub struct Recorded {
    lives: BTreeMap<Source, Incarnation>,
    messages: BTreeMap<(Source, u64), (String, Bytes)>,
}

impl Recorded {
    /// None yet, of these lives.
    pub fn new(commands: Incarnation, reports: Incarnation) -> Self {
        let lives = [(Source::Commands, commands), (Source::Reports, reports)].into();
        Self { lives, messages: BTreeMap::new() }
    }

    pub fn push(&mut self, src: Source, seq: u64, subject: String, payload: Bytes) {
        self.messages.insert((src, seq), (subject, payload));
    }

    /// Forgets the messages of a stream before `seq`.
    pub fn forget_before(&mut self, src: Source, seq: u64) {
        while let Some((key, _)) = self.messages.range((src, 0)..(src, seq)).next() {
            let key = *key;
            self.messages.remove(&key);
        }
    }
}

impl Inputs for Recorded {
    fn message(&self, src: Source, incarnation: &Incarnation, seq: u64) -> Option<(&str, &[u8])> {
        self.lives.get(&src).filter(|life| *life == incarnation)?;
        self.messages.get(&(src, seq)).map(|(subject, payload)| (subject.as_str(), &**payload))
    }
}
