//! A log to be archived.

use std::path::Path;

use bytes::Bytes;
use nox_archive::{Archive, ClosedSegment, LogArchive, SegmentBuilder};
use nox_contract::{Chain, FrameNumber, Incarnation, subject};
use nox_streams::Message;

/// Numbers 1 to `count`: records of terms at 1 and every 50th, frames of `bytes` and more between them.
pub fn log(count: u64, bytes: usize) -> Vec<Message> {
    let mut chain = Chain::START;
    (1..=count)
        .map(|n| {
            let message = message(n, chain, bytes);
            chain = chain.extend(&message.payload);
            message
        })
        .collect()
}

/// The message `n` of a log, after what makes `chain`.
pub fn message(n: u64, chain: Chain, bytes: usize) -> Message {
    if n == 1 || n.is_multiple_of(50) {
        let payload = format!(
            r#"{{"epoch":{n},"leader":"test","at":"2026-11-21T22:00:00Z","commands":"a","reports":"b"}}"#
        );
        return Message { seq: n, subject: subject::EPOCH.to_owned(), payload: payload.into() };
    }
    // Digits that differ from frame to frame, so that blocks do not shrink to nothing.
    let filler: String = (0..)
        .map(|i| Chain::START.extend(format!("{n} {i}").as_bytes()).to_string())
        .take(bytes / 67)
        .collect();
    let payload = format!(
        r#"{{"n":{n},"epoch":1,"at":"2026-11-21T22:00:00Z","rules":1,"prev":"{chain}","pos":{{"commands":{{"seq":0,"part":0}},"reports":{{"seq":0,"part":0}}}},"inputs":["{filler}"],"entries":[]}}"#
    );
    Message { seq: n, subject: subject::FRAMES.to_owned(), payload: Bytes::from(payload) }
}

/// The chain after the first `n` messages.
pub fn chain(log: &[Message], n: u64) -> Chain {
    log[..n as usize].iter().fold(Chain::START, |chain, message| chain.extend(&message.payload))
}

/// Messages `from` to `to` of the log.
pub fn segment(log: &[Message], from: u64, to: u64) -> ClosedSegment {
    let mut builder = SegmentBuilder::new(FrameNumber(from - 1), chain(log, from - 1));
    for message in &log[from as usize - 1..to as usize] {
        builder.push(message).unwrap();
    }
    builder.close().unwrap()
}

pub fn archive(folder: &Path) -> LogArchive {
    let archive = Archive::create(folder.to_str().unwrap()).unwrap();
    archive.log(&Incarnation("2026-11-21T22:00:00Z/abc".to_owned()))
}
