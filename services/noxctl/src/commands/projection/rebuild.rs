//! `noxctl projection rebuild`: proves that the rows are nothing but the log.

use anyhow::{Result, bail};
use futures_util::StreamExt;
use nox_contract::subject;
use nox_readmodel::{LogMessage, Rebuilt};
use nox_service::Clock;
use nox_streams::ConsumeError;
use serde_json::json;

use super::{Servers, permitted};
use crate::{
    exit::Exit,
    output::{Format, Output},
    target::Target,
    terminal::note,
};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    servers: Servers,

    /// Compare, and leave the present rows in use.
    #[arg(long)]
    dry_run: bool,

    /// Change over even if the new rows differ, as they may after an update of Nox.
    #[arg(long, conflicts_with = "dry_run")]
    accept_difference: bool,
}

pub async fn run(args: Args, target: &Target, output: Output) -> Result<Exit> {
    let clock = Clock::system();
    let database = args.servers.database(target)?;
    let broker = args.servers.broker(target).await?;
    let log = broker.follow(subject::EVENTS, 1, None).flat_map(|chunk| {
        let messages: Vec<Result<LogMessage, ConsumeError>> = match chunk {
            Ok(chunk) => chunk
                .into_iter()
                .map(|message| {
                    Ok(LogMessage { subject: message.subject, payload: message.payload })
                })
                .collect(),
            Err(error) => vec![Err(error)],
        };
        futures_util::stream::iter(messages)
    });
    let begun = clock.monotonic();
    let rebuild = async { Ok(nox_readmodel::rebuild(&database, log).await?) };
    let rebuilt = permitted(&broker, rebuild).await?;
    let seconds = clock.monotonic().saturating_sub(begun).as_secs_f64();

    let equal = rebuilt.is_equal();
    let wanted = !args.dry_run && (equal || args.accept_difference);
    let switched = wanted && nox_readmodel::switch(&database, &rebuilt).await?;
    show(&rebuilt, seconds, switched, output)?;
    if !equal && !args.accept_difference {
        bail!("the rows are not what the log says; the present ones stay in use");
    }
    if wanted && !switched {
        bail!("somebody else changed over meanwhile");
    }
    Ok(Exit::Done)
}

fn show(rebuilt: &Rebuilt, seconds: f64, switched: bool, output: Output) -> Result<()> {
    let frames = rebuilt.rebuilt.n.0;
    let rate = frames as f64 / seconds.max(0.001);
    if output.format != Format::Table {
        let side = |side: &nox_readmodel::ContentHash| json!({"generation": side.generation, "n": side.n, "hash": side.hash});
        let document = json!({
            "live": side(&rebuilt.live),
            "rebuilt": side(&rebuilt.rebuilt),
            "equal": rebuilt.is_equal(),
            "switched": switched,
            "frames": frames,
            "seconds": seconds,
            "frames_per_second": rate.round(),
        });
        output.json(&document.to_string())?;
        return Ok(());
    }
    let row = |name: &str, side: &nox_readmodel::ContentHash| {
        vec![name.to_owned(), side.generation.to_string(), side.n.to_string(), side.hash.clone()]
    };
    let rows = [row("live", &rebuilt.live), row("rebuilt", &rebuilt.rebuilt)];
    output.table(&["rows", "generation", "n", "content hash"], &rows)?;
    let equal = if rebuilt.is_equal() { "equal" } else { "different" };
    let generation = if switched { rebuilt.rebuilt.generation } else { rebuilt.live.generation };
    note!(
        "{equal}; {frames} frames in {seconds:.1} s, {rate:.0} a second; generation {generation} \
         is in use"
    );
    Ok(())
}
