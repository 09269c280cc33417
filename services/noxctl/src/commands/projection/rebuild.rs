//! `noxctl projection rebuild`: proves that the rows are nothing but the log.

use anyhow::{Result, bail};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use nox_archive::Log;
use nox_contract::{FrameNumber, Incarnation, subject};
use nox_readmodel::{LogMessage, Reader, Rebuilt};
use nox_service::Clock;
use nox_streams::Message;
use serde_json::json;

use super::{Servers, permitted};
use crate::{
    commands::archive,
    exit::Exit,
    output::{Format, Output},
    target::Target,
    terminal::note,
};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    servers: Servers,

    #[command(flatten)]
    archive: archive::Args,

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
    let archive = args.archive.open(target, args.servers.is_dev())?;
    let begun = clock.monotonic();
    let rebuilt = if args.archive.is_alone() {
        let log = args.archive.alone(archive, of_rows(&database).await).await?;
        let messages = messages(log.read(FrameNumber(1)));
        nox_readmodel::rebuild_to_end(&database, log.incarnation(), messages).await?
    } else {
        let broker = args.servers.broker(target).await?;
        let rebuild = async {
            let incarnation = broker.incarnation(subject::EVENTS).await?;
            let log = Log::new(broker.clone(), incarnation, archive.as_ref());
            let messages = messages(log.follow(FrameNumber(1)));
            Ok(nox_readmodel::rebuild(&database, messages).await?)
        };
        permitted(&broker, rebuild).await?
    };
    let seconds = clock.monotonic().saturating_sub(begun).as_secs_f64();

    let equal = rebuilt.is_equal();
    let wanted = !args.dry_run && (equal || args.accept_difference);
    let switched = wanted && nox_readmodel::switch(&database, &rebuilt).await?;
    show(&rebuilt, seconds, switched, output)?;
    if !equal && !args.accept_difference {
        let (n, end) = (rebuilt.live.n, rebuilt.rebuilt.n);
        if end < n {
            bail!(
                "the archive ends at frame {end}, and the rows go on to {n}; the present ones stay \
                 in use"
            );
        }
        bail!("the rows are not what the log says; the present ones stay in use");
    }
    if wanted && !switched {
        bail!("somebody else changed over meanwhile");
    }
    Ok(Exit::Done)
}

/// The life of the log that the rows were made from; `None` if there are none.
async fn of_rows(database: &str) -> Option<Incarnation> {
    let progress = Reader::new(database, 1).ok()?.progress().await.ok()?;
    Some(progress.place().incarnation).filter(|incarnation| !incarnation.0.is_empty())
}

fn messages<E>(
    chunks: impl Stream<Item = Result<Vec<Message>, E>>,
) -> impl Stream<Item = Result<LogMessage, E>> {
    let messages = chunks.map_ok(|chunk| stream::iter(chunk).map(Ok)).try_flatten();
    messages.map_ok(|Message { subject, payload, .. }| LogMessage { subject, payload })
}

fn show(rebuilt: &Rebuilt, seconds: f64, switched: bool, output: Output) -> Result<()> {
    let (frames, facts) = (rebuilt.taken.n.0, rebuilt.taken.facts);
    let rate = facts as f64 / seconds.max(0.001);
    if output.format != Format::Table {
        let side = |side: &nox_readmodel::ContentHash| json!({"generation": side.generation, "n": side.n, "hash": side.hash});
        let document = json!({
            "live": side(&rebuilt.live),
            "rebuilt": side(&rebuilt.rebuilt),
            "equal": rebuilt.is_equal(),
            "switched": switched,
            "frames": frames,
            "facts": facts,
            "seconds": seconds,
            "facts_per_second": rate.round(),
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
        "{equal}; {frames} frames, {facts} facts in {seconds:.1} s, {rate:.0} facts a second; \
         generation {generation} is in use"
    );
    Ok(())
}
