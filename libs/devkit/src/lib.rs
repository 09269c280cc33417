//! Finds, starts and stops the servers Nox stands on, nats-server and Postgres, for `noxctl dev` and
//! for tests.
//!
//! They keep their data in the folder they are given, can be reached from this machine alone, and end
//! with the process that started them.

mod nats;
mod ports;
mod postgres;
mod process;
mod program;
pub mod tools;
mod turns;

pub use nats::{NatsConfig, NatsOptions, NatsServer, Sync};
pub use ports::free_port;
pub use postgres::{Postgres, PostgresOptions};
pub use program::Program;
pub use turns::Turns;
