//! What each level of the sandbox adds to the start of a program.

use anyhow::{Context, Result};
use nox_executor::start_cost;

use super::Load;
use crate::commands::bench::{Args, figures::Figures, statistics::Latencies};

/// The way that the others are compared with.
const PLAIN: &str = "spawn";

pub async fn run(args: &Args) -> Result<Figures> {
    let folder = tempfile::Builder::new().prefix("nox-bench-").tempdir()?;
    // The executor's own program, as in production.
    let supervisor = std::env::current_exe()?.with_file_name("nox-executor");
    let data = folder.path().canonicalize()?;
    let costs = start_cost::measure(&supervisor, &data, Load::Sandbox.jobs(args));
    let costs = costs.await.with_context(|| format!("with {}", supervisor.display()))?;
    let mut figures = Figures::default();
    let mut plain = None;
    for cost in costs {
        let latencies = Latencies::of(cost.took);
        figures.add_latencies(cost.name, latencies);
        if cost.name == PLAIN {
            plain = Some(latencies);
        } else if let Some(plain) = plain {
            let more = latencies.p50.saturating_sub(plain.p50);
            figures.add(format!("{} over {PLAIN}, p50 ms", cost.name), more.as_secs_f64() * 1e3);
        }
    }
    Ok(figures)
}
