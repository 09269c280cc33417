//! The clocks: one that never jumps, for decisions, and the wall's, for what people agreed on.

use std::{
    sync::OnceLock,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use nox_contract::Timestamp;

/// The process's clocks. All copies in a process agree.
#[derive(Debug, Clone)]
pub struct Clock {
    start: Start,
}

/// The two clocks, read together once a process.
#[derive(Debug, Clone, Copy)]
struct Start {
    wall: Timestamp,
    monotonic: Instant,
}

static START: OnceLock<Start> = OnceLock::new();

impl Clock {
    /// The system's clocks.
    pub fn system() -> Self {
        let start = *START.get_or_init(|| Start { wall: wall(), monotonic: Instant::now() });
        Self { start }
    }

    /// The wall time at the start of the process plus the monotonic span since: it never jumps and
    /// never decreases, whatever is done to the machine's clock.
    pub fn now(&self) -> Timestamp {
        self.start.wall + self.monotonic()
    }

    /// The machine's wall clock, which may jump. For what is agreed on in wall time alone: a token's
    /// expiry, `run_at`.
    pub fn wall(&self) -> Timestamp {
        wall()
    }

    /// The span since the start of the process.
    pub fn monotonic(&self) -> Duration {
        self.start.monotonic.elapsed()
    }
}

/// Times before 1970 are read as 1970: nothing in Nox is older.
fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::default() + since
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_never_decreases_and_all_clocks_of_a_process_agree() {
        let (one, other) = (Clock::system(), Clock::system());
        let mut before = one.now();
        for _ in 0..1_000 {
            let now = other.now();
            assert!(now >= before);
            before = one.now();
            assert!(before >= now);
        }
    }

    #[test]
    fn now_and_the_wall_start_together() {
        let clock = Clock::system();
        let (now, wall) = (clock.now(), clock.wall());
        let apart = now.since(wall).max(wall.since(now));
        assert!(apart < Duration::from_secs(5), "{now} and {wall}");
    }
}
