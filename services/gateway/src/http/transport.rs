//! The bytes of a connection: a peer that reads nothing does not keep it, and its end loses no answer.
//!
//! hyper has a time-out for heads and none for what it writes, and it closes with bytes unread, at
//! which the kernel tells the peer to throw away the answer that is on its way. `tokio-io-timeout`
//! takes a byte for progress and knows nothing of the end.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

use crate::http::{connections::Activity, framing::Framing};

/// How long a peer may leave an answer unread, and the bytes that it has to take in each such time:
/// some 3 KiB a second. The kernel tells of progress in thirds of its send buffer, which
/// `server` therefore keeps small.
const WRITE_WAIT: Duration = Duration::from_secs(10);
const WRITE_BYTES_MIN: usize = 32 * 1024;

/// How long, and for how many bytes, a peer is listened to after the last answer: until it has sent
/// the body that nobody waits for and looks at what was answered. Less than the time that requests
/// in hand have when the process is to stop.
const LINGER_WAIT: Duration = Duration::from_secs(7);
const LINGER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Longest silence of a peer in that time.
const LINGER_SILENCE: Duration = Duration::from_secs(2);

/// A connection as hyper uses it.
pub struct Transport {
    stream: TcpStream,
    activity: Arc<Activity>,
    framing: Framing,
    /// Runs from the first answer that the kernel did not take, until one went without that: whoever
    /// takes in a little of each has no more time than one who takes in little of one.
    slow: Option<Slow>,
    /// Runs while there is something that the kernel does not take.
    stalled: Option<Stalled>,
    lingering: Option<Lingering>,
}

struct Slow {
    until: Pin<Box<Sleep>>,
    /// Whether it was so since the peer was last waited for.
    again: bool,
}

struct Stalled {
    until: Pin<Box<Sleep>>,
    written: usize,
}

struct Lingering {
    until: Pin<Box<Sleep>>,
    silent: Pin<Box<Sleep>>,
    read: usize,
}

impl Transport {
    pub fn new(stream: TcpStream, activity: Arc<Activity>) -> Self {
        let framing = Framing::default();
        Self { stream, activity, framing, slow: None, stalled: None, lingering: None }
    }

    /// Counts what the kernel took, and its refusals until they last too long.
    fn judge(
        &mut self,
        cx: &mut Context<'_>,
        outcome: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match outcome {
            Poll::Ready(Ok(written)) => {
                if let Some(stalled) = &mut self.stalled {
                    stalled.written += written;
                }
                Poll::Ready(Ok(written))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                let slow = self.slow.get_or_insert_with(Slow::new);
                slow.again = true;
                if slow.until.as_mut().poll(cx).is_ready() {
                    self.activity.slows();
                }
                let stalled = self.stalled.get_or_insert_with(Stalled::new);
                while stalled.until.as_mut().poll(cx).is_ready() {
                    if stalled.written < WRITE_BYTES_MIN {
                        return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                    }
                    *stalled = Stalled::new();
                }
                Poll::Pending
            }
        }
    }
}

impl Slow {
    fn new() -> Self {
        Self { until: Box::pin(sleep(WRITE_WAIT)), again: true }
    }
}

impl Stalled {
    fn new() -> Self {
        Self { until: Box::pin(sleep(WRITE_WAIT)), written: 0 }
    }
}

impl Lingering {
    fn new() -> Self {
        Self {
            until: Box::pin(sleep(LINGER_WAIT)),
            silent: Box::pin(sleep(LINGER_SILENCE)),
            read: 0,
        }
    }

    /// Reads and forgets until the peer has ended, too, or has had enough of our time.
    fn poll(&mut self, stream: &mut TcpStream, cx: &mut Context<'_>) -> Poll<()> {
        let mut waste = [0; 16 * 1024];
        while self.until.as_mut().poll(cx).is_pending() && self.read < LINGER_BYTES_MAX {
            let mut buffer = ReadBuf::new(&mut waste);
            match Pin::new(&mut *stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    self.read += buffer.filled().len();
                    self.silent.set(sleep(LINGER_SILENCE));
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return self.silent.as_mut().poll(cx),
            }
        }
        Poll::Ready(())
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let filled = buffer.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if outcome.is_pending() {
            self.activity.waits();
        }
        ready!(outcome)?;
        self.framing.check(&mut buffer.filled_mut()[filled..]);
        if buffer.filled().len() > filled && self.activity.reads() {
            // A pause: what came before it is over.
            self.slow.take_if(|slow| !std::mem::take(&mut slow.again));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.judge(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.judge(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper asks for this when it has nothing left to write.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stalled = None;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Ends our half, and then waits for the peer's. Closing at once would reset the connection if the
    /// peer is still sending, and its answer would be lost with it.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, lingering, .. } = &mut *self;
        if lingering.is_none() {
            ready!(Pin::new(&mut *stream).poll_shutdown(cx))?;
        }
        lingering.get_or_insert_with(Lingering::new).poll(stream, cx).map(Ok)
    }
}
