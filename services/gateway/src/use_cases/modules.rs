//! What can be run, and whether.

use nox_contract::{Command, FrameNumber, ModuleName, Outcome, ProblemCode, SetModule};
use nox_readmodel::ModuleRow;

use crate::{
    app::App,
    commands::{Delivery, Until},
    identity::auth::Caller,
    problem::ApiError,
    read::{barrier::Sources, required::Required},
};

/// The module called `name`; that there is none is said only when all reports are folded.
pub async fn find(app: &App, name: &str, required: Required) -> Result<ModuleRow, ApiError> {
    let unknown = || ApiError::new(ProblemCode::ModuleNotFound, "there is no such module");
    let name: ModuleName = name.parse().map_err(|_| unknown())?;
    let read = || app.reader.module(&name);
    let found = app.barrier.find(required, Sources::CommandsAndReports, read).await?;
    found.value.ok_or_else(unknown)
}

/// Switches a module on or off for everybody, for operators. Its name, and the frame that says so: absent while
/// nobody has decided.
pub async fn switch(
    app: &App,
    caller: &Caller,
    name: &str,
    enabled: bool,
) -> Result<(ModuleName, Option<FrameNumber>), ApiError> {
    caller.require_operator()?;
    let module = find(app, name, Required::default()).await?.name;
    let command =
        Command::SetModule(SetModule { module: module.clone(), enabled, by: caller.user.clone() });
    match app.commands.send(&caller.tenant, &command, Until::Answered).await? {
        Delivery::Answered(Outcome::Accepted(accepted)) => {
            app.barrier.written(accepted.n).await;
            Ok((module, Some(accepted.n)))
        }
        Delivery::Answered(Outcome::Refused(refusal)) => Err(refusal.into()),
        Delivery::Published => Ok((module, None)),
    }
}
