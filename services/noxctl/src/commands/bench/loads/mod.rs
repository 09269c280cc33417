//! What is put on the system, a file each.

mod feed;
mod latency;
mod limited;
mod queued;
mod restart;
mod retained;
mod sandbox;
mod soak;
mod throughput;

pub use feed::{KEPT, OFF};
pub use latency::PER_SECOND as LATENCY_PER_SECOND;
pub use limited::AGAINST_EARLY;
pub use queued::AGAINST_SHORT;
pub use retained::AGAINST_EMPTY;

use anyhow::Result;
use clap::ValueEnum;

use super::{
    Args,
    figures::Figures,
    measure::{Work, measure},
    stack::{NOOP, Stack, StackOptions},
    submit::How,
};
use crate::{system::Sync, terminal::note};

/// Jobs that open connections and fill caches before anything is measured.
const WARM_UP: usize = 1_000;
/// Jobs of one part of a long load: what is queued at a time stays below that.
const PART: usize = 100_000;

/// A load; each takes what it needs of the arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Load {
    /// POST /jobs/batch, 900 a request, as fast as it goes.
    Bulk,
    /// In bulk, with the feed kept and without one, in turns.
    Feed,
    /// POST /jobs, 64 in flight, as fast as it goes.
    Single,
    /// POST /jobs, 50 a second: from the call to the handler's first instruction.
    Latency,
    /// In bulk, each job a process that runs `true`.
    Process,
    /// `true` started as it is and at each level of the sandbox, without anything else of Nox.
    Sandbox,
    /// All jobs queued before anything runs, against a fifth as many.
    Queued,
    /// In bulk, on top of ended jobs, against an empty system.
    Retained,
    /// Broker, scheduler and projector begin anew on top of ended jobs.
    Restart,
    /// In bulk at half of the measured speed, for minutes.
    Soak,
    /// Many more jobs than the log's stream holds.
    Limited,
}

/// How large a load is, in jobs.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub jobs: usize,
    /// That have ended before.
    pub retained: usize,
}

impl Load {
    /// What is measured unless something else is asked for: a quarter of an hour.
    pub const USUAL: [Self; 3] = [Self::Bulk, Self::Single, Self::Latency];

    pub fn name(self) -> &'static str {
        match self {
            Self::Bulk => "bulk",
            Self::Feed => "feed",
            Self::Single => "single",
            Self::Latency => "latency",
            Self::Process => "process",
            Self::Sandbox => "sandbox",
            Self::Queued => "queued",
            Self::Retained => "retained",
            Self::Restart => "restart",
            Self::Soak => "soak",
            Self::Limited => "limited",
        }
    }

    /// Whether a round is short, on a system of its own, and of both durabilities unless one is named.
    pub fn is_short(self) -> bool {
        matches!(self, Self::Bulk | Self::Feed | Self::Single | Self::Latency | Self::Process)
    }

    /// Jobs, unless another number is asked for.
    pub fn jobs(self, args: &Args) -> usize {
        let usual = match self {
            Self::Bulk
            | Self::Feed
            | Self::Queued
            | Self::Retained
            | Self::Restart
            | Self::Soak => 100_000,
            Self::Single => 20_000,
            Self::Process => 10_000,
            Self::Sandbox => 300,
            Self::Latency => return latency::PER_SECOND * args.seconds as usize,
            Self::Limited => 2_000_000,
        };
        args.jobs.map_or(usual, |jobs| jobs as usize)
    }

    /// What there is to do, and what has ended before.
    pub fn size(self, args: &Args) -> Size {
        let retained = match self {
            Self::Retained | Self::Restart => args.retained as usize,
            _ => 0,
        };
        Size { jobs: self.jobs(args), retained }
    }

    /// What is measured in turns: with each durability that is asked for, or, of the feed, with it and without.
    pub fn subjects(self, args: &Args) -> Vec<(&'static str, Sync)> {
        match self {
            Self::Feed => {
                let sync = args.durability.first().copied().unwrap_or(Sync::Relaxed);
                vec![(KEPT, sync), (OFF, sync)]
            }
            _ => args.durabilities(self).iter().map(|sync| (sync.as_str(), *sync)).collect(),
        }
    }

    /// One round of a short load; all rounds of a long one.
    pub async fn run(self, args: &Args, subject: &'static str, sync: Sync) -> Result<Vec<Figures>> {
        match self {
            Self::Feed => Ok(vec![feed::run(args, sync, subject).await?]),
            Self::Bulk | Self::Single | Self::Process => {
                Ok(vec![throughput::run(self, args, sync).await?])
            }
            Self::Latency => Ok(vec![latency::run(args, sync).await?]),
            Self::Sandbox => Ok(vec![sandbox::run(args).await?]),
            Self::Queued => queued::run(args, sync).await,
            Self::Retained => retained::run(args, sync).await,
            Self::Restart => restart::run(args, sync).await,
            Self::Soak => Ok(vec![soak::run(args, sync).await?]),
            Self::Limited => Ok(vec![limited::run(args, sync).await?]),
        }
    }
}

/// How a system is started for a load that needs nothing special.
fn options(args: &Args, sync: Sync) -> StackOptions {
    StackOptions { sync, slots: args.slots, log_bytes: None, feed: "kept", starts: false }
}

/// Starts a system, warms it up, does `work` on it, and stops it.
async fn with_stack<T>(
    options: &StackOptions,
    work: impl AsyncFnOnce(&mut Stack) -> Result<T>,
) -> Result<T> {
    let mut stack = Stack::start(options).await?;
    let outcome = async {
        bulk(&stack, WARM_UP).await?;
        work(&mut stack).await
    };
    let outcome = outcome.await;
    if outcome.is_err() {
        stack.quote_logs();
    }
    stack.stop().await;
    outcome
}

/// Puts `jobs` jobs through in bulk.
async fn bulk(stack: &Stack, jobs: usize) -> Result<super::measure::Measured> {
    measure(stack, Work { how: How::Bulk, module: NOOP, jobs }, false).await
}

/// The same for so many that not all shall be queued at a time.
async fn fill(stack: &Stack, jobs: usize) -> Result<()> {
    let mut left = jobs;
    while left > 0 {
        let part = left.min(PART);
        bulk(stack, part).await?;
        left -= part;
        note!("  {} of {jobs} jobs have ended", jobs - left);
    }
    Ok(())
}
