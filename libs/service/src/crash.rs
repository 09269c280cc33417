//! Named places where a test can make the process die.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

/// Arms one crash point: `name`, or `name:k` for the k-th time that it is reached.
const VARIABLE: &str = "NOX_CRASH_POINT";

#[derive(Debug, PartialEq)]
struct Armed {
    name: String,
    /// Times that it may yet be reached, counting the one that kills.
    at: u64,
}

static ARMED: OnceLock<Option<Armed>> = OnceLock::new();
static REACHED: AtomicU64 = AtomicU64::new(0);

/// Aborts the process here if `NOX_CRASH_POINT` names this point; otherwise one comparison.
///
/// An abort runs no destructor and flushes nothing: to the rest of the system it is a SIGKILL at
/// exactly this line.
pub fn crash_point(name: &'static str) {
    let armed = ARMED.get_or_init(|| std::env::var(VARIABLE).ok().and_then(|text| parse(&text)));
    let Some(armed) = armed else { return };
    if armed.name != name {
        return;
    }
    if REACHED.fetch_add(1, Ordering::Relaxed) + 1 == armed.at {
        tracing::error!(point = name, "Crash point reached");
        std::process::abort();
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
                .env(VARIABLE, point)
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
