//! Against a real nats-server, one for each test.

mod answers;
mod cluster;
mod connect;
mod consume;
mod declare;
mod facts;
mod lease;
mod logs;
mod permissions;
mod publish;
mod retention;
mod snapshots;
mod support;
mod throughput;
