//! What is stored of each thing, as far as the fold needs it to go on.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
    str::FromStr,
};

use nox_contract::{
    Attempt, Capacity, EventNumber, JobError, JobId, JobState, Limits, Manifest, ModuleName,
    Resources, SessionId, TenantId, Timestamp, UserId, WaitingCode, WorkNumber, WorkerId,
    fact::ServedModule,
};
use nox_core::{
    job::{Job, Phase},
    ledger::Balance,
};
use serde::{Deserialize, de::IntoDeserializer};

/// Why a row does not tell all about its job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Parked {
    /// The fold goes on; what Postgres cannot store is missing.
    Unstorable,
    /// A newer version wrote a fact that this one does not know: the row stays as it was before. A
    /// rebuild by a version that knows it takes the job up again.
    UnknownFact,
    /// Postgres refused an event for a reason that nobody foresaw: the row stays as it was before.
    Refused,
}

impl Parked {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unstorable => "unstorable",
            Self::UnknownFact => "unknown_fact",
            Self::Refused => "refused",
        }
    }

    /// Whether the job's row stays as it is, whatever comes.
    pub fn is_frozen(self) -> bool {
        match self {
            Self::Unstorable => false,
            Self::UnknownFact | Self::Refused => true,
        }
    }
}

impl fmt::Display for Parked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A stored word that this version does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a row says {column} = {found:?}, which this version does not know")]
pub struct UnknownWord {
    pub column: &'static str,
    pub found: String,
}

impl FromStr for Parked {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        Ok(match text {
            "unstorable" => Self::Unstorable,
            "unknown_fact" => Self::UnknownFact,
            "refused" => Self::Refused,
            _ => return Err(UnknownWord { column: "parked", found: text.to_owned() }),
        })
    }
}

/// A job without its inputs and outputs, which only pass through.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredJob {
    pub id: JobId,
    pub tenant: TenantId,
    pub user_id: UserId,
    pub module: ModuleName,
    /// The same fold as the scheduler's.
    pub job: Job,
    /// The newest event of the job.
    pub n: EventNumber,
    /// The worker of the newest attempt; kept after its end.
    pub worker_id: Option<WorkerId>,
    pub ledger: JobLedger,
    /// The job's events after the first; see [`push_event`].
    pub events: Vec<u8>,
    pub parked: Option<Parked>,
}

impl StoredJob {
    pub(crate) fn is_frozen(&self) -> bool {
        self.parked.is_some_and(Parked::is_frozen)
    }

    /// Whether nothing more is expected to come.
    pub(crate) fn is_over(&self) -> bool {
        self.job.state().is_ended() && self.job.worker_id().is_none()
    }

    /// The work that was handed out, while it has not started.
    pub(crate) fn work(&self) -> Option<WorkNumber> {
        match &self.job.phase {
            Phase::Assigned { work, .. } => Some(*work),
            Phase::Queued { .. }
            | Phase::Running { .. }
            | Phase::AttemptEnded
            | Phase::Succeeded
            | Phase::Failed
            | Phase::Canceled { .. } => None,
        }
    }

    /// Whether a worker has the job, or still has to say `stopped`.
    pub(crate) fn held(&self) -> bool {
        self.job.worker_id().is_some()
    }
}

/// What a job reserved and used, in core seconds of one period.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JobLedger {
    pub period: Option<Timestamp>,
    /// All that was ever reserved; what is neither reserved nor used of it was released.
    pub reservation: i64,
    pub reserved: i64,
    pub used: i64,
    pub overrun: i64,
}

/// The columns that say where a job stands.
pub(crate) struct PhaseColumns<'a> {
    pub status: &'a str,
    pub waiting_code: Option<&'a str>,
    pub worker_id: Option<&'a str>,
    pub work: Option<i64>,
    pub held: bool,
}

/// Reads back where a job stands: the reverse of what `write.rs` stores.
pub(crate) fn phase(columns: &PhaseColumns<'_>) -> Result<Phase, UnknownWord> {
    let unknown = |column, found: &str| UnknownWord { column, found: found.to_owned() };
    let worker = || {
        let text = columns.worker_id.unwrap_or_default();
        WorkerId::new(text).map_err(|_| unknown("worker_id", text))
    };
    let state = columns.status.parse().map_err(|_| unknown("status", columns.status))?;
    Ok(match state {
        JobState::Draft => return Err(unknown("status", columns.status)),
        JobState::Queued => match (columns.waiting_code, columns.work) {
            (Some(_), Some(work)) => {
                Phase::Assigned { worker_id: worker()?, work: WorkNumber(crate::sql::count(work)) }
            }
            (Some(code), None) => Phase::Queued { waiting: waiting_code(code)? },
            (None, _) => Phase::AttemptEnded,
        },
        JobState::Running => Phase::Running { worker_id: worker()? },
        JobState::Succeeded => Phase::Succeeded,
        JobState::Failed => Phase::Failed,
        JobState::Canceled => Phase::Canceled { held_by: columns.held.then(worker).transpose()? },
    })
}

pub(crate) fn waiting_code(text: &str) -> Result<WaitingCode, UnknownWord> {
    let word: serde::de::value::StrDeserializer<'_, serde::de::value::Error> =
        text.into_deserializer();
    WaitingCode::deserialize(word)
        .map_err(|_| UnknownWord { column: "waiting_code", found: text.to_owned() })
}

/// Appends an event number as a LEB128 distance: mostly two bytes, where a number would be eight.
pub(crate) fn push_event(events: &mut Vec<u8>, last: EventNumber, n: EventNumber) {
    let mut distance = n.0 - last.0;
    while distance >= 0x80 {
        events.push((distance as u8 & 0x7f) | 0x80);
        distance >>= 7;
    }
    events.push(distance as u8);
}

