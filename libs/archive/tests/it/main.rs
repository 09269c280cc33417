//! Segments in a folder, and the joined log against a real nats-server.

mod joined;
mod segments;
mod support;
