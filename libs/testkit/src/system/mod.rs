//! The whole system as separate processes, what clients hear from it, and whether that was right.
//!
//! | file | what it holds |
//! |---|---|
//! | [`cluster`] | starts servers and services, kills, freezes and restarts them |
//! | [`service`] | one service process |
//! | [`client`] | tokens and HTTP |
//! | [`modules`] | the modules that test jobs run, and the ground truth of what ran |
//! | [`recorder`] | what clients asked for and heard |
//! | [`gather`] | waits for the end, and collects what is to be judged |
//! | [`checker`] | judges it, together with the log and the rows |
//! | [`cuttable`] | a way to the broker that can be cut |
//! | [`wiretap`] | what services tell each other in passing |

pub mod checker;
pub mod client;
pub mod cluster;
pub mod cuttable;
pub mod gather;
pub mod modules;
pub mod recorder;
pub mod service;
pub mod wiretap;
