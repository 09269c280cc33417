//! Instants in tables: people want to know how long ago, and programs when.

use std::time::Duration;

use nox_contract::Timestamp;
use nox_service::Clock;

use crate::{client::encoded, output::Output};

/// What stands for an instant that there is not.
pub const NEVER: &str = "-";

/// Tells instants as the reader of one table wants them.
pub struct When {
    /// The present, where people read.
    now: Option<Timestamp>,
}

impl When {
    pub fn of(output: Output) -> Self {
        Self { now: output.is_terminal().then(|| Clock::system().wall()) }
    }

    pub fn told(&self, at: Timestamp) -> String {
        match self.now {
            Some(now) if at > now => format!("in {}", span(at.since(now))),
            Some(now) => format!("{} ago", span(now.since(at))),
            None => at.to_string(),
        }
    }

    pub fn told_if(&self, at: Option<Timestamp>) -> String {
        at.map_or_else(|| NEVER.to_owned(), |at| self.told(at))
    }
}

/// `?as_of=`, or nothing where the present is asked for.
pub fn as_of(at: Option<&str>) -> String {
    at.map_or_else(String::new, |at| format!("?as_of={}", encoded(at)))
}

/// Checks what `--at` is given.
pub fn instant_or_frame(text: &str) -> Result<String, nox_readmodel::past::NoAsOf> {
    text.parse::<nox_readmodel::AsOf>().map(|_| text.to_owned())
}

/// A span in its largest unit.
fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_told_how_long_ago_and_programs_when() {
        let now: Timestamp = "2026-11-26T12:00:00Z".parse().unwrap();
        let people = When { now: Some(now) };
        for (seconds, told) in [(0, "0 s"), (59, "59 s"), (60, "1 min"), (7_300, "2 h")] {
            let span = Duration::from_secs(seconds);
            assert_eq!(people.told(now - span), format!("{told} ago"));
        }
        assert_eq!(people.told(now + Duration::from_secs(90_000)), "in 1 d");
        assert_eq!(people.told_if(None), "-");
        assert_eq!(When { now: None }.told(now), "2026-11-26T12:00:00Z");
    }
}
