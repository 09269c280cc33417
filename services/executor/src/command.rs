//! An attempt's command line, environment, limits and input files.

use std::path::Path;

use nox_contract::StartWork;
use nox_schema::Prepared;

use crate::{
    begin_in::begin_in,
    failure::Failure,
    folder::{Folder, MARK},
    manifest::{Manifest, Run},
    sandbox::{Confinement, Limits, Order},
    template::{self, Values},
};

/// Where attempts find programs; the executor's own `PATH` is its own affair.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Writes the input files into `folder`, and says what is to be run there.
pub fn prepare(
    start: &StartWork,
    manifest: &Manifest,
    program: &Path,
    prepared: &Prepared,
    folder: &Folder,
    confinement: Confinement,
) -> Result<Order, Failure> {
    let Run::Program(run) = &manifest.file.run else {
        return Err(Failure::spawn("a builtin has no command line"));
    };
    let work = folder.work();
    let work_dir = work.to_str().ok_or_else(|| Failure::spawn("NOX_DATA must be a text"))?;
    let Prepared { inputs, molecule } = prepared;
    let program_dir = program.parent().and_then(Path::to_str).unwrap_or("/");
    let resources = template::resources(&start.resources);
    let values = Values { work_dir, program_dir, inputs, molecule, resources: &resources };
    for file in &manifest.file.write {
        let text = file
            .text(values)
            .map_err(|error| Failure::input_invalid(format!("{}: {error}", file.path)))?;
        folder
            .write(&file.path, &text)
            .map_err(|error| Failure::cannot_run(format!("cannot write {}: {error}", file.path)))?;
    }
    let mut args = Vec::new();
    for arg in &run.args {
        if arg.when.holds(values) {
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
    for (name, value) in &run.env {
        let filled = value.text(values);
        let filled = filled.map_err(|error| Failure::input_invalid(format!("{name}: {error}")))?;
        env.push((name.clone(), filled));
    }
    for name in &run.secret_env {
        let value = std::env::var(name).map_err(|error| {
            Failure::spawn(format!("the executor's environment has no {name}: {error}"))
        })?;
        env.push((name.clone(), value));
    }
    let begin_in =
        begin_in(&manifest.file.run).map_err(Failure::spawn)?.map(|path| work.join(path));
    if let Some(path) = begin_in.as_ref().filter(|path| path.starts_with(&work)) {
        let made = folder.make(path);
        made.map_err(|error| {
            Failure::cannot_run(format!("cannot make {}: {error}", path.display()))
        })?;
    }
    // Last, so that no manifest can take it away.
    env.push((MARK.to_owned(), work_dir.to_owned()));
    if let Some(user) = confinement.user {
        folder.give_to(user).map_err(|error| {
            Failure::cannot_run(format!("cannot give {work_dir} away: {error}"))
        })?;
    }
    let limits = Limits::of(&manifest.file.limits, &start.resources);
    Ok(Order {
        program: program.to_owned(),
        args,
        env,
        folder: work,
        begin_in,
        limits,
        confinement,
    })
}
