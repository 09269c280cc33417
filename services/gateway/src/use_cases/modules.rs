//! What can be run, and whether.

use nox_contract::{
    Accepted, Command, FrameNumber, Manifest, ModuleName, NoMeaning, Outcome, ProblemCode,
    REGISTERED_BYTES_MAX, RawJson, RegisterModule, SetModule,
};
use nox_manifest::{AllWrong, Wrong};
use nox_readmodel::ModuleRow;

use super::decided::decided;
use crate::{
    app::App,
    commands::{Delivery, Until},
    identity::auth::Caller,
    problem::{ApiError, FieldError},
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

/// Registers a version of a module, for operators: `source` is its manifest in the JSON form. What it declares, and what
/// was decided: nothing while nobody has.
pub async fn register(
    app: &App,
    caller: &Caller,
    source: &RawJson,
) -> Result<(Manifest, Option<Accepted>), ApiError> {
    caller.require_operator()?;
    let source = source.canonical().map_err(|error| match error {
        NoMeaning::Twice { pointer } => wrong(vec![FieldError::new(pointer, "stands there twice")]),
        NoMeaning::Unstorable(error) => {
            ApiError::new(ProblemCode::UnstorableJson, format!("the manifest {error}"))
        }
    })?;
    if source.get().len() > REGISTERED_BYTES_MAX {
        let detail = format!("a registered manifest has at most {REGISTERED_BYTES_MAX} bytes");
        return Err(ApiError::new(ProblemCode::BodyTooLarge, detail));
    }
    // Compiling schemas and patterns takes milliseconds.
    let reading = source.clone();
    let read = tokio::task::spawn_blocking(move || nox_manifest::Manifest::registered(&reading));
    let read = read.await.map_err(ApiError::internal)?;
    let named = |Wrong { pointer, reason }| FieldError::new(pointer, reason);
    let read = read.map_err(|AllWrong(all)| wrong(all.into_iter().map(named).collect::<Vec<_>>()));
    let manifest = read?.declared;
    let by = caller.user.clone();
    let register = RegisterModule { manifest: manifest.clone(), source, by };
    let command = Command::RegisterModule(Box::new(register));
    let accepted = decided(app, &caller.tenant, &command).await?;
    app.modules.forget(&manifest.name);
    Ok((manifest, accepted))
}

/// A manifest that is wrong in `errors`.
fn wrong(errors: Vec<FieldError>) -> ApiError {
    let detail = match errors.as_slice() {
        [FieldError { pointer, detail, .. }] => {
            let place = if pointer.is_empty() { "the manifest" } else { pointer };
            format!("{place}: {detail}")
        }
        many => format!("{} things are wrong with the manifest", many.len()),
    };
    ApiError::new(ProblemCode::InvalidManifest, detail).with_errors(errors)
}
