//! The whole: simulated by seed, and as processes against real servers.

mod mixed;
mod replayed;
mod simulation;
mod system;
