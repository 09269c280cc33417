//! The life of one job: the table of legal transitions.
//!
//! This one fold decides for the live scheduler, for takeover, for replay, for the simulation and
//! for the projector's rows.

use nox_contract::{
    Attempt, Blame, Fact, FrameNumber, JobError, JobState, ProblemCode, Resources, Timestamp,
    WaitingCode, WorkNumber, WorkerId,
};
use serde::{Deserialize, Serialize};

/// Losses that a job may have caused after which it runs in isolation. Once is the machine's: a power
/// cut would else make all jobs of a large worker run one by one. A second time is worth finding out.
pub const SUSPICIONS_MAX: u32 = 2;

/// Where a job stands. `JobState` is its public face; this says in addition who holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Not to run yet. Its owner moves it on.
    Draft,
    /// Waits for a reason. The match, a timer or another job moves it on.
    Queued {
        waiting: WaitingCode,
    },
    /// A worker was told. Its report or its loss moves the job on.
    Assigned {
        worker_id: WorkerId,
        work: WorkNumber,
    },
    /// A worker runs it. Its report or its loss moves the job on.
    Running {
        worker_id: WorkerId,
    },
    /// An attempt just ended badly; what becomes of the job stands in the same event.
    AttemptEnded,
    Succeeded,
    Failed,
    /// Not to run any more. `held_by` is the worker that still has to say `stopped`.
    Canceled {
        held_by: Option<WorkerId>,
    },
}

/// One job, as far as transitions and rows need it. Inputs and outputs stay in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    pub phase: Phase,
    /// The newest attempt; 0 before the first.
    pub attempt: Attempt,
    /// Attempts that ended by themselves and badly, without a crash.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failures: u32,
    /// Attempts that crashed, or are charged with the end of their worker.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub crashes: u32,
    /// Attempts that may have caused the loss of their worker.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub suspicions: u32,
    /// The event that made the job; its `submitted` fact holds the inputs.
    pub submitted_n: FrameNumber,
    pub requested_resources: Resources,
    /// What attempts are given instead, since one failed for want of more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raised_resources: Option<Box<Resources>>,
    pub priority: u8,
    pub created_at: Timestamp,
    /// When the newest attempt started; kept after its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// When the job may run, while that is in the future (`scheduled`, `backoff`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// Why the last attempt, or the job, failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Box<JobError>>,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// A fact that cannot follow where the job stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("fact {fact} cannot follow {phase}")]
pub struct IllegalFact {
    pub fact: &'static str,
    pub phase: String,
}

impl Job {
    /// The job after its first fact, which is `submitted`, `drafted` or `rejected`.
    pub fn create(fact: &Fact, n: FrameNumber, at: Timestamp) -> Result<Self, IllegalFact> {
        let (phase, resources, priority, due_at, error) = match fact {
            Fact::Submitted(submitted) => {
                // The event says beside this fact what the job waits for, unless it was assigned.
                let phase = Phase::Queued { waiting: WaitingCode::Priority };
                (phase, submitted.requested_resources, submitted.priority, submitted.run_at, None)
            }
            Fact::Drafted(draft) => {
                (Phase::Draft, draft.requested_resources, draft.priority, draft.run_at, None)
            }
            Fact::Rejected(rejected) => {
                let error = JobError {
                    code: format!("rejected:{}", rejected.refusal.code),
                    message: rejected.refusal.detail.clone(),
                    exit_status: None,
                };
                (Phase::Failed, rejected.requested_resources, 0, None, Some(Box::new(error)))
            }
            other => return Err(IllegalFact { fact: other.name(), phase: "nothing".to_owned() }),
        };
        Ok(Self {
            ended_at: matches!(phase, Phase::Failed).then_some(at),
            phase,
            attempt: Attempt(0),
            failures: 0,
            crashes: 0,
            suspicions: 0,
            submitted_n: n,
            requested_resources: resources,
            raised_resources: None,
            priority,
            created_at: at,
            started_at: None,
            due_at,
            error,
        })
    }

