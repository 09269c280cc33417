//! A job as it is stored, and how it is read back.

use nox_contract::{
    Attempt, EventNumber, JobError, JobId, JobState, ModuleName, Resources, TenantId, Timestamp,
    UserId, WaitingCode, WorkNumber, WorkerId,
};
use nox_core::job::{Job, Phase};
use serde::{Deserialize, de::IntoDeserializer};

use super::{Parked, UnknownWord};

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
    /// The job's events after the first; see `push_event`.
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
        suspicions: 0,
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
            Isolation,
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
