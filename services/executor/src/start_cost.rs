//! How long a program that does nothing takes from its order to its end: started as it is, and shut in at each
//! level that there is.

use std::{path::Path, time::Duration};

use anyhow::Context;
use nox_service::{Clock, ids};
use tokio::process::Command;

use crate::sandbox::{
    Level, Sandbox,
    host::{Asking, Host, Settings},
};

/// The program.
const TRUE: &str = "/bin/true";

/// Runs that fill caches before anything is measured.
const WARM_UP: usize = 10;

/// What was measured of one way to start it.
#[derive(Debug)]
pub struct StartCost {
    /// `spawn`, or the level.
    pub name: &'static str,
    pub took: Vec<Duration>,
}

/// Starts it `rounds` times in each way, one way after the other in each round. `supervisor` is a program that
/// calls [`crate::supervise_if_asked`] first; `data` a folder to do it in.
///
/// # Errors
/// A level that is there fails.
pub async fn measure(
    supervisor: &Path,
    data: &Path,
    rounds: usize,
) -> anyhow::Result<Vec<StartCost>> {
    let settings = Settings { sandbox_allow_none: true, ..Settings::default() };
    let asking = Asking { supervisor, data, artifacts: data, instance: ids::unique().as_u128() };
    let host = Host::probe(&settings, asking).await?;
    let levels = Level::ALL.into_iter().filter(|level| host.has(*level).is_ok());
    let ways: Vec<Option<Level>> = std::iter::once(None).chain(levels.map(Some)).collect();
    let name = |way: &Option<Level>| way.map_or("spawn", Level::name);
    let mut costs: Vec<_> =
        ways.iter().map(|way| StartCost { name: name(way), took: Vec::new() }).collect();
    let clock = Clock::system();
    for round in 0..WARM_UP + rounds {
        for (way, cost) in ways.iter().zip(&mut costs) {
            let began = clock.monotonic();
            match way {
                None => drop(Command::new(TRUE).status().await.context(TRUE)?),
                Some(level) => run(&host, *level, supervisor, data).await?,
            }
            if round >= WARM_UP {
                cost.took.push(clock.monotonic() - began);
            }
        }
    }
    Ok(costs)
}

async fn run(host: &Host, level: Level, supervisor: &Path, data: &Path) -> anyhow::Result<()> {
    let (order, _user) = host.trial(level, data, &[TRUE], false).map_err(anyhow::Error::msg)?;
    let sandbox = Sandbox::spawn(supervisor, &order, |_| Ok(()), |_| ()).await;
    let mut sandbox = sandbox.map_err(|error| anyhow::anyhow!("{level}: {error:?}"))?;
    let usage = sandbox.usage().await;
    anyhow::ensure!(usage.known.is_some(), "{level}: its supervisor failed");
    Ok(())
}
