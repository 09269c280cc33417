//! Says that a worker is there, and what it claims tasks of.

use nox_contract::{Accepted, Command, Outcome, ProblemCode, Register, command::DeclaredTopic};
use nox_service::ids;
use uuid::Uuid;

use super::worker::worker_id;
use crate::{
    app::App,
    commands::{Delivery, Until},
    identity::auth::Caller,
    problem::ApiError,
};

/// A repetition changes nothing.
pub async fn register(
    app: &App,
    caller: &Caller,
    worker: Uuid,
    topic: Option<DeclaredTopic>,
) -> Result<Accepted, ApiError> {
    let timeout = app.joblib.worker_timeout();
    let mut register = Register {
        worker_id: worker_id(caller, worker),
        session: ids::session_id(),
        by: caller.user.clone(),
        lease_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
        topic,
    };
    for last in [false, true] {
        let command = Command::Register(Box::new(register.clone()));
        match app.commands.send(&caller.tenant, &command, Until::Answered).await? {
            Delivery::Answered(Outcome::Accepted(accepted)) => {
                app.barrier.written(accepted.n).await;
                return Ok(accepted);
            }
            // The session that was to begin has ended: the next one has not.
            Delivery::Answered(Outcome::Refused(refusal))
                if refusal.code == ProblemCode::StaleStamp && !last =>
            {
                register.session = ids::session_id();
            }
            Delivery::Answered(Outcome::Refused(refusal)) => return Err(refusal.into()),
            Delivery::Published => break,
        }
    }
    let detail = "nobody has decided yet; the request will be, and repeating it does no harm";
    Err(ApiError::new(ProblemCode::Unavailable, detail))
}
