//! Hands what attempts print to the broker, in order.

use futures_util::{StreamExt, stream::FuturesUnordered};
use nox_streams::{Broker, LogStream, PublishError};
use tokio::sync::mpsc;

use crate::{logs::Chunk, manifest::Stream, metrics::Metrics};

/// Chunks on their way to the broker.
const IN_FLIGHT_MAX: usize = 64;

/// Writes chunks in order until there are no more senders.
pub async fn run(broker: Broker, mut chunks: mpsc::Receiver<Chunk>, metrics: Metrics) {
    let mut in_flight = FuturesUnordered::new();
    loop {
        tokio::select! {
            chunk = chunks.recv(), if in_flight.len() < IN_FLIGHT_MAX => {
                let Some(Chunk { tenant, job_id, attempt, stream, bytes }) = chunk else { break };
                let length = bytes.len() as u64;
                let stream = match stream {
                    Stream::Stdout => LogStream::Stdout,
                    Stream::Stderr => LogStream::Stderr,
                };
                // The order of calls is the order in the stream.
                let written = broker.append_log(&tenant, job_id, attempt, stream, bytes);
                in_flight.push(async move { (length, written.await) });
            }
            Some((length, written)) = in_flight.next() => count(&metrics, length, written),
        }
    }
    while let Some((length, written)) = in_flight.next().await {
        count(&metrics, length, written);
    }
}

fn count(metrics: &Metrics, length: u64, written: Result<u64, PublishError>) {
    match written {
        Ok(_) => metrics.log_bytes.inc_by(length),
        Err(error) => {
            metrics.log_bytes_lost.inc_by(length);
            tracing::debug!(%error, "A chunk of a log was not kept");
        }
    }
}
