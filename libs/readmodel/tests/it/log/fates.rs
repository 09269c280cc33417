//! A log in which everything happens.

use std::time::Duration;

use nox_contract::{
    Attempt, Blame, Entity, Fact, LostReason, SessionId, StopReason, WaitingCode, WorkNumber,
    subject,
};
use uuid::Uuid;

use super::{
    CPU_SECONDS, JobOf, Log, error, granted, module, refusal, rejected, released, settled, tenant,
    user, worker,
};

impl Log {
    /// Jobs of every fate, interleaved as they are in life: job by job they take one step at a time.
    pub fn live(&mut self, jobs: &[JobOf]) {
        for step in 0..6 {
            for (number, job) in jobs.iter().enumerate() {
                self.step(job, number, step);
            }
        }
    }

    fn step(&mut self, job: &JobOf, number: usize, step: usize) {
        let entity = job.entity();
        let lost = |attempt, blame| Fact::AttemptLost {
            worker_id: worker("exec-1"),
            attempt: Attempt(attempt),
            reason: LostReason::WorkerSilent,
            blame,
            detail: None,
        };
        let failed = |attempt| Fact::AttemptFailed {
            attempt: Attempt(attempt),
            error: error("exit_status"),
            crashed: false,
            wall_ms: 10,
        };
        let canceled = Fact::Canceled { by: user("ada") };
        match (number % 8, step) {
            // At once, in two messages.
            (0, 0) => drop(self.submit_and_assign(job, "exec-1")),
            (0, 1) => drop(self.start_and_succeed(job, "exec-1")),
            // After a wait.
            (1, 0) => drop(self.submit(job)),
            (1, 1) => drop(self.assign(job, "exec-2", 1)),
            (1, 2) => drop(self.start(job, "exec-2", 1)),
            (1, 3) => drop(self.succeed(job, 1)),
            // At the second attempt.
            (2, 0) => drop(self.submit_and_assign(job, "exec-1")),
            (2, 1) => drop(self.start(job, "exec-1", 1)),
            (2, 2) => {
                let due_at = self.at + Duration::from_secs(1);
                let retry = Fact::RetryScheduled { attempt: Attempt(2), due_at, resources: None };
                self.entry(&entity, [failed(1), retry]);
            }
            (2, 3) => drop(self.assign(job, "exec-2", 2)),
            (2, 4) => drop(self.start(job, "exec-2", 2)),
            (2, 5) => drop(self.succeed(job, 2)),
            // Not at all.
            (3, 0) => drop(self.submit_and_assign(job, "exec-1")),
            (3, 1) => drop(self.start(job, "exec-1", 1)),
            (3, 2) => {
                let end = Fact::Failed { error: error("exit_status") };
                self.entry(&entity, [failed(1), end, settled(60)]);
            }
            // Canceled while it waits.
            (4, 0) => drop(self.submit(job)),
            (4, 2) => drop(self.entry(&entity, [canceled, released(CPU_SECONDS)])),
            // Canceled while it runs, and one of them is never heard of again.
            (5, 0) => drop(self.submit_and_assign(job, "exec-1")),
            (5, 1) => drop(self.start(job, "exec-1", 1)),
            (5, 2) => {
                let stop = Fact::StopRequested {
                    worker_id: worker("exec-1"),
                    attempt: Attempt(1),
                    work: WorkNumber(1),
                    reason: StopReason::Canceled,
                };
                self.entry(&entity, [canceled, stop, settled(1), released(CPU_SECONDS - 1)]);
            }
            (5, 4) if number % 16 == 5 => {
                let stopped = Fact::Stopped { worker_id: worker("exec-1"), attempt: Attempt(1) };
                self.entry(&entity, [stopped]);
            }
            (5, 5) if number % 16 == 5 => {}
            // Lost, and assigned again; runs to this day.
            (6, 0) => drop(self.submit_and_assign(job, "exec-1")),
            (6, 1) => drop(self.start(job, "exec-1", 1)),
            (6, 2) => {
                let waiting = Fact::Waiting { code: WaitingCode::Resources };
                self.entry(&entity, [lost(1, Blame::Suspected), waiting]);
            }
            (6, 3) => drop(self.assign(job, "exec-2", 2)),
            (6, 4) => drop(self.start(job, "exec-2", 2)),
            // Promised, and refused in the end; beside a refusal that was told at once.
            (7, 0) => {
                let refusal = refusal();
                self.entry(&entity, [rejected(refusal.clone())]);
                let account = subject::user_account(&job.user);
                let violated = Fact::QuotaViolated {
                    job_id: job.id,
                    user_id: job.user.clone(),
                    module: job.module.clone(),
                    refusal: Box::new(refusal),
                };
                let account = Entity::Account { tenant: job.tenant.clone(), account };
                self.entry(&account, [violated]);
            }
            _ => {}
        }
    }
}

/// A log in which everything happens, `jobs` times, an entry a frame.
pub fn eventful(jobs: usize) -> Log {
    eventful_in(Log::new(), jobs)
}

/// The same in whatever frames `log` makes.
pub fn eventful_in(mut log: Log, jobs: usize) -> Log {
    log.declare("command");
    log.declare("xtb");
    log.open_tenant("acme", &["ada", "bob"]);
    log.open_tenant("zeta", &["ada"]);
    log.join("exec-1", &["command", "xtb"]);
    log.join("exec-2", &["xtb"]);
    let jobs: Vec<_> = (0..jobs)
        .map(|number| {
            let (tenant, user) = [("acme", "ada"), ("acme", "bob"), ("zeta", "ada")][number % 3];
            let module = ["command", "xtb"][number % 2];
            JobOf::new(tenant, user, module, number as u64)
        })
        .collect();
    log.live(&jobs);
    log.empty_frame();
    log.entry(
        &Entity::Module(module("xtb")),
        [Fact::ModuleSwitched { enabled: false, by: user("root") }],
    );
    let session = SessionId(Uuid::from_u128(7));
    let paused = Fact::WorkerPaused { session, number: 1, reason: "no process".to_owned() };
    log.entry(&Entity::Worker(worker("exec-1")), [paused]);
    log.entry(&Entity::Worker(worker("exec-1")), [Fact::WorkerResumed { session, number: 2 }]);
    log.entry(&Entity::Worker(worker("exec-2")), [Fact::WorkerDraining { session }]);
    let (reason, blame) = (LostReason::WorkerSilent, Blame::Suspected);
    let left = Fact::WorkerLeft { session, lost: true, reason, blame };
    log.entry(&Entity::Worker(worker("exec-1")), [left]);
    // A budget of the running day is changed.
    let account = Entity::Account { tenant: tenant("acme"), account: "user/bob".to_owned() };
    log.entry(&account, [granted(900_000_000)]);
    log.begin_term();
    log
}
