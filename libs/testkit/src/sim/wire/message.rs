//! What the parties of a run say to each other, and what happens to them.

use std::sync::Arc;

use bytes::Bytes;
use nox_contract::{
    Beat, EpochRecord, FrameNumber, Source, TenantId, WorkMessage, WorkerId, beat::Held,
};
use nox_protocol::{appender::Guard, session::ReportId, takeover::Attachment};

/// Whoever something can happen to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Party {
    Scheduler(usize),
    Executor(usize),
    Client(usize),
    Projector(usize),
    Forger,
}

/// What happens to a party.
#[derive(Debug, Clone)]
pub enum Happening {
    /// It begins to live.
    Start,
    Reply(Call, Reply),
    // A scheduler:
    LeaseTick,
    Feed {
        term: u64,
        src: Source,
    },
    Wake {
        term: u64,
    },
    Beat {
        term: u64,
        worker: WorkerId,
        beat: Beat,
    },
    // An executor:
    Work(Arc<WorkMessage>),
    SessionWake,
    /// What still runs is handed back.
    HandBack,
    /// Attempts can be run again.
    Resume,
    BeatDue,
    Spawned {
        held: Held,
        serial: u64,
    },
    Ended {
        held: Held,
        serial: u64,
    },
    Leave,
    // A client, or the forger:
    Act,
    // A projector:
    Loaded,
    Fetch,
    Commit,
}

/// What a reply is to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    Attach { term: u64 },
    Epoch { term: u64 },
    AppendEpoch { term: u64 },
    ReadLog { term: u64 },
    Append { term: u64, n: FrameNumber },
    Tail { term: u64 },
    Inputs { term: u64, work: u64 },
    Probe { term: u64, question: u64 },
    Report { id: ReportId, session: u64 },
    Command { index: usize },
    Nobody,
}

#[derive(Debug, Clone)]
pub enum Reply {
    Stored(u64),
    Refused,
    /// Nobody knows.
    Unknown,
    Attachment(Attachment),
    Epoch(Option<(u64, EpochRecord)>),
    Log {
        last: u64,
        records: Vec<(u64, String, Bytes)>,
    },
    /// Nobody listens, and which report is stored last.
    Nobody {
        reports: u64,
    },
}

/// What is published.
#[derive(Debug, Clone)]
pub enum Publish {
    Log { guard: Guard, payload: Bytes },
    Epoch { record: EpochRecord, expected: u64 },
    Commands { tenant: TenantId, payload: Bytes },
    Reports { worker: WorkerId, payload: Bytes, forged: bool },
    Work { worker: WorkerId, message: Arc<WorkMessage> },
    Beat { worker: WorkerId, beat: Beat },
}

/// What is asked of the broker.
#[derive(Debug, Clone)]
pub enum Ask {
    Attachment,
    Epoch,
    Log {
        from: u64,
        max: usize,
    },
    Frames(Vec<u64>),
    /// Whether anybody listens for a worker's work.
    Listener(WorkerId),
}
