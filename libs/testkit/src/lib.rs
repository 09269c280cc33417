//! What tests the whole: nothing depends on this crate.
//!
//! | module | what it holds |
//! |---|---|
//! | [`sim`] | the real decider and protocol machines on a broker that misbehaves, by seed |
//! | [`system`] | every service as a process of its own, and a checker of what comes of it |

pub mod sim;
pub mod system;
