//! How many bytes an attempt may print, to both streams together.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::sync::CancellationToken;

/// What is left of the bytes.
#[derive(Debug, Clone)]
pub struct OutputLimit {
    bytes_max: u64,
    left: Arc<AtomicU64>,
    exceeded: CancellationToken,
}

/// A stream that ends at the limit, to the byte.
#[derive(Debug)]
pub struct Limited<S> {
    source: S,
    limit: OutputLimit,
}

impl OutputLimit {
    pub fn new(bytes_max: u64) -> Self {
        let left = Arc::new(AtomicU64::new(bytes_max));
        Self { bytes_max, left, exceeded: CancellationToken::new() }
    }

    pub fn hold<S>(&self, source: S) -> Limited<S> {
        Limited { source, limit: self.clone() }
    }

    /// Returns when more was printed.
    pub async fn exceeded(&self) {
        self.exceeded.cancelled().await;
    }

    pub fn is_exceeded(&self) -> bool {
        self.exceeded.is_cancelled()
    }

    pub fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    /// Takes as many of `bytes` as are left.
    fn take(&self, bytes: usize) -> usize {
        let bytes = bytes as u64;
        let take = |left: u64| Some(left.saturating_sub(bytes));
        let before = self.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, take);
        let taken = before.unwrap_or_else(|left| left).min(bytes);
        if taken < bytes {
            self.exceeded.cancel();
        }
        usize::try_from(taken).unwrap_or(usize::MAX)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Limited<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.limit.is_exceeded() {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.source).poll_read(context, buffer);
        let count = buffer.filled().len() - before;
        buffer.set_filled(before + self.limit.take(count));
        read
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn two_streams_share_what_may_be_printed_to_the_byte() {
        let limit = OutputLimit::new(1_000);
        let (mut first, mut second) = (limit.hold(&[b'x'; 600][..]), limit.hold(&[b'y'; 600][..]));
        let mut read = Vec::new();
        first.read_to_end(&mut read).await.unwrap();
        assert!(read.len() == 600 && !limit.is_exceeded());
        second.read_to_end(&mut read).await.unwrap();
        assert!(read.len() == 1_000 && limit.is_exceeded());
        limit.exceeded().await;
    }
}
