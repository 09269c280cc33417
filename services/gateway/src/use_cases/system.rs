//! How the system is: how full its streams are, and how far those have come who read the log.

use std::sync::Arc;

use nox_contract::{FrameNumber, subject};
use nox_streams::Readers;

use crate::{
    app::App,
    read::figures::{ReaderPlace, SystemState, Trouble},
};

/// The streams that are told of.
const STREAMS: [&str; 6] = [
    subject::COMMANDS,
    subject::REPORTS,
    subject::EVENTS,
    subject::LOGS,
    subject::FEED,
    subject::READERS,
];

/// How the system is, or was some seconds ago.
pub async fn system(app: &App) -> Arc<SystemState> {
    let now = || app.runtime.clock.monotonic();
    if let Some(kept) = app.kept_system.get("", now()) {
        return kept;
    }
    let state = ask(app).await;
    app.kept_system.keep(String::new(), now(), state)
}

async fn ask(app: &App) -> SystemState {
    let usages = futures_util::future::join_all(STREAMS.map(|stream| app.broker.usage(stream)));
    let life = app.broker.incarnation(subject::EVENTS);
    let readers = app.broker.readers();
    let (usages, readers, life, segments, view) =
        tokio::join!(usages, readers, life, app.bulk.segments(), app.reader.progress());
    let mut troubles = Vec::new();
    let mut streams = Vec::new();
    for (name, usage) in STREAMS.into_iter().zip(usages) {
        streams.push((name, told(name, usage.map_err(|error| error.to_string()), &mut troubles)));
    }
    let readers = match (readers, life) {
        (Ok(Readers { positions, .. }), Ok(life)) => Ok(positions
            .into_iter()
            .map(|(name, at)| {
                let n = (at.incarnation == life).then_some(FrameNumber(at.seq));
                ReaderPlace { name, n }
            })
            .collect()),
        (Err(error), _) | (_, Err(error)) => Err(error.to_string()),
    };
    SystemState {
        at: app.runtime.clock.wall(),
        view_n: told("projection", view.map_err(|error| error.in_brief()), &mut troubles)
            .map(|view| view.n),
        streams,
        readers: told("readers", readers, &mut troubles),
        segments: told("archive", segments.map_err(|error| error.to_string()), &mut troubles)
            .flatten(),
        troubles,
    }
}

fn told<T>(part: &'static str, asked: Result<T, String>, troubles: &mut Vec<Trouble>) -> Option<T> {
    asked.map_err(|detail| troubles.push(Trouble { part, detail })).ok()
}
