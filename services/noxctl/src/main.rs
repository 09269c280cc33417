//! `noxctl`: Nox on the command line, and all of Nox in one process.
//!
//! | file | what it does |
//! |---|---|
//! | [`cli`] | the tree of commands |
//! | [`commands`] | one file a command |
//! | [`target`] | which system a command is for |
//! | [`client`] | asks a gateway |
//! | [`views`] | what is read of its answers; [`facts`] puts them in words |
//! | [`pages`] | reads a list to its end; [`when`] has the instants in tables |
//! | [`decision`] | tells what became of a change |
//! | [`follow`] | stays with a job until it has ended |
//! | [`output`], [`exit`] | the forms of data, and with which status a command ends |
//! | [`terminal`] | all that is written to standard output and standard error |
//! | [`home`] | the folder of a development system |
//! | [`system`] | servers and services of a development system |
//! | [`token`], [`token_source`] | signs tokens; where a command has its own from |

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod cli;
mod client;
mod commands;
mod decision;
mod exit;
mod facts;
mod follow;
mod home;
mod output;
mod pages;
mod system;
mod target;
mod terminal;
mod token;
mod token_source;
mod views;
mod when;

use std::{io, process::ExitCode};

use anyhow::{Context, Result};
use clap::Parser;

use crate::{
    cli::Cli,
    exit::Exit,
    terminal::{note, print, print_error},
};

fn main() -> ExitCode {
    // The executor starts this program again as the supervisor of an attempt.
    nox_executor::supervise_if_asked();
    let outcome = match Cli::try_parse() {
        Ok(cli) => run(cli),
        Err(said) => tell(&said),
    };
    match outcome {
        Ok(exit) => exit.into(),
        // Whoever reads our output has seen enough.
        Err(error) if is_broken_pipe(&error) => Exit::Done.into(),
        Err(error) => {
            note!("noxctl: {error:#}");
            Exit::of(&error).into()
        }
    }
}

fn run(cli: Cli) -> Result<Exit> {
    if cli.has_executor() {
        system::engines::find();
    }
    let threads = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let threads = threads.context("cannot start")?;
    let outcome = threads.block_on(cli.run());
    threads.shutdown_background();
    outcome
}

/// Prints what the parser of arguments has to say: help, or what is wrong with them, which it quotes.
fn tell(said: &clap::Error) -> Result<Exit> {
    let text = said.render().to_string();
    if said.use_stderr() {
        print_error(text);
        return Ok(Exit::Usage);
    }
    print(text)?;
    Ok(Exit::Done)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
