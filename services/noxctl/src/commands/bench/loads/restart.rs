//! How long each part takes to begin anew on top of what is retained: until it is ready, and until what
//! was submitted has come through it.

use std::time::Duration;

use anyhow::{Result, ensure};
use nox_readmodel::Reader;
use nox_service::Clock;

use super::{Load, bulk, fill, options, with_stack};
use crate::{
    commands::bench::{
        Args,
        figures::Figures,
        measure::{all_ended, ended},
        stack::{NOOP, PROJECTOR, SCHEDULER, Stack},
        submit::{How, submit},
    },
    system::Sync,
    terminal::note,
};

/// Nothing was written for so long: whatever was under way has arrived.
const QUIET_FOR: Duration = Duration::from_secs(1);
/// How long the log may take to get there.
const QUIET_WITHIN: Duration = Duration::from_secs(300);
/// A gateway finds a broker again in this time that answers.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);
/// Between two requests of a client that was refused.
const REPEAT_AFTER: Duration = Duration::from_millis(100);
const EVENTS: &str = "NOX_EVENTS";

pub async fn run(args: &Args, sync: Sync) -> Result<Vec<Figures>> {
    let retained = args.retained as usize;
    // What the projector has to make good.
    let backlog = (Load::Restart.jobs(args) / 5).max(1);
    with_stack(&options(args, sync), async |stack| {
        note!("restart, {}: {retained} jobs first", sync.as_str());
        fill(stack, retained).await?;
        let mut rounds = Vec::new();
        for round in 1..=args.rounds {
            note!("restart, {}, round {round} of {}", sync.as_str(), args.rounds);
            let mut figures = Figures::default();
            broker(stack, &mut figures).await?;
            scheduler(stack, &mut figures).await?;
            projector(stack, backlog, &mut figures).await?;
            rounds.push(figures);
        }
        Ok(rounds)
    })
    .await
}

async fn broker(stack: &mut Stack, figures: &mut Figures) -> Result<()> {
    let clock = Clock::system();
    let begun = clock.monotonic();
    stack.restart_broker().await?;
    figures.add("broker: s from stop until it answers", since(&clock, begun));
    stack.ready().await?;
    // Whoever was answered before its connection was lost repeats the request, as every client does.
    while let Err(error) = bulk(stack, 1).await {
        if clock.monotonic().saturating_sub(begun) > TAKEN_WITHIN {
            return Err(error);
        }
        tokio::time::sleep(REPEAT_AFTER).await;
    }
    figures.add("broker: s from stop until a new job has ended", since(&clock, begun));
    Ok(())
}

async fn scheduler(stack: &mut Stack, figures: &mut Figures) -> Result<()> {
    let clock = Clock::system();
    stack.end(SCHEDULER).await?;
    let begun = clock.monotonic();
    stack.begin(SCHEDULER)?;
    stack.service_ready(SCHEDULER).await?;
    figures.add("scheduler: s from start until it is ready", since(&clock, begun));
    stack.ready().await?;
    bulk(stack, 1).await?;
    figures.add("scheduler: s from start until a new job has ended", since(&clock, begun));
    // It leads now, so that this is the takeover of this start.
    figures.add(
        "scheduler: s of its takeover",
        stack.counted(SCHEDULER, "nox_scheduler_takeover_seconds").await?,
    );
    Ok(())
}

async fn projector(stack: &mut Stack, backlog: usize, figures: &mut Figures) -> Result<()> {
    let clock = Clock::system();
    let reader = Reader::new(&stack.database_url, 1)?;
    let wanted = ended(&reader).await? + backlog as u64;
    stack.end(PROJECTOR).await?;
    submit(How::Bulk, NOOP, backlog, &stack.client, &clock).await?;
    log_is_quiet(stack, &clock).await?;

    let begun = clock.monotonic();
    stack.begin(PROJECTOR)?;
    stack.service_ready(PROJECTOR).await?;
    figures.add("projector: s from start until it is ready", since(&clock, begun));
    all_ended(&reader, wanted).await?;
    let took = since(&clock, begun);
    figures.add(format!("projector: s from start until {backlog} jobs are in the rows"), took);
    Ok(())
}

/// Waits until nothing is written any more.
async fn log_is_quiet(stack: &Stack, clock: &Clock) -> Result<()> {
    let begun = clock.monotonic();
    let (_, mut known) = stack.stream(EVENTS).await?;
    loop {
        tokio::time::sleep(QUIET_FOR).await;
        let (_, bytes) = stack.stream(EVENTS).await?;
        if bytes == known {
            return Ok(());
        }
        known = bytes;
        ensure!(
            clock.monotonic().saturating_sub(begun) < QUIET_WITHIN,
            "the log still grows after {QUIET_WITHIN:?}"
        );
    }
}

fn since(clock: &Clock, begun: Duration) -> f64 {
    clock.monotonic().saturating_sub(begun).as_secs_f64()
}
