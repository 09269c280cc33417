//! An attempt's command line, environment, limits and input files.

use std::path::Path;

use nox_contract::StartWork;
use serde_json::Value;

use crate::{
    contain::{Limits, Order},
    failure::Failure,
    folder::{Folder, MARK},
    manifest::{Manifest, Run},
    template::Values,
};

/// Seconds on a processor beyond what was asked for, so that the wall time is what ends an attempt.
const CPU_SECONDS_SPARE: u64 = 10;

/// Memory beyond what was asked for: the limit of each process counts what libraries map and never
/// touch, 130 MiB in the case of xtb. Below that, some do not fail but hang.
const MEMORY_BYTES_SPARE: u64 = 256 << 20;

/// Largest file that a program may write: 4 GiB.
const FILE_BYTES_MAX: u64 = 4 << 30;

/// Where attempts find programs; the executor's own `PATH` is its own affair.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Writes the input files into `folder`, and says what is to be run there.
pub fn prepare(
    start: &StartWork,
    manifest: &Manifest,
    program: &Path,
    inputs: &Value,
    folder: &Folder,
) -> Result<Order, Failure> {
    let Run::Program(run) = &manifest.file.run else {
        return Err(Failure::spawn("a builtin has no command line"));
    };
    let work = folder.work();
    let work_dir = work.to_str().ok_or_else(|| Failure::spawn("NOX_DATA must be a text"))?;
    let values = Values { work_dir, inputs };
    for file in &manifest.file.write {
        let text = file
            .template
            .text(values)
            .map_err(|error| Failure::input_invalid(format!("{}: {error}", file.path)))?;
        folder
            .write(&file.path, &text)
            .map_err(|error| Failure::cannot_run(format!("cannot write {}: {error}", file.path)))?;
    }
    let mut args = Vec::new();
    for arg in &run.args {
        if arg.when.as_ref().is_none_or(|when| when.holds(inputs)) {
            for template in &arg.templates {
                let filled = template.argument(values);
                args.push(filled.map_err(|error| Failure::input_invalid(error.to_string()))?);
            }
        }
    }
    let mut env = vec![
        ("PATH".to_owned(), PATH.to_owned()),
        ("LANG".to_owned(), "C.UTF-8".to_owned()),
        ("HOME".to_owned(), work_dir.to_owned()),
        ("TMPDIR".to_owned(), work_dir.to_owned()),
        ("NOX_JOB_ID".to_owned(), start.job_id.to_string()),
        ("NOX_ATTEMPT".to_owned(), start.attempt.to_string()),
    ];
    env.extend(run.env.iter().map(|(name, value)| (name.clone(), value.clone())));
    for name in &run.secret_env {
        let value = std::env::var(name).map_err(|error| {
            Failure::spawn(format!("the executor's environment has no {name}: {error}"))
        })?;
        env.push((name.clone(), value));
    }
    // Last, so that no manifest can take it away.
    env.push((MARK.to_owned(), work_dir.to_owned()));
    let resources = &start.resources;
    let limits = Limits {
        wall_seconds: u64::from(resources.wall_time_s),
        cpu_seconds: u64::from(resources.cpu) * u64::from(resources.wall_time_s)
            + CPU_SECONDS_SPARE,
        memory_bytes: (u64::from(resources.mem_mb) << 20) + MEMORY_BYTES_SPARE,
        file_bytes: FILE_BYTES_MAX,
    };
    Ok(Order { program: program.to_owned(), args, env, folder: work, limits })
}
