//! Verifies the log, and makes batches of it, while the batch before is being committed.

use std::{mem, time::Duration};

use anyhow::{Context, anyhow};
use futures_util::StreamExt;
use nox_contract::{Incarnation, subject};
use nox_protocol::Reader;
use nox_readmodel::{Batch, LogMessage};
use nox_streams::{Broker, Chunks, ConsumeError, Message};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// Events after which a batch is full. Larger ones save nothing more, and hold up readers for longer.
const BATCH_EVENTS_MAX: usize = 2_000;

/// Bytes after which a batch is full: with the largest messages, so many would not fit into memory.
const BATCH_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Shortest time between two batches. A commit costs about as much as twenty jobs; an event that comes
/// after a pause does not wait.
const BATCH_EVERY: Duration = Duration::from_millis(5);

/// Batches that come next, and in the end the reason why none does.
pub(crate) struct Batches {
    receiver: mpsc::Receiver<anyhow::Result<Batch>>,
    _task: AbortOnDropHandle<()>,
}

impl Batches {
    pub(crate) async fn next(&mut self) -> anyhow::Result<Batch> {
        match self.receiver.recv().await {
            Some(batch) => batch,
            None => Err(anyhow!("the reading of the log ended without a word")),
        }
    }
}

/// Reads on from where `reader` is, in the life of the log that it was reading.
pub(crate) fn start(broker: &Broker, incarnation: Incarnation, reader: Reader) -> Batches {
    // The log is never purged, so the number of a message is its sequence.
    let from = reader.n().next().0;
    let chunks = broker.follow(subject::EVENTS, from, Some(incarnation));
    // One batch ready while another is being committed; more would only make memory of the log.
    let (sender, receiver) = mpsc::channel(1);
    let task = tokio::spawn(async move {
        if let Err(error) = read(chunks, reader, &sender).await {
            // Nobody listens any more if this fails.
            let _ = sender.send(Err(error)).await;
        }
    });
    Batches { receiver, _task: AbortOnDropHandle::new(task) }
}

/// Sends batches until the log cannot be read on.
async fn read(
    mut chunks: Chunks<ConsumeError>,
    mut reader: Reader,
    sender: &mpsc::Sender<anyhow::Result<Batch>>,
) -> anyhow::Result<()> {
    let mut pending: Vec<Message> = Vec::new();
    let mut bytes = 0;
    let mut paused = false;
    let mut pause = Box::pin(tokio::time::sleep(BATCH_EVERY));
    loop {
        let full = pending.len() >= BATCH_EVENTS_MAX || bytes >= BATCH_BYTES_MAX;
        tokio::select! {
            // What is there already comes first, so that a batch is as large as it can be.
            biased;
            chunk = chunks.next(), if !full => {
                let chunk = chunk.context("the log ended")?.context("the log cannot be followed")?;
                bytes += chunk.iter().map(|message| message.payload.len()).sum::<usize>();
                pending.extend(chunk);
            }
            () = &mut pause, if !paused => paused = true,
            permit = sender.reserve(), if (paused || full) && !pending.is_empty() => {
                let Ok(permit) = permit else { return Ok(()) };
                let messages = mem::take(&mut pending).into_iter().map(|message| LogMessage {
                    subject: message.subject,
                    payload: message.payload,
                });
                let batch = Batch::read(&mut reader, messages).context("the log is broken")?;
                permit.send(Ok(batch));
                bytes = 0;
                paused = false;
                pause = Box::pin(tokio::time::sleep(BATCH_EVERY));
            }
        }
    }
}
