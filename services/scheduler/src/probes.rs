//! Asks the broker whether workers still listen, and tells what that answers.

use std::{future::Future, pin::Pin};

use futures_util::{StreamExt, stream::FuturesUnordered};
use nox_contract::{SessionId, WorkMessage, WorkerId, subject};
use nox_protocol::liveness::Probe;
use nox_streams::{Broker, Link};
use tokio::sync::watch;

/// Nobody listened for a session's work.
#[derive(Debug)]
pub struct Absence {
    pub worker_id: WorkerId,
    pub session: SessionId,
    pub probe: Probe,
    /// The last report that was stored after that.
    pub reports: u64,
}

type Asking = Pin<Box<dyn Future<Output = Option<Absence>> + Send>>;

/// Questions that were not answered yet.
pub struct Probes {
    broker: Broker,
    asked: FuturesUnordered<Asking>,
}

impl Probes {
    pub fn new(broker: Broker) -> Self {
        Self { broker, asked: FuturesUnordered::new() }
    }

    /// Sends the worker a message without work.
    pub fn ask(&self, worker_id: WorkerId, session: SessionId, probe: Probe) {
        let message = WorkMessage { session, covers: None, work: Vec::new() };
        let payload = match serde_json::to_vec(&message) {
            Ok(payload) => payload,
            Err(error) => return tracing::error!(%error, "A question cannot be written"),
        };
        let broker = self.broker.clone();
        let nobody = broker.finds_nobody(subject::work(&worker_id), payload.into());
        self.asked.push(Box::pin(async move {
            if !nobody.await {
                return None;
            }
            // What it said before it went is to be consumed before anything follows from that.
            let reports = broker.last_sequence_if_connected(subject::REPORTS).await;
            let reports = reports.unwrap_or_else(|error| {
                tracing::debug!(%error, "Cannot see what an absent worker said last");
                None
            })?;
            Some(Absence { worker_id, session, probe, reports })
        }));
    }

    /// The next absence. Cancelling loses nothing.
    pub async fn next(&mut self) -> Absence {
        loop {
            match self.asked.next().await {
                Some(Some(absence)) => return absence,
                Some(None) => {}
                None => std::future::pending().await,
            }
        }
    }
}

/// How often the connection was lost and is there again.
pub struct Reconnections {
    link: watch::Receiver<Link>,
    generation: u64,
}

impl Reconnections {
    pub fn of(broker: &Broker) -> Self {
        let link = broker.link();
        let generation = link.borrow().generation;
        Self { link, generation }
    }

    /// Resolves after the next one. Cancelling loses nothing.
    pub async fn next(&mut self) {
        let before = self.generation;
        let is_new = |link: &Link| link.up && link.generation != before;
        match self.link.wait_for(is_new).await.map(|link| link.generation) {
            Ok(generation) => self.generation = generation,
            // The broker is gone, and whoever waits here with it.
            Err(_) => std::future::pending().await,
        }
    }
}
