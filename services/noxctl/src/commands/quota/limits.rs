//! Limits, by the names that the API has for them.

use std::num::ParseIntError;

use serde::{Deserialize, Serialize};

/// Of starts in a minute, as many as there are.
const UNLIMITED: u32 = u32::MAX;
const UNLIMITED_WORD: &str = "unlimited";

/// All limits of an account. As arguments, those that are named.
#[derive(Clone, Copy, PartialEq, Eq, Default, clap::Args, Serialize, Deserialize)]
pub struct Limits {
    /// The budget of a UTC day, in core seconds.
    #[arg(long)]
    cpu_seconds: Option<u64>,

    /// Jobs that are admitted and not ended.
    #[arg(long)]
    queued_jobs: Option<u32>,

    /// Attempts at a time.
    #[arg(long)]
    running_jobs: Option<u32>,

    /// Cores in the largest request of one job.
    #[arg(long)]
    cpu: Option<u32>,

    /// MiB in the largest request of one job.
    #[arg(long)]
    mem_mb: Option<u32>,

    /// Jobs that are kept as drafts.
    #[arg(long)]
    drafts: Option<u32>,

    /// Attempts that begin in a minute, or `unlimited`.
    #[arg(long, value_parser = starts)]
    starts_per_minute: Option<u32>,
}

impl Limits {
    /// By their names.
    pub fn named(&self) -> [(&'static str, Option<u64>); 7] {
        let Self { queued_jobs, running_jobs, cpu, mem_mb, drafts, starts_per_minute, .. } = *self;
        [
            ("cpu_seconds", self.cpu_seconds),
            ("queued_jobs", queued_jobs.map(u64::from)),
            ("running_jobs", running_jobs.map(u64::from)),
            ("cpu", cpu.map(u64::from)),
            ("mem_mb", mem_mb.map(u64::from)),
            ("drafts", drafts.map(u64::from)),
            ("starts_per_minute", starts_per_minute.map(u64::from)),
        ]
    }

    /// Whether none is left out.
    pub fn are_complete(&self) -> bool {
        self.named().iter().all(|(_, limit)| limit.is_some())
    }

    /// These, and of `others` those that are left out here.
    pub fn or(self, others: Self) -> Self {
        Self {
            cpu_seconds: self.cpu_seconds.or(others.cpu_seconds),
            queued_jobs: self.queued_jobs.or(others.queued_jobs),
            running_jobs: self.running_jobs.or(others.running_jobs),
            cpu: self.cpu.or(others.cpu),
            mem_mb: self.mem_mb.or(others.mem_mb),
            drafts: self.drafts.or(others.drafts),
            starts_per_minute: self.starts_per_minute.or(others.starts_per_minute),
        }
    }
}

/// The limit of this name, for people.
pub fn words(name: &str, limit: i128) -> String {
    match name {
        "starts_per_minute" if limit == UNLIMITED.into() => UNLIMITED_WORD.to_owned(),
        _ => limit.to_string(),
    }
}

fn starts(text: &str) -> Result<u32, ParseIntError> {
    if text == UNLIMITED_WORD { Ok(UNLIMITED) } else { text.parse() }
}
