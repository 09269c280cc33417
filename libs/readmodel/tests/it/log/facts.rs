//! Facts, as short to write as they can be.

use nox_contract::{
    Attempt, Capacity, Fact, Limits, Manifest, ProblemCode, Refusal, RetryPolicy, SessionId,
    fact::{Rejected, ServedModule, Submitted},
};
use uuid::Uuid;

use super::{CPU_SECONDS, json, module, period, resources, worker};

pub fn submitted() -> Fact {
    submitted_with(r#"{"text": "hello from M9"}"#)
}

pub fn submitted_with(inputs: &str) -> Fact {
    Fact::Submitted(Box::new(Submitted {
        module_version: "1".to_owned(),
        worker_labels: Default::default(),
        inputs: json(inputs),
        requested_resources: resources(),
        priority: 5,
        run_at: None,
        after: Vec::new(),
        fingerprint: Some("fp".to_owned()),
        task: None,
        metadata: None,
        concurrency: None,
        traceparent: None,
    }))
}

pub fn rejected(refusal: Refusal) -> Fact {
    Fact::Rejected(Box::new(Rejected {
        inputs: json("{}"),
        requested_resources: resources(),
        refusal,
        fingerprint: None,
        task: None,
        metadata: None,
    }))
}

pub fn started(name: &str, attempt: u32) -> Fact {
    Fact::Started { worker_id: worker(name), attempt: Attempt(attempt), elapsed_ms: 3 }
}

pub fn succeeded(attempt: u32) -> Fact {
    succeeded_with(
        attempt,
        r#"{"files": ["sandbox://ada/1/result.txt"], "metrics": {"duration_s": 0.53}, "scalars": {}}"#,
    )
}

pub fn succeeded_with(attempt: u32, outputs: &str) -> Fact {
    Fact::Succeeded { attempt: Attempt(attempt), outputs: json(outputs), wall_ms: 3 }
}

pub fn reserved() -> Fact {
    Fact::Reserved { period: period(), cpu_seconds: CPU_SECONDS }
}

pub fn settled(cpu_seconds: i64) -> Fact {
    Fact::Settled { period: period(), cpu_seconds, overrun: 0 }
}

pub fn released(cpu_seconds: i64) -> Fact {
    Fact::Released { period: period(), cpu_seconds }
}

pub fn granted(cpu_seconds: i64) -> Fact {
    Fact::Granted { period: period(), cpu_seconds }
}

pub fn limits_set(role: &str) -> Fact {
    let limits = Limits {
        cpu_seconds: 1_000_000_000,
        queued_jobs: 1_000,
        running_jobs: 256,
        cpu: 64,
        mem_mb: 262_144,
        drafts: 100,
        starts_per_minute: 6_000,
    };
    Fact::LimitsSet { role: role.to_owned(), limits, change: None }
}

pub fn joined(modules: &[&str]) -> Fact {
    let served = |name: &&str| ServedModule { name: module(name), version: "1.0.0".to_owned() };
    Fact::WorkerJoined {
        session: SessionId(Uuid::from_u128(7)),
        origin: nox_contract::Origin::default(),
        capacity: Capacity { slots: 8, cpu: 8, mem_mb: 16_384, gpu: 0 },
        modules: modules.iter().map(served).collect(),
        labels: vec!["zone=a".to_owned()],
        claimant: None,
    }
}

pub fn manifest(name: &str) -> Manifest {
    Manifest {
        name: module(name),
        version: "1.0.0".to_owned(),
        title: format!("The module {name}"),
        input_schema: json(r#"{"type": "object"}"#),
        output_schema: json("true"),
        resources: resources(),
        retry: RetryPolicy::default(),
        running_max: Some(100),
        starts_per_minute: None,
    }
}

pub fn refusal() -> Refusal {
    Refusal {
        quota: Some("cpu_seconds".to_owned()),
        account: Some("user/ada".to_owned()),
        usage: Some(1_000),
        limit: Some(1_000),
        requested: Some(60),
        retry_after_s: Some(3_600),
        ..Refusal::new(ProblemCode::BudgetExhausted, "the day's core seconds are spent")
    }
}
