//! Connections: how many, how slow, and how they end.
//!
//! `axum::serve` installs no timer, so hyper's limit on slow heads would be silently off; hence a
//! loop of our own.

use std::{sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::sync::CancellationToken;

use crate::head::{HEAD_BYTES_MAX, HEADERS_MAX};

/// Most connections at a time; further ones wait in the listener's queue. Each costs a descriptor
/// and some 20 KiB.
const CONNECTIONS_MAX: usize = 8_192;

/// Longest time for the head of a request, and longest rest between two requests.
const HEAD_WAIT: Duration = Duration::from_secs(10);

/// Room for the head of a request, and most header lines, at which hyper ends a connection with a bare
/// status. Twice what `head` allows, so that most heads that are too large are still told so in a
/// problem document.
const HEAD_ROOM: usize = 2 * HEAD_BYTES_MAX;
const HEADERS_ROOM: usize = 2 * HEADERS_MAX;

/// How long requests in hand may take once the process is to stop; less than the process's grace.
const DRAIN_WAIT: Duration = Duration::from_secs(8);

/// Pause after an `accept` that failed: out of descriptors, most likely, until some are closed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves `router` on `listener` until `stop`, then lets the requests in hand finish.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WAIT)
        .max_buf_size(HEAD_ROOM)
        .max_headers(HEADERS_ROOM);
    let connections = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));

    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &room) => accepted,
            () = stop.cancelled() => break,
        };
        let Some((stream, place)) = accepted else { continue };
        let service = TowerToHyperService::new(router.clone());
        let (builder, watcher) = (builder.clone(), connections.watcher());
        tokio::spawn(async move {
            let connection = builder.serve_connection(TokioIo::new(stream), service);
            if let Err(error) = watcher.watch(connection).await {
                tracing::debug!(%error, "Connection ended badly");
            }
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_WAIT, connections.shutdown()).await.is_err() {
        tracing::warn!("Connections were cut off while requests were in hand");
    }
}

type Place = tokio::sync::OwnedSemaphorePermit;

async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> Option<(TcpStream, Place)> {
    let place = room.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => {
            // Answers are small and written whole: waiting to fill packets would only delay them.
            let _ = stream.set_nodelay(true);
            Some((stream, place))
        }
        Err(error) => {
            tracing::warn!(%error, "Cannot accept a connection");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}
