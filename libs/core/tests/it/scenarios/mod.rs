//! The rules of the decider, one scenario each.

mod blame;
mod cancel;
mod departures;
mod dependencies;
mod endings;
mod extremes;
mod ledger;
mod matching;
mod modules;
mod quota;
mod raising;
mod reasons;
mod sessions;
mod submit;
mod tasks;
mod timers;
mod tokens;
