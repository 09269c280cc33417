//! What a measurement came to.

use std::{collections::BTreeMap, io, time::Duration};

use serde_json::{Value, json};

use super::{load::Load, machine::Machine};
use crate::{output::aligned, system::Sync, terminal::say};

/// One load, put through.
pub struct Report {
    pub load: Load,
    /// From the first submit until Postgres said that all jobs had ended.
    pub took: Duration,
    /// Microseconds of processor a job, by process.
    pub cpu: BTreeMap<&'static str, f64>,
    /// How long requests took to be answered, as the client saw it.
    pub answers: Latencies,
    /// From submit to start, where the load left room for that to mean something.
    pub starts: Option<Latencies>,
}

/// Percentiles of many latencies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Latencies {
    p50: Duration,
    p99: Duration,
}

impl Latencies {
    pub fn of(mut all: Vec<Duration>) -> Self {
        all.sort_unstable();
        let at = |percent: usize| {
            let rank = (all.len() * percent).div_ceil(100).max(1);
            all.get(rank - 1).copied().unwrap_or_default()
        };
        Self { p50: at(50), p99: at(99) }
    }

    fn json(self) -> Value {
        json!({"p50_ms": millis(self.p50), "p99_ms": millis(self.p99)})
    }

    fn shown(self) -> String {
        format!("{:.1} / {:.1}", millis(self.p50), millis(self.p99))
    }
}

fn millis(span: Duration) -> f64 {
    (span.as_secs_f64() * 1e5).round() / 100.0
}

impl Report {
    fn jobs_per_second(&self) -> f64 {
        self.load.jobs() as f64 / self.took.as_secs_f64()
    }

    /// Of all processes but the one that made the load.
    fn cpu_of_nox(&self) -> f64 {
        self.cpu.iter().filter(|(name, _)| **name != super::stack::LOAD).map(|(_, us)| us).sum()
    }

    /// The measurement in one line.
    pub fn json(&self, sync: Sync, machine: &Machine) -> String {
        let cpu: BTreeMap<_, _> =
            self.cpu.iter().map(|(name, us)| (*name, (us * 10.0).round() / 10.0)).collect();
        let line = json!({
            "load": self.load.name(),
            "description": self.load.to_string(),
            "durability": sync.as_str(),
            "jobs": self.load.jobs(),
            "seconds": millis(self.took) / 1e3,
            "jobs_per_second": self.jobs_per_second().round(),
            "cpu_us_per_job": cpu,
            "cpu_us_per_job_of_nox": self.cpu_of_nox().round(),
            "answer": self.answers.json(),
            "submit_to_start": self.starts.map(Latencies::json),
            "machine": machine,
        });
        line.to_string()
    }
}

/// Prints the measurements of one durability side by side.
pub fn print(reports: &[Report], sync: Sync) -> io::Result<()> {
    say!("\n{}", sync.as_str())?;
    for report in reports {
        say!("  {}", report.load)?;
    }
    say!("")?;
    let mut head = vec![""];
    head.extend(reports.iter().map(|report| report.load.name()));
    let row = |name: &str, cell: &dyn Fn(&Report) -> String| {
        let mut row = vec![name.to_owned()];
        row.extend(reports.iter().map(cell));
        row
    };
    let starts = |report: &Report| report.starts.map_or_else(|| "-".to_owned(), Latencies::shown);
    let mut rows = vec![
        row("jobs/s, to the last row", &|report| format!("{:.0}", report.jobs_per_second())),
        row("answer p50 / p99 ms", &|report| report.answers.shown()),
        row("submit to start p50 / p99 ms *", &starts),
        row("CPU µs/job, all of Nox", &|report| format!("{:.0}", report.cpu_of_nox())),
    ];
    let processes = reports.first().map(|report| report.cpu.keys().copied());
    for name in processes.into_iter().flatten() {
        let cpu = |report: &Report| {
            report.cpu.get(name).map_or_else(|| "-".to_owned(), |us| format!("{us:.1}"))
        };
        rows.push(row(&format!("  {name}"), &cpu));
    }
    for line in aligned(&head, &rows) {
        say!("  {line}")?;
    }
    say!("  * from created_at to started_at of the rows")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let all = (1..=200).map(Duration::from_millis).collect();
        let expected =
            Latencies { p50: Duration::from_millis(100), p99: Duration::from_millis(198) };
        assert_eq!(Latencies::of(all), expected);
        assert_eq!(Latencies::of(Vec::new()).p99, Duration::ZERO);
    }
}
