//! Replays one run of the simulation, or looks for one that fails.
//!
//! `sim --seed N [--fault NAME] [--disaster NAME] [--steps M]` prints every step of run N.
//! `sim --from N --runs K [--fault NAME]` does K runs and prints the first one that fails.
//! `sim --seed N --keep FILE` writes the streams that run N leaves behind, a message a line.

use std::process::ExitCode;

use nox_testkit::sim::{Bug, Disaster, Options, STEPS, run, run_and_keep};

const USAGE: &str =
    "sim --seed N | --from N --runs K  [--fault NAME] [--disaster NAME] [--steps M] [--keep FILE]";

fn main() -> ExitCode {
    match parse() {
        Ok((first, _, options, Some(file))) => keep(&Options { seed: first, ..options }, &file),
        Ok((first, runs, options, None)) => search(first, runs, &options),
        Err(what) => {
            eprintln!("{what}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn parse() -> Result<(u64, u64, Options, Option<String>), String> {
    let mut options = Options { steps: STEPS, ..Options::seed(0) };
    let (mut first, mut runs, mut file) = (0, 1, None);
    options.print = true;
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|e| format!("{name} {value}: {e}"));
        match name.as_str() {
            "--seed" => first = number()?,
            "--from" => {
                first = number()?;
                options.print = false;
            }
            "--runs" => {
                runs = number()?;
                options.print = false;
            }
            "--keep" => {
                file = Some(value.clone());
                options.print = false;
            }
            "--steps" => options.steps = number()?,
            "--fault" => {
                let known = Bug::ALL.iter().map(|bug| bug.name()).collect::<Vec<_>>().join(", ");
                options.bug = Some(Bug::from_name(&value).ok_or(format!("faults: {known}"))?);
            }
            "--disaster" => {
                let known = Disaster::ALL.iter().map(|d| d.name()).collect::<Vec<_>>().join(", ");
                options.disaster =
                    Some(Disaster::from_name(&value).ok_or(format!("disasters: {known}"))?);
            }
            other => return Err(format!("what is {other}?")),
        }
    }
    Ok((first, runs, options, file))
}

fn keep(options: &Options, file: &str) -> ExitCode {
    let (outcome, kept) = run_and_keep(options);
    let lines: Result<Vec<_>, _> = kept.iter().map(serde_json::to_string).collect();
    let written = lines
        .map_err(std::io::Error::from)
        .and_then(|lines| std::fs::write(file, lines.join("\n") + "\n"));
    match (outcome.violation, written) {
        (None, Ok(())) => ExitCode::SUCCESS,
        (violation, written) => {
            println!("{violation:?} {written:?}");
            ExitCode::FAILURE
        }
    }
}

fn search(first: u64, runs: u64, options: &Options) -> ExitCode {
    let (mut steps, mut stats) = (0, nox_testkit::sim::Stats::default());
    for seed in first..first.saturating_add(runs) {
        let outcome = run(&Options { seed, ..options.clone() });
        steps += outcome.steps;
        stats.add(&outcome.stats);
        if let Some(violation) = outcome.violation {
            println!("seed {seed}, after {steps} steps in all: {violation}\n{}", outcome.plan);
            return ExitCode::FAILURE;
        }
        if runs == 1 {
            println!("trace {}", outcome.trace);
        }
    }
    println!("{runs} runs, {steps} steps, nothing found: {stats:?}");
    ExitCode::SUCCESS
}
