//! Jobs, modules, quotas and the rest in Nox's own words: one file an address.

mod acts;
pub mod artifacts;
mod as_of;
mod audit;
mod batch;
mod body;
mod cancel;
mod counts;
mod download;
mod events;
mod filter;
mod get;
pub mod health;
mod info;
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
mod related;
mod request;
mod retry;
mod schedules;
mod stats;
mod status;
mod stream;
pub mod submit;
mod submit_draft;
mod system;
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
        counts::endpoint(),
        stats::endpoint(),
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
        related::endpoint(),
        acts::endpoint(),
        queue::endpoint(),
        artifacts::endpoint(),
        audit::endpoint(),
        download::endpoint(),
        uploads::endpoint(),
        me::endpoint(),
        info::endpoint(),
        system::endpoint(),
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
