//! The projector between a real broker and a real Postgres.

mod follows;
mod refusals;
mod stops;
mod system;
