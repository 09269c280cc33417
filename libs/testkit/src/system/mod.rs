//! The whole system as separate processes, what clients hear from it, and whether that was right.
//!
//! | file | what it holds |
//! |---|---|
//! | [`cluster`] | starts servers and services, kills, freezes and restarts them |
//! | [`service`] | one service process |
//! | [`client`] | tokens and HTTP |
//! | [`modules`] | the modules that test jobs run, and the ground truth of what ran |
//! | [`recorder`] | what clients asked for and heard |
//! | [`checker`] | judges all of that together with the log and the rows |
//! | [`gather`] | collects what the checker judges |

pub mod checker;
pub mod client;
pub mod cluster;
pub mod gather;
pub mod modules;
pub mod recorder;
pub mod service;
