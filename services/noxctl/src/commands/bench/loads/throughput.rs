//! Jobs as fast as they go: in bulk, one by one, or a process each.

use anyhow::Result;

use super::{Load, bulk, options, with_stack};
use crate::{
    commands::bench::{
        Args,
        figures::Figures,
        measure::{Work, figures, measure},
        stack::{NOOP, StackOptions, TRUE},
        submit::How,
    },
    system::Sync,
    terminal::say,
};

/// Processes at a time: more only push each other off the processors.
const PROCESS_SLOTS: u32 = 16;
/// Processes that are run before anything is measured.
const PROCESS_WARM_UP: usize = 100;

pub async fn run(load: Load, args: &Args, sync: Sync) -> Result<Figures> {
    let (how, module) = match load {
        Load::Single => (How::Single, NOOP),
        Load::Process => (How::Bulk, TRUE),
        _ => (How::Bulk, NOOP),
    };
    let jobs = load.jobs(args);
    let usual = options(args, sync);
    let slots = if module == TRUE { usual.slots.min(PROCESS_SLOTS) } else { usual.slots };
    with_stack(&StackOptions { slots, ..usual }, async |stack| {
        if module == TRUE {
            measure(stack, Work { how, module, jobs: PROCESS_WARM_UP }, false).await?;
        } else {
            bulk(stack, jobs / 5).await?;
        }
        let measured = measure(stack, Work { how, module, jobs }, args.profile).await?;
        if let Some(profile) = &measured.profile {
            say!("{} {}, {profile}", load.name(), sync.as_str())?;
        }
        Ok(figures(jobs, measured.took, &measured.cost, measured.answers.latencies))
    })
    .await
}
