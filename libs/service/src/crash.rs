//! Named places where a test can make the process die, or freeze.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

/// Arms the point where the process dies: `name`, or `name:k` for the k-th time it is reached.
const CRASH: &str = "NOX_CRASH_POINT";
/// Arms the point where the process stops until somebody continues it, in the same way.
const FREEZE: &str = "NOX_FREEZE_POINT";

#[derive(Debug, PartialEq)]
struct Armed {
    name: String,
    /// Times that it may yet be reached, counting the one that acts.
    at: u64,
}

/// One variable's point, and how often it was reached.
struct Switch {
    armed: OnceLock<Option<Armed>>,
    reached: AtomicU64,
}

impl Switch {
    const fn new() -> Self {
        Self { armed: OnceLock::new(), reached: AtomicU64::new(0) }
    }

    /// Whether `name` is the point that `variable` arms, for the time that counts.
    fn is_reached(&self, variable: &str, name: &str) -> bool {
        let armed =
            self.armed.get_or_init(|| std::env::var(variable).ok().and_then(|text| parse(&text)));
        let Some(armed) = armed else { return false };
        armed.name == name && self.reached.fetch_add(1, Ordering::Relaxed) + 1 == armed.at
    }
}

static CRASH_SWITCH: Switch = Switch::new();
static FREEZE_SWITCH: Switch = Switch::new();

/// Aborts the process here if `NOX_CRASH_POINT` names this point, or stops all of it until SIGCONT
/// if `NOX_FREEZE_POINT` does; otherwise two comparisons.
///
/// An abort runs no destructor and flushes nothing: to the rest of the system it is a SIGKILL at
/// exactly this line.
pub fn crash_point(name: &'static str) {
    if CRASH_SWITCH.is_reached(CRASH, name) {
        tracing::error!(point = name, "Crash point reached");
        std::process::abort();
    }
    if FREEZE_SWITCH.is_reached(FREEZE, name) {
        tracing::error!(point = name, "Freeze point reached");
        // Failing to stop only lets the test that armed it fail.
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP);
    }
}

fn parse(text: &str) -> Option<Armed> {
    let (name, at) = match text.split_once(':') {
        Some((name, at)) => (name, at.parse().ok()?),
        None => (text, 1),
    };
    (!name.is_empty() && at > 0).then(|| Armed { name: name.to_owned(), at })
}

#[cfg(test)]
mod tests {
    use std::{os::unix::process::ExitStatusExt, process::Command};

    use super::*;

    const SIGABRT: i32 = 6;

    #[test]
    fn a_point_is_armed_by_name_and_count() {
        let armed = |name: &str, at| Some(Armed { name: name.to_owned(), at });
        assert_eq!(parse("a.b"), armed("a.b", 1));
        assert_eq!(parse("a.b:3"), armed("a.b", 3));
        for wrong in ["", ":3", "a.b:0", "a.b:x"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    /// Runs in a process of its own, started by the test below.
    #[test]
    #[ignore = "dies on purpose"]
    fn three_times_past_the_point() {
        for _ in 0..3 {
            crash_point("service.test");
            crash_point("service.other");
        }
    }

    #[test]
    fn the_process_dies_at_the_armed_point_and_only_there() {
        let run = |point: &str| {
            let status = Command::new(std::env::current_exe().unwrap())
                .args(["--ignored", "--exact", "crash::tests::three_times_past_the_point"])
                .env(CRASH, point)
                .output()
                .unwrap()
                .status;
            status.signal()
        };
        assert_eq!(run("service.test"), Some(SIGABRT));
        assert_eq!(run("service.test:3"), Some(SIGABRT));
        assert_eq!(run("service.test:4"), None);
        assert_eq!(run("another"), None);
    }
}
