//! Webhooks: where events are sent.

use base64::{Engine, prelude::BASE64_STANDARD};
use nox_contract::{
    Accepted, Command, DeleteWebhook, DeliveryId, EventFilter, LabelWord, ProblemCode,
    RedeliverWebhook, RotateWebhook, SetWebhook, TestWebhook, Timestamp, WebhookId, WebhookKey,
    WebhookSecret, WebhookSpec,
    webhook::{OVERLAP_S, OVERLAP_S_MAX},
};
use nox_egress::{Rules, Target};
use nox_readmodel::query::{DeliveryRow, EndpointRow, QueryError, WebhookRow};
use nox_service::{Secret, ids};

use super::decided::decided;
use crate::{
    app::App,
    identity::auth::Caller,
    problem::{ApiError, FieldError},
    read::{barrier::Sources, required::Required},
};

/// Longest description, in bytes.
const DESCRIPTION_BYTES_MAX: usize = 256;
/// Most words of one list of a filter.
const WORDS_MAX: usize = 20;
/// How every secret begins, by Standard Webhooks.
const SECRET_PREFIX: &str = "whsec_";

/// A webhook as its owner wants it.
pub struct Wanted {
    pub url: String,
    pub description: String,
    pub filter: EventFilter,
    pub of_tenant: bool,
    pub enabled: bool,
}

/// What became of a change.
pub struct Changed {
    pub id: WebhookId,
    /// `None` while nobody has decided.
    pub accepted: Option<Accepted>,
}

/// A secret that its owner is told.
pub struct Told {
    pub changed: Changed,
    pub secret: Secret,
    pub rotation: u32,
}

/// Makes a webhook. Its secret is told this once.
pub async fn create(app: &App, caller: &Caller, wanted: Wanted) -> Result<Told, ApiError> {
    let key = key(app)?;
    let id = WebhookId(ids::unique());
    let changed = set(app, caller, (id, true), wanted).await?;
    Ok(Told { changed, secret: secret(key, caller, id, 0), rotation: 0 })
}

/// Replaces the webhook of this id.
pub async fn replace(
    app: &App,
    caller: &Caller,
    id: WebhookId,
    wanted: Wanted,
) -> Result<Changed, ApiError> {
    find(app, caller, id).await?;
    set(app, caller, (id, false), wanted).await
}

async fn set(
    app: &App,
    caller: &Caller,
    (webhook_id, new): (WebhookId, bool),
    wanted: Wanted,
) -> Result<Changed, ApiError> {
    if wanted.of_tenant {
        caller.require_admin()?;
    }
    let spec = wanted.checked(&app.webhooks.rules)?;
    let (by, key_id, admin) = (caller.user.clone(), caller.key_id, caller.admin);
    let set = SetWebhook { webhook_id, new, spec, by, key_id, admin };
    changed(app, caller, webhook_id, Command::SetWebhook(Box::new(set))).await
}

impl Wanted {
    fn checked(self, rules: &Rules) -> Result<WebhookSpec, ApiError> {
        let Self { url, description, filter, of_tenant, enabled } = self;
        let mut errors = Vec::new();
        let mut wrong =
            |pointer: &str, detail: String| errors.push(FieldError::new(pointer, detail));
        if let Err(error) = Target::parse(&url, rules) {
            wrong("/url", error.to_string());
        }
        if description.len() > DESCRIPTION_BYTES_MAX || description.contains(char::is_control) {
            let rule = "bytes, without control characters";
            wrong("/description", format!("must have at most {DESCRIPTION_BYTES_MAX} {rule}"));
        }
        if filter.longest() > WORDS_MAX {
            wrong("/filter", format!("has at most {WORDS_MAX} words in each list"));
        }
        let is_long = |word: &LabelWord| word.to_string().len() > DESCRIPTION_BYTES_MAX;
        if filter.label.iter().chain(&filter.not_label).any(is_long) {
            wrong("/filter", "has a label that no job can have".to_owned());
        }
        if errors.is_empty() {
            Ok(WebhookSpec { url, description, filter, of_tenant, enabled })
        } else {
            Err(ApiError::invalid(errors))
        }
    }
}

/// A webhook that the caller may see.
pub async fn find(app: &App, caller: &Caller, id: WebhookId) -> Result<WebhookRow, ApiError> {
    let read = || async move {
        let found = app.reader.webhook(&caller.tenant, id).await?;
        Ok(found.map(|row| {
            row.filter(|(_, webhook)| caller.sees_jobs_of(&webhook.tenant, &webhook.owner))
        }))
    };
    let found = app.barrier.find(Required::default(), Sources::Commands, read).await?;
    found.value.ok_or_else(no_such_webhook)
}

/// Webhooks that the caller may see; for admins, all of the tenant.
pub async fn list(
    app: &App,
    caller: &Caller,
    after: Option<WebhookId>,
    limit: usize,
) -> Result<Vec<WebhookRow>, ApiError> {
    let user = (!caller.admin).then_some(&caller.user);
    let read = || app.reader.webhooks(&caller.tenant, user, after, limit);
    Ok(app.barrier.read(&Required::default(), read).await?.value)
}

/// How the endpoint of a webhook is, as far as the notifier has said.
pub async fn endpoint(app: &App, id: WebhookId) -> Option<EndpointRow> {
    // Whoever looks at a webhook need not wait for a notifier that was never there.
    app.reader.endpoint(id).await.ok()?.value
}

