//! What a worker is sent to run an attempt: for tests, also those inside the crate.

use nox_contract::{Attempt, FrameNumber, JobId, RawJson, Resources, StartWork, Token, WorkNumber};

pub fn start_work(job_id: JobId, inputs: &str) -> StartWork {
    StartWork {
        module_version: "1".to_owned(),
        number: WorkNumber(1),
        job_id,
        attempt: Attempt(1),
        token: Token::compute(&[0; 32], job_id, Attempt(1), FrameNumber(1)),
        tenant: "acme".parse().unwrap(),
        user_id: "ada".parse().unwrap(),
        module: "script".parse().unwrap(),
        inputs: RawJson::parse(inputs.to_owned()).unwrap(),
        resources: Resources { cpu: 1, mem_mb: 64, wall_time_s: 20, gpu: 0 },
        traceparent: None,
    }
}
