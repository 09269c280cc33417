//! The gateway over HTTP, on a real broker and a real database. In the scheduler's and projector's
//! stead stands a scheduler that does what the test tells it to.

mod artifacts;
mod asker;
mod barrier;
mod batches;
mod command_jobs;
mod conflicts;
mod counts;
mod crowd;
mod dry_run;
mod engine_jobs;
mod hostile;
mod jobs;
mod late;
mod lists;
mod logs;
mod many;
mod metrics;
mod outages;
mod pages;
mod places;
mod proxy;
mod published_keys;
mod quotas;
mod rate;
mod registry;
mod related;
mod repeats;
mod rights;
mod strict;
mod stub_scheduler;
mod submits;
mod system;
mod uploads;
