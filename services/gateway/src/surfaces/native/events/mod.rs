//! Events: a job's entries as they were written, and what happens as it happens, as server-sent events or NDJSON.

mod asked;
mod live;
mod of_all;
mod of_job;

use crate::endpoint::Endpoint;

pub fn endpoints() -> Vec<Endpoint> {
    vec![of_job::endpoint(), of_all::endpoint()]
}
