//! `noxctl audit list`.

use anyhow::Result;
use nox_contract::audit::Act;

use crate::{
    client::{Client, encoded},
    exit::Exit,
    output::Output,
    pages::{Limit, List},
    when::When,
};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    limit: Limit,

    /// What this user asked for alone.
    #[arg(long)]
    user: Option<String>,

    /// What was done, such as job.cancel, or all of a kind, such as key.
    #[arg(long)]
    verb: Option<String>,

    /// What was asked of this job alone.
    #[arg(long)]
    job: Option<String>,

    /// What was done, or what was refused, alone: done or refused.
    #[arg(long)]
    outcome: Option<String>,

    /// Nothing before this instant.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,

    /// Nothing from this instant on.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

const HEAD: [&str; 9] =
    ["at", "user", "role", "token", "from", "verb", "object", "outcome", "reason"];

pub async fn run(args: Args, client: &Client, output: Output) -> Result<Exit> {
    let words = [
        ("user_id", args.user),
        ("verb", args.verb),
        ("job_id", args.job),
        ("outcome", args.outcome),
        ("since", args.since),
        ("until", args.until),
    ];
    let words = words.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let query: String = words.map(|(name, value)| format!("&{name}={}", encoded(&value))).collect();
    let list = List { path: "/audit", member: "acts", query: &query };
    let acts = list.read(client, &args.limit).await?;
    let when = When::of(output);
    output.list(&acts, &HEAD, |act: Act| {
        let token = act.key_id.map(|key| key.to_string()).or(act.token_id);
        let user = act.user_id.map(|user| user.to_string());
        let outcome = act.code.unwrap_or_else(|| act.outcome.to_string());
        let told = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        vec![
            when.told(act.at),
            told(user),
            told(act.role),
            told(token),
            told(act.from),
            act.verb,
            act.object.id,
            outcome,
            told(act.reason),
        ]
    })?;
    Ok(Exit::Done)
}
