//! What figures say together: systems against each other, and all against what is aimed at.

use super::{
    figures::{
        CPU, CPU_OF_SYSTEM, FEED_JOBS_PER_SECOND, JOBS_PER_SECOND, START_P50, START_P99, Series,
    },
    loads::{AGAINST_EARLY, AGAINST_EMPTY, AGAINST_SHORT, KEPT, OFF},
    peer::PG_BOSS,
    statistics::{Spread, ratio},
};

/// What is aimed at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Aim {
    AtLeast(f64),
    AtMost(f64),
}

/// One figure of one series, or its ratio to that of another one.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    pub what: String,
    /// The median of a figure, or the ratio of two medians. The spread of a ratio is that of the ratios
    /// round by round, which are neighbours in time.
    pub value: Spread,
    pub aim: Option<Aim>,
}

/// `(load, subject, figure, against which subject, aim)`
type Line = (&'static str, &'static str, &'static str, Option<&'static str>, Option<Aim>);

use Aim::{AtLeast, AtMost};

const RELAXED: &str = "relaxed";
const STRICT: &str = "strict";

const LINES: &[Line] = &[
    ("bulk", RELAXED, JOBS_PER_SECOND, Some(PG_BOSS), Some(AtLeast(1.2))),
    ("bulk", RELAXED, CPU, Some(PG_BOSS), Some(AtMost(1.2))),
    ("bulk", RELAXED, CPU_OF_SYSTEM, Some(PG_BOSS), None),
    ("bulk", STRICT, JOBS_PER_SECOND, Some(PG_BOSS), None),
    ("bulk", STRICT, CPU, Some(PG_BOSS), None),
    ("bulk", STRICT, JOBS_PER_SECOND, Some(RELAXED), Some(AtLeast(0.7))),
    ("single", RELAXED, JOBS_PER_SECOND, None, Some(AtLeast(5_000.0))),
    ("single", STRICT, JOBS_PER_SECOND, None, Some(AtLeast(2_500.0))),
    ("single", RELAXED, JOBS_PER_SECOND, Some(PG_BOSS), None),
    ("single", RELAXED, CPU, Some(PG_BOSS), None),
    ("single", STRICT, JOBS_PER_SECOND, Some(PG_BOSS), None),
    ("single", STRICT, CPU, Some(PG_BOSS), None),
    ("feed", KEPT, JOBS_PER_SECOND, Some(OFF), Some(AtLeast(0.75))),
    ("feed", KEPT, FEED_JOBS_PER_SECOND, None, None),
    ("feed", KEPT, CPU, Some(OFF), None),
    ("latency", RELAXED, START_P50, None, Some(AtMost(1.5))),
    ("latency", RELAXED, START_P99, None, Some(AtMost(4.0))),
    ("latency", RELAXED, START_P50, Some(PG_BOSS), None),
    ("latency", RELAXED, START_P99, Some(PG_BOSS), None),
    ("latency", STRICT, START_P50, Some(PG_BOSS), None),
    ("latency", STRICT, START_P99, Some(PG_BOSS), None),
    ("queued", RELAXED, AGAINST_SHORT, None, Some(AtMost(1.1))),
    ("queued", RELAXED, "bytes of memory/queued job, scheduler", None, Some(AtMost(512.0))),
    ("queued", RELAXED, "bytes of memory/queued job, nats-server", None, Some(AtMost(512.0))),
    ("retained", RELAXED, AGAINST_EMPTY, None, Some(AtMost(1.1))),
    ("retained", RELAXED, "bytes on disk/ended job, all", None, Some(AtMost(1_536.0))),
    ("limited", RELAXED, AGAINST_EARLY, None, Some(AtMost(1.2))),
    ("limited", RELAXED, "history p99 ms", None, Some(AtMost(50.0))),
];

/// Everything that the series have to say.
pub fn verdicts(all: &[Series]) -> Vec<Verdict> {
    LINES.iter().filter_map(|line| verdict(all, line)).collect()
}

fn verdict(all: &[Series], line: &Line) -> Option<Verdict> {
    let (load, subject, figure, against, aim) = *line;
    let of = |subject: &str| {
        let mut series = all.iter();
        series.find(|series| series.load == load && series.subject == subject)
    };
    let values = of(subject)?.values(figure);
    let spread = Spread::of(&values)?;
    let Some(against) = against else {
        let what = format!("{load}, {subject}: {figure}");
        return Some(Verdict { what, value: spread, aim });
    };
    let bases = of(against)?.values(figure);
    let rounds = values.iter().zip(&bases).filter_map(|(value, base)| ratio(*value, *base));
    let Spread { min, max, .. } = Spread::of(&rounds.collect::<Vec<_>>())?;
    let median = ratio(spread.median, Spread::of(&bases)?.median)?;
    let what = format!("{load}, {subject} against {against}: {figure}");
    Some(Verdict { what, value: Spread { median, min, max }, aim })
}

impl Aim {
    pub fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::bench::figures::Figures;

    use super::*;

    fn series(subject: &'static str, rates: &[f64]) -> Series {
        let round = |rate: &f64| {
            let mut figures = Figures::default();
            figures.add(JOBS_PER_SECOND, *rate);
            figures
        };
        Series { load: "bulk", subject, rounds: rates.iter().map(round).collect() }
    }

    #[test]
    fn a_ratio_is_that_of_medians_and_its_spread_that_of_neighbours() {
        let all = [series(RELAXED, &[10.0, 30.0, 24.0]), series(PG_BOSS, &[10.0, 20.0, 30.0])];
        let verdicts = verdicts(&all);
        let [verdict] = &verdicts[..] else { panic!("{verdicts:?}") };
        assert_eq!(verdict.what, "bulk, relaxed against pg-boss: jobs/s");
        assert_eq!(verdict.value, Spread { median: 1.2, min: 0.8, max: 1.5 });
        assert!(verdict.aim.is_some_and(|aim| aim.is_met(verdict.value.median)));
    }

    #[test]
    fn an_aim_can_be_missed_from_either_side() {
        assert!(!AtLeast(1.2).is_met(1.19) && AtLeast(1.2).is_met(1.2));
        assert!(!AtMost(1.2).is_met(1.21) && AtMost(1.2).is_met(1.2));
    }

    #[test]
    fn nothing_is_said_of_what_was_not_measured() {
        assert_eq!(verdicts(&[series(STRICT, &[1.0])]), []);
        // A load that did nothing at all is no base.
        assert_eq!(verdicts(&[series(RELAXED, &[1.0]), series(PG_BOSS, &[0.0])]), []);
    }
}
