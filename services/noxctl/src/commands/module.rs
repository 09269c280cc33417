//! `noxctl module`: what can be run.

use anyhow::Result;

use crate::{
    client::encoded,
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
}

pub async fn run(command: Command, target: &Target, output: Output) -> Result<Exit> {
    let client = target.open_client()?;
    match command {
        Command::List => {
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
            let module = client.get(&format!("/modules/{}", encoded(&name))).await?;
            output.json(&module.body)?;
        }
    }
    Ok(Exit::Done)
}
