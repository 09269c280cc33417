//! The messages of NOX_COMMANDS and NOX_REPORTS, as the frames come that consumed them.
//!
//! They are read once, in order, and forgotten when they are consumed. The scheduler removes consumed ones from the streams
//! some time after that: what is gone is gone, and said so by whoever counts.

use anyhow::Result;
use futures_util::StreamExt;
use nox_contract::{Fact, Frame, Incarnation, Place, Positions, Source, subject};
use nox_protocol::replay::{Inputs, Recorded, Replay};
use nox_streams::{Broker, Chunks, ConsumeError};

/// Messages of the input streams, as far as they are there.
pub struct Feed {
    recorded: Recorded,
    streams: Vec<Stream>,
}

/// One of them.
struct Stream {
    broker: Broker,
    src: Source,
    name: &'static str,
    incarnation: Incarnation,
    /// What it had when it was looked at.
    first: u64,
    last: u64,
    /// The next message to be read.
    next: u64,
    chunks: Option<Chunks<ConsumeError>>,
}

impl Feed {
    /// Nothing is there.
    pub fn empty() -> Self {
        Self { recorded: Recorded::default(), streams: Vec::new() }
    }

    /// What the broker has of both.
    pub async fn of(broker: &Broker) -> Result<Self> {
        let mut streams = Vec::new();
        for (src, name) in
            [(Source::Commands, subject::COMMANDS), (Source::Reports, subject::REPORTS)]
        {
            let incarnation = broker.incarnation(name).await?;
            let usage = broker.usage(name).await?;
            streams.push(Stream {
                broker: broker.clone(),
                src,
                name,
                incarnation,
                first: usage.first_seq.max(1),
                last: usage.last_seq,
                next: 0,
                chunks: None,
            });
        }
        let [commands, reports] = [0, 1].map(|at: usize| streams[at].incarnation.clone());
        Ok(Self { recorded: Recorded::new(commands, reports), streams })
    }

    pub fn inputs(&self) -> &dyn Inputs {
        &self.recorded
    }

    /// Reads what `frame` consumes, which follows on what `replay` has; forgets what was consumed before.
    pub async fn read_for(&mut self, replay: &Replay, frame: &Frame) -> Result<()> {
        let state = replay.state();
        for stream in &mut self.streams {
            let (life, before) = match stream.src {
                Source::Commands => (&state.commands, state.pos.commands),
                _ => (&state.reports, state.pos.reports),
            };
            let from = if *life == stream.incarnation {
                before.seq
            } else if stream.begins_in(frame) {
                0
            } else {
                continue;
            };
            self.recorded.forget_before(stream.src, from);
            stream.read(from, reached(&frame.pos, stream.src), &mut self.recorded).await?;
        }
        Ok(())
    }
}

impl Stream {
    /// Whether the frame says that this life of the stream is read from now on.
    fn begins_in(&self, frame: &Frame) -> bool {
        frame.entries.iter().flat_map(|entry| entry.known_facts()).any(|fact| {
            matches!(fact, Fact::InputsReset { src, incarnation, .. }
                if *src == self.src && *incarnation == self.incarnation)
        })
    }

    /// Reads from `from` up to `to`, what of it was not read before.
    async fn read(&mut self, from: u64, to: u64, recorded: &mut Recorded) -> Result<()> {
        let to = to.min(self.last);
        self.next = self.next.max(from).max(self.first);
        while self.next <= to {
            let chunks = match &mut self.chunks {
                Some(chunks) => chunks,
                none => none.insert(self.broker.follow(
                    self.name,
                    self.next,
                    Some(self.incarnation.clone()),
                )),
            };
            match chunks.next().await {
                Some(Ok(messages)) => {
                    for message in messages {
                        self.next = message.seq + 1;
                        recorded.push(self.src, message.seq, message.subject, message.payload);
                    }
                }
                // Removed since it was looked.
                Some(Err(ConsumeError::Gap { next, .. })) => {
                    self.next = next;
                    self.chunks = None;
                }
                Some(Err(error)) => return Err(error.into()),
                None => break,
            }
        }
        Ok(())
    }
}

/// The last message of which something is consumed.
fn reached(pos: &Positions, src: Source) -> u64 {
    let Place { seq, part } = match src {
        Source::Commands => pos.commands,
        _ => pos.reports,
    };
    if part > 0 { seq } else { seq.saturating_sub(1) }
}
