//! `noxctl quota ledger`.

use anyhow::Result;
use nox_contract::Timestamp;
use serde::Deserialize;

use super::Whose;
use crate::{
    client::{Client, encoded},
    exit::{Exit, Misused},
    output::Output,
    pages::{Limit, List},
};

#[derive(clap::Args)]
pub struct Args {
    /// List each movement of this user's budget, with the place of its fact in the log.
    #[arg(conflicts_with = "tenant")]
    user: Option<String>,

    /// The same of the tenant of this name; for administrators.
    #[arg(long)]
    tenant: Option<String>,

    /// Of movements, those of this job alone.
    #[arg(long)]
    job: Option<String>,

    /// Of movements, none before this instant.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,

    /// Of movements, none from this instant on.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,

    #[command(flatten)]
    limit: Limit,
}

impl Args {
    /// Whether it is of whoever asks.
    pub fn is_own(&self) -> bool {
        self.user.is_none() && self.tenant.is_none()
    }
}

/// What a fact moved.
#[derive(Deserialize)]
struct Movement {
    id: String,
    at: Timestamp,
    fact: String,
    period: Timestamp,
    cpu_seconds: i64,
    overrun: Option<i64>,
    job_id: Option<String>,
}

/// Core seconds of a job.
#[derive(Deserialize)]
struct Line {
    job_id: String,
    period: Timestamp,
    reservation: i64,
    reserved: i64,
    used: i64,
    released: i64,
    overrun: i64,
}

const HEAD: [&str; 7] =
    ["job_id", "period", "reservation", "reserved", "used", "released", "overrun"];

pub async fn run(args: Args, client: &Client, output: Output) -> Result<Exit> {
    let whose = Whose { user: args.user.clone(), tenant: args.tenant.clone() };
    if let Some((place, _)) = whose.place() {
        return movements(&place, args, client, output).await;
    }
    if args.job.is_some() || args.since.is_some() || args.until.is_some() {
        let what = "--job, --since and --until choose movements: name a user or --tenant as well";
        return Err(Misused(what.to_owned()).into());
    }
    let list = List { path: "/quotas/my/ledger", member: "ledger", query: "" };
    let lines = list.read(client, &args.limit).await?;
    output.list(&lines, &HEAD, |line: Line| {
        let seconds = [line.reservation, line.reserved, line.used, line.released, line.overrun];
        let names = [line.job_id, line.period.to_string()];
        names.into_iter().chain(seconds.map(|seconds| seconds.to_string())).collect()
    })?;
    Ok(Exit::Done)
}

async fn movements(place: &str, args: Args, client: &Client, output: Output) -> Result<Exit> {
    const HEAD: [&str; 7] = ["id", "at", "fact", "period", "cpu_seconds", "overrun", "job_id"];
    let words = [("job_id", args.job), ("since", args.since), ("until", args.until)];
    let words = words.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let query: String = words.map(|(name, value)| format!("&{name}={}", encoded(&value))).collect();
    let path = format!("{place}/ledger");
    let list = List { path: &path, member: "entries", query: &query };
    let entries = list.read(client, &args.limit).await?;
    let told = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    output.list(&entries, &HEAD, |of: Movement| {
        let overrun = told(of.overrun.map(|seconds| seconds.to_string()));
        let (period, seconds) = (of.period.to_string(), of.cpu_seconds.to_string());
        vec![of.id, of.at.to_string(), of.fact, period, seconds, overrun, told(of.job_id)]
    })?;
    Ok(Exit::Done)
}
