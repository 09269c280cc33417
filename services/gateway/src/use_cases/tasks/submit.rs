//! Submits a task. What its payload means is for its worker to say.

use nox_contract::{RawJson, Resources, Submit, Task, command::PRIORITY_DEFAULT};
use nox_service::ids;

use crate::{
    app::App,
    identity::auth::Caller,
    problem::ApiError,
    use_cases::submit::{Admitted, decide},
};

/// What a task takes of Nox's own workers.
const NOTHING: Resources = Resources { cpu: 0, mem_mb: 0, wall_time_s: 0, gpu: 0 };

pub async fn submit(
    app: &App,
    caller: &Caller,
    task: Task,
    payload: RawJson,
    traceparent: Option<&str>,
) -> Result<Admitted, ApiError> {
    app.admission.check()?;
    let submit = Submit {
        job_id: ids::job_id(),
        user_id: caller.user.clone(),
        role: caller.role().to_owned(),
        module: Task::module(),
        module_version: None,
        worker_labels: Default::default(),
        inputs: payload,
        requested_resources: NOTHING,
        priority: PRIORITY_DEFAULT,
        run_at: None,
        after: Vec::new(),
        fingerprint: None,
        // Its id is made now, so any place in the log that there was lately will do.
        seen: app.log_end.recent().await?,
        pending: false,
        task: Some(Box::new(task)),
        metadata: None,
        concurrency: None,
        draft: false,
        traceparent: traceparent.map(str::to_owned),
    };
    decide(app, caller, submit).await
}
