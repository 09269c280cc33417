//! Whether a worker still listens for work, asked of the broker while nothing is heard of it. A process that
//! was killed has no connection any more, and the broker knows that at once: no lease has to be waited for.

use std::time::Duration;

/// Between two questions about a worker that nothing is heard of. With [`UNREACHABLE_AFTER`] it makes the
/// time from a kill to the decision 1.6 s at most, so that 2 s hold on a machine that is busy. A question
/// costs a message of some hundred bytes.
const INTERVAL: Duration = Duration::from_millis(400);

/// How long nobody has to have listened, by every answer in between. A client whose connection breaks tries
/// again at once and eight times in the first second, so a cut that is shorter than this loses nothing; and
/// there are four answers in it, which one that is lost or late does not make up.
const UNREACHABLE_AFTER: Duration = Duration::from_millis(1_200);

/// How a leader asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probing {
    pub interval: Duration,
    pub unreachable_after: Duration,
}

impl Default for Probing {
    fn default() -> Self {
        Self { interval: INTERVAL, unreachable_after: UNREACHABLE_AFTER }
    }
}

/// One question about a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// Counts the questions about a session: one without an answer leaves a gap.
    pub number: u32,
    /// When it was asked, on the leader's monotonic clock.
    pub asked_at: Duration,
}

/// What was asked about one session.
#[derive(Debug, Clone, Default)]
pub(super) struct Probes {
    /// It was heard of on the connection that the leader has now. Who was not may have yet to connect again,
    /// or to somebody else's server: its lease decides.
    heard: bool,
    last: Option<Probe>,
    absence: Option<Absence>,
}

/// That nobody listened, by one answer after the other.
#[derive(Debug, Clone)]
struct Absence {
    /// When the first answer was there.
    since: Duration,
    last: Probe,
    /// The last report that was stored when the last answer was there: all of its reports are among these.
    reports: u64,
}

impl Probes {
    /// The worker was heard of.
    pub fn on_heard(&mut self) {
        self.heard = true;
        self.absence = None;
    }

    /// Nothing that was asked or answered before counts any more.
    pub fn begin_anew(&mut self) {
        self.heard = false;
        self.absence = None;
    }

    /// When to ask next about a worker that was heard of last at `heard`; `None` while its lease decides.
    pub fn next(&self, probing: &Probing, heard: Duration) -> Option<Duration> {
        if !self.heard {
            return None;
        }
        let asked = self.last.map_or(heard, |probe| probe.asked_at.max(heard));
        let next = asked + probing.interval;
        let decisive =
            self.absence.as_ref().map(|absence| absence.since + probing.unreachable_after);
        Some(decisive.filter(|at| *at > asked).map_or(next, |at| at.min(next)))
    }

    /// The next question.
    pub fn ask(&mut self, now: Duration) -> Probe {
        let number = self.last.map_or(0, |probe| probe.number) + 1;
        *self.last.insert(Probe { number, asked_at: now })
    }

    /// The broker says that nobody listened.
    pub fn on_absent(&mut self, probe: Probe, reports: u64, now: Duration) {
        if !self.heard {
            return;
        }
        let before = self.absence.take().filter(|absence| absence.last.number + 1 == probe.number);
        let since = before.map_or(now, |absence| absence.since);
        self.absence = Some(Absence { since, last: probe, reports });
    }

    /// Whether nobody listened for as long as `span`, and all that it said is consumed: reports are, up to
    /// `reports`.
    pub fn is_unreachable(&self, span: Duration, reports: u64) -> bool {
        self.absence.as_ref().is_some_and(|Absence { since, last, reports: stored }| {
            *stored <= reports && last.asked_at.saturating_sub(*since) >= span
        })
    }
}
