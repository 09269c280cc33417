//! What an attempt prints: both streams in the order in which they were read, kept in pieces, bounded,
//! without secrets, and never in the attempt's way.

mod mask;
mod side;

use std::{pin::pin, time::Duration};

use nox_contract::Progress;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::sleep,
};

pub use mask::{Mask, Masking};

use self::side::Side;
use crate::{
    log_writer::AttemptLog,
    manifest::{Progress as Rule, Stream},
    progress::Watch,
};

/// A piece is handed on when it has this many bytes…
const CHUNK_BYTES: usize = 32 * 1024;

/// …or when its first byte is this old, so that it can be read within 300 ms.
const FLUSH_AFTER: Duration = Duration::from_millis(200);

/// How often in that time a piece is handed on because the other stream has printed something. A program
/// that changes between them more often has its order kept from one such time to the next alone.
const CHANGES_MAX: u32 = 32;

/// What is done with what an attempt prints.
pub struct Capture<'c> {
    pub log: &'c AttemptLog,
    pub mask: &'c Mask,
    /// Whether the result rules look through stdout, and stderr.
    pub whole: [bool; 2],
    pub progress: Option<&'c Rule>,
    /// Told how far the attempt says that it is, at most once a second.
    pub tell: &'c (dyn Fn(Progress) + Sync),
}

/// Both streams of an attempt, as far as they are there.
pub struct Output<O, E> {
    pub stdout: Option<O>,
    pub stderr: Option<E>,
}

impl Capture<'_> {
    /// Reads both streams to their ends and returns the ends of both: as much as the result rules may look
    /// through, or as an error quotes.
    pub async fn read(&self, output: Output<impl AsyncRead, impl AsyncRead>) -> (Vec<u8>, Vec<u8>) {
        let Output { stdout, stderr } = output;
        let (mut stdout, mut stderr) = (pin!(optional(stdout)), pin!(optional(stderr)));
        let mut sides = [
            Side::new(self.log, self.mask, Stream::Stdout, self.whole[0]),
            Side::new(self.log, self.mask, Stream::Stderr, self.whole[1]),
        ];
        let mut watch = self.progress.map(Watch::new);
        let mut order = Order { changes: 0, first: 0 };
        let mut open = [true, true];
        let mut flush = pin!(sleep(FLUSH_AFTER));
        let mut read = [Vec::with_capacity(CHUNK_BYTES), Vec::with_capacity(CHUNK_BYTES)];
        while open.contains(&true) {
            let [out, err] = &mut read;
            let is_resting = watch.as_ref().is_some_and(Watch::is_resting);
            let (place, count) = tokio::select! {
                count = stdout.read_buf(out), if open[0] => (0, count),
                count = stderr.read_buf(err), if open[1] => (1, count),
                () = &mut flush, if sides.iter().any(Side::is_waiting) => {
                    order.flush(&mut sides);
                    // Half a character may have stayed.
                    flush.set(sleep(FLUSH_AFTER));
                    continue;
                }
                () = rested(&mut watch), if is_resting => {
                    watch.iter_mut().filter_map(Watch::take).for_each(self.tell);
                    continue;
                }
            };
            // An error is the end as well: the other side is gone.
            if count.unwrap_or(0) == 0 {
                open[place] = false;
                continue;
            }
            if !sides.iter().any(Side::is_waiting) {
                flush.set(sleep(FLUSH_AFTER));
            }
            order.before(place, &mut sides);
            let printed = sides[place].push(&read[place]);
            if let Some(watch) = &mut watch {
                let stream = if place == 0 { Stream::Stdout } else { Stream::Stderr };
                watch.look(stream, &printed);
                watch.take().into_iter().for_each(self.tell);
            }
            read[place].clear();
        }
        order.flush(&mut sides);
        let [stdout, stderr] = sides.map(Side::end);
        (stdout, stderr)
    }
}

/// Which of two sides has waited for longer.
struct Order {
    changes: u32,
    first: usize,
}

impl Order {
    /// Side `place` is about to take something: what the other one has was printed before.
    fn before(&mut self, place: usize, sides: &mut [Side<'_>; 2]) {
        let other = 1 - place;
        if sides[other].is_waiting() && self.changes < CHANGES_MAX {
            self.changes += 1;
            sides[other].flush(false);
        }
        if !sides[other].is_waiting() {
            self.first = place;
        }
    }

    fn flush(&mut self, sides: &mut [Side<'_>; 2]) {
        sides[self.first].flush(false);
        sides[1 - self.first].flush(false);
        self.changes = 0;
    }
}

async fn rested(watch: &mut Option<Watch<'_>>) {
    if let Some(watch) = watch {
        watch.rested().await;
    }
}

/// A stream that is not there is at its end.
fn optional<R: AsyncRead>(source: Option<R>) -> impl AsyncRead {
    match source {
        Some(source) => tokio_util::either::Either::Left(Box::pin(source)),
        None => tokio_util::either::Either::Right(tokio::io::empty()),
    }
}

#[cfg(test)]
mod tests;
