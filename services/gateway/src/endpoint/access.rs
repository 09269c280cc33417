//! Who may ask at an address: the one policy, which the gate in front of each handler holds up.

use std::sync::Arc;

use crate::{
    app::App,
    http::memory::Account,
    identity::{
        asking::{self, Asking},
        auth::{self, Caller},
    },
    problem::ApiError,
};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, Method},
    middleware::Next,
    response::{IntoResponse, Response},
};

/// The least that an asker must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Whoever there is, without a token.
    Anyone,
    User,
    /// An admin of its tenant.
    Admin,
    /// An admin of the tenant `default`, which runs the system.
    Operator,
}

/// What a token must let its holder do, where it is narrowed down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Read,
    Write,
}

impl Scope {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "compute:read",
            Self::Write => "compute:write",
        }
    }
}

/// What the asker must be to the object; what it is not is answered as if there were no such object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// There is no object, or it is everybody's.
    None,
    /// The asker itself, or what it makes.
    Own,
    /// Its owner, or an admin of the owner's tenant.
    OwnerOrAdmin,
    /// Anybody of the object's tenant: rooms and their tasks are shared.
    Tenant,
    /// The tenant sees it; its submitter, the worker that has it, and admins change it: others are refused.
    Holder,
}

/// A row of the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    pub role: Role,
    pub relation: Relation,
}

impl Access {
    /// Whether an asker with a token that has a scope may ask at all; what it may see of an object is judged of that.
    pub fn is_open_to(self, caller: &Caller, scope: Scope) -> bool {
        let has_role = match self.role {
            Role::Anyone => return true,
            Role::User => true,
            Role::Admin => caller.require_admin().is_ok(),
            Role::Operator => caller.require_operator().is_ok(),
        };
        has_role && caller.has_scope(scope.as_str())
    }

    pub const ANYONE: Self = Self { role: Role::Anyone, relation: Relation::None };
    pub const OWN: Self = Self { role: Role::User, relation: Relation::Own };
    pub const OWNER_OR_ADMIN: Self = Self { role: Role::User, relation: Relation::OwnerOrAdmin };
    pub const TENANT: Self = Self { role: Role::User, relation: Relation::Tenant };
    pub const HOLDER: Self = Self { role: Role::User, relation: Relation::Holder };
    pub const ADMIN: Self = Self { role: Role::Admin, relation: Relation::Tenant };
    pub const OPERATOR: Self = Self { role: Role::Operator, relation: Relation::None };
}

/// What stands in front of a handler.
#[derive(Clone)]
pub struct Gate {
    pub app: Arc<App>,
    pub access: Access,
}

/// Lets a request pass to its handler, with the [`Caller`] that it comes from.
pub async fn admit(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    match gate.judge(request.method(), request.headers()).await {
        Ok(caller) => {
            let Some(caller) = caller else { return next.run(request).await };
            let told = match gate.app.rates.as_ref().map(|rates| rates.count(&caller)).transpose() {
                Ok(told) => told.unwrap_or_default(),
                Err(error) => return error.into_response(),
            };
            let from = request.extensions().get::<Account>().map(Account::client);
            let asking = match Asking::of(&caller, from, request.headers()) {
                Ok(asking) => asking,
                Err(error) => return error.into_response(),
            };
            request.extensions_mut().insert(caller);
            let mut response = asking::scope(asking, next.run(request)).await;
            response.headers_mut().extend(told);
            response
        }
        Err(error) => error.into_response(),
    }
}

impl Gate {
    async fn judge(
        &self,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<Option<Caller>, ApiError> {
        if self.access.role == Role::Anyone {
            return Ok(None);
        }
        let now = self.app.runtime.clock.wall();
        let caller = auth::authenticate(self.app.identities(), now, method, headers).await?;
        if self.access.role == Role::Admin {
            caller.require_admin()?;
        }
        if self.access.role == Role::Operator {
            caller.require_operator()?;
        }
        Ok(Some(caller))
    }
}
