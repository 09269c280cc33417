//! The streams that a run leaves behind: the log, and what was decided.

use nox_contract::{Incarnation, Source, subject};
use nox_protocol::replay::Recorded;
use serde::{Deserialize, Serialize};

use super::broker::Broker;

/// A message of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub stream: String,
    /// Which life of it.
    pub life: Incarnation,
    pub seq: u64,
    pub subject: String,
    pub payload: String,
}

pub(super) fn of(broker: &Broker) -> Vec<Kept> {
    let text = |payload: &[u8]| String::from_utf8_lossy(payload).into_owned();
    let mut kept = Vec::new();
    for (src, stream) in
        [(Source::Commands, subject::COMMANDS), (Source::Reports, subject::REPORTS)]
    {
        let of = broker.input(src);
        for seq in 1..=of.last() {
            let Some(stored) = of.get(seq) else { continue };
            let (subject, payload) = (stored.subject.clone(), text(&stored.payload));
            let life = of.incarnation();
            kept.push(Kept { stream: stream.to_owned(), life, seq, subject, payload });
        }
    }
    for (seq, subject, payload) in broker.read_log(1, usize::MAX) {
        let (stream, life) = (subject::EVENTS.to_owned(), Incarnation(String::new()));
        kept.push(Kept { stream, life, seq, subject, payload: text(&payload) });
    }
    kept
}

/// The messages of the input streams.
pub fn inputs(kept: &[Kept]) -> Recorded {
    let life = |stream| {
        let first = kept.iter().find(|message| message.stream == stream);
        first.map(|message| message.life.clone()).unwrap_or_default()
    };
    let mut inputs = Recorded::new(life(subject::COMMANDS), life(subject::REPORTS));
    for message in kept {
        let src = match message.stream.as_str() {
            subject::COMMANDS => Source::Commands,
            subject::REPORTS => Source::Reports,
            _ => continue,
        };
        let payload = message.payload.clone().into();
        inputs.push(src, message.seq, message.subject.clone(), payload);
    }
    inputs
}

/// The messages of the log, in order.
pub fn log(kept: &[Kept]) -> impl Iterator<Item = &Kept> {
    kept.iter().filter(|message| message.stream == subject::EVENTS)
}
