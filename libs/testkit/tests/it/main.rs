//! The whole: simulated by seed, and as processes against real servers.

mod simulation;
mod system;
