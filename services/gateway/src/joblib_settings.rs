//! What the surface of tasks is told at its start.

use std::{convert::Infallible, str::FromStr, time::Duration};

const CATEGORIES: &str = "modifiers,selections,analysis";

/// Its settings. Each is also known by the name that the package for other servers has for it, with the
/// prefix `ZNDRAW_JOBLIB_`; ours counts where both are there.
#[derive(Debug, Clone, clap::Args)]
pub struct JoblibSettings {
    /// Categories that jobs may be registered under: a JSON array, or words with commas between.
    #[arg(
        long = "joblib-allowed-categories",
        env = "NOX_JOBLIB_ALLOWED_CATEGORIES",
        default_value = alias("ALLOWED_CATEGORIES", CATEGORIES)
    )]
    pub allowed_categories: Categories,

    /// Seconds without a heartbeat after which a worker is given up.
    #[arg(
        long = "joblib-worker-timeout-seconds",
        env = "NOX_JOBLIB_WORKER_TIMEOUT_SECONDS",
        default_value = alias("WORKER_TIMEOUT_SECONDS", "60"),
        value_parser = clap::value_parser!(u64).range(1..=86_400)
    )]
    pub worker_timeout_seconds: u64,

    /// Seconds between two looks for jobs that no worker registers any more.
    #[arg(
        long = "joblib-sweeper-interval-seconds",
        env = "NOX_JOBLIB_SWEEPER_INTERVAL_SECONDS",
        default_value = alias("SWEEPER_INTERVAL_SECONDS", "30"),
        value_parser = clap::value_parser!(u64).range(1..=86_400)
    )]
    pub sweeper_interval_seconds: u64,

    /// Most seconds for which a request that asks for it is kept waiting for a task's end.
    #[arg(
        long = "joblib-long-poll-max-wait-seconds",
        env = "NOX_JOBLIB_LONG_POLL_MAX_WAIT_SECONDS",
        default_value = alias("LONG_POLL_MAX_WAIT_SECONDS", "120"),
        value_parser = clap::value_parser!(u64).range(0..=3_600)
    )]
    pub long_poll_max_wait_seconds: u64,
}

impl Default for JoblibSettings {
    fn default() -> Self {
        Self {
            allowed_categories: Categories(CATEGORIES.split(',').map(str::to_owned).collect()),
            worker_timeout_seconds: 60,
            sweeper_interval_seconds: 30,
            long_poll_max_wait_seconds: 120,
        }
    }
}

impl JoblibSettings {
    pub fn worker_timeout(&self) -> Duration {
        Duration::from_secs(self.worker_timeout_seconds)
    }

    pub fn sweeper_interval(&self) -> Duration {
        Duration::from_secs(self.sweeper_interval_seconds)
    }
}

/// What the setting is called elsewhere says, if it is there; read once, at the start of the process.
fn alias(name: &str, otherwise: &'static str) -> &'static str {
    match std::env::var(format!("ZNDRAW_JOBLIB_{name}")) {
        Ok(value) => value.leak(),
        Err(_) => otherwise,
    }
}

/// Words that a job's category is one of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Categories(Vec<String>);

impl Categories {
    pub fn has(&self, category: &str) -> bool {
        self.0.iter().any(|known| known == category)
    }

    pub fn listed(&self) -> String {
        self.0.join(", ")
    }
}

impl FromStr for Categories {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        if let Ok(words) = serde_json::from_str(text) {
            return Ok(Self(words));
        }
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
        Ok(Self(words.map(str::to_owned).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn categories_are_read_as_the_package_for_other_servers_has_them_and_as_plain_words() {
        let Ok(array) = r#"["modifiers", "dancing"]"#.parse::<Categories>();
        let Ok(words) = "modifiers, dancing,".parse::<Categories>();
        assert_eq!(array, words);
        assert!(words.has("dancing") && !words.has("danc") && !words.has(""));
    }
}
