//! API keys: made, listed and revoked by people, never by keys.

use nox_contract::{
    Accepted, ApiKey, Command, CreateKey, KeyId, ProblemCode, RevokeKey, Timestamp, UserId,
};
use nox_readmodel::query::KeyRow;

use super::decided::decided;
use crate::{
    app::App,
    endpoint::Scope,
    identity::{
        auth::{ADMIN, Caller, USER},
        keys::Shown,
    },
    problem::{ApiError, FieldError},
    read::required::Required,
};

/// Longest name of a key and of a service, in bytes.
const NAME_BYTES_MAX: usize = 128;

/// A key as its maker wants it.
pub struct Wanted {
    pub name: String,
    /// The maker's if absent.
    pub role: Option<String>,
    /// The maker's if there are none.
    pub scopes: Vec<String>,
    pub expires_at: Option<Timestamp>,
    /// It acts as `service:<name>` and not as its maker; for admins.
    pub service: Option<String>,
}

/// Makes a key that can do no more than its maker. Its text is told this once.
pub async fn create(
    app: &App,
    caller: &Caller,
    wanted: Wanted,
) -> Result<(ApiKey, Shown, Option<Accepted>), ApiError> {
    refuse_keys(caller)?;
    let key = checked(caller, wanted, app.runtime.clock.wall())?;
    let shown = Shown::new();
    let key = ApiKey { hash: shown.hash.clone(), ..key };
    let create = CreateKey { key_id: shown.id, key: key.clone(), by: caller.user.clone() };
    let accepted = decided(app, &caller.tenant, &Command::CreateKey(Box::new(create))).await?;
    Ok((key, shown, accepted))
}

fn checked(caller: &Caller, wanted: Wanted, now: Timestamp) -> Result<ApiKey, ApiError> {
    let Wanted { name, role, scopes, expires_at, service } = wanted;
    let mut errors = Vec::new();
    let mut wrong = |pointer: &str, detail: String| errors.push(FieldError::new(pointer, detail));
    let is_name =
        |text: &str| (1..=NAME_BYTES_MAX).contains(&text.len()) && !text.contains(char::is_control);
    let rule = || format!("must have 1 to {NAME_BYTES_MAX} bytes, without control characters");
    if !is_name(&name) {
        wrong("/name", rule());
    }
    let role = role.unwrap_or_else(|| caller.role().to_owned());
    if role != USER && !(role == ADMIN && caller.admin) {
        wrong("/role", "must be user or admin, and not more than its maker's".to_owned());
    }
    let known = [Scope::Read, Scope::Write].map(Scope::as_str);
    let may = |scope: &String| {
        known.contains(&scope.as_str())
            && (caller.scopes.is_empty() || caller.scopes.contains(scope))
    };
    if !scopes.iter().all(may) {
        let detail = format!("must be of {}, and not more than its maker's", known.join(", "));
        wrong("/scopes", detail);
    }
    if expires_at.is_some_and(|at| at <= now) {
        wrong("/expires_at", "is over already".to_owned());
    }
    let user_id = match &service {
        None => Ok(caller.user.clone()),
        Some(service) if caller.admin && is_name(service) => {
            UserId::new(format!("service:{service}")).map_err(|error| error.to_string())
        }
        Some(_) if caller.admin => Err(rule()),
        Some(_) => Err("needs the role admin".to_owned()),
    };
    let user_id = user_id.unwrap_or_else(|detail| {
        wrong("/service", detail);
        caller.user.clone()
    });
    if !errors.is_empty() {
        return Err(ApiError::invalid(errors));
    }
    // A key of somebody who is narrowed down is so as well.
    let narrowed = caller.scopes.iter().filter(|scope| known.contains(&scope.as_str()));
    let scopes = if scopes.is_empty() { narrowed.cloned().collect() } else { scopes };
    let scopes = scopes.into_iter().collect();
    Ok(ApiKey { name, user_id, role, scopes, expires_at, hash: String::new() })
}

/// Keys that the caller made; for admins, all of the tenant.
pub async fn list(
    app: &App,
    caller: &Caller,
    after: Option<KeyId>,
    limit: usize,
) -> Result<Vec<KeyRow>, ApiError> {
    refuse_keys(caller)?;
    let by = (!caller.admin).then_some(&caller.user);
    let read = || app.reader.keys(&caller.tenant, by, after, limit);
    Ok(app.barrier.read(&Required::default(), read).await?.value)
}

/// The key is worth nothing any more, within seconds everywhere; `None` while nobody has decided.
pub async fn revoke(
    app: &App,
    caller: &Caller,
    key_id: KeyId,
) -> Result<Option<Accepted>, ApiError> {
    refuse_keys(caller)?;
    let revoke = RevokeKey { key_id, by: caller.user.clone(), admin: caller.admin };
    decided(app, &caller.tenant, &Command::RevokeKey(revoke)).await
}

/// A key that leaked must not be able to outlive itself.
fn refuse_keys(caller: &Caller) -> Result<(), ApiError> {
    if caller.key_id.is_none() {
        return Ok(());
    }
    Err(ApiError::new(ProblemCode::Forbidden, "an API key cannot look after API keys"))
}
