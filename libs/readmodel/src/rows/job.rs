//! A job as it is stored, and how it is read back.

use nox_contract::{
    Attempt, FrameNumber, JobId, JobState, ModuleName, Progress, Resources, TenantId, Timestamp,
    UserId, WaitingCode, WorkNumber, WorkerId,
};
use nox_core::job::{Job, Phase};
use serde::{Deserialize, de::IntoDeserializer};

use super::{Parked, UnknownWord};
use crate::batch::EntryPlace;

/// A job without its inputs and outputs, which only pass through.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredJob {
    pub id: JobId,
    pub tenant: TenantId,
    pub user_id: UserId,
    pub module: ModuleName,
    /// The same fold as the scheduler's.
    pub job: Job,
    /// The newest frame with an entry of the job.
    pub n: FrameNumber,
    /// The place of the entry that made the job among its frame's entries.
    pub submitted_place: u32,
    /// The worker of the newest attempt; kept after its end.
    pub worker_id: Option<WorkerId>,
    pub ledger: JobLedger,
    /// How far the newest attempt is, by its worker's word.
    pub progress: Option<Progress>,
    /// The frames with entries of the job, after the first; see `push_frame`.
    pub frames: Vec<u8>,
    pub parked: Option<Parked>,
}

impl StoredJob {
    pub(crate) fn is_frozen(&self) -> bool {
        self.parked.is_some_and(Parked::is_frozen)
    }

    /// Where the entry that made the job stands.
    pub(crate) fn submitted(&self) -> EntryPlace {
        EntryPlace { n: self.job.submitted_n, place: self.submitted_place }
    }

    /// Whether nothing more is expected to come.
    pub(crate) fn is_over(&self) -> bool {
        self.job.state().is_ended() && self.job.worker_id().is_none()
    }

    /// Whether nothing is to come, and it ended before then.
    pub(crate) fn is_expired(&self, before: Option<Timestamp>) -> bool {
        self.is_over()
            && self.job.ended_at.zip(before).is_some_and(|(ended, before)| ended < before)
    }

    /// The work that was handed out, while it has not started.
    pub(crate) fn work(&self) -> Option<WorkNumber> {
        match &self.job.phase {
            Phase::Assigned { work, .. } => Some(*work),
            Phase::Draft
            | Phase::Queued { .. }
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
        JobState::Draft => Phase::Draft,
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

/// Most frames that a job's row names beside the first: the newest. A job that is tried again and again
/// must not make its row longer for ever, and so many tell enough of it.
pub(crate) const FRAMES_MAX: usize = 512;

/// Appends the number of a frame as a LEB128 distance from the one before: mostly two bytes, where a
/// number would be eight. Forgets the oldest if there are more than [`FRAMES_MAX`].
pub(crate) fn push_frame(frames: &mut Vec<u8>, last: FrameNumber, n: FrameNumber) {
    push_distance(frames, n.0 - last.0);
    // Each takes a byte or more, so there is nothing to count in nearly all rows.
    if frames.len() <= FRAMES_MAX {
        return;
    }
    let named: Vec<u64> = distances(frames).collect();
    let forgotten = named.len().saturating_sub(FRAMES_MAX);
    if forgotten == 0 {
        return;
    }
    frames.clear();
    push_distance(frames, named[..=forgotten].iter().sum());
    named[forgotten + 1..].iter().for_each(|distance| push_distance(frames, *distance));
}

fn push_distance(frames: &mut Vec<u8>, mut distance: u64) {
    while distance >= 0x80 {
        frames.push((distance as u8 & 0x7f) | 0x80);
        distance >>= 7;
    }
    frames.push(distance as u8);
}

fn distances(frames: &[u8]) -> impl Iterator<Item = u64> {
    frames.split_inclusive(|byte| byte & 0x80 == 0).map(|bytes| {
        let shifts = (0..).step_by(7);
        bytes.iter().zip(shifts).fold(0, |distance, (byte, shift)| {
            distance | u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0)
        })
    })
}

/// The numbers of the frames that a job's row names, in order.
pub(crate) fn frame_numbers(first: FrameNumber, frames: &[u8]) -> Vec<FrameNumber> {
    let later = distances(frames).scan(first.0, |n, distance| {
        *n = n.saturating_add(distance);
        Some(FrameNumber(*n))
    });
    [first].into_iter().chain(later).collect()
}

/// A job of which nothing is known but that the entry at `begins` is about it.
pub(crate) fn shell(
    id: JobId,
    tenant: &TenantId,
    user_id: &UserId,
    module: &ModuleName,
    begins: EntryPlace,
    at: Timestamp,
) -> StoredJob {
    let job = Job {
        phase: Phase::Queued { waiting: WaitingCode::Paused },
        attempt: Attempt(0),
        failures: 0,
        crashes: 0,
        suspicions: 0,
        submitted_n: begins.n,
        requested_resources: Resources { cpu: 0, mem_mb: 0, wall_time_s: 0, gpu: 0 },
        raised_resources: None,
        priority: 0,
        created_at: at,
        started_at: None,
        ended_at: None,
        due_at: None,
        error: None,
    };
    StoredJob {
        id,
        tenant: tenant.clone(),
        user_id: user_id.clone(),
        module: module.clone(),
        job,
        n: begins.n,
        submitted_place: begins.place,
        worker_id: None,
        ledger: JobLedger::default(),
        progress: None,
        frames: Vec::new(),
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
            Phase::Draft,
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
                &TenantId::new("acme").unwrap(),
                &UserId::new("ada").unwrap(),
                &ModuleName::new("xtb").unwrap(),
                EntryPlace { n: FrameNumber(1), place: 0 },
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
            Drained,
            Resources,
            Unsatisfiable,
            Isolation,
            Dependency,
            Scheduled,
            Backoff,
            Paused,
            Claim,
            Dispatching,
        ] {
            assert_eq!(waiting_code(code.as_str()), Ok(code));
        }
        assert!(waiting_code("bored").is_err());
    }

    proptest! {
        #[test]
        fn frame_numbers_are_read_back_but_for_the_oldest_of_too_many(
            distances in prop::collection::vec(1u64..1 << 40, 0..2 * FRAMES_MAX)
        ) {
            let mut numbers = vec![FrameNumber(42)];
            let mut frames = Vec::new();
            for distance in distances {
                let last = numbers[numbers.len() - 1];
                let n = FrameNumber(last.0 + distance);
                push_frame(&mut frames, last, n);
                numbers.push(n);
            }
            let forgotten = (numbers.len() - 1).saturating_sub(FRAMES_MAX);
            numbers.drain(1..=forgotten);
            prop_assert_eq!(frame_numbers(FrameNumber(42), &frames), numbers);
        }

        #[test]
        fn damaged_frame_numbers_are_no_panic(frames in prop::collection::vec(any::<u8>(), 0..64)) {
            frame_numbers(FrameNumber(u64::MAX), &frames);
        }
    }

    #[test]
    fn the_first_frame_and_the_newest_are_named_of_however_many() {
        let mut frames = Vec::new();
        for n in 2..=10_000 {
            push_frame(&mut frames, FrameNumber(n - 1), FrameNumber(n));
        }
        let named = frame_numbers(FrameNumber(1), &frames);
        assert_eq!(named.len(), 1 + FRAMES_MAX);
        assert_eq!((named[0], named[1].0), (FrameNumber(1), 10_001 - FRAMES_MAX as u64));
        assert!(frames.len() < 2 * FRAMES_MAX, "the row is short: {}", frames.len());
    }
}
