//! When what was not taken is tried again.

use std::{str::FromStr, time::Duration};

/// Longest time that an endpoint may ask to be left alone.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 3_600);
/// Shortest time between two attempts.
const PAUSE_MIN: Duration = Duration::from_millis(500);

/// How long the second attempt waits for after the first, the third after the second, and so on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delays(Vec<Duration>);

impl Default for Delays {
    /// Those that Standard Webhooks names: some three days.
    fn default() -> Self {
        let seconds = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
        Self(seconds.map(Duration::from_secs).to_vec())
    }
}

impl FromStr for Delays {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let delays: Result<Vec<u32>, _> = text.split(',').map(|word| word.trim().parse()).collect();
        let delays = delays.map_err(|_| "must be seconds, with commas between")?;
        if delays.len() > 100 || delays.iter().any(|delay| !(1..=604_800).contains(delay)) {
            return Err("must be at most 100 delays, each from 1 to 604800");
        }
        Ok(Self(delays.into_iter().map(|delay| Duration::from_secs(delay.into())).collect()))
    }
}

impl Delays {
    /// How long to wait after so many attempts; `None` if that was the last one. `chance` is from 0 to 1: anything up to
    /// the whole delay, so that what failed together does not come back together. Nobody is asked sooner than they said.
    pub(crate) fn after(
        &self,
        attempts: u32,
        chance: f64,
        retry_after: Option<Duration>,
    ) -> Option<Duration> {
        let delay = self.0.get(usize::try_from(attempts.checked_sub(1)?).ok()?)?;
        let asked = retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
        Some(delay.mul_f64(chance.clamp(0.0, 1.0)).max(PAUSE_MIN).max(asked))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_attempts_in_three_days_at_most_and_never_sooner_than_asked() {
        let delays = Delays::default();
        let all: Vec<_> = (1..).map_while(|attempts| delays.after(attempts, 1.0, None)).collect();
        assert_eq!(all.len(), 9);
        let whole: Duration = all.iter().sum();
        assert!((3..=4).contains(&(whole.as_secs() / 86_400)), "{whole:?}");
        assert_eq!(delays.after(2, 0.5, None), Some(Duration::from_secs(150)));
        assert_eq!(delays.after(1, 0.0, None), Some(PAUSE_MIN));
        let asked = |seconds| delays.after(1, 1.0, Some(Duration::from_secs(seconds)));
        assert_eq!(asked(60), Some(Duration::from_secs(60)));
        assert_eq!(asked(999_999_999), Some(RETRY_AFTER_MAX));
        assert_eq!(asked(1), Some(Duration::from_secs(5)));
        assert_eq!(delays.after(10, 1.0, Some(Duration::from_secs(1))), None);
    }

    #[test]
    fn delays_are_read_from_seconds() {
        let delays: Delays = "1, 2".parse().unwrap();
        assert_eq!(delays.after(2, 1.0, None), Some(Duration::from_secs(2)));
        for wrong in ["", "a", "0", "1,,2", "604801"] {
            assert!(wrong.parse::<Delays>().is_err(), "{wrong}");
        }
    }
}
