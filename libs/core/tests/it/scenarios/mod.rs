//! The rules of the decider, one scenario each.

mod blame;
mod cancel;
mod concurrency;
mod departures;
mod dependencies;
mod drafts;
mod drain;
mod endings;
mod extremes;
mod keys;
mod ledger;
mod limits;
mod matching;
mod modules;
mod quota;
mod raising;
mod rates;
mod reasons;
mod schedule_keys;
mod schedules;
mod sessions;
mod submit;
mod tasks;
mod timers;
mod tokens;
mod turns;
