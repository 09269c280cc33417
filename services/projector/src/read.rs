//! Follows the log, and makes batches of it, while the batch before is being committed.

use std::{collections::VecDeque, time::Duration};

use anyhow::anyhow;
use nox_archive::{Followed, Follower, Log};
use nox_contract::{Chain, FrameNumber};
use nox_protocol::{Reader, Record};
use nox_readmodel::{Batch, LogMessage, ReadMessage};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// Frames after which a batch is full: where each holds little.
const BATCH_FRAMES_MAX: usize = 2_000;

/// Bytes after which a batch is full: some thousand entries. Larger ones save nothing more, and hold up
/// readers for longer.
const BATCH_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Shortest time between two batches. A commit costs about as much as twenty jobs; a frame that comes
/// after a pause does not wait.
const BATCH_EVERY: Duration = Duration::from_millis(5);

/// The same under load: what happens to one job within a batch is written once, so that a few tens of
/// milliseconds save many rows a second version. Whoever reads what has just been written waits for them.
const BATCH_EVERY_MAX: Duration = Duration::from_millis(40);

/// For each byte of the batch before: some hundred jobs, which is a commit that costs more than it holds,
/// make the longest pause.
const PAUSE_PER_BYTE: Duration = Duration::from_nanos(400);

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

/// Reads on from where `reader` is, in the life of the log that it was reading: from the archive what the
/// stream does not have any more.
pub(crate) fn start(log: &Log, reader: Reader) -> Batches {
    let behind = (reader.n(), reader.chain());
    let follower = Follower::new(log, reader);
    // One batch ready while another is being committed; more would only make memory of the log.
    let (sender, receiver) = mpsc::channel(1);
    let task = tokio::spawn(async move {
        if let Err(error) = read(follower, behind, &sender).await {
            // Nobody listens any more if this fails.
            let _ = sender.send(Err(error)).await;
        }
    });
    Batches { receiver, _task: AbortOnDropHandle::new(task) }
}

/// Sends batches until the log cannot be read on.
async fn read(
    mut follower: Follower<Reader>,
    mut behind: (FrameNumber, Chain),
    sender: &mpsc::Sender<anyhow::Result<Batch>>,
) -> anyhow::Result<()> {
    let mut pending: VecDeque<ReadMessage> = VecDeque::new();
    let mut paused = false;
    let mut pause = Box::pin(tokio::time::sleep(BATCH_EVERY));
    loop {
        let (frames, full) = next_batch(&pending);
        tokio::select! {
            // What is there already comes first, so that a batch is as large as it can be.
            biased;
            followed = follower.next(), if !full => {
                pending.extend(followed?.into_iter().map(read_message));
            }
            () = &mut pause, if !paused => paused = true,
            permit = sender.reserve(), if (paused || full) && !pending.is_empty() => {
                let Ok(permit) = permit else { return Ok(()) };
                let messages: Vec<_> = pending.drain(..frames).collect();
                let bytes: usize = messages.iter().map(|m| m.message.payload.len()).sum();
                let batch = Batch::gathered(behind, messages);
                behind = batch.end();
                permit.send(Ok(batch));
                paused = false;
                pause = Box::pin(tokio::time::sleep(pause_after(bytes)));
            }
        }
    }
}

fn read_message(followed: Followed<(Record, Chain)>) -> ReadMessage {
    let Followed { n, message, said: (record, chain) } = followed;
    let message = LogMessage { subject: message.subject, payload: message.payload };
    ReadMessage { n, chain, message, record }
}

/// How long the next batch gathers at least, after one of so many bytes.
fn pause_after(bytes: usize) -> Duration {
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    PAUSE_PER_BYTE.saturating_mul(bytes).clamp(BATCH_EVERY, BATCH_EVERY_MAX)
}

/// How many of `pending` are the next batch, and whether no more go into it.
fn next_batch(pending: &VecDeque<ReadMessage>) -> (usize, bool) {
    let mut bytes = 0;
    for (frames, message) in (1..).zip(pending) {
        bytes += message.message.payload.len();
        if frames >= BATCH_FRAMES_MAX || bytes >= BATCH_BYTES_MAX {
            return (frames, true);
        }
    }
    (pending.len(), false)
}
