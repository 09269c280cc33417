//! `/webhooks`: where events are sent.

mod body;
mod change;
mod changed;
mod create;
mod deliveries;
mod get;
mod list;
mod redeliver;
mod replace;
mod rotate;
mod view;

use nox_contract::WebhookId;

use crate::{endpoint::Endpoint, problem::ApiError, use_cases::webhooks};

/// All of them.
const ALL: &str = "/webhooks";
/// One of them.
const ONE: &str = "/webhooks/{id}";

pub fn endpoints() -> Vec<Endpoint> {
    let mut endpoints = vec![
        create::endpoint(),
        list::endpoint(),
        get::endpoint(),
        replace::endpoint(),
        rotate::endpoint(),
        deliveries::endpoint(),
        redeliver::endpoint(),
    ];
    endpoints.extend(change::endpoints());
    endpoints
}

/// What no webhook has for its id, none has.
fn webhook_id(text: &str) -> Result<WebhookId, ApiError> {
    text.parse().map_err(|_| webhooks::no_such_webhook())
}
