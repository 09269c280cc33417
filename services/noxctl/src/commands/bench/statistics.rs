//! Medians, percentiles and spreads.

use std::time::Duration;

/// What several rounds came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Spread {
    /// Of one round at least; of an even number of them the median lies between the two in the middle.
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = match sorted.len() % 2 {
            0 => f64::midpoint(sorted[middle - 1], sorted[middle]),
            _ => sorted[middle],
        };
        Some(Self { median, min, max })
    }
}

/// How many times `base` goes into `value`; nothing goes into nothing.
pub fn ratio(value: f64, base: f64) -> Option<f64> {
    (base > 0.0).then_some(value / base)
}

/// Percentiles of many latencies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Latencies {
    pub p50: Duration,
    pub p99: Duration,
}

impl Latencies {
    /// Each is a value that occurred; zero of none.
    pub fn of(mut all: Vec<Duration>) -> Self {
        all.sort_unstable();
        let at = |percent: usize| {
            let rank = (all.len() * percent).div_ceil(100).max(1);
            all.get(rank - 1).copied().unwrap_or_default()
        };
        Self { p50: at(50), p99: at(99) }
    }
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

    #[test]
    fn a_spread_does_not_depend_on_the_order_of_rounds() {
        let spread = Spread { median: 2.0, min: 1.0, max: 9.0 };
        assert_eq!(Spread::of(&[9.0, 1.0, 2.0]), Some(spread));
        assert_eq!(Spread::of(&[1.0, 4.0]).map(|spread| spread.median), Some(2.5));
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn a_ratio_to_nothing_is_none() {
        assert_eq!(ratio(3.0, 2.0), Some(1.5));
        assert_eq!(ratio(3.0, 0.0), None);
    }
}
