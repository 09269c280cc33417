//! `noxctl ledger verify`: proves the ledger, entry by entry.

use anyhow::{Result, bail};
use futures_util::StreamExt;
use nox_contract::FrameNumber;
use nox_protocol::{
    LedgerProof, Reader, Record,
    ledger_proof::{LedgerFault, Proved},
};
use nox_service::Clock;
use serde_json::json;

use crate::{
    commands::source::{self, Source},
    exit::Exit,
    output::{Format, Output},
    target::Target,
    terminal::note,
};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    source: source::Args,
}

pub async fn run(args: Args, target: &Target, output: Output) -> Result<Exit> {
    let clock = Clock::system();
    let begun = clock.monotonic();
    let read = args.source.read(target, async |source| prove(&source).await);
    let (proved, fault) = read.await?;
    let seconds = clock.monotonic().saturating_sub(begun).as_secs_f64();
    show(&proved, fault.as_ref(), seconds, output)?;
    match fault {
        None => Ok(Exit::Done),
        Some(fault) => bail!("{fault}"),
    }
}

/// Reads the log from its first message, up to the first place at which something is wrong.
async fn prove(source: &Source) -> Result<(Proved, Option<LedgerFault>)> {
    let (mut reader, mut proof) = (Reader::default(), LedgerProof::default());
    let mut log = source.read(FrameNumber(1));
    while let Some(messages) = log.next().await {
        for message in messages? {
            let proved = match reader.read(&message.subject, &message.payload)? {
                Record::Epoch(record) => proof.epoch(reader.n(), &record),
                Record::Frame(frame) => proof.frame(&frame),
            };
            if let Err(fault) = proved {
                return Ok((proof.proved(), Some(fault)));
            }
        }
    }
    let end = proof.compare_all();
    Ok((proof.proved(), end.err()))
}

fn show(proved: &Proved, fault: Option<&LedgerFault>, seconds: f64, output: Output) -> Result<()> {
    let Proved { frames, entries, facts, accounts, balances } = proved;
    let rate = *facts as f64 / seconds.max(0.001);
    let difference = fault.map_or(0, |fault| fault.difference);
    if output.format != Format::Table {
        let document = json!({
            "frames": frames,
            "prefixes": entries,
            "facts": facts,
            "accounts": accounts,
            "balances": balances,
            "difference": difference,
            "seconds": seconds,
            "facts_per_second": rate.round(),
            "fault": fault.map(|fault| json!({
                "n": fault.n,
                "entry": fault.entry,
                "fact": fault.fact,
                "what": fault.what,
            })),
        });
        output.json(&document.to_string())?;
        return Ok(());
    }
    let head = ["frames", "prefixes", "facts", "accounts", "balances", "difference"];
    let cells = [*frames, *entries, *facts, *accounts, *balances].map(|number| number.to_string());
    let row = cells.into_iter().chain([difference.to_string()]).collect();
    output.table(&head, &[row])?;
    note!("proved in {seconds:.1} s, {rate:.0} facts a second");
    Ok(())
}
