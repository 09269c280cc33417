//! The simulation: the real decider and the real protocol machines in a world that misbehaves.
//!
//! A seed is a run. There is no clock, no thread and no chance beside the seed, so a run can be
//! repeated to the last step (`cargo run -p nox-testkit --bin sim -- --seed N`).
//!
//! | file | what it holds |
//! |---|---|
//! | `world` | the parts together, the blows they take, and the phases of a run |
//! | `wire` | time, chance, the network, and what is still to happen |
//! | [`faults`] | what goes wrong in a run, and which bug is planted |
//! | `archive` | what leaders keep of the log, and cut off its stream |
//! | `broker` | streams, guards, restarts |
//! | `scheduler`, `term` | processes that drive the real takeover and leader |
//! | `executor` | processes that drive the real session |
//! | `probes` | whether executors still listen, as leaders ask |
//! | `projector` | the real reader, and a checkpoint that moves by compare-and-set |
//! | `client` | users, gateways and a forger |
//! | `recurring` | schedules and API keys of users |
//! | `invariants` | what must hold, at every step and in the end |
//! | [`kept`] | the streams that a run leaves behind |

mod archive;
mod broker;
mod client;
mod executor;
pub mod faults;
mod invariants;
pub mod kept;
mod probes;
mod projector;
mod recurring;
mod scheduler;
mod term;
mod wire;
mod world;

pub use faults::{Bug, Disaster};
pub use invariants::{Stats, TOKEN_KEY};
pub use kept::Kept;

/// Steps of a run before its quiet phase, unless asked otherwise.
pub const STEPS: u64 = 3_000;

/// Which run.
#[derive(Debug, Clone)]
pub struct Options {
    pub seed: u64,
    /// Steps before the faults end and everything has to settle.
    pub steps: u64,
    pub bug: Option<Bug>,
    /// This disaster instead of one by chance.
    pub disaster: Option<Disaster>,
    /// Prints every step.
    pub print: bool,
}

impl Options {
    pub fn seed(seed: u64) -> Self {
        Self { seed, steps: STEPS, bug: None, disaster: None, print: false }
    }
}

/// What became of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub seed: u64,
    /// Steps done, the quiet phase included.
    pub steps: u64,
    /// Hash of every step.
    pub trace: String,
    /// What goes wrong in this run.
    pub plan: String,
    /// What did not hold, and at which step.
    pub violation: Option<String>,
    pub stats: Stats,
}

/// Does one run.
pub fn run(options: &Options) -> Outcome {
    go(options).1
}

/// Does one run, and returns the streams that it leaves behind as well; none of a world that lost some of them.
pub fn run_and_keep(options: &Options) -> (Outcome, Vec<Kept>) {
    let (world, outcome) = go(options);
    (outcome, world.kept())
}

fn go(options: &Options) -> (world::World, Outcome) {
    let mut world = world::World::new(options);
    // A panic of the code under test is a finding like any other.
    let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.run()));
    let panicked = ran.err().map(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        format!("panic: {}", text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("?"))
    });
    let outcome = world.outcome(panicked);
    (world, outcome)
}
