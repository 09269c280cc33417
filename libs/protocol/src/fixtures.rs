//! What the tests of several machines begin with.

use nox_contract::{FrameNumber, JobId, RawJson, Resources, Submit};

/// What a small job asks for.
pub const SMALL: Resources = Resources { cpu: 1, mem_mb: 1, wall_time_s: 60, gpu: 0 };

/// A small submit that is refused, for nobody knows its module, and was promised: it causes several facts.
pub fn submit(job_id: JobId) -> Submit {
    Submit {
        module_version: None,
        worker_labels: Default::default(),
        job_id,
        user_id: "ada".parse().unwrap(),
        role: "user".to_owned(),
        module: "unknown".parse().unwrap(),
        inputs: RawJson::default(),
        requested_resources: SMALL,
        priority: 5,
        run_at: None,
        after: Vec::new(),
        fingerprint: None,
        seen: FrameNumber(0),
        pending: true,
        task: None,
        metadata: None,
        concurrency: None,
        draft: false,
        traceparent: None,
    }
}
