//! Whether there is room for more jobs.
//!
//! A stream that refuses is too late: the log would have no room left for the ends of jobs that were
//! admitted. So submits are refused well before, and completions never.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use nox_contract::{ProblemCode, subject};
use nox_streams::{DiskSpace, Usage};

use crate::problem::ApiError;

/// Share of a stream's limit, in per cent, from which on nothing is admitted. What is left is for
/// the jobs that are in.
const FULL_PERCENT: u64 = 80;

/// The same for the broker's disk, where it can be seen: with less than this share of it free, in per
/// cent, and less than this many bytes. A stream that finds its disk full takes nothing more until the
/// broker is restarted, so it must not come to that; and on a large disk a few per cent are plenty.
const DISK_FREE_PERCENT_MIN: u64 = 15;
const DISK_FREE_BYTES_MIN: u64 = 1 << 30;

/// The streams that an admitted job goes on to write to.
pub const STREAMS: [&str; 3] = [subject::COMMANDS, subject::REPORTS, subject::EVENTS];

/// Open, or closed for a stream that is nearly full.
#[derive(Debug, Default)]
pub struct Admission(Mutex<Option<Full>>);

/// What there is no room in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Full {
    Stream(&'static str),
    Disk { free_percent: u64 },
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream(stream) => write!(f, "{stream} is more than {FULL_PERCENT} % full"),
            Self::Disk { free_percent } => {
                write!(f, "the broker's disk has {free_percent} % of its room left")
            }
        }
    }
}

impl Admission {
    /// Refuses a submit while a stream is nearly full.
    pub fn check(&self) -> Result<(), ApiError> {
        let Some(full) = *self.lock() else { return Ok(()) };
        let detail = format!("{full}; nothing is admitted");
        Err(ApiError::new(ProblemCode::StorageFull, detail))
    }

    /// Opens or closes by how full the streams and their disk are; says what is the case now.
    pub fn judge(&self, usages: &[(&'static str, Usage)], disk: Option<DiskSpace>) -> String {
        let full = usages.iter().find(|(_, usage)| is_full(usage));
        let full = full.map(|(stream, _)| Full::Stream(stream)).or(disk.and_then(is_disk_full));
        let before = std::mem::replace(&mut *self.lock(), full);
        match full {
            Some(full) if before.is_none() => tracing::error!(reason = %full, "Admission closed"),
            None if before.is_some() => tracing::info!("Admission open"),
            _ => {}
        }
        full.map_or_else(|| "open".to_owned(), |full| format!("closed: {full}"))
    }

    /// What is in there is always whole.
    fn lock(&self) -> MutexGuard<'_, Option<Full>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_disk_full(DiskSpace { free, total }: DiskSpace) -> Option<Full> {
    let share = u128::from(free) * 100 / u128::from(total.max(1));
    let free_percent = u64::try_from(share).unwrap_or(u64::MAX);
    let low = free_percent < DISK_FREE_PERCENT_MIN && free < DISK_FREE_BYTES_MIN;
    low.then_some(Full::Disk { free_percent })
}

fn is_full(usage: &Usage) -> bool {
    // Wide enough for any limit that a stream can have.
    let percent = |max: u64| u128::from(max) * u128::from(FULL_PERCENT);
    usage.bytes_max.is_some_and(|max| u128::from(usage.bytes) * 100 > percent(max))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(bytes: u64, bytes_max: Option<u64>) -> Usage {
        Usage { messages: 1, bytes, bytes_max, first_seq: 1, last_seq: 1 }
    }

    #[test]
    fn nothing_is_admitted_while_any_stream_is_nearly_full() {
        let admission = Admission::default();
        let judge = |events: Usage| {
            let usages = [(subject::COMMANDS, usage(1, Some(100))), (subject::EVENTS, events)];
            admission.judge(&usages, None);
            admission.check().map_err(|error| error.status().as_u16())
        };
        assert_eq!(judge(usage(80, Some(100))), Ok(()));
        assert_eq!(judge(usage(81, Some(100))), Err(507));
        assert_eq!(judge(usage(u64::MAX, None)), Ok(()));
        assert_eq!(judge(usage(1, Some(u64::MAX))), Ok(()));
        assert_eq!(judge(usage(u64::MAX, Some(u64::MAX))), Err(507));
    }

    #[test]
    fn nothing_is_admitted_before_the_brokers_disk_is_full() {
        let admission = Admission::default();
        let judge = |free: u64, total: u64| {
            admission.judge(&[], Some(DiskSpace { free, total }));
            admission.check().map_err(|error| error.status().as_u16())
        };
        assert_eq!(judge(15 << 20, 100 << 20), Ok(()));
        assert_eq!(judge(14 << 20, 100 << 20), Err(507));
        // Two per cent of a large disk are more than all jobs in hand can need.
        assert_eq!(judge(2 << 30, 100 << 30), Ok(()));
        assert_eq!(judge(0, 0), Err(507));
    }
}
