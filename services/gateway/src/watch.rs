//! Looks after broker and database: what they let be done is said in `/readyz` and judged at admission.

use std::{sync::Arc, time::Duration};

use nox_contract::{Position, subject};
use nox_readmodel::{Progress, QueryError};
use nox_streams::{Durability, Usage};

use crate::{
    app::App, commands::admission::STREAMS, read::standstill::Standstill,
    use_cases::look_through::instant,
};

/// Pause between two checks of what the gateway needs: while all is well, and while it isn't.
const CHECK_PAUSE: Duration = Duration::from_secs(2);
const CHECK_PAUSE_UNWELL: Duration = Duration::from_millis(200);

/// Longest time for one check.
const CHECK_WAIT: Duration = Duration::from_secs(3);

const NATS: &str = "gateway.nats";
const POSTGRES: &str = "gateway.postgres";
const VIEW: &str = "gateway.view";

/// Looks after broker and database until the process stops.
pub async fn run(app: Arc<App>) {
    let readiness = &app.runtime.readiness;
    let durability = match app.broker.durability() {
        Some(Durability::Strict) => "strict",
        Some(Durability::Relaxed) => "relaxed",
        None => "unknown",
    };
    readiness.note("durability", durability);
    let mut standstill = Standstill::default();
    loop {
        let streams = tokio::time::timeout(CHECK_WAIT, usages(&app));
        let end = tokio::time::timeout(CHECK_WAIT, app.broker.extent(subject::EVENTS));
        let disk = app.broker.disk_space();
        let (streams, end, view, disk) = tokio::join!(streams, end, view(&app), disk);
        let streams = streams.map_err(|e| e.to_string()).and_then(|o| o.map_err(|e| e.to_string()));

        readiness.set(NATS, streams.as_ref().map(|_| ()));
        readiness.set(POSTGRES, view.as_ref().map(|_| ()));
        let mut well = streams.is_ok() && view.is_ok();
        if let Ok(streams) = &streams {
            readiness.note("admission", app.admission.judge(streams, disk));
        }
        if let (Ok(Ok(end)), Ok(progress)) = (end, view) {
            app.barrier.saw_rows(progress.place());
            let log = Position::from(end);
            let lag = log.seq.saturating_sub(progress.n.0);
            app.metrics.lag_frames.set(i64::try_from(lag).unwrap_or(i64::MAX));
            if let Some(seconds) = lag_seconds(&app, &progress, lag).await {
                app.metrics.lag_seconds.set(seconds);
            }
            readiness.note("view_n", progress.n.to_string());
            readiness.note("view_lag_frames", lag.to_string());
            let now = app.runtime.clock.monotonic();
            let follows = standstill.judge(now, progress.place(), &log);
            well &= follows.is_ok();
            readiness.set(VIEW, follows);
        }
        let pause = if well { CHECK_PAUSE } else { CHECK_PAUSE_UNWELL };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = app.runtime.stop.cancelled() => return,
        }
    }
}

/// How far the view is, or in a few words why that cannot be read; our log has the whole of it.
async fn view(app: &App) -> Result<Progress, String> {
    match tokio::time::timeout(CHECK_WAIT, app.reader.progress()).await {
        Ok(read) => read.map_err(|error: QueryError| {
            tracing::debug!(%error, "The view cannot be read");
            error.in_brief()
        }),
        Err(_) => Err("postgres does not answer in time".to_owned()),
    }
}

/// For how long the first frame that the view lacks has been decided; `None` where that cannot be said now. Clocks of
/// two machines may differ.
async fn lag_seconds(app: &App, progress: &Progress, lag: u64) -> Option<f64> {
    if lag == 0 {
        return Some(0.0);
    }
    let next = app.broker.read_direct(subject::EVENTS, progress.n.next().0);
    let message = tokio::time::timeout(CHECK_WAIT, next).await.ok()?.ok()??;
    let decided = instant(&message.payload).ok()?;
    Some(app.runtime.clock.wall().since(decided).as_secs_f64())
}

/// How full the streams are that admitted jobs write to.
async fn usages(app: &App) -> Result<Vec<(&'static str, Usage)>, nox_streams::Error> {
    let usages = STREAMS.map(|stream| async move { Ok((stream, app.broker.usage(stream).await?)) });
    futures_util::future::try_join_all(usages).await
}
