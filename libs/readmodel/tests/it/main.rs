//! The read model on a real Postgres.

mod cost;
mod crash;
mod fill;
mod frames;
mod history;
mod log;
mod pages;
mod parked;
mod poolers;
mod races;
mod rebuild;
mod support;
