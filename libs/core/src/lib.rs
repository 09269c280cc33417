//! The decider and its fold: what Nox does with jobs, and nothing about how that is stored.
//!
//! [`decide`] looks at the [`State`] and an input and says which facts follow; it cannot mutate.
//! [`State::apply`] is the only way that state changes. No clock, randomness, async, I/O or
//! unordered map: live running, takeover, replay, simulation and tests all use this one fold.
//!
//! | file | what it holds |
//! |---|---|
//! | [`job`] | the table of legal transitions of a job |
//! | [`state`] | everything that decisions rest on |
//! | [`ended`] | which jobs ended, so that no submit runs twice |
//! | `apply` | how a fact changes it |
//! | `check` | what must hold of it, whatever happened |
//! | [`ledger`] | budgets: free + reserved + used = granted |
//! | [`queue`] | who waits |
//! | [`turn`] | who is next |
//! | [`share`] | what users hold and have used, so that they take turns |
//! | [`pace`] | rate limits of starts |
//! | [`concurrency`] | how many of a key run |
//! | [`worker`] | who runs what |
//! | [`versions`] | the manifests of a module |
//! | [`registrations`] | the versions of a module that admins registered |
//! | [`parking`] | what is set aside because a fact of it is not known |
//! | [`topics`] | what workers claim tasks of |
//! | [`api_keys`] | API keys: who made which |
//! | [`schedules`] | what is submitted again and again |
//! | [`webhooks`] | where events are sent |
//! | [`decide`] | one file for each thing that can be asked or told |

pub mod admission;
pub mod api_keys;
mod apply;
mod check;
pub mod concurrency;
pub mod decide;
pub mod ended;
pub mod job;
pub mod ledger;
pub mod pace;
pub mod parking;
pub mod queue;
pub mod registrations;
pub mod schedules;
pub mod share;
pub mod state;
pub mod topics;
pub mod turn;
pub mod versions;
pub mod webhooks;
pub mod worker;

pub use apply::ApplyError;
pub use decide::{Decision, Draft, Faults, Internal, Rules};
pub use state::State;

/// The version of the deciding rules, written into every event.
pub const RULES_VERSION: u32 = 1;
