//! What a list may ask for beside whose jobs, of which module and in which state: whatever no index has in front of
//! its order, and everything turned around.

use nox_contract::{JobId, JobState, ModuleName, Timestamp, UserId, WaitingCode};
use sqlx::{Postgres, QueryBuilder};

use crate::sql::Instant;

/// Something that jobs of a list have, or that they do not have.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    pub is: Is,
    /// All but those.
    pub negated: bool,
}

/// What a job may be: one of these values.
#[derive(Debug, Clone, PartialEq)]
pub enum Is {
    Status(Vec<JobState>),
    Module(Vec<ModuleName>),
    User(Vec<UserId>),
    /// Named so, whatever its value.
    Labeled(String),
    Label(String, String),
    Release(Vec<String>),
    /// With which it failed.
    ErrorCode(Vec<String>),
    /// Why it does not run now.
    Waiting(Vec<WaitingCode>),
    Priority(Vec<u8>),
    /// The job that it repeats.
    RetryOf(Vec<JobId>),
    CreatedBefore(Timestamp),
    EndedBefore(Timestamp),
}

impl Condition {
    /// Writes what rows of `table` have to be. What a row does not have is neither this nor that, and so it is
    /// among all others.
    pub(super) fn push(&self, query: &mut QueryBuilder<Postgres>, table: &str) {
        query.push(if self.negated { " and (" } else { " and coalesce(" });
        let texts = |values: &[_]| values.iter().map(ToString::to_string).collect::<Vec<String>>();
        match &self.is {
            Is::Status(states) => any(query, "status", states.iter().map(ToString::to_string)),
            Is::Module(names) => any(query, "module", names.iter().map(ToString::to_string)),
            Is::User(users) => any(query, "user_id", users.iter().map(ToString::to_string)),
            Is::Release(ids) => any(query, "release_id", texts(ids).into_iter()),
            Is::ErrorCode(codes) => any(query, "error->>'code'", texts(codes).into_iter()),
            // What has ended waits for nothing.
            Is::Waiting(codes) if table == "jobs_live" => {
                any(query, "waiting_code", codes.iter().map(|code| code.as_str().to_owned()));
            }
            Is::Waiting(_) => drop(query.push("false")),
            Is::Priority(of) => any(query, "priority::text", of.iter().map(ToString::to_string)),
            Is::RetryOf(ids) => any(query, "retry_of::text", ids.iter().map(ToString::to_string)),
            Is::Labeled(name) => drop(query.push("labels ? ").push_bind(name.clone())),
            Is::Label(name, value) => drop(
                query
                    .push("labels @> jsonb_build_object(")
                    .push_bind(name.clone())
                    .push("::text, ")
                    .push_bind(value.clone())
                    .push("::text)"),
            ),
            Is::CreatedBefore(at) => drop(query.push("created_at < ").push_bind(Instant(*at))),
            Is::EndedBefore(at) => drop(query.push("ended_at < ").push_bind(Instant(*at))),
        }
        match (self.negated, &self.is) {
            // Not before an instant is at it or later: what has not ended is neither.
            (true, Is::EndedBefore(_)) => drop(query.push(") is false")),
            (true, _) => drop(query.push(") is not true")),
            (false, _) => drop(query.push(", false)")),
        }
    }
}

fn any(query: &mut QueryBuilder<Postgres>, column: &str, values: impl Iterator<Item = String>) {
    query.push(column).push(" = any(").push_bind(values.collect::<Vec<_>>()).push("::text[])");
}
