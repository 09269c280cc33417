//! The rules of the decider, one scenario each.

mod blame;
mod cancel;
mod concurrency;
mod departures;
mod dependencies;
mod drafts;
mod endings;
mod extremes;
mod ledger;
mod matching;
mod modules;
mod quota;
mod raising;
mod rates;
mod reasons;
mod sessions;
mod submit;
mod tasks;
mod timers;
mod tokens;
mod turns;
