//! What rounds came to: numbers by name, and what is said of them together.

use super::statistics::{Latencies, Spread};

/// Jobs that ended in a second.
pub const JOBS_PER_SECOND: &str = "jobs/s";
/// The same until the feed had all of their events.
pub const FEED_JOBS_PER_SECOND: &str = "jobs/s until the last event";
/// Processor time of all processes, the client included, in microseconds.
pub const CPU: &str = "CPU µs/job, all";
/// The same without the client.
pub const CPU_OF_SYSTEM: &str = "CPU µs/job, without client";
/// From just before the client's call to the handler's first instruction.
pub const START_P50: &str = "call to start p50 ms";
pub const START_P99: &str = "call to start p99 ms";
/// What is to be below 0.2 for jobs/s to mean anything.
pub const OTHERS: &str = "others' cores";

/// The numbers of one round, in the order in which they are shown.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures(Vec<(String, f64)>);

impl Figures {
    pub fn add(&mut self, name: impl Into<String>, value: f64) {
        self.0.push((name.into(), value));
    }

    /// Adds `name p50 ms` and `name p99 ms`.
    pub fn add_latencies(&mut self, name: &str, latencies: Latencies) {
        self.add(format!("{name} p50 ms"), latencies.p50.as_secs_f64() * 1e3);
        self.add(format!("{name} p99 ms"), latencies.p99.as_secs_f64() * 1e3);
    }

    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }
}

/// The rounds of one load on one system.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    pub load: &'static str,
    /// What was measured: `relaxed`, `strict`, or another system's name.
    pub subject: &'static str,
    pub rounds: Vec<Figures>,
}

impl Series {
    /// The names of all figures, in the order of the first rounds that have them.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in self.rounds.iter().flat_map(|figures| &figures.0) {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        names
    }

    /// All rounds that have a figure of this name.
    pub fn values(&self, name: &str) -> Vec<f64> {
        self.rounds.iter().filter_map(|figures| figures.get(name)).collect()
    }

    pub fn spread(&self, name: &str) -> Option<Spread> {
        Spread::of(&self.values(name))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_series_has_every_figure_that_any_round_has() {
        let mut first = Figures::default();
        first.add("a", 1.0);
        let mut second = Figures::default();
        second.add("a", 3.0);
        second.add_latencies("b", Latencies { p50: Duration::from_millis(2), p99: Duration::ZERO });
        let series = Series { load: "bulk", subject: "relaxed", rounds: vec![first, second] };
        assert_eq!(series.names(), ["a", "b p50 ms", "b p99 ms"]);
        assert_eq!(series.spread("a"), Some(Spread { median: 2.0, min: 1.0, max: 3.0 }));
        assert_eq!(series.values("b p50 ms"), [2.0]);
        assert_eq!(series.spread("c"), None);
    }
}
