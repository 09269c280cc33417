//! What tests the whole: nothing depends on this crate.
//!
//! | module | what it holds |
//! |---|---|
//! | [`sim`] | the real decider and protocol machines on a broker that misbehaves, by seed |

pub mod sim;
