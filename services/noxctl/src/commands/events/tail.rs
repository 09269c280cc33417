//! `noxctl events tail`: events as they come, each once, also over a gateway that restarts.

use std::time::Duration;

use anyhow::Result;
use nox_contract::{FactPlace, Timestamp};
use nox_service::Clock;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    client::{Client, ClientError, encoded},
    commands::job::filters::Filters,
    exit::Exit,
    facts,
    output::{Format, Output},
    terminal::note,
};

/// Before a gateway that was cut off is asked again, and how long at most in vain.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(clap::Args)]
pub struct Args {
    /// Only these types: `job`, `job.succeeded`, …; several with commas between.
    #[arg(long = "type", value_name = "TYPES")]
    of_type: Option<String>,

    #[command(flatten)]
    filters: Filters,

    /// Also what came after this event, by its id; `0-0-0` is the beginning.
    #[arg(long, value_name = "ID")]
    after: Option<FactPlace>,
}

/// An event, as far as it is shown.
#[derive(Deserialize)]
struct Event<'e> {
    id: FactPlace,
    #[serde(rename = "type")]
    of_type: &'e str,
    subject: String,
    time: Timestamp,
    #[serde(borrow)]
    data: &'e RawValue,
}

#[derive(Deserialize)]
struct Page {
    next: FactPlace,
}

pub async fn run(args: Args, client: &Client, output: Output) -> Result<Exit> {
    let mut query = args.filters.query();
    if let Some(types) = &args.of_type {
        query.push_str(&format!("&type={}", encoded(types)));
    }
    // Known before anything is followed, so that nothing is missed by whoever is cut off at once.
    let mut after = match args.after {
        Some(after) => after,
        None => {
            client.read::<Page>(&format!("/events?{}", query.trim_start_matches('&'))).await?.next
        }
    };
    let output = output.streaming();
    let clock = Clock::system();
    let mut heard = clock.monotonic();
    loop {
        let path = format!("/events?after={after}{query}");
        let followed = client.follow(&path, "application/x-ndjson", |line| {
            heard = clock.monotonic();
            if !line.is_empty() {
                after = print(line, output)?;
            }
            Ok(())
        });
        if let Err(error) = followed.await {
            let Some(refused) = error.downcast_ref::<ClientError>() else { return Err(error) };
            let passes = match refused {
                ClientError::Refused(problem) => matches!(problem.status, 429 | 503),
                ClientError::Unreachable { .. } => true,
                _ => false,
            };
            let silent = clock.monotonic().saturating_sub(heard);
            if !(passes && silent < TIMEOUT || client.renews_token(refused)?) {
                note!("`noxctl events tail --after {after}` goes on with what follows");
                return Err(error);
            }
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

/// Prints an event, and returns its place.
fn print(line: &str, output: Output) -> Result<FactPlace> {
    let event: Event<'_> = serde_json::from_str(line)
        .map_err(|error| ClientError::Unreadable(format!("{error}: {line}")))?;
    if output.format() != Format::Table {
        output.json(line)?;
        return Ok(event.id);
    }
    let of_type = event.of_type.strip_prefix("nox.").unwrap_or(event.of_type);
    let of_type = of_type.strip_suffix(".v1").unwrap_or(of_type);
    let (time, of, data) = (facts::clock(event.time), event.subject, event.data.get());
    if output.is_terminal() {
        output.lines_of(&format!("{time}  {of_type}  {of}  {}", facts::cut(data)))?;
    } else {
        let cells = [time, of_type.to_owned(), of, data.to_owned()];
        output.table(&[], &[cells.to_vec()])?;
    }
    Ok(event.id)
}
