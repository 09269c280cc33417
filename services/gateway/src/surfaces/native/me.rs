//! `GET /me`

use std::sync::{Arc, LazyLock};

use axum::{Json, extract::State, http::Uri};
use nox_contract::{COMMAND_MODULE, KeyId, ModuleName, TenantId, Timestamp, UserId};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    app::App,
    endpoint::{Access, Answer, Endpoint, Method, Scope},
    extract,
    identity::auth::Caller,
    problem::ApiError,
    surfaces,
};

/// All that can be asked, with what it needs: of the values that the router is made of.
static OPERATIONS: LazyLock<Vec<(&'static str, Access, Scope)>> = LazyLock::new(|| {
    let row = |of: &Endpoint| (of.id, of.access, of.method.scope());
    let mut operations: Vec<_> = surfaces::endpoints().iter().map(row).collect();
    operations.sort_by_key(|(id, ..)| *id);
    operations
});

pub fn endpoint() -> Endpoint {
    let (id, summary) = ("get_me", "Who asks, and what that lets them do.");
    Endpoint::new(Method::Get, "/me", Access::OWN, (id, summary), me)
        .answer(Answer::json::<Me>(200, "The asker."))
}

#[derive(Serialize, JsonSchema)]
struct Me {
    user_id: UserId,
    id: UserId,
    tenant: TenantId,
    /// The role that the asker's limits come from.
    role: &'static str,
    is_admin: bool,
    /// An admin of the tenant `default`, which runs the system.
    is_operator: bool,
    /// What the token is good for: `compute:read` and `compute:write`, or one of them.
    scopes: Vec<&'static str>,
    /// When the token runs out; `null` of a key that does not.
    expires_at: Option<Timestamp>,
    /// The API key that was shown.
    key_id: Option<KeyId>,
    /// Whether the asker may submit raw commands.
    may_run_commands: bool,
    /// The operations of `/openapi.json` that role and scope let the asker ask for, by name. Whether it may see what it
    /// asks about is judged then.
    operations: Vec<&'static str>,
}

/// As whoever signed the token says.
async fn me(State(app): State<Arc<App>>, caller: Caller, uri: Uri) -> Result<Json<Me>, ApiError> {
    extract::nothing(&uri)?;
    let role = caller.role();
    let is_operator = caller.require_operator().is_ok();
    let scopes = [Scope::Read, Scope::Write].map(Scope::as_str);
    let scopes = scopes.into_iter().filter(|scope| caller.has_scope(scope)).collect();
    let module = ModuleName::new(COMMAND_MODULE).map_err(ApiError::internal)?;
    let may_run_commands = app.command_roles.check(&caller, &module).is_ok();
    let operations = operations(&caller);
    let Caller { tenant, user, admin, key_id, expires_at, .. } = caller;
    Ok(Json(Me {
        user_id: user.clone(),
        id: user,
        tenant,
        role,
        is_admin: admin,
        is_operator,
        scopes,
        expires_at,
        key_id,
        may_run_commands,
        operations,
    }))
}

fn operations(caller: &Caller) -> Vec<&'static str> {
    let open = OPERATIONS.iter().filter(|(_, access, scope)| access.is_open_to(caller, *scope));
    open.map(|(id, ..)| *id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(tenant: &str, admin: bool, scopes: &[&str]) -> Caller {
        Caller {
            tenant: tenant.parse().unwrap(),
            user: "ada".parse().unwrap(),
            admin,
            key_id: None,
            token_id: None,
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            expires_at: None,
        }
    }

    #[test]
    fn what_may_be_asked_follows_from_role_and_scope() {
        let may = |caller: &Caller, id: &str| operations(caller).contains(&id);
        let user = caller("acme", false, &[]);
        let admin = caller("acme", true, &[]);
        let operator = caller("default", true, &[]);
        for (id, of_user, of_admin, of_operator) in [
            ("list_jobs", true, true, true),
            ("cancel_job", true, true, true),
            ("get_livez", true, true, true),
            ("list_acts", false, true, true),
            ("get_system", false, false, true),
            ("register_module", false, false, true),
            ("no_such_operation", false, false, false),
        ] {
            let told = [&user, &admin, &operator].map(|caller| may(caller, id));
            assert_eq!(told, [of_user, of_admin, of_operator], "{id}");
        }
        assert_eq!(operations(&operator).len(), OPERATIONS.len());
        let reads = caller("default", true, &["compute:read", "mail"]);
        assert!(may(&reads, "count_jobs") && !may(&reads, "cancel_job"));
        let writes = caller("default", false, &["compute:write"]);
        assert!(!may(&writes, "count_jobs") && may(&writes, "cancel_job"));
        assert!(may(&writes, "get_livez"));
    }
}
