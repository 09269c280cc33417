//! Jobs, modules, quotas and the rest in Nox's own words: one file an address.

pub mod artifacts;
mod as_of;
mod audit;
mod batch;
mod body;
mod cancel;
mod download;
mod events;
mod filter;
mod get;
pub mod health;
mod keys;
mod kind;
mod list;
mod logs;
mod many;
mod me;
mod modules;
mod openapi;
mod problems;
mod queue;
mod quotas;
mod request;
mod retry;
mod schedules;
mod status;
mod stream;
pub mod submit;
mod submit_draft;
mod uploads;
mod view;
mod webhooks;
mod why;
mod workers;

use crate::endpoint::Endpoint;

/// Everything that is served in Nox's own words.
pub fn endpoints() -> Vec<Endpoint> {
    let mut endpoints = vec![
        list::endpoint(),
        submit::endpoint(),
        batch::endpoint(),
        get::endpoint(),
        cancel::endpoint(),
        retry::endpoint(),
        submit_draft::endpoint(),
        logs::endpoint(),
        status::endpoint(),
        stream::endpoint(),
        why::endpoint(),
        queue::endpoint(),
        artifacts::endpoint(),
        audit::endpoint(),
        download::endpoint(),
        uploads::endpoint(),
        me::endpoint(),
        problems::endpoint(),
    ];
    endpoints.extend(many::endpoints());
    endpoints.extend(events::endpoints());
    endpoints.extend(modules::endpoints());
    endpoints.extend(quotas::endpoints());
    endpoints.extend(workers::endpoints());
    endpoints.extend(keys::endpoints());
    endpoints.extend(schedules::endpoints());
    endpoints.extend(webhooks::endpoints());
    endpoints.extend(health::endpoints());
    endpoints.extend(openapi::endpoints());
    endpoints
}
