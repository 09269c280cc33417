//! The archive, and the log's stream that is cut: real segments, and the real rule of retention.

use bytes::Bytes;
use nox_archive::{SegmentBuilder, segment};
use nox_contract::{Chain, FrameNumber, subject};
use nox_protocol::{
    Agreement, RecentFrames, Retention, agreement,
    recent::Following,
    retention::{Archived, Hold, Kept, LogUsage},
};
use nox_streams::Message;

use super::{
    broker::Snapshot,
    faults::{Bug, Fault},
    wire::Wire,
};

/// Most messages of a segment.
const SEGMENT_MAX: u64 = 60;

/// Bytes of frames that are taken at once.
const PORTION_BYTES: usize = 2_000;

/// What is kept of the log, in order and without a gap.
#[derive(Debug, Default)]
pub struct Archive {
    segments: Vec<Segment>,
    /// The chain after the last one.
    chain: Option<Chain>,
}

#[derive(Debug)]
struct Segment {
    n_first: u64,
    n_last: u64,
    /// What is read from what lies there.
    messages: Result<Vec<Message>, String>,
}

impl Archive {
    /// The last message of the last segment.
    fn end(&self) -> u64 {
        self.segments.last().map_or(0, |segment| segment.n_last)
    }

    pub fn message(&self, n: u64) -> Option<&Message> {
        let behind = self.segments.partition_point(|segment| segment.n_first <= n);
        let segment = self.segments[..behind].last().filter(|segment| n <= segment.n_last)?;
        segment.messages.as_ref().ok()?.get((n - segment.n_first) as usize)
    }
}

/// A leader that has the log up to `acked` keeps a segment of it now and then, and cuts the stream.
/// Returns whether it wants a snapshot.
pub fn keep(acked: FrameNumber, recent: &mut RecentFrames, wire: &mut Wire) -> bool {
    if wire.strikes(Fault::Archives) && is_of_this_log(wire) {
        put(recent, wire);
    }
    wire.strikes(Fault::CutsLog) && is_of_this_log(wire) && cut(acked.0, wire)
}

/// Whether the archive ends with what the log has there: the log may have lost its end.
fn is_of_this_log(wire: &Wire) -> bool {
    let (archive, faults) = (&wire.broker.archive, Bug::of_protocol(wire.plan.bug));
    if archive.end() > wire.broker.log_last() && !faults.archive_not_compared {
        return false;
    }
    let mut compared = (1..=archive.end()).rev().map(|n| {
        let there = wire.broker.read_log(n, 1).pop();
        let there = there.as_ref().map(|(_, subject, payload)| (subject.as_str(), &**payload));
        // Where one was damaged and not read back, that shows elsewhere.
        let Some(kept) = archive.message(n) else { return Agreement::Same };
        agreement::compare(there, &kept.payload, faults)
    });
    compared.find(|found| *found != Agreement::LookBefore) != Some(Agreement::Another)
}

fn put(recent: &mut RecentFrames, wire: &mut Wire) {
    let archive = &wire.broker.archive;
    let (n, chain) = (archive.end(), archive.chain.unwrap_or(Chain::START));
    let last = FrameNumber(n + wire.between(1, SEGMENT_MAX));
    let mut builder = SegmentBuilder::new(FrameNumber(n), chain);
    while builder.end().0 < last {
        let messages = behind(builder.end().0, recent, wire);
        if messages.is_empty() {
            break;
        }
        for message in messages {
            if let Err(error) = builder.push(&message) {
                return wire.oracle.fail(format!("the log does not follow its archive: {error}"));
            }
            let is_there = wire.broker.read_log(message.seq, 1).pop();
            // Who leads on a log that lost its end is about to find out.
            if !wire.oracle.log_lost && is_there.is_none_or(|there| there.2 != message.payload) {
                let seq = message.seq;
                return wire.oracle.fail(format!("archived {seq}, which the log does not have"));
            }
        }
    }
    let Some(closed) = builder.close() else { return };
    let mut object = closed.bytes.to_vec();
    if wire.strikes(Fault::ArchiveDamages) {
        let bit = wire.between(0, object.len() as u64 * 8 - 1);
        object[(bit / 8) as usize] ^= 1 << (bit % 8);
    }
    let messages = segment::read(&closed.info(), &Bytes::from(object));
    if messages.is_err() && wire.plan.bug != Some(Bug::ArchiveNotReadBack) {
        return wire.note(format_args!("a segment was not kept as it was written"));
    }
    wire.note(format_args!("archived {} to {}", closed.n_first, closed.n_last));
    wire.oracle.stats.archived += 1;
    let archive = &mut wire.broker.archive;
    archive.chain = Some(closed.chain_after);
    archive.segments.push(Segment { n_first: closed.n_first.0, n_last: closed.n_last.0, messages });
}

/// Messages behind `n`: those that the leader still has, else from the log.
fn behind(n: FrameNumber, recent: &mut RecentFrames, wire: &Wire) -> Vec<Message> {
    let message = |(seq, subject, payload)| Message { seq, subject, payload };
    match recent.take(n, PORTION_BYTES) {
        Following::Frames(frames) => frames
            .into_iter()
            .map(|(n, payload)| message((n.0, subject::FRAMES.to_owned(), payload)))
            .collect(),
        Following::InLog { up_to } => {
            let log = wire.broker.read_log(n.next().0, (up_to.0 - n.0) as usize);
            log.into_iter().map(message).collect()
        }
        Following::Nothing => Vec::new(),
    }
}

fn cut(acked: u64, wire: &mut Wire) -> bool {
    let (first, last) = (wire.broker.log_first(), wire.broker.log_last());
    let bytes = last.saturating_sub(first);
    // Anything from half full to full.
    let bytes_max = bytes * 100 / wire.between(55, 100);
    let segments: Vec<_> = (wire.broker.archive.segments.iter())
        .map(|segment| Archived {
            first: FrameNumber(segment.n_first),
            last: FrameNumber(segment.n_last),
            bytes: segment.n_last - segment.n_first + 1,
        })
        .collect();
    // The service keeps none before the log has its last frame; here some are of what never got there.
    let is_kept = |s: &&Snapshot| s.n <= acked && wire.broker.chain_at(s.n) == Some(s.chain);
    let kept = wire.broker.snapshots.iter().filter(is_kept);
    let kept = Kept {
        segments: &segments,
        snapshot: kept.map(|snapshot| FrameNumber(snapshot.n)).max().unwrap_or_default(),
        readers: &[("projector".to_owned(), wire.store.n())],
    };
    let usage = LogUsage { bytes, bytes_max, first: FrameNumber(first) };
    let faults = Bug::of_protocol(wire.plan.bug);
    let Some(cut) = Retention::default().cut(usage, kept, faults) else { return false };
    if let Some(before) = cut.before {
        wire.note(format_args!("the log is cut before {before}"));
        wire.oracle.stats.log_cuts += 1;
        wire.broker.cut_log(before.0);
        wire.check_cut();
    }
    cut.hold == Some(Hold::Snapshot)
}
