//! The servers for real, the search for them, and the rules the workspace keeps.

mod hygiene;
mod nats;
mod orphan;
mod postgres;
mod tools;
