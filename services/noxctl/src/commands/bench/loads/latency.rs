//! From the client's call to the handler's first instruction, while there is next to nothing to do.

use anyhow::Result;

use super::{Load, options, with_stack};
use crate::{
    commands::bench::{
        Args,
        figures::Figures,
        measure::{Work, figures, measure},
        stack::{EXECUTOR, NOOP, StackOptions},
        starts,
        statistics::Latencies,
        submit::How,
    },
    system::Sync,
};

/// How often a job is submitted.
pub const PER_SECOND: usize = 50;

pub async fn run(args: &Args, sync: Sync) -> Result<Figures> {
    let options = StackOptions { starts: true, ..options(args, sync) };
    with_stack(&options, async |stack| {
        let jobs = Load::Latency.jobs(args);
        let how = How::Paced { per_second: PER_SECOND };
        // The first of its kind on new connections.
        measure(stack, Work { how, module: NOOP, jobs: PER_SECOND }, false).await?;
        let measured = measure(stack, Work { how, module: NOOP, jobs }, args.profile).await?;
        let waits = starts::waits(&measured.answers.calls, &stack.log_of(EXECUTOR))?;
        let mut figures = figures(jobs, measured.took, &measured.cost, measured.answers.latencies);
        figures.add_latencies("call to start", Latencies::of(waits));
        Ok(figures)
    })
    .await
}
