//! Who asks, and what that lets them do.

use axum::http::{HeaderMap, Method, header};
use nox_contract::{KeyId, ProblemCode, TenantId, Timestamp, UserId, asker::TOKEN_ID_CHARS_MAX};
use nox_readmodel::JobRow;

use crate::{
    identity::{
        jwt::{Identity, TokenError, Verifier},
        keys::{self, Keys},
        token_rule::Rule,
    },
    problem::ApiError,
};

pub const USER: &str = "user";
pub const ADMIN: &str = "admin";

/// Scopes that narrow a token down. A token that names neither is not narrowed: `scope` is also
/// where issuers put words that mean nothing here.
const SCOPE_READ: &str = "compute:read";
const SCOPE_WRITE: &str = "compute:write";

/// An authenticated asker with a role that may use this API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    pub tenant: TenantId,
    pub user: UserId,
    /// Sees and stops all jobs of the tenant.
    pub admin: bool,
    /// The API key that it showed, and no token of a person.
    pub key_id: Option<KeyId>,
    /// What its issuer calls the token (`jti`), if anything; cut at [`TOKEN_ID_CHARS_MAX`].
    pub token_id: Option<String>,
    /// What narrows it down; empty if nothing does.
    pub scopes: Vec<String>,
    /// When what it showed runs out; `None` of a key that does not.
    pub expires_at: Option<Timestamp>,
}

impl Caller {
    /// The role that the asker's limits come from.
    pub fn role(&self) -> &'static str {
        if self.admin { ADMIN } else { USER }
    }

    /// Whether the asker may see a job of its tenant.
    pub fn sees(&self, job: &JobRow) -> bool {
        self.sees_jobs_of(&job.tenant, &job.user_id)
    }

    pub fn sees_jobs_of(&self, tenant: &TenantId, user: &UserId) -> bool {
        *tenant == self.tenant && (self.admin || *user == self.user)
    }

    /// What concerns all of a tenant is its admins' to change.
    pub fn require_admin(&self) -> Result<(), ApiError> {
        if self.admin {
            return Ok(());
        }
        Err(ApiError::new(ProblemCode::Forbidden, "this needs the role admin"))
    }

    /// Whether what it showed is good for requests that need a scope.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes.is_empty() || self.scopes.iter().any(|of| of == scope)
    }

    /// Modules serve every tenant, so only the operator's own tenant may switch them.
    pub fn require_operator(&self) -> Result<(), ApiError> {
        if self.admin && self.tenant.as_str() == TenantId::DEFAULT {
            return Ok(());
        }
        let detail = "this needs the role admin in the tenant default";
        Err(ApiError::new(ProblemCode::Forbidden, detail))
    }
}

/// Finds out who asks, and whether anything is open to them.
pub async fn authenticate(
    (verifier, keys): (&Verifier, Option<&Keys>),
    now: Timestamp,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Caller, ApiError> {
    let token = bearer(headers).map_err(unauthenticated)?;
    let key = keys.filter(|_| token.starts_with(keys::PREFIX));
    let (key_id, identity) = match key {
        Some(keys) => {
            let (id, identity) = keys.identify(token, now).await?;
            (Some(id), identity)
        }
        None => (None, verifier.verify(token, now).await.map_err(unauthenticated)?),
    };
    let Identity { tenant, user, token_id, roles, is_admin, scopes, expires_at } = identity;
    let plain =
        |id: String| id.chars().filter(|c| !c.is_control()).take(TOKEN_ID_CHARS_MAX).collect();
    let token_id = token_id.map(plain);
    let admin = is_admin || roles.iter().any(|role| role == ADMIN);
    if !admin && !roles.iter().any(|role| role == USER) {
        return Err(ApiError::new(ProblemCode::Forbidden, "this needs the role user or admin"));
    }
    let needed = if method.is_safe() { SCOPE_READ } else { SCOPE_WRITE };
    let narrowed = scopes.iter().any(|scope| scope == SCOPE_READ || scope == SCOPE_WRITE);
    if narrowed && !scopes.iter().any(|scope| scope == needed) {
        let detail = format!("this needs the scope {needed}");
        return Err(ApiError::new(ProblemCode::Forbidden, detail));
    }
    let scopes = if narrowed { scopes } else { Vec::new() };
    Ok(Caller { tenant, user, admin, key_id, token_id, scopes, expires_at })
}

/// The token of the one `Authorization` header. Tokens elsewhere, in the query for one, end up in
/// logs and histories; they count for nothing.
fn bearer(headers: &HeaderMap) -> Result<&str, TokenError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or(Rule::Bearer)?;
    if values.next().is_some() {
        return Err(Rule::Bearer.into());
    }
    let text = value.to_str().map_err(|_| Rule::Bearer)?;
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        _ => Err(Rule::Bearer.into()),
    }
}

/// All bad tokens look the same from outside; only that one has run out, its holder may know.
pub fn unauthenticated(error: TokenError) -> ApiError {
    tracing::debug!(%error, "Not authenticated");
    match error {
        TokenError::Invalid(_) => {
            ApiError::new(ProblemCode::Unauthenticated, "a valid bearer token is needed")
        }
        TokenError::Expired => ApiError::new(ProblemCode::TokenExpired, "the token has expired"),
    }
}

#[cfg(test)]
mod tests;
