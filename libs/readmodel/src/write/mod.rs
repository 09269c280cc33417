//! Rows out: one statement a function, each of them takes a whole batch.

mod columns;
mod expired;
mod jobs;
mod keys;
mod metrics;
mod parked;
mod quotas;
mod registry;
mod schedules;
mod webhooks;

use nox_contract::{Incarnation, Timestamp};
use sqlx::PgConnection;

pub(crate) use expired::{keep, remove_expired};

use crate::{
    checkpoint::Checkpoint,
    project::Changes,
    sql::{Instant, big, small},
};

/// Moves the checkpoint if it is at `from`, and says whether it was. The first statement of a
/// transaction: it takes the row's lock, so a second projector waits here and then finds it moved.
///
/// `current` is given when the rows are those of the current generation, which they must still be.
pub(crate) async fn checkpoint(
    connection: &mut PgConnection,
    from: &Checkpoint,
    to: &Checkpoint,
    current: Option<u64>,
) -> sqlx::Result<bool> {
    let moved = sqlx::query(
        "update projection
         set n = $3,
             chain = $4,
             commands_seq = $5,
             commands_part = $6,
             commands_incarnation = $7,
             reports_seq = $8,
             reports_part = $9,
             reports_incarnation = $10,
             at = $11,
             expired_before = $13
         where n = $1
           and chain = $2
           and ($12::bigint is null or $12 = (select generation from nox.generation))",
    )
    .bind(big(from.n.0))
    .bind(from.chain.to_string())
    .bind(big(to.n.0))
    .bind(to.chain.to_string())
    .bind(big(to.pos.commands.seq))
    .bind(small(to.pos.commands.part))
    .bind(&to.commands.0)
    .bind(big(to.pos.reports.seq))
    .bind(small(to.pos.reports.part))
    .bind(&to.reports.0)
    .bind(to.at.map(Instant))
    .bind(current.map(big))
    .bind(to.expired_before.map(Instant))
    .execute(connection)
    .await?;
    Ok(moved.rows_affected() == 1)
}

/// Records which life of the log the checkpoint counts in, if that is not recorded yet.
pub(crate) async fn incarnation(
    connection: &mut PgConnection,
    incarnation: &Incarnation,
) -> sqlx::Result<()> {
    sqlx::query("update projection set incarnation = $1 where incarnation is null")
        .bind(&incarnation.0)
        .execute(connection)
        .await?;
    Ok(())
}

/// Writes what a batch changes. Jobs that ended before `expired_before` get no row any more.
pub(crate) async fn changes(
    connection: &mut PgConnection,
    changes: &mut Changes,
    expired_before: Option<Timestamp>,
) -> sqlx::Result<()> {
    if !changes.expired.is_empty() {
        expired::begun_anew(connection, &changes.expired).await?;
    }
    jobs::write(connection, &mut changes.jobs, expired_before).await?;
    if !changes.balances.is_empty() {
        quotas::balances(connection, changes).await?;
    }
    if !changes.limits.is_empty() {
        quotas::limits(connection, changes).await?;
    }
    if !changes.usage.is_empty() {
        quotas::usage(connection, changes).await?;
    }
    if !changes.violations.is_empty() {
        quotas::violations(connection, changes).await?;
    }
    if !changes.modules.is_empty() {
        registry::modules(connection, changes).await?;
    }
    if !changes.workers.is_empty() {
        registry::workers(connection, changes).await?;
    }
    if !changes.gone.is_empty() {
        registry::gone(connection, changes).await?;
    }
    if !changes.topics.is_empty() {
        registry::removed_topics(connection, changes).await?;
        registry::topics(connection, changes).await?;
    }
    if !changes.keys.is_empty() {
        keys::write(connection, changes).await?;
    }
    if !changes.schedules.is_empty() {
        schedules::write(connection, changes).await?;
    }
    if !changes.webhooks.is_empty() {
        webhooks::write(connection, changes).await?;
    }
    if !changes.metrics.is_empty() {
        metrics::add(connection, changes).await?;
    }
    if !changes.parked.is_empty() {
        parked::insert(connection, changes).await?;
    }
    Ok(())
}
