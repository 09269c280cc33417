//! Work: what a worker is told, and what it is told again.

use std::collections::BTreeMap;

use nox_contract::{
    Attempt, Covers, FrameNumber, JobId, MESSAGE_BYTES_MAX, RegisteredModule, RegisteredModules,
    SessionId, StartWork, Token, Work, WorkNumber, WorkerId, work::StopWork,
};

use super::{Effect, Leader};

/// Most pieces of work that are handed out again in one message; with the largest inputs they fit.
const REDELIVERED_MAX: usize = 40;

/// What a registered module has in a message beside its manifest, twice: names of members, defaults, the envelope.
const MANIFEST_BYTES_SPARE: usize = 4 * 1024;

/// Work to hand out.
#[derive(Debug, Clone, PartialEq)]
pub enum Dispatch {
    Ready(Work),
    /// Its inputs have to be read from the frame `submitted_n` first.
    ReadInputs {
        submitted_n: FrameNumber,
        start: Box<StartWork>,
    },
}

impl Dispatch {
    pub(super) fn number(&self) -> WorkNumber {
        match self {
            Self::Ready(Work::Start(start)) => start.number,
            Self::Ready(Work::Stop(stop)) => stop.number,
            Self::Ready(
                Work::Abandon(_)
                | Work::Superseded
                | Work::Joined
                | Work::Modules(_)
                | Work::Refused { .. }
                | Work::Unreadable,
            ) => WorkNumber(0),
            Self::ReadInputs { start, .. } => start.number,
        }
    }
}

impl Leader {
    /// The message that tells a worker to run an attempt.
    pub(super) fn start_work(
        &mut self,
        job_id: JobId,
        assigned_n: FrameNumber,
        attempt: Attempt,
        number: WorkNumber,
    ) -> Option<Dispatch> {
        let hot = self.hot_inputs.take(job_id);
        let is_hot = hot.is_some();
        let job = self.state().job(job_id)?;
        let start = Box::new(StartWork {
            number,
            job_id,
            attempt,
            token: Token::compute(&self.config.rules.token_key, job_id, attempt, assigned_n),
            tenant: job.owner.tenant.clone(),
            user_id: job.owner.user_id.clone(),
            module: job.owner.module.clone(),
            resources: job.job.resources(),
            module_version: job.needs.version.clone(),
            inputs: hot.unwrap_or_default(),
            traceparent: None,
        });
        let submitted_n = job.job.submitted_n;
        Some(if is_hot {
            Dispatch::Ready(Work::Start(start))
        } else {
            Dispatch::ReadInputs { submitted_n, start }
        })
    }

    /// The message that tells a worker to end an attempt. It carries the token too: the worker may
    /// never have seen the start.
    pub(super) fn stop_work(
        &self,
        job_id: JobId,
        assigned_n: FrameNumber,
        attempt: Attempt,
        number: WorkNumber,
    ) -> Dispatch {
        let token = Token::compute(&self.config.rules.token_key, job_id, attempt, assigned_n);
        Dispatch::Ready(Work::Stop(StopWork { number, job_id, attempt, token }))
    }

    /// Tells a session where it stands, once this leader has proved that it leads.
    pub(super) fn tell(&mut self, worker_id: WorkerId, session: SessionId, work: Work) {
        let work = Dispatch::Ready(work);
        self.hold_back_until_proved(Effect::Dispatch { worker_id, session, work });
    }

    /// Tells a session of the modules that were registered above a number, the first of them, as many as one message
    /// holds: its next beat asks for the others.
    pub(super) fn tell_registered(&mut self, worker_id: WorkerId, session: SessionId, above: u64) {
        let mut modules = self.state().registered_above(above);
        let mut bytes = 0;
        let mut fits = |module: &RegisteredModule| {
            // What is declared is a part of the whole, but for what it says by default.
            bytes += 2 * module.source.get().len() + MANIFEST_BYTES_SPARE;
            bytes <= MESSAGE_BYTES_MAX
        };
        let fitting = modules.iter().map_while(|module| Some(module).filter(|of| fits(of))).count();
        let all = fitting == modules.len();
        modules.truncate(fitting);
        let last = modules.last().map(|module| module.number);
        let up_to = last.filter(|_| !all).unwrap_or(self.state().registrations);
        let told = RegisteredModules { above, up_to, modules };
        self.tell(worker_id, session, Work::Modules(Box::new(told)));
    }

    /// Hands out again what did not arrive, as far as it was handed out at all, and says which
    /// numbers are settled by that.
    pub(super) fn resend(&mut self, worker_id: &WorkerId, session: SessionId, above: WorkNumber) {
        let Some(worker) = self.state().workers.get(worker_id) else { return };
        let undispatched = self.held_back.first_undispatched(worker_id, session);
        let below = undispatched.unwrap_or(worker.next_work);
        let Some(newest) = below.0.checked_sub(1).map(WorkNumber).filter(|n| *n > above) else {
            return;
        };
        let lost = |number: WorkNumber| number > above && number <= newest;
        let mut numbered = BTreeMap::new();
        for (job_id, slot) in &worker.assignments {
            let (number, stop) = match slot.stop {
                // What is to be stopped need not be started first.
                Some(stop) => (stop, true),
                None => (slot.work, false),
            };
            if lost(number) {
                numbered.insert(number, (*job_id, slot.assigned_n, slot.attempt, stop));
            }
        }
        let mut work = Vec::new();
        let mut after = above;
        let count = numbered.len();
        for (place, (number, (job_id, assigned_n, attempt, stop))) in (1..).zip(numbered) {
            if stop {
                work.push(self.stop_work(job_id, assigned_n, attempt, number));
            } else {
                work.extend(self.start_work(job_id, assigned_n, attempt, number));
            }
            if work.len() >= REDELIVERED_MAX && place < count {
                let covers = Covers { after, up_to: number };
                self.redeliver(worker_id, session, covers, std::mem::take(&mut work));
                after = number;
            }
        }
        self.redeliver(worker_id, session, Covers { after, up_to: newest }, work);
    }

    fn redeliver(
        &mut self,
        worker_id: &WorkerId,
        session: SessionId,
        covers: Covers,
        work: Vec<Dispatch>,
    ) {
        let worker_id = worker_id.clone();
        self.hold_back_until_proved(Effect::Redeliver { worker_id, session, covers, work });
    }
}
