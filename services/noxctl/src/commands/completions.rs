//! `noxctl completions`: what makes a shell complete commands and flags.

use anyhow::Result;
use clap_complete::Shell;

use crate::{exit::Exit, terminal::print};

#[derive(clap::Args)]
pub struct Args {
    /// Which shell.
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(["bash", "zsh", "fish"]))]
    shell: String,
}

pub fn run(args: &Args, command: &mut clap::Command) -> Result<Exit> {
    let shell = match args.shell.as_str() {
        "bash" => Shell::Bash,
        "zsh" => Shell::Zsh,
        // The parser takes no other one.
        _ => Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, command, "noxctl", &mut script);
    print(&script)?;
    Ok(Exit::Done)
}
