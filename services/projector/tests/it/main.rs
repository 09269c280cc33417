//! The projector between a real broker and a real Postgres.

mod follows;
mod stops;
mod system;
