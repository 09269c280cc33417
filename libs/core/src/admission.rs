//! Whether an account has room for one more job: asked by the decider of its state, and by whoever wants to know
//! beforehand.

use std::time::Duration;

use nox_contract::{Limits, ProblemCode, Refusal, Resources, Timestamp};

use crate::ledger::Balance;

const DAY: Duration = Duration::from_secs(86_400);

/// When to try again where nothing but an end of the asker's own jobs makes room, in seconds.
const QUEUE_RETRY_AFTER_S: u32 = 5;

/// What an account has of what its limits count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    /// Jobs that were admitted and have not ended.
    pub queued_jobs: u32,
    pub drafts: u32,
    /// Of the day; of one that has not begun, nothing.
    pub balance: Balance,
}

/// Whether the account so called has room for a job that asks for `asked`.
pub fn check(
    account: &str,
    limits: &Limits,
    used: &Used,
    asked: &Resources,
    now: Timestamp,
) -> Result<(), Box<Refusal>> {
    let cost = asked.cpu_seconds();
    for (quota, asked, limit) in [
        ("cpu", i64::from(asked.cpu), i64::from(limits.cpu)),
        ("mem_mb", i64::from(asked.mem_mb), i64::from(limits.mem_mb)),
        ("cpu_seconds", cost, limits.cpu_seconds),
    ] {
        if asked > limit {
            let code = ProblemCode::RequestTooLarge;
            return Err(refusal(account, code, quota, (0, limit), asked).into());
        }
    }
    if used.queued_jobs >= limits.queued_jobs {
        let of = (used.queued_jobs.into(), limits.queued_jobs.into());
        return Err(full(account, "queued_jobs", of));
    }
    // Grouped so that a budget without bounds does not run over.
    let free = used.balance.free + (limits.cpu_seconds - used.balance.granted);
    if cost > free {
        let next_period = (now.start_of_day() + DAY).since(now).as_secs() + 1;
        let of = (limits.cpu_seconds - free, limits.cpu_seconds);
        let refusal = refusal(account, ProblemCode::BudgetExhausted, "cpu_seconds", of, cost);
        let retry_after_s = u32::try_from(next_period).ok();
        return Err(Box::new(Refusal { retry_after_s, ..refusal }));
    }
    Ok(())
}

/// Whether it has room for one more draft, which costs nothing until it is submitted.
pub fn check_draft(account: &str, limits: &Limits, used: &Used) -> Result<(), Box<Refusal>> {
    if used.drafts >= limits.drafts {
        return Err(full(account, "drafts", (used.drafts.into(), limits.drafts.into())));
    }
    Ok(())
}

fn full(account: &str, quota: &str, of: (i64, i64)) -> Box<Refusal> {
    let refusal = refusal(account, ProblemCode::QueueFull, quota, of, 1);
    Box::new(Refusal { retry_after_s: Some(QUEUE_RETRY_AFTER_S), ..refusal })
}

/// That an account does not have what is `requested` of something.
pub(crate) fn refusal(
    account: &str,
    code: ProblemCode,
    quota: &str,
    (usage, limit): (i64, i64),
    requested: i64,
) -> Refusal {
    let detail = format!("{quota} of {account}: {requested} asked, {usage} of {limit} in use");
    Refusal {
        quota: Some(quota.to_owned()),
        account: Some(account.to_owned()),
        usage: Some(usage),
        limit: Some(limit),
        requested: Some(requested),
        ..Refusal::new(code, detail)
    }
}
