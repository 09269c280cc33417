//! How the gateway is, for people, load balancers and Prometheus.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use nox_contract::{TenantId, UserId};
use nox_service::admin;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    app::App,
    endpoint::{Access, Answer, Content, Endpoint, Method},
    extract::Named,
};

pub fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new(
            Method::Get,
            "/health",
            Access::ANYONE,
            ("get_health", "Whether the gateway serves, and how far its rows are behind the log."),
            health,
        )
        .answer(Answer::json::<Health>(200, "It serves."))
        .answer(Answer::json::<Health>(503, "It does not, or stops.")),
        Endpoint::new(
            Method::Get,
            "/livez",
            Access::ANYONE,
            ("get_livez", "Whether the process lives."),
            admin::livez,
        )
        .answer(Answer::of(200, "It lives.", vec![Content::Other("application/json")])),
        Endpoint::new(
            Method::Get,
            "/readyz",
            Access::ANYONE,
            ("get_readyz", "What the gateway needs, and how that is."),
            readyz,
        )
        .answer(Answer::of(200, "All is well.", vec![Content::Other("application/json")]))
        .answer(Answer::of(
            503,
            "Something is not.",
            vec![Content::Other("application/json")],
        )),
        Endpoint::new(
            Method::Get,
            "/metrics",
            Access::ANYONE,
            (
                "get_metrics",
                "Metrics for Prometheus; users are named to those who may see their jobs.",
            ),
            metrics,
        )
        .answer(Answer::of(200, "Text format 0.0.4.", vec![Content::Other("text/plain")])),
    ]
}

/// How the gateway is.
#[derive(Serialize, JsonSchema)]
struct Health {
    status: &'static str,
    jobs: JobsHealth,
}

#[derive(Serialize, JsonSchema)]
struct JobsHealth {
    status: &'static str,
    /// The newest frame that rows were seen of.
    n: u64,
    /// Frames that the rows are behind the log.
    view_lag_frames: i64,
    /// For how many seconds the first of them has been decided; 0 where there is none.
    view_lag_s: f64,
}

/// `GET /health`
pub async fn health(State(app): State<Arc<App>>) -> Response {
    let ready = app.runtime.readiness.is_ready() && !app.runtime.stop.is_cancelled();
    let (code, status) = if ready {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
    };
    let jobs = JobsHealth {
        status,
        n: app.barrier.seen().seq,
        view_lag_frames: app.metrics.lag_frames.get(),
        view_lag_s: app.metrics.lag_seconds.get(),
    };
    (code, Json(Health { status, jobs })).into_response()
}

/// `GET /readyz`
pub async fn readyz(State(app): State<Arc<App>>) -> Response {
    admin::readyz(State(app.runtime.clone())).await
}

/// `GET /metrics`: for everybody, and naming those users whose jobs the asker may see.
pub async fn metrics(State(app): State<Arc<App>>, Named(caller): Named) -> Response {
    let mut families = app.runtime.registry.gather();
    let visible = |tenant: &TenantId, user: &UserId| {
        caller.as_ref().is_some_and(|caller| {
            caller.require_operator().is_ok() || caller.sees_jobs_of(tenant, user)
        })
    };
    families.extend(app.job_metrics.families(visible).await);
    admin::metrics_response(&families)
}

/// The jobs' metrics for the admin address, which may see all users.
pub fn tell_operators(app: &Arc<App>) {
    // The runtime must not keep alive what keeps the runtime alive.
    let weak = Arc::downgrade(app);
    app.runtime.operator_metrics.add(move || {
        let app = weak.upgrade();
        async move {
            match app {
                Some(app) => app.job_metrics.families(|_, _| true).await,
                None => Vec::new(),
            }
        }
    });
}
