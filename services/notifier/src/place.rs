//! How far a reader of the log is, for whoever cuts the log: it is told every few seconds, also while nothing happens.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use nox_archive::Log;
use nox_contract::FrameNumber;
use tokio_util::task::AbortOnDropHandle;

/// What `reader` has no need of any more. Dropping it ends the telling.
pub(crate) struct ReaderPlace {
    n: Arc<AtomicU64>,
    _tell: AbortOnDropHandle<()>,
}

impl ReaderPlace {
    /// It begins behind `n`.
    pub(crate) fn tell(log: &Log, reader: &'static str, n: FrameNumber) -> Self {
        let n = Arc::new(AtomicU64::new(n.0));
        let told = n.clone();
        let (broker, incarnation) = (log.broker().clone(), log.incarnation().clone());
        let place = move || Some(FrameNumber(told.load(Ordering::Relaxed)));
        let tell = async move { broker.keep_telling_reader(reader, incarnation, place).await };
        Self { n, _tell: AbortOnDropHandle::new(tokio::spawn(tell)) }
    }

    /// It has come to `n`, and never goes back.
    pub(crate) fn reach(&self, n: FrameNumber) {
        self.n.fetch_max(n.0, Ordering::Relaxed);
    }
}