/// The webhook signs with another secret from now on, and for some seconds with the one before as well.
pub async fn rotate(
    app: &App,
    caller: &Caller,
    id: WebhookId,
    overlap_s: Option<u32>,
) -> Result<Told, ApiError> {
    let key = key(app)?;
    let overlap_s = overlap_s.unwrap_or(OVERLAP_S);
    if overlap_s > OVERLAP_S_MAX {
        let detail = format!("must be from 0 to {OVERLAP_S_MAX}");
        return Err(ApiError::invalid(vec![FieldError::new("/overlap_s", detail)]));
    }
    let (_, webhook) = find(app, caller, id).await?;
    let rotation = webhook.rotation.saturating_add(1);
    let (by, admin) = (caller.user.clone(), caller.admin);
    let rotate = RotateWebhook { webhook_id: id, rotation, overlap_s, by, admin };
    let changed = changed(app, caller, id, Command::RotateWebhook(rotate)).await?;
    Ok(Told { changed, secret: secret(key, caller, id, rotation), rotation })
}

/// An event that says so is sent; under this id.
pub async fn test(
    app: &App,
    caller: &Caller,
    webhook_id: WebhookId,
) -> Result<(DeliveryId, Changed), ApiError> {
    let delivery_id = DeliveryId(ids::unique());
    let (by, admin) = (caller.user.clone(), caller.admin);
    let test = TestWebhook { webhook_id, delivery_id, by, admin };
    Ok((delivery_id, changed(app, caller, webhook_id, Command::TestWebhook(test)).await?))
}

/// A delivery is sent once more, as it was.
pub async fn redeliver(
    app: &App,
    caller: &Caller,
    webhook_id: WebhookId,
    delivery_id: DeliveryId,
) -> Result<Changed, ApiError> {
    find(app, caller, webhook_id).await?;
    if !app.reader.has_delivery(webhook_id, delivery_id).await.map_err(away)?.value {
        return Err(no_such_delivery());
    }
    let (by, admin) = (caller.user.clone(), caller.admin);
    let again = RedeliverWebhook { webhook_id, delivery_id, by, admin };
    changed(app, caller, webhook_id, Command::RedeliverWebhook(again)).await
}

/// Deliveries of a webhook, the newest first.
pub async fn deliveries(
    app: &App,
    caller: &Caller,
    id: WebhookId,
    before: Option<i64>,
    limit: usize,
) -> Result<Vec<DeliveryRow>, ApiError> {
    find(app, caller, id).await?;
    Ok(app.reader.deliveries(id, before, limit).await.map_err(away)?.value)
}

/// Nothing is sent any more, and what waited is forgotten.
pub async fn delete(app: &App, caller: &Caller, id: WebhookId) -> Result<Changed, ApiError> {
    let (by, admin) = (caller.user.clone(), caller.admin);
    let delete = DeleteWebhook { webhook_id: id, by, admin };
    changed(app, caller, id, Command::DeleteWebhook(delete)).await
}

async fn changed(
    app: &App,
    caller: &Caller,
    id: WebhookId,
    command: Command,
) -> Result<Changed, ApiError> {
    let accepted = decided(app, &caller.tenant, &command).await?;
    Ok(Changed { id, accepted })
}

fn key(app: &App) -> Result<&WebhookKey, ApiError> {
    let none = || ApiError::new(ProblemCode::Unavailable, "this gateway has no key for webhooks");
    app.webhooks.key.as_ref().ok_or_else(none)
}

fn secret(key: &WebhookKey, caller: &Caller, id: WebhookId, rotation: u32) -> Secret {
    let secret = WebhookSecret::compute(key, &caller.tenant, id, rotation);
    Secret::new(format!("{SECRET_PREFIX}{}", BASE64_STANDARD.encode(secret.as_bytes())))
}

/// Until when the secret of before signs as well, if it does at `now`.
pub fn previous_until(until: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    until.filter(|until| *until > now)
}

fn away(error: QueryError) -> ApiError {
    match error {
        QueryError::Broken(_) => ApiError::internal(error),
        QueryError::Unavailable(_) => {
            let detail = "what webhooks have sent cannot be looked up now";
            ApiError::new(ProblemCode::Unavailable, detail).caused_by(error)
        }
    }
}

pub fn no_such_webhook() -> ApiError {
    ApiError::new(ProblemCode::WebhookNotFound, "there is no such webhook of yours")
}

pub fn no_such_delivery() -> ApiError {
    ApiError::new(ProblemCode::DeliveryNotFound, "there is no such delivery of this webhook")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointers(url: &str, description: &str, filter: &str) -> Vec<String> {
        let (url, description) = (url.to_owned(), description.to_owned());
        let filter = serde_json::from_str(filter).unwrap();
        let wanted = Wanted { url, description, filter, of_tenant: false, enabled: true };
        match wanted.checked(&Rules::default()) {
            Ok(_) => Vec::new(),
            Err(error) => error.errors().iter().map(|error| error.pointer.clone()).collect(),
        }
    }

    #[test]
    fn all_that_is_wrong_is_named_at_once() {
        let none: [&str; 0] = [];
        assert_eq!(pointers("https://hooks.example.org/a?b", "", r#"{"type":["job"]}"#), none);
        let many = format!(r#"{{"label":[{}"a"]}}"#, r#""a","#.repeat(20));
        assert_eq!(pointers("https://127.1/", "a\n", &many), ["/url", "/description", "/filter"]);
        for url in ["http://hooks.example.org/", "https://a:b@hooks.example.org/", "https://[::1]/"]
        {
            assert_eq!(pointers(url, "", "{}"), ["/url"], "{url}");
        }
    }
}
