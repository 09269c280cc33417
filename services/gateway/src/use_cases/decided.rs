//! A command that is not a job's, and what was decided.

use nox_contract::{Accepted, Command, Outcome, TenantId};

use crate::{
    app::App,
    commands::{Delivery, Until},
    problem::ApiError,
};

/// Sends `command` in the name of a tenant and waits for what is decided, and for the view to show it; `None`
/// while nobody has decided.
pub async fn decided(
    app: &App,
    tenant: &TenantId,
    command: &Command,
) -> Result<Option<Accepted>, ApiError> {
    match app.commands.send(tenant, command, Until::Answered).await? {
        Delivery::Answered(Outcome::Accepted(accepted)) => {
            app.barrier.written(accepted.n).await;
            Ok(Some(accepted))
        }
        Delivery::Answered(Outcome::Refused(refusal)) => Err(refusal.into()),
        Delivery::Published => Ok(None),
    }
}
