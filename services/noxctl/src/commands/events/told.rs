//! An entry as it is shown by itself.

use nox_contract::{Entry, Epoch, Frame, FrameNumber, Timestamp};
use serde::Serialize;

/// An entry, with what its frame says of all of its entries.
#[derive(Serialize)]
pub struct Told<'f> {
    n: FrameNumber,
    at: Timestamp,
    epoch: Epoch,
    #[serde(flatten)]
    entry: &'f Entry,
}

impl<'f> Told<'f> {
    pub fn of(frame: &Frame, entry: &'f Entry) -> Self {
        Self { n: frame.n, at: frame.at, epoch: frame.epoch, entry }
    }
}
