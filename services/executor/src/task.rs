//! Runs one attempt of whatever module.

use nox_contract::{AttemptEnd, StartWork};
use tokio_util::sync::CancellationToken;

use crate::{
    attempt::{Finished, Runner, usage},
    builtin::Noop,
    modules::{Engine, Module},
};

/// Runs `start` to its end, or until `stop`; calls `spawned` when it runs.
pub async fn run(
    runner: &Runner,
    start: &StartWork,
    module: &Module,
    stop: CancellationToken,
    spawned: impl FnOnce(),
) -> Finished {
    let program = match &module.engine {
        Engine::Program(program) => program,
        Engine::Builtin(_) => return builtin(runner, start, &stop, spawned).await,
    };
    runner.run(start, &module.manifest, program, stop, spawned).await
}

async fn builtin(
    runner: &Runner,
    start: &StartWork,
    stop: &CancellationToken,
    spawned: impl FnOnce(),
) -> Finished {
    let began = runner.clock.monotonic();
    spawned();
    let ended = match Noop::read(&start.inputs) {
        Ok(noop) => noop.run(start.resources.wall_time_s, stop).await.map(|()| noop),
        Err(failure) => Err(failure),
    };
    let ran_for = runner.clock.monotonic() - began;
    let end = ended.map_or_else(AttemptEnd::from, |noop| noop.end(ran_for));
    runner.metrics.attempt(&start.module, &end, ran_for);
    Finished { usage: usage(start, ran_for), end }
}
