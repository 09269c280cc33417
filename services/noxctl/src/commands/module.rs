//! `noxctl module`: what can be run, and whether it may; and modules of one's own.

mod examples;
mod register;
mod skeleton;
mod versions;

use std::path::PathBuf;

use anyhow::Result;

use crate::{
    client::encoded,
    decision,
    exit::Exit,
    output::{Format, Output},
    target::Target,
    views::{Module, Modules},
};

#[derive(clap::Subcommand)]
pub enum Command {
    /// List all modules.
    List,
    /// Show one, with the schemas of its inputs and outputs.
    Get { name: String },
    /// List all versions of a module that jobs may name, the present one first.
    Versions { name: String },
    /// Let jobs of a module be admitted and run again; for administrators.
    Enable { name: String },
    /// Refuse new jobs of a module, and start none; for administrators.
    Disable { name: String },
    /// Begin a module of one's own: a folder with a manifest, a schema and an example that work.
    New {
        /// The module's name: a-z, 0-9 and _.
        name: nox_contract::ModuleName,
        /// The folder in which its folder is made.
        #[arg(long, value_name = "FOLDER", default_value = ".")]
        into: PathBuf,
    },
    /// Run a module's `examples/*.json` on this machine, without servers, and compare.
    Test {
        /// The module's folder.
        folder: PathBuf,
    },
    /// Register a version of a module for all executors that take registered modules; for administrators.
    Register {
        /// The module's folder, or its manifest: what lies beside that goes with it.
        path: PathBuf,
    },
    /// Check a module's folder and put it among those that the executors of this machine read, `NOX_MODULES`.
    Install {
        /// The module's folder.
        folder: PathBuf,
        /// Put it in the place of the one that is there.
        #[arg(long)]
        replace: bool,
    },
}

pub async fn run(command: Command, target: &Target, output: Output) -> Result<Exit> {
    match command {
        Command::List => {
            let client = target.open_client()?;
            let Modules { modules } = client.read("/modules").await?;
            if output.format != Format::Table {
                output.documents(&modules)?;
                return Ok(Exit::Done);
            }
            let rows = modules.iter().map(|module| {
                let module: Module = serde_json::from_str(module.get())?;
                let enabled = if module.enabled { "enabled" } else { "disabled" };
                Ok(vec![module.name, module.version, enabled.to_owned(), module.title])
            });
            let rows: Vec<_> = rows.collect::<serde_json::Result<_>>()?;
            output.table(&["name", "version", "enabled", "title"], &rows)?;
        }
        Command::Get { name } => {
            let client = target.open_client()?;
            let module = client.get(&format!("/modules/{}", encoded(&name))).await?;
            output.json(&module.body)?;
        }
        Command::Versions { name } => {
            return versions::run(&name, &target.open_client()?, output).await;
        }
        Command::Enable { name } => return switch(&name, true, target, output).await,
        Command::Disable { name } => return switch(&name, false, target, output).await,
        Command::New { name, into } => skeleton::write(&into.join(name.as_str()), &name)?,
        Command::Test { folder } => return examples::run(&folder, output).await,
        Command::Register { path } => return register::run(&path, target, output).await,
        Command::Install { folder, replace } => skeleton::install(&folder, replace)?,
    }
    Ok(Exit::Done)
}

async fn switch(name: &str, enabled: bool, target: &Target, output: Output) -> Result<Exit> {
    let verb = if enabled { "enable" } else { "disable" };
    let client = target.admin_client()?;
    let answer = client.post(&format!("/modules/{}/{verb}", encoded(name)), None).await?;
    decision::tell(&answer, output, name, &format!("{verb}d"))
}
