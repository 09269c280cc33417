//! Who may run raw commands: those whom an operator names, and nobody else.

use std::str::FromStr;

use nox_contract::{COMMAND_MODULE, ModuleName, ProblemCode, TenantId};

use crate::{
    identity::auth::{ADMIN, Caller, USER},
    problem::{ApiError, FieldError},
};

/// The roles that may run raw commands, each of all tenants or of one: `user,acme/admin`. Empty: nobody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandRoles(Vec<Grant>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Grant {
    /// All of them if absent.
    tenant: Option<TenantId>,
    role: &'static str,
}

impl CommandRoles {
    /// Whether nobody may run them.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Refuses a job of the module [`COMMAND_MODULE`] to whoever has none of the roles, whichever way it is asked
    /// for. An admin may do what users may.
    pub fn check(&self, caller: &Caller, module: &ModuleName) -> Result<(), ApiError> {
        if module.as_str() != COMMAND_MODULE || self.0.iter().any(|grant| grant.covers(caller)) {
            return Ok(());
        }
        let detail = format!(
            "raw commands are off for the role {}: an operator turns them on with NOX_COMMAND_ROLES",
            caller.role()
        );
        Err(ApiError::new(ProblemCode::Forbidden, detail))
    }
}

/// Says of a missing module [`COMMAND_MODULE`] what it needs: whoever asks for a command names no module.
pub fn explained(error: ApiError, module: &ModuleName) -> ApiError {
    if module.as_str() != COMMAND_MODULE || error.code() != ProblemCode::UnknownModule {
        return error;
    }
    let detail = "no worker ever offered to run commands: one must have the module command and the sandbox \
                  level isolated (noxctl doctor says what a machine lacks)";
    let place = FieldError::new("/module", detail);
    ApiError::new(ProblemCode::UnknownModule, detail).with_errors(vec![place])
}

impl Grant {
    fn covers(&self, caller: &Caller) -> bool {
        let of_tenant = self.tenant.as_ref().is_none_or(|tenant| *tenant == caller.tenant);
        of_tenant && (self.role == USER || self.role == caller.role())
    }
}

impl FromStr for CommandRoles {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
        words.map(Grant::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl Grant {
    fn parse(word: &str) -> Result<Self, String> {
        let (tenant, role) = match word.split_once('/') {
            Some((tenant, role)) => (Some(tenant), role),
            None => (None, word),
        };
        let role = [USER, ADMIN].into_iter().find(|known| *known == role).ok_or_else(|| {
            format!("`{word}` is none of {USER}, {ADMIN}, <tenant>/{USER} and <tenant>/{ADMIN}")
        })?;
        let tenant = tenant.map(str::parse).transpose();
        Ok(Self { tenant: tenant.map_err(|error| format!("`{word}`: {error}"))?, role })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may(roles: &str, tenant: &str, admin: bool, module: &str) -> bool {
        let caller = Caller {
            tenant: tenant.parse().unwrap(),
            user: "ada".parse().unwrap(),
            admin,
            key_id: None,
            token_id: None,
            scopes: Vec::new(),
            expires_at: None,
        };
        let roles: CommandRoles = roles.parse().unwrap();
        roles.check(&caller, &module.parse().unwrap()).is_ok()
    }

    #[test]
    fn commands_are_for_the_roles_that_are_named_and_for_nobody_else() {
        for (roles, user, admin, of_acme) in [
            ("", false, false, false),
            ("user", true, true, true),
            ("user,admin", true, true, true),
            (" admin ", false, true, false),
            ("acme/user", false, false, true),
            ("acme/admin", false, false, false),
            ("admin, acme/user", false, true, true),
        ] {
            assert_eq!(may(roles, "default", false, COMMAND_MODULE), user, "{roles}");
            assert_eq!(may(roles, "default", true, COMMAND_MODULE), admin, "{roles}");
            assert_eq!(may(roles, "acme", false, COMMAND_MODULE), of_acme, "{roles}");
            assert!(may(roles, "default", false, "xtb"), "{roles}");
        }
        for wrong in ["all", "User", "user admin", "/user", "Acme!/user", "acme/", "*"] {
            assert!(wrong.parse::<CommandRoles>().is_err(), "{wrong}");
        }
    }
}