/// The numbers of all events of a job, in order.
pub(crate) fn event_numbers(first: EventNumber, events: &[u8]) -> Vec<EventNumber> {
    let mut numbers = vec![first];
    let (mut n, mut distance, mut shift) = (first.0, 0u64, 0u32);
    for byte in events {
        distance |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        shift += 7;
        if byte & 0x80 == 0 {
            n = n.saturating_add(distance);
            numbers.push(EventNumber(n));
            (distance, shift) = (0, 0);
        }
    }
    numbers
}

/// An account's budget of one period.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BalanceKey {
    pub tenant: TenantId,
    /// `tenant` or `user/<id>`.
    pub account: String,
    pub period: Timestamp,
}

/// The newest limits of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredLimits {
    pub role: String,
    pub limits: Limits,
    pub n: EventNumber,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredModule {
    pub manifest: Manifest,
    pub enabled: bool,
    pub n: EventNumber,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredWorker {
    pub session: SessionId,
    pub state: WorkerState,
    pub capacity: Capacity,
    pub modules: Vec<ServedModule>,
    pub labels: Vec<String>,
    pub joined_at: Timestamp,
    pub left_at: Option<Timestamp>,
    pub n: EventNumber,
}

/// Where a worker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerState {
    Joined,
    /// Takes no more work.
    Draining,
    /// Gave itself back.
    Left,
    /// Was silent for too long.
    Lost,
}

impl WorkerState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Joined => "joined",
            Self::Draining => "draining",
            Self::Left => "left",
            Self::Lost => "lost",
        }
    }
}

impl FromStr for WorkerState {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        Ok(match text {
            "joined" => Self::Joined,
            "draining" => Self::Draining,
            "left" => Self::Left,
            "lost" => Self::Lost,
            _ => return Err(UnknownWord { column: "state", found: text.to_owned() }),
        })
    }
}

/// The rows that the fold looks at. A copy of what is stored: nothing is lost if it is dropped.
#[derive(Debug, Default)]
pub struct Rows {
    pub jobs: HashMap<JobId, StoredJob>,
    /// Jobs of which there is no row, because Postgres refused their first event.
    pub rowless: HashSet<JobId>,
    pub balances: HashMap<BalanceKey, Balance>,
    /// All of them: they are few.
    pub modules: BTreeMap<ModuleName, StoredModule>,
    /// All of them: they are few.
    pub workers: BTreeMap<WorkerId, StoredWorker>,
}

/// A job of which only an event's envelope is known.
pub(crate) fn shell(
    id: JobId,
    tenant: TenantId,
    user_id: UserId,
    module: ModuleName,
    n: EventNumber,
    at: Timestamp,
) -> StoredJob {
    let job = Job {
        phase: Phase::Queued { waiting: WaitingCode::Paused },
        attempt: Attempt(0),
        failures: 0,
        crashes: 0,
        submitted_n: n,
        requested_resources: Resources { cpu: 0, mem_mb: 0, wall_time_s: 0, gpu: 0 },
        priority: 0,
        created_at: at,
        started_at: None,
        ended_at: None,
        due_at: None,
        error: None::<JobError>,
    };
    StoredJob {
        id,
        tenant,
        user_id,
        module,
        job,
        n,
        worker_id: None,
        ledger: JobLedger::default(),
        events: Vec::new(),
        parked: None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn where_a_job_stands_is_read_back_as_it_was_stored() {
        let worker_id = || WorkerId::new("exec-1").unwrap();
        for phase in [
            Phase::Queued { waiting: WaitingCode::Backoff },
            Phase::Assigned { worker_id: worker_id(), work: WorkNumber(7) },
            Phase::Running { worker_id: worker_id() },
            Phase::AttemptEnded,
            Phase::Succeeded,
            Phase::Failed,
            Phase::Canceled { held_by: None },
            Phase::Canceled { held_by: Some(worker_id()) },
        ] {
            let mut row = shell(
                JobId(uuid::Uuid::nil()),
                TenantId::new("acme").unwrap(),
                UserId::new("ada").unwrap(),
                ModuleName::new("xtb").unwrap(),
                EventNumber(1),
                Timestamp::default(),
            );
            row.job.phase = phase.clone();
            let columns = PhaseColumns {
                status: row.job.state().as_str(),
                waiting_code: row.job.waiting().map(WaitingCode::as_str),
                // Kept after the attempt's end.
                worker_id: Some("exec-1"),
                work: row.work().map(|work| work.0 as i64),
                held: row.held(),
            };
            assert_eq!(super::phase(&columns), Ok(phase));
        }
    }

    #[test]
    fn every_waiting_code_is_read_back_and_another_word_is_refused() {
        use WaitingCode::*;
        for code in [
            Priority,
            Concurrency,
            Quota,
            Rate,
            NoWorker,
            Resources,
            Dependency,
            Scheduled,
            Backoff,
            Paused,
            Dispatching,
        ] {
            assert_eq!(waiting_code(code.as_str()), Ok(code));
        }
        assert!(waiting_code("bored").is_err());
    }

    proptest! {
        #[test]
        fn event_numbers_are_read_back(distances in prop::collection::vec(1u64..1 << 40, 0..20)) {
            let mut numbers = vec![EventNumber(42)];
            let mut events = Vec::new();
            for distance in distances {
                let last = numbers[numbers.len() - 1];
                let n = EventNumber(last.0 + distance);
                push_event(&mut events, last, n);
                numbers.push(n);
            }
            prop_assert_eq!(event_numbers(EventNumber(42), &events), numbers);
        }

        #[test]
        fn damaged_event_numbers_are_no_panic(events in prop::collection::vec(any::<u8>(), 0..64)) {
            event_numbers(EventNumber(u64::MAX), &events);
        }
    }
}
