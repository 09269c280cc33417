//! `noxctl` as its users have it: the program itself, against a system that it has started.

mod commands;
mod demo;
mod dev;
mod lifecycle;
mod program;
mod steps;
