//! `noxctl worker`: who runs jobs.

mod drain;
mod get;
mod list;

use anyhow::Result;
use nox_contract::{Capacity, fact::ServedModule};

use crate::{exit::Exit, output::Output, target::Target};

#[derive(clap::Subcommand)]
pub enum Command {
    /// List the workers that are there.
    List(list::Args),
    /// Show one, with what it runs of the jobs that you see.
    Get(get::Args),
    /// Take a worker out of service: it ends what it has, and is given no more; for operators.
    Drain(drain::Args),
    /// Put a worker back into service; for operators.
    Undrain(drain::Args),
}

pub async fn run(command: Command, target: &Target, output: Output) -> Result<Exit> {
    match command {
        Command::List(args) => list::run(args, &target.client()?, output).await,
        Command::Get(args) => get::run(args, &target.client()?, output).await,
        Command::Drain(args) => drain::run(args, &target.admin_client()?, output, true).await,
        Command::Undrain(args) => drain::run(args, &target.admin_client()?, output, false).await,
    }
}

fn capacity_words(capacity: &Capacity) -> String {
    let Capacity { slots, cpu, mem_mb, gpu } = capacity;
    let gpu = if *gpu == 0 { String::new() } else { format!(", gpu {gpu}") };
    format!("slots {slots}, cpu {cpu}, mem_mb {mem_mb}{gpu}")
}

fn module_words(modules: &[ServedModule]) -> String {
    let words = |module: &ServedModule| format!("{} {}", module.name, module.version);
    modules.iter().map(words).collect::<Vec<_>>().join(", ")
}
