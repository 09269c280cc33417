//! `noxctl job list`.

use std::time::Duration;

use anyhow::Result;
use nox_service::Clock;

use crate::{
    client::{Client, encoded},
    exit::Exit,
    output::{Format, Output},
    views::{Job, Jobs},
};

/// Most jobs that the gateway puts into a page.
const PAGE_MAX: usize = 200;

#[derive(clap::Args)]
pub struct Args {
    /// Only those that stand so; every usual spelling will do.
    #[arg(long)]
    status: Option<String>,

    #[arg(long)]
    module: Option<String>,

    /// Only this user's; others' are for administrators.
    #[arg(long)]
    user: Option<String>,

    /// Any filter that the API has, by its name there, repeatedly; `!=` lists all others.
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<Filter>,

    /// Most jobs to list.
    #[arg(long, default_value_t = 50)]
    limit: usize,
}

/// A filter as it was typed, for the query of the API, which judges it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Filter {
    /// With `!` at its end where it is turned around.
    key: String,
    value: String,
}

impl std::str::FromStr for Filter {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((key, value)) if !key.trim_end_matches('!').is_empty() => {
                Ok(Self { key: key.to_owned(), value: value.to_owned() })
            }
            _ => Err("not KEY=VALUE or KEY!=VALUE"),
        }
    }
}

pub async fn run(args: Args, client: &Client, output: Output) -> Result<Exit> {
    let mut filters = String::new();
    for (name, value) in
        [("status", &args.status), ("module", &args.module), ("user_id", &args.user)]
    {
        if let Some(value) = value {
            filters.push_str(&format!("&{name}={}", encoded(value)));
        }
    }
    for Filter { key, value } in &args.filter {
        filters.push_str(&format!("&{}={}", encoded(key), encoded(value)));
    }
    let mut jobs = Vec::new();
    let mut cursor = String::new();
    while jobs.len() < args.limit {
        let limit = (args.limit - jobs.len()).min(PAGE_MAX);
        let page: Jobs = client.read(&format!("/jobs?limit={limit}{filters}{cursor}")).await?;
        jobs.extend(page.jobs);
        match page.next {
            Some(next) => cursor = format!("&cursor={}", encoded(&next)),
            None => break,
        }
    }
    if output.format != Format::Table {
        output.documents(&jobs)?;
        return Ok(Exit::Done);
    }
    // People want to know how long ago, and programs when.
    let now = output.is_terminal().then(|| Clock::system().wall());
    let rows = jobs.iter().map(|job| {
        let job: Job = serde_json::from_str(job.get())?;
        let took = job.took().map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.2} s"));
        let created = match now {
            Some(now) => age(now.since(job.created_at)),
            None => job.created_at.to_string(),
        };
        let state = job.standing();
        Ok(vec![job.id.to_string(), job.module, job.user_id, created, took, state])
    });
    let rows: Vec<_> = rows.collect::<serde_json::Result<_>>()?;
    output.table(&["id", "module", "user", "created", "took", "state"], &rows)?;
    Ok(Exit::Done)
}

/// A span in its largest unit.
fn age(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 => format!("{seconds} s ago"),
        60..3_600 => format!("{} min ago", seconds / 60),
        3_600..86_400 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_a_name_and_a_value_and_may_be_turned_around() {
        let read = |text: &str| text.parse::<Filter>().map(|Filter { key, value }| (key, value));
        let pair = |key: &str, value: &str| Ok((key.to_owned(), value.to_owned()));
        assert_eq!(read("label=a=b"), pair("label", "a=b"));
        assert_eq!(read("status!=failed"), pair("status!", "failed"));
        assert_eq!(read("user_id="), pair("user_id", ""));
        for wrong in ["", "status", "=x", "!=x"] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }
}
