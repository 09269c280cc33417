//! The read model on a real Postgres.

mod accounts;
mod cost;
mod crash;
mod expired;
mod fill;
mod frames;
mod history;
mod layouts;
mod lists;
mod log;
mod newer;
mod outbox;
mod pages;
mod parked;
mod past;
mod poolers;
mod races;
mod rebuild;
mod repeated;
mod scratch;
mod support;
mod tally;
