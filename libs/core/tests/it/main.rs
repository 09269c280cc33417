//! The decider and its fold: scenarios, the table of transitions, and what holds for every history.

mod history;
mod log;
mod looks;
mod oracle;
mod scenarios;
mod transitions;
mod watch;
mod world;
