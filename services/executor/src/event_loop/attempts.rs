//! Attempts: begun where the session says so, each in a task of its own, and what that tells.

use std::time::Duration;

use nox_contract::{AttemptEnd, HandBack, StartWork, Usage, beat::Held};
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

use super::{EventLoop, Phase};
use crate::{
    attempt::Finished,
    builtin::Noop,
    failure::{Failure, KILLED},
    modules::Engine,
    probe::backoff,
    task,
};

/// What an attempt's task tells.
pub(super) enum Event {
    Spawned(Held),
    Ended(Held, Finished),
}

impl EventLoop {
    pub(super) fn start(&mut self, start: Box<StartWork>) {
        let held = Held { job_id: start.job_id, attempt: start.attempt };
        let module = self.worker.modules.of_version(&start.module, &start.module_version).cloned();
        let Some(module) = module else {
            let (module, version) = (&start.module, &start.module_version);
            let failure = Failure::spawn(format!("this worker has no {module} {version}"));
            self.ended_at_once(&start, failure.into());
            return;
        };
        if let Engine::Builtin(_) = module.engine {
            match Noop::begin(start.job_id, &start.inputs) {
                Err(failure) => return self.ended_at_once(&start, failure.into()),
                Ok(noop) if noop.is_instant() => {
                    self.session.on_spawned(held, self.worker.runtime.clock.now());
                    return self.ended_at_once(&start, noop.end(Duration::ZERO));
                }
                Ok(_) => {}
            }
        }
        let stop = CancellationToken::new();
        self.running.insert(held, stop.clone());
        let (runner, events) = (self.runner.clone(), self.events.clone());
        let task = {
            let (start, events) = (start.clone(), events.clone());
            tokio::spawn(async move {
                // If nobody listens any more, nobody needs to know.
                let spawned = || drop(events.send(Event::Spawned(held)));
                task::run(&runner, &start, &module, stop, spawned).await
            })
        };
        tokio::spawn(async move {
            let finished = task.await.unwrap_or_else(|error| {
                tracing::error!(job.id = %start.job_id, %error, "An attempt's task failed");
                Finished { usage: Usage::default(), end: failed_task(error).into() }
            });
            let _ = events.send(Event::Ended(held, finished));
        });
    }

    fn ended_at_once(&mut self, start: &StartWork, end: AttemptEnd) {
        let held = Held { job_id: start.job_id, attempt: start.attempt };
        self.worker.metrics.attempt(&start.module, &end, Duration::ZERO);
        self.session.on_ended(held, Usage::default(), end, self.worker.runtime.clock.now());
    }

    pub(super) fn on_event(&mut self, event: Event) {
        let now = self.worker.runtime.clock.now();
        match event {
            Event::Spawned(held) => {
                if self.unfit.is_none() {
                    self.backoff = backoff();
                }
                self.session.on_spawned(held, now);
            }
            Event::Ended(held, Finished { usage, mut end }) => {
                self.running.remove(&held);
                if self.phase == Phase::Killing && was_killed(&end) {
                    end = AttemptEnd::HandedBack(HandBack::Draining);
                }
                if let AttemptEnd::HandedBack(HandBack::CannotRun { reason }) = &end {
                    self.pause(reason.clone());
                }
                self.session.on_ended(held, usage, end, now);
            }
        }
    }
}

/// Whether an attempt was ended because it was to be.
fn was_killed(end: &AttemptEnd) -> bool {
    matches!(end, AttemptEnd::Failed { error, .. } if error.code == KILLED)
}

/// What became of an attempt whose task failed: for want of a thread it may run elsewhere.
fn failed_task(error: JoinError) -> Failure {
    /// How tokio panics where the system gives it no thread.
    const NO_THREAD: &str = "OS can't spawn";
    let panic = error.try_into_panic().ok();
    let text = panic.as_ref().and_then(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        text.or(panic.downcast_ref::<&str>().copied())
    });
    match text {
        Some(text) if text.contains(NO_THREAD) => Failure::cannot_run(text),
        _ => Failure::defect(),
    }
}
