//! `GET /info`: which system this is, for everybody, so that it can be told before anybody signs in.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};
use nox_contract::INPUTS_BYTES_MAX;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    app::App,
    endpoint::{Access, Answer, ETAG, Endpoint, IF_NONE_MATCH, Method},
    extract,
    http::etag,
    problem::ApiError,
};

/// Which system this is.
#[derive(Serialize, JsonSchema)]
struct Info {
    /// What its operator calls it, and in which colour (`#` and six hex digits).
    name: Option<String>,
    color: Option<String>,
    version: &'static str,
    features: Features,
    limits: InfoLimits,
}

/// What may be there or not. Modules can be registered, and who did what be asked, on every system.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "InfoFeatures")]
struct Features {
    /// The log is told of for good, and not as far as its stream goes.
    archive: bool,
    /// Events are sent to endpoints.
    webhooks: bool,
    /// Somebody may run raw commands.
    commands: bool,
    /// Requests of one user are limited.
    rate_limits: bool,
}

#[derive(Serialize, JsonSchema)]
struct InfoLimits {
    inputs_bytes_max: usize,
    upload_bytes_max: u64,
    upload_quota_bytes: u64,
}

pub fn endpoint() -> Endpoint {
    let (id, summary) = ("get_info", "Which system this is, and what it can do.");
    Endpoint::new(Method::Get, "/info", Access::ANYONE, (id, summary), info)
        .headers([IF_NONE_MATCH])
        .answer(Answer::json::<Info>(200, summary).headers([ETAG]))
        .answer(Answer::empty(304, "It is as the asker has it.").headers([ETAG]))
}

async fn info(
    State(app): State<Arc<App>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    extract::nothing(&uri)?;
    let info = Info {
        name: app.instance.name.as_ref().map(ToString::to_string),
        color: app.instance.color.as_ref().map(ToString::to_string),
        version: env!("CARGO_PKG_VERSION"),
        features: Features {
            archive: app.bulk.has_archive(),
            webhooks: app.webhooks.key.is_some(),
            commands: !app.command_roles.is_empty(),
            rate_limits: app.rates.is_some(),
        },
        limits: InfoLimits {
            inputs_bytes_max: INPUTS_BYTES_MAX,
            upload_bytes_max: app.uploads.limits.bytes_max,
            upload_quota_bytes: app.uploads.limits.quota_bytes,
        },
    };
    etag::json(&headers, &info)
}
