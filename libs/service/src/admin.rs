//! What operators and their tools ask a process: is it alive, is it ready, how much did it do.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Context;
use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus::{TextEncoder, proto::MetricFamily};
use serde_json::json;
use tokio::net::TcpListener;

use crate::Runtime;

/// Serves [`router`] on `addr` until `runtime.stop`; returns the address that was bound, which
/// tells the port where `addr` says 0.
pub async fn serve(addr: SocketAddr, runtime: Runtime) -> anyhow::Result<SocketAddr> {
    let listener =
        TcpListener::bind(addr).await.with_context(|| format!("cannot listen on {addr}"))?;
    let bound = listener.local_addr()?;
    let stop = runtime.stop.clone();
    tokio::spawn(async move {
        let server = axum::serve(listener, router(runtime))
            .with_graceful_shutdown(async move { stop.cancelled().await });
        if let Err(error) = server.await {
            tracing::error!(%error, "Admin server ended");
        }
    });
    tracing::info!(addr = %bound, "Admin server listens");
    Ok(bound)
}

/// `/livez`, `/readyz` and `/metrics`. For addresses that strangers don't reach: it has no limits.
pub fn router(runtime: Runtime) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(runtime)
}

/// Answers 200 as long as the process answers at all.
pub async fn livez() -> Json<serde_json::Value> {
    Json(json!({"status": "ok"}))
}

/// Answers 200 when every part is ready, else 503; each part is named either way.
pub async fn readyz(State(runtime): State<Runtime>) -> Response {
    let snapshot = runtime.readiness.snapshot();
    let stopping = runtime.stop.is_cancelled();
    let (code, status) = match (stopping, snapshot.is_ready()) {
        (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
        (false, false) => (StatusCode::SERVICE_UNAVAILABLE, "not_ready"),
        (false, true) => (StatusCode::OK, "ok"),
    };
    let body = json!({"status": status, "parts": snapshot.parts, "notes": snapshot.notes});
    (code, Json(body)).into_response()
}

/// The process's metrics in Prometheus' text format.
pub async fn metrics(State(runtime): State<Runtime>) -> Response {
    let mut families = runtime.registry.gather();
    families.extend(runtime.operator_metrics.gather().await);
    metrics_response(&families)
}

/// Metrics that are for operators alone, because they name users, and have to be asked for. Clones
/// are one.
#[derive(Clone, Default)]
pub struct OperatorMetrics(Arc<Mutex<Vec<Source>>>);

type Source = Arc<dyn Fn() -> Answer + Send + Sync>;
type Answer = Pin<Box<dyn Future<Output = Vec<MetricFamily>> + Send>>;

impl OperatorMetrics {
    /// From now on, `source` is asked whenever somebody asks.
    pub fn add<F, R>(&self, source: F)
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Vec<MetricFamily>> + Send + 'static,
    {
        let source = move || -> Answer { Box::pin(source()) };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::new(source));
    }

    async fn gather(&self) -> Vec<MetricFamily> {
        let sources = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut families = Vec::new();
        for source in sources {
            families.extend(source().await);
        }
        families
    }
}

/// `families` in Prometheus' text format.
pub fn metrics_response(families: &[MetricFamily]) -> Response {
    match TextEncoder::new().encode_to_string(families) {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "Metrics cannot be encoded");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::{
        body::{Body, to_bytes},
        http::Request,
    };
    use tower::ServiceExt;

    use super::*;

    async fn ask(runtime: &Runtime, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router(runtime.clone()).oneshot(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), 65_536).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_process_says_whether_it_is_ready_and_stops_being_so_first() {
        let runtime = Runtime::new();
        assert_eq!(ask(&runtime, "/livez").await.0, StatusCode::OK);
        assert_eq!(ask(&runtime, "/readyz").await.0, StatusCode::SERVICE_UNAVAILABLE);

        runtime.readiness.set("nats", Ok::<_, String>(()));
        runtime.readiness.note("durability", "strict");
        let (status, body) = ask(&runtime, "/readyz").await;
        assert_eq!(status, StatusCode::OK);
        assert!(body.contains("strict"), "{body}");

        runtime.stop.cancel();
        assert_eq!(ask(&runtime, "/readyz").await.0, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(ask(&runtime, "/livez").await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn registered_metrics_are_shown() {
        let runtime = Runtime::new();
        let counter = prometheus::IntCounter::new("nox_tests_total", "Tests.").unwrap();
        runtime.registry.register(Box::new(counter.clone())).unwrap();
        counter.inc();
        let (status, body) = ask(&runtime, "/metrics").await;
        assert_eq!(status, StatusCode::OK);
        assert!(body.contains("nox_tests_total 1"), "{body}");
    }
}
