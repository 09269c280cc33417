//! How the gateway is, for people, load balancers and Prometheus.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use nox_contract::{ModuleName, Position, subject};
use nox_readmodel::{MetricsSnapshot, Progress, QueryError, Reader, metrics::Submitted};
use nox_service::{Clock, admin};
use nox_streams::{Durability, Usage};
use prometheus::proto::MetricFamily;
use serde_json::json;
use tokio::sync::Mutex;

use crate::{
    admission::STREAMS, app::App, auth::Caller, metrics::job_families, problem::ApiError,
    standstill::Standstill,
};

/// Pause between two checks of what the gateway needs: while all is well, and while it isn't.
const CHECK_PAUSE: Duration = Duration::from_secs(2);
const CHECK_PAUSE_UNWELL: Duration = Duration::from_millis(200);

/// Longest time for one check.
const CHECK_WAIT: Duration = Duration::from_secs(3);

/// How long the jobs' metrics are shown as they were read last; whoever asks more often must not
/// cost the database anything.
const METRICS_FRESH: Duration = Duration::from_secs(1);

const NATS: &str = "gateway.nats";
const POSTGRES: &str = "gateway.postgres";
const VIEW: &str = "gateway.view";

/// `GET /health`
pub async fn health(State(app): State<Arc<App>>) -> Response {
    let ready = app.runtime.readiness.is_ready() && !app.runtime.stop.is_cancelled();
    let (code, status) = if ready {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
    };
    let jobs = json!({
        "status": status,
        "n": app.barrier.seen().seq,
        "view_lag_frames": app.metrics.lag_frames.get(),
    });
    (code, Json(json!({"status": status, "jobs": jobs}))).into_response()
}

/// `GET /readyz`
pub async fn readyz(State(app): State<Arc<App>>) -> Response {
    admin::readyz(State(app.runtime.clone())).await
}

/// `GET /metrics`: for everybody, and naming those users whose jobs the asker may see.
pub async fn metrics(State(app): State<Arc<App>>, caller: Result<Caller, ApiError>) -> Response {
    let mut families = app.runtime.registry.gather();
    let named = |user: &Submitted| {
        caller.as_ref().is_ok_and(|caller| {
            caller.require_operator().is_ok() || caller.sees_jobs_of(&user.tenant, &user.user_id)
        })
    };
    families.extend(app.job_metrics.families(&app, named).await);
    admin::metrics_response(&families)
}

/// The jobs' metrics for the admin address, where all users are named.
pub fn tell_operators(app: &Arc<App>) {
    // The runtime must not keep alive what keeps the runtime alive.
    let weak = Arc::downgrade(app);
    app.runtime.operator_metrics.add(move || {
        let app = weak.upgrade();
        async move {
            match app {
                Some(app) => app.job_metrics.families(&app, |_| true).await,
                None => Vec::new(),
            }
        }
    });
}

/// The jobs' metrics as they were read last.
#[derive(Default)]
pub struct JobMetrics(Mutex<Option<Known>>);

struct Known {
    /// On the monotonic clock.
    read_at: Duration,
    /// The place in the log that they are of.
    place: Position,
    snapshot: MetricsSnapshot,
    modules: Vec<ModuleName>,
}

impl JobMetrics {
    /// All of them; the users that are not `named` are counted together.
    async fn families(&self, app: &App, named: impl Fn(&Submitted) -> bool) -> Vec<MetricFamily> {
        let mut known = self.0.lock().await;
        Self::refresh(&mut known, &app.reader, &app.runtime.clock).await;
        let families =
            known.as_ref().map(|known| job_families(&known.snapshot, &known.modules, named));
        families.unwrap_or_default()
    }

    async fn refresh(known: &mut Option<Known>, reader: &Reader, clock: &Clock) {
        let now = clock.monotonic();
        if known.as_ref().is_some_and(|known| now.saturating_sub(known.read_at) < METRICS_FRESH) {
            return;
        }
        let read = async {
            let modules = reader.modules().await?.value;
            let modules: Vec<_> = modules.into_iter().map(|module| module.name).collect();
            Ok::<_, QueryError>((reader.metrics().await?, modules))
        };
        match tokio::time::timeout(CHECK_WAIT, read).await {
            Ok(Ok((at, modules))) => {
                let place = at.progress.place();
                match known {
                    // Counters must not go back where another database answers.
                    Some(newer) if place < newer.place => newer.read_at = now,
                    _ => *known = Some(Known { read_at: now, place, snapshot: at.value, modules }),
                }
            }
            // Nor jump to nothing while it is away.
            outcome => {
                let error = outcome.map_or_else(
                    |e| e.to_string(),
                    |o| o.map_or_else(|e| e.to_string(), |_| String::new()),
                );
                tracing::warn!(error, "The jobs' metrics cannot be read");
            }
        }
    }
}

/// Looks after broker and database until the process stops.
pub async fn watch(app: Arc<App>) {
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

/// How full the streams are that admitted jobs write to.
async fn usages(app: &App) -> Result<Vec<(&'static str, Usage)>, nox_streams::Error> {
    let usages = STREAMS.map(|stream| async move { Ok((stream, app.broker.usage(stream).await?)) });
    futures_util::future::try_join_all(usages).await
}
