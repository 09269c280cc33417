//! `noxctl log repair`: the way out for a message in the log that is none of ours.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use nox_contract::subject;
use nox_service::{Secret, ids};
use nox_streams::{Broker, ConnectOptions, Durability, LogFinding, repair::BACKUP};
use serde_json::json;

use crate::{
    exit::Exit,
    output::{Format, Output},
    target::Target,
    terminal::note,
};

/// The broker's operator, who alone may delete a stream.
const SERVICE: &str = "operator";
/// While it is repaired, nobody may begin to lead; renewed three times as often.
const LEASE: Duration = Duration::from_secs(30);

#[derive(clap::Args)]
pub struct Args {
    /// The broker, as its operator; that of the development system in the data folder, if not given.
    #[arg(long, env = "NOX_NATS_URL", hide_env_values = true)]
    nats_url: Option<Secret>,

    /// Do it. Without, the log is read and what would be dropped is shown.
    #[arg(long)]
    apply: bool,
}

pub async fn run(args: Args, target: &Target, output: Output) -> Result<Exit> {
    let url = match args.nats_url.as_ref().map(Secret::reveal).filter(|url| !url.is_empty()) {
        Some(url) => url.to_owned(),
        None => target.place()?.nats_url,
    };
    let options =
        ConnectOptions { url, service: SERVICE, monitor_url: None, sync: Durability::Relaxed };
    let broker = Broker::connect(options).await?;
    let finding = broker.inspect_log().await.context("cannot read the log")?;
    show(&finding, output)?;
    if finding.stream == subject::EVENTS && finding.dropped.is_empty() {
        return Ok(Exit::Done);
    }
    if !args.apply {
        bail!("nothing was changed; stop every service, and run it with --apply");
    }
    repair(&broker, &finding).await?;
    note!(
        "the log ends at {} now; all that was in it is kept as {BACKUP}, which can be removed when \
         everything is well",
        finding.genuine
    );
    Ok(Exit::Done)
}

/// Repairs while holding the scheduler's lease.
async fn repair(broker: &Broker, finding: &LogFinding) -> Result<()> {
    let mut lease = broker.lease(format!("repair-{}", ids::unique()), LEASE);
    if !lease.acquire().await.context("cannot take the scheduler's lease")? {
        bail!("a scheduler runs, or ran until a moment ago: stop every service first");
    }
    let renewed = async {
        loop {
            tokio::time::sleep(LEASE / 3).await;
            if !matches!(lease.renew().await, Ok(true)) {
                return;
            }
        }
    };
    let repaired = tokio::select! {
        repaired = broker.repair_log(finding) => repaired.context("the repair was cut off"),
        () = renewed => bail!("the lease was lost; run it again"),
    };
    lease.release().await.context("cannot give the lease back")?;
    repaired
}

fn show(finding: &LogFinding, output: Output) -> Result<()> {
    if output.format != Format::Table {
        let dropped: Vec<_> = finding
            .dropped
            .iter()
            .map(|message| {
                json!({"seq": message.seq, "subject": message.subject, "bytes": message.bytes})
            })
            .collect();
        let document =
            json!({"genuine": finding.genuine, "reason": finding.reason, "dropped": dropped});
        output.json(&document.to_string())?;
        return Ok(());
    }
    note!("{} messages are ours", finding.genuine);
    if let Some(reason) = &finding.reason {
        note!("what follows is not taken over: {reason}");
        let rows: Vec<_> = finding
            .dropped
            .iter()
            .map(|m| vec![m.seq.to_string(), m.subject.clone(), m.bytes.to_string()])
            .collect();
        output.table(&["seq", "subject", "bytes"], &rows)?;
    }
    Ok(())
}
