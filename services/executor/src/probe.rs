//! Whether this machine can run attempts at all: threads, files, processes under a supervisor,
//! shut in at each level that was there at the start.

use std::{fs, path::Path, thread, time::Duration};

use anyhow::{Context, bail};
use nox_service::Backoff;

use crate::{check_supervisor, sandbox::host::Host};

/// Between the first failure and the first look; doubled each time. An executor that cannot run
/// attempts must not take the same job again and again.
const LOOK_AFTER: Duration = Duration::from_secs(1);

/// Longest wait: a machine that is well again is of use this soon.
const LOOK_AFTER_MAX: Duration = Duration::from_secs(60);

/// The name of the file that is written and removed.
const FILE: &str = "probe";

/// The waits between looks.
pub fn backoff() -> Backoff {
    Backoff::new(LOOK_AFTER, LOOK_AFTER_MAX)
}

/// Tries everything that running an attempt needs.
pub async fn probe(supervisor: &Path, data: &Path, host: &Host) -> anyhow::Result<()> {
    let thread = thread::Builder::new().spawn(|| ()).context("no thread can be started")?;
    if thread.join().is_err() {
        bail!("a thread failed");
    }
    let file = data.join(FILE);
    fs::write(&file, FILE)
        .and_then(|()| fs::remove_file(&file))
        .context("no file can be written")?;
    check_supervisor(supervisor).await?;
    host.try_again(supervisor, data).await.map_err(anyhow::Error::msg)
}
