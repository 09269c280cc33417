//! How far an attempt says that it is: lines that its module's manifest knows.

use std::{pin::Pin, time::Duration};

use nox_contract::{Progress, beat::Held};
use tokio::{
    sync::mpsc::UnboundedSender,
    time::{Sleep, sleep},
};

use crate::manifest::{Progress as Rule, Stream};

/// Between two reports of one attempt.
pub const REPORT_EVERY: Duration = Duration::from_secs(1);

/// Longest line that is looked at, in bytes; of a longer one its beginning.
const LINE_BYTES_MAX: usize = 4 * 1024;

/// Longest message, in characters.
const MESSAGE_CHARS_MAX: usize = 200;

/// The progress of an attempt, for whoever reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub of: Held,
    pub progress: Progress,
}

/// Where the progress of attempts goes: at most one in [`REPORT_EVERY`] of each, and none that says what
/// the one before said.
pub type Reporter = UnboundedSender<Told>;

/// Looks through what an attempt prints.
pub struct Watch<'r> {
    rule: &'r Rule,
    /// The lines that have begun, by stream.
    lines: [Vec<u8>; 2],
    /// What was told last.
    told: Progress,
    /// Until the next may be told.
    rest: Option<Pin<Box<Sleep>>>,
    /// What is to be told.
    newest: Option<Progress>,
}

impl<'r> Watch<'r> {
    pub fn new(rule: &'r Rule) -> Self {
        let lines = [Vec::new(), Vec::new()];
        Self { rule, lines, told: Progress::default(), rest: None, newest: None }
    }

    /// Looks at what was printed to `stream`. A line ends at a line feed, or at a carriage return, as that
    /// of a progress bar does.
    pub fn look(&mut self, stream: Stream, printed: &[u8]) {
        if self.rule.stream.is_some_and(|wanted| wanted != stream) {
            return;
        }
        let place = usize::from(stream == Stream::Stderr);
        for part in printed.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            let line = &mut self.lines[place];
            let room = LINE_BYTES_MAX - line.len();
            let (text, ends) = match part.split_last() {
                Some((b'\n' | b'\r', text)) => (text, true),
                _ => (part, false),
            };
            line.extend_from_slice(&text[..text.len().min(room)]);
            if ends {
                let line = std::mem::take(line);
                if let Some(found) = read(self.rule, &String::from_utf8_lossy(&line)) {
                    self.newest = Some(found).filter(|found| *found != self.told);
                }
            }
        }
    }

    /// What is to be told now.
    pub fn take(&mut self) -> Option<Progress> {
        if self.is_resting() {
            return None;
        }
        let newest = self.newest.take()?;
        self.told = newest.clone();
        self.rest = Some(Box::pin(sleep(REPORT_EVERY)));
        Some(newest)
    }

    /// Whether something was told so lately that nothing may be told now.
    pub fn is_resting(&self) -> bool {
        self.rest.is_some()
    }

    /// Waits until that is over.
    pub async fn rested(&mut self) {
        if let Some(rest) = &mut self.rest {
            rest.await;
            self.rest = None;
        }
    }
}

/// What a line says by the rule, if it is one of these.
fn read(rule: &Rule, line: &str) -> Option<Progress> {
    let found = rule.pattern.captures(line)?;
    let percent = found.name("percent").and_then(|text| text.as_str().trim().parse::<f64>().ok());
    let percent = percent.filter(|percent| (0.0..=100.0).contains(percent));
    let message = found.name("message").map(|text| {
        let words = text.as_str().trim().chars().take(MESSAGE_CHARS_MAX);
        words.map(|c| if c.is_control() { ' ' } else { c }).collect::<String>()
    });
    let message = message.filter(|message| !message.is_empty());
    let progress = Progress { percent: percent.map(|percent| percent as u8), message };
    (progress != Progress::default()).then_some(progress)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(toml: &str) -> Rule {
        toml::from_str(toml).unwrap()
    }

    fn told(percent: u8, message: &str) -> Option<Progress> {
        let message = Some(message.to_owned()).filter(|message| !message.is_empty());
        Some(Progress { percent: Some(percent), message })
    }

    #[test]
    fn lines_that_the_rule_knows_say_how_far_it_is() {
        let rule = rule(r"pattern = '(?:^|\s)(?<percent>[0-9.]+) ?%(?:\s+(?<message>.*))?'");
        for (line, expected) in [
            ("7% loading", told(7, "loading")),
            ("step 99.9 %", told(99, "")),
            ("100%\u{1b}[0m done", told(100, "")),
            ("0%  a\u{7}b ", told(0, "a b")),
            ("101% no", Some(Progress { percent: None, message: Some("no".to_owned()) })),
            ("nothing", None),
        ] {
            assert_eq!(read(&rule, line), expected, "{line}");
        }
    }

    #[tokio::test]
    async fn the_newest_is_told_at_most_once_a_second_and_only_if_it_is_another() {
        let rule = rule(r"pattern = '(?<percent>\d+)%'");
        let mut watch = Watch::new(&rule);
        let look = |watch: &mut Watch<'_>, printed: &[u8]| {
            watch.look(Stream::Stderr, printed);
            watch.take().map(|progress| progress.percent.unwrap())
        };
        let clock = nox_service::Clock::system();
        // A bar, in pieces that end anywhere.
        assert_eq!(look(&mut watch, b"\r1"), None);
        let began = clock.monotonic();
        assert_eq!(look(&mut watch, b"0%\r"), Some(10));
        assert_eq!(look(&mut watch, b"11%\r12%\r"), None);
        assert_eq!(look(&mut watch, b"13%"), None);
        assert_eq!(look(&mut watch, b"\n"), None);
        watch.rested().await;
        assert!(clock.monotonic() - began >= REPORT_EVERY);
        assert_eq!(look(&mut watch, b""), Some(13));
        watch.rested().await;
        assert_eq!(look(&mut watch, b"13%\n"), None);
        // Back to what was told: there is nothing new.
        assert_eq!(look(&mut watch, b"14%\n"), Some(14));
        assert_eq!(look(&mut watch, b"15%\n14%\n"), None);
        watch.rested().await;
        assert_eq!(look(&mut watch, b""), None);
    }

    #[test]
    fn a_line_without_an_end_takes_no_memory() {
        let rule = rule(r"pattern = '(?<percent>\d+)%'");
        let mut watch = Watch::new(&rule);
        for _ in 0..1_000 {
            watch.look(Stream::Stdout, &[b'x'; 4_096]);
        }
        assert!(watch.lines[0].len() <= LINE_BYTES_MAX);
    }
}
