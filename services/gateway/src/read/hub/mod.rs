//! The log as it goes on, for all viewers of a process: one follower, which reads while there is a viewer.

pub mod frame;
mod ring;
mod turns;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use nox_archive::Follower;
use nox_contract::FrameNumber;
use nox_protocol::HeadReader;
use prometheus::IntCounter;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

pub use self::ring::{Look, Topic};
use self::{frame::HubFrame, ring::Ring, turns::Turns};
use crate::{
    problem::ApiError,
    read::bulk::{Bulk, RowsLog},
};

/// Frames that a viewer is handed at a time.
const LOOK_FRAMES: usize = 64;

/// See the head of this file.
pub struct Hub {
    bulk: Arc<Bulk>,
    /// What follows the log now, if anybody listens.
    following: tokio::sync::Mutex<Weak<Following>>,
    frames_read: IntCounter,
    turns: Turns,
}

/// One following of the log. It ends with the last who listens.
struct Following {
    ring: Arc<Mutex<Ring>>,
    log: RowsLog,
    _task: AbortOnDropHandle<()>,
}

/// Somebody who listens to a topic.
pub struct Listener {
    following: Arc<Following>,
    topic: Topic,
    news: watch::Receiver<()>,
}

impl Hub {
    /// Counts the messages that are read for viewers.
    pub fn new(bulk: Arc<Bulk>, frames_read: IntCounter) -> Self {
        Self { bulk, following: tokio::sync::Mutex::default(), frames_read, turns: Turns::new() }
    }

    /// Listens to `topic` from now on. The first who does has the log followed.
    ///
    /// # Errors
    /// The broker does not answer.
    pub async fn listen(&self, topic: Topic) -> Result<Listener, ApiError> {
        let mut following = self.following.lock().await;
        let live = following.upgrade().filter(|live| !lock(&live.ring).is_broken());
        let live = match live {
            Some(live) => live,
            None => {
                let live = Arc::new(self.follow().await?);
                *following = Arc::downgrade(&live);
                live
            }
        };
        let news = lock(&live.ring).enter(&topic);
        Ok(Listener { following: live, topic, news })
    }

    /// Looks through a frame for a viewer, or writes what was found, when its turn comes.
    pub async fn in_turn<T>(&self, work: impl FnOnce() -> T) -> T {
        self.turns.run(work).await
    }

    async fn follow(&self) -> Result<Following, ApiError> {
        let (log, newest) = self.bulk.log_now().await?;
        let ring = Arc::new(Mutex::new(Ring::new(newest)));
        let follower = Follower::new(log.log(), HeadReader::after(newest));
        let task = tokio::spawn(follow(follower, ring.clone(), self.frames_read.clone()));
        Ok(Following { ring, log, _task: AbortOnDropHandle::new(task) })
    }
}

async fn follow(mut follower: Follower<HeadReader>, ring: Arc<Mutex<Ring>>, read: IntCounter) {
    loop {
        let messages = match follower.next().await {
            Ok(messages) => messages,
            Err(error) => {
                let error = format!("{:#}", anyhow::Error::new(error));
                tracing::warn!(error, "Nobody is told what goes on");
                return lock(&ring).break_off();
            }
        };
        for message in messages {
            read.inc();
            if message.said.is_none() {
                lock(&ring).pass(message.n);
                continue;
            }
            match HubFrame::read(message.n, &message.message.payload) {
                Ok(frame) => lock(&ring).take(frame),
                Err(error) => {
                    tracing::warn!(%error, frame.n = message.n.0, "Nobody is told what goes on");
                    return lock(&ring).break_off();
                }
            }
            // Others have their turn between large frames.
            tokio::task::yield_now().await;
        }
    }
}

/// What is in there stays whole if a holder panics.
fn lock(ring: &Mutex<Ring>) -> MutexGuard<'_, Ring> {
    ring.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Listener {
    /// The log that it listens to.
    pub fn log(&self) -> &RowsLog {
        &self.following.log
    }

    /// The newest frame that the hub has read.
    pub fn newest(&self) -> FrameNumber {
        lock(&self.following.ring).newest()
    }

    /// What is there from frame `from` on. What comes later is [`news`](Self::news).
    pub fn look(&mut self, from: FrameNumber) -> Look {
        self.news.mark_unchanged();
        lock(&self.following.ring).look(&self.topic, from, LOOK_FRAMES)
    }

    /// Waits for something that concerns it and came after it looked last.
    pub async fn news(&mut self) {
        // The sender lives as long as there is one who listens.
        let _ = self.news.changed().await;
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        lock(&self.following.ring).leave(&self.topic);
    }
}
