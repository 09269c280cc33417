//! What is to be done for what was decided, once the log has it: work that leaves, and whether the queue may move.

use nox_contract::{Entry, Fact, FrameNumber, Work};

use super::{Dispatch, Effect, Leader};

impl Leader {
    /// Takes from an entry what has to be done once its frame is in the log.
    pub(super) fn note(&mut self, n: FrameNumber, entry: Entry) {
        for fact in entry.known_facts() {
            match fact {
                Fact::Submitted(submitted) => {
                    if let Some(id) = entry.job_id {
                        self.hot_inputs.insert(id, submitted.inputs.clone());
                    }
                }
                // Whoever claimed it reads it where the answer says.
                Fact::Assigned { request: Some(_), .. } => {
                    entry.job_id.and_then(|id| self.hot_inputs.take(id));
                }
                Fact::Assigned { worker_id, session, attempt, work, .. } => {
                    let start = entry.job_id.and_then(|id| self.start_work(id, n, *attempt, *work));
                    if let Some(start) = start {
                        self.held_back.push_work(n, worker_id, *session, *work, start);
                    }
                }
                Fact::StopRequested { worker_id, attempt, work, .. } => {
                    let worker = self.state().workers.get(worker_id);
                    if let (Some(id), Some(worker)) = (entry.job_id, worker) {
                        let session = worker.session;
                        let assigned = worker.assignments.get(&id).map(|slot| slot.assigned_n);
                        if let Some(assigned_n) = assigned {
                            let stop = self.stop_work(id, assigned_n, *attempt, *work);
                            self.held_back.push_work(n, worker_id, session, *work, stop);
                        }
                    }
                }
                Fact::Canceled { .. } | Fact::Failed { .. } => {
                    if let Some(id) = entry.job_id {
                        // It is not handed out any more.
                        self.hot_inputs.take(id);
                    }
                    self.match_due = true;
                }
                Fact::WorkerJoined { claimant: Some(_), .. } => {}
                Fact::WorkerJoined { session, .. } => {
                    if let Some(worker_id) = entry.worker_id.clone() {
                        let work = Dispatch::Ready(Work::Joined);
                        let effect = Effect::Dispatch { worker_id, session: *session, work };
                        self.held_back.push(n, effect);
                    }
                    self.match_due = true;
                }
                // Something was freed or queued: the queue may move.
                Fact::DraftSubmitted {}
                | Fact::Waiting { .. }
                | Fact::RetryScheduled { .. }
                | Fact::AttemptLost { .. }
                | Fact::AttemptFailed { .. }
                | Fact::Stopped { .. }
                | Fact::Succeeded { .. }
                | Fact::WorkerResumed { .. }
                | Fact::WorkerUndrained { .. }
                | Fact::WorkerOffered { .. }
                | Fact::ModuleDeclared { .. }
                | Fact::ModuleRegistered { .. }
                | Fact::ModuleSwitched { .. }
                | Fact::Reserved { .. }
                | Fact::LimitsSet { .. } => self.match_due = true,
                Fact::Drafted(_)
                | Fact::Rejected(_)
                | Fact::Started { .. }
                | Fact::Progressed { .. }
                | Fact::Settled { .. }
                | Fact::Released { .. }
                | Fact::Granted { .. }
                | Fact::QuotaViolated { .. }
                | Fact::WorkerDraining { .. }
                | Fact::WorkerDrained { .. }
                | Fact::WorkerPaused { .. }
                | Fact::WorkerLeft { .. }
                | Fact::TopicRegistered { .. }
                | Fact::TopicRemoved {}
                | Fact::KeyCreated { .. }
                | Fact::KeyRevoked { .. }
                | Fact::ScheduleSet { .. }
                | Fact::SchedulePaused { .. }
                | Fact::ScheduleResumed { .. }
                | Fact::SchedulePlanned { .. }
                | Fact::ScheduleOccurred { .. }
                | Fact::ScheduleTriggered { .. }
                | Fact::ScheduleDeleted { .. }
                | Fact::WebhookSet { .. }
                | Fact::WebhookRotated { .. }
                | Fact::WebhookTested { .. }
                | Fact::WebhookRedelivered { .. }
                | Fact::WebhookDisabled { .. }
                | Fact::WebhookDeleted { .. }
                | Fact::Configured { .. }
                | Fact::InputsReset { .. } => {}
            }
        }
    }
}