    /// Moves the job by one fact. Each arm is one arrow of the life cycle; on an error the job has
    /// not moved.
    pub fn apply(&mut self, fact: &Fact, at: Timestamp) -> Result<(), IllegalFact> {
        use Phase::{Assigned, AttemptEnded, Canceled, Draft, Failed, Queued, Running, Succeeded};

        let current = |attempt: &Attempt| *attempt == self.attempt;
        self.phase = match (&self.phase, fact) {
            (Draft, Fact::DraftSubmitted {}) => Queued { waiting: WaitingCode::Priority },
            // `assigned` alone says `dispatching`.
            (Queued { .. }, Fact::Waiting { code }) if *code != WaitingCode::Dispatching => {
                if !matches!(
                    code,
                    WaitingCode::Scheduled | WaitingCode::Backoff | WaitingCode::Dependency
                ) {
                    self.due_at = None;
                }
                Queued { waiting: *code }
            }
            (Queued { .. }, Fact::Assigned { worker_id, attempt, work, .. })
                if *attempt == self.attempt.next() =>
            {
                self.attempt = *attempt;
                self.due_at = None;
                Assigned { worker_id: worker_id.clone(), work: *work }
            }
            (Assigned { worker_id, .. }, Fact::Started { attempt, elapsed_ms, worker_id: by })
                if current(attempt) && by == worker_id =>
            {
                // By the worker's word, but not before there was anything to start.
                let started_at = at - std::time::Duration::from_millis(*elapsed_ms);
                self.started_at = Some(started_at.max(self.created_at));
                Running { worker_id: worker_id.clone() }
            }
            (phase @ (Assigned { .. } | Running { .. }), Fact::Progressed { attempt, .. })
                if current(attempt) =>
            {
                phase.clone()
            }
            (Running { .. }, Fact::Succeeded { attempt, .. }) if current(attempt) => {
                self.error = None;
                self.ended_at = Some(at);
                Succeeded
            }
            (
                Assigned { .. } | Running { .. },
                Fact::AttemptFailed { attempt, error, crashed, .. },
            ) if current(attempt) => {
                if *crashed {
                    self.crashes += 1;
                } else {
                    self.failures += 1;
                }
                self.error = Some(Box::new(error.clone()));
                AttemptEnded
            }
            (
                Assigned { worker_id, .. } | Running { worker_id },
                Fact::AttemptLost { attempt, blame, worker_id: from, .. },
            ) if current(attempt) && from == worker_id => {
                match blame {
                    Blame::Nobody => {}
                    Blame::Suspected => self.suspicions += 1,
                    Blame::Crashed => self.crashes += 1,
                }
                // Queued again at once; `failed` or the new waiting code stands beside it.
                Queued { waiting: WaitingCode::Priority }
            }
            (AttemptEnded, Fact::RetryScheduled { attempt, due_at, resources })
                if *attempt == self.attempt.next() =>
            {
                if let Some(resources) = resources {
                    self.raised_resources = Some(Box::new(*resources));
                }
                self.due_at = Some(*due_at);
                Queued { waiting: WaitingCode::Backoff }
            }
            (AttemptEnded | Queued { .. }, Fact::Failed { error }) => {
                self.error = Some(Box::new(error.clone()));
                self.ended_at = Some(at);
                Failed
            }
            (Draft | Queued { .. }, Fact::Canceled { .. }) => {
                self.ended_at = Some(at);
                Canceled { held_by: None }
            }
            (Assigned { worker_id, .. } | Running { worker_id }, Fact::Canceled { .. }) => {
                self.ended_at = Some(at);
                Canceled { held_by: Some(worker_id.clone()) }
            }
            (
                Canceled { held_by: Some(worker) },
                Fact::StopRequested { attempt, worker_id, .. },
            ) if current(attempt) && worker_id == worker => {
                Canceled { held_by: Some(worker.clone()) }
            }
            (
                Canceled { held_by: Some(worker) },
                Fact::Stopped { attempt, worker_id } | Fact::AttemptLost { attempt, worker_id, .. },
            ) if current(attempt) && worker_id == worker => Canceled { held_by: None },
            // A repeated submit whose job the decider had forgotten, and which could no longer be
            // answered: it was promised, so it stands in the log, and the job stays as it ended.
            (
                phase @ (Succeeded | Failed | Canceled { held_by: None }),
                Fact::Rejected(rejected),
            ) if rejected.refusal.code == ProblemCode::StaleStamp => phase.clone(),
            // The ledger moves beside the job, not the job.
            (phase, Fact::Reserved { .. } | Fact::Settled { .. } | Fact::Released { .. }) => {
                phase.clone()
            }
            (phase, other) => {
                return Err(IllegalFact { fact: other.name(), phase: format!("{phase:?}") });
            }
        };
        Ok(())
    }

    /// What its next attempt, or the present one, is given.
    pub fn resources(&self) -> Resources {
        self.raised_resources.as_deref().copied().unwrap_or(self.requested_resources)
    }

    /// The public face of where the job stands.
    pub fn state(&self) -> JobState {
        match self.phase {
            Phase::Draft => JobState::Draft,
            Phase::Queued { .. } | Phase::Assigned { .. } | Phase::AttemptEnded => JobState::Queued,
            Phase::Running { .. } => JobState::Running,
            Phase::Succeeded => JobState::Succeeded,
            Phase::Failed => JobState::Failed,
            Phase::Canceled { .. } => JobState::Canceled,
        }
    }

    /// Whether it may only run on a worker that runs nothing else.
    pub fn is_isolated(&self) -> bool {
        self.suspicions >= SUSPICIONS_MAX
    }

    /// Why the job does not run, while it is queued.
    pub fn waiting(&self) -> Option<WaitingCode> {
        match self.phase {
            Phase::Queued { waiting } => Some(waiting),
            Phase::Assigned { .. } => Some(WaitingCode::Dispatching),
            _ => None,
        }
    }

    /// The worker that has the newest attempt, or still has to say that it stopped.
    pub fn worker_id(&self) -> Option<&WorkerId> {
        match &self.phase {
            Phase::Assigned { worker_id, .. } | Phase::Running { worker_id } => Some(worker_id),
            Phase::Canceled { held_by } => held_by.as_ref(),
            _ => None,
        }
    }
}
