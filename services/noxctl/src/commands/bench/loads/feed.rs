//! In bulk, with the feed kept and without one, in turns: what it costs to tell others everything.

use std::time::Duration;

use anyhow::{Result, ensure};
use nox_service::Clock;

use super::{Load, bulk, options, with_stack};
use crate::{
    commands::bench::{
        Args,
        figures::{FEED_JOBS_PER_SECOND, Figures},
        measure::figures,
        processes,
        stack::{NOTIFIER, Stack, StackOptions},
    },
    system::Sync,
};

/// What becomes of events, as `NOX_FEED` says it: what is measured, and against what.
pub const KEPT: &str = "feed kept";
pub const OFF: &str = "feed off";

/// The feed has everything when nothing was published for so long and none of the log is left; the notifier looks at
/// the log's end every second.
const QUIET_FOR: Duration = Duration::from_millis(2_500);
/// The feed may end so long after the rows.
const FED_WITHIN: Duration = Duration::from_secs(300);
/// Between two looks at the notifier, each of which is a read of its metrics.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

pub async fn run(args: &Args, sync: Sync, subject: &'static str) -> Result<Figures> {
    let jobs = Load::Feed.jobs(args);
    let feed = if subject == KEPT { "kept" } else { "off" };
    with_stack(&StackOptions { feed, ..options(args, sync) }, async |stack| {
        bulk(stack, jobs / 5).await?;
        if subject == KEPT {
            fed(stack).await?;
        }
        let clock = Clock::system();
        let begun = clock.monotonic();
        let processes = stack.processes();
        let before = processes::spent(&processes, &clock)?;
        let measured = bulk(stack, jobs).await?;
        if subject == OFF {
            return Ok(figures(jobs, measured.took, &measured.cost, measured.answers.latencies));
        }
        // What it costs ends with the last event, not with the last row.
        let last_at = fed(stack).await?;
        let cost = processes::spent(&processes, &clock)?.since(&before, jobs);
        let mut figures = figures(jobs, measured.took, &cost, measured.answers.latencies);
        let took = last_at.saturating_sub(begun).max(measured.took);
        figures.add(FEED_JOBS_PER_SECOND, jobs as f64 / took.as_secs_f64());
        Ok(figures)
    })
    .await
}

/// Waits until the feed has all of the log; returns when its last event was there, by the monotonic clock.
async fn fed(stack: &Stack) -> Result<Duration> {
    let clock = Clock::system();
    let begun = clock.monotonic();
    let (mut known, mut since) = (0.0, begun);
    loop {
        let published = stack.counted(NOTIFIER, "nox_feed_published_total").await?;
        let now = clock.monotonic();
        if published > known {
            (known, since) = (published, now);
        } else if now.saturating_sub(since) >= QUIET_FOR
            && stack.counted(NOTIFIER, "nox_feed_lag_frames").await? == 0.0
        {
            return Ok(since);
        }
        ensure!(now.saturating_sub(begun) < FED_WITHIN, "{published} events, and not all of them");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
