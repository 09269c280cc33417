//! Entries into rows, within a transaction: all at once, or each for itself where Postgres refuses some.

use nox_contract::{JobId, Timestamp};
use sqlx::PgConnection;

use crate::{
    batch::PlacedEntry,
    consequence::is_job_twice,
    load,
    project::{self, Changes, Treatment},
    rows::Rows,
    session,
    store::StoreError,
    write,
};

/// Folds entries in and writes what they change.
pub(crate) async fn all(
    connection: &mut PgConnection,
    rows: &mut Rows,
    entries: &[PlacedEntry<'_>],
    treatment: Treatment<'_>,
    distrust: bool,
    expired_before: Option<Timestamp>,
) -> Result<Changes, StoreError> {
    load_needed(connection, rows, entries, distrust).await?;
    let mut changes = project::project(rows, entries, treatment)?;
    write::changes(connection, &mut changes, expired_before).await?;
    Ok(changes)
}

/// Takes the entries of one frame in, each for itself, and parks those that Postgres refuses. What is
/// left to absorb once it is committed is what was parked.
///
/// On an error `rows` are ahead of what is stored, and must not be used again.
pub(crate) async fn one_by_one(
    connection: &mut PgConnection,
    rows: &mut Rows,
    entries: &[PlacedEntry<'_>],
    expired_before: Option<Timestamp>,
) -> Result<Changes, StoreError> {
    let mut left = Changes::default();
    for placed in entries {
        session::savepoint(connection).await?;
        let mut changes = take_in_or_park(connection, rows, placed, expired_before).await?;
        session::release_savepoint(connection).await?;
        left.parked.append(&mut changes.parked);
        rows.absorb(changes);
    }
    Ok(left)
}

/// Takes in what can be taken in of an entry that Postgres may refuse.
async fn take_in_or_park(
    connection: &mut PgConnection,
    rows: &mut Rows,
    placed: &PlacedEntry<'_>,
    expired_before: Option<Timestamp>,
) -> Result<Changes, StoreError> {
    let entries = std::slice::from_ref(placed);
    // With a look at rows that it should be the first to make: an entry that makes a job twice is no
    // bad data but a broken log.
    let refused = match all(connection, rows, entries, Treatment::Fold, true, expired_before).await
    {
        Err(StoreError::Data(error)) if !is_job_twice(&error) => error,
        outcome => return outcome,
    };
    let detail = refused.to_string();
    let treatments =
        [Treatment::Freeze { detail: &detail }, Treatment::KeepBytes { detail: &detail }];
    for treatment in treatments {
        session::rollback_to_savepoint(connection).await?;
        match all(connection, rows, entries, treatment, true, expired_before).await {
            Err(StoreError::Data(error)) => {
                let (n, place) = (placed.n.0, placed.place);
                tracing::error!(
                    frame.n = n, entry.place = place, %error, ?treatment, "Postgres refuses an entry"
                );
            }
            outcome => return outcome,
        }
    }
    Err(StoreError::Data(refused))
}

async fn load_needed(
    connection: &mut PgConnection,
    rows: &mut Rows,
    entries: &[PlacedEntry<'_>],
    distrust: bool,
) -> Result<(), StoreError> {
    let mut needed = project::needed(rows, entries, distrust);
    if !needed.beginning.is_empty() {
        needed.jobs.extend(load::known(connection, &needed.beginning).await?);
    }
    if !needed.jobs.is_empty() {
        let found = load::jobs(connection, &needed.jobs).await?;
        rows.jobs.extend(found.into_iter().map(|job| (job.id, job)));
        let missing: Vec<JobId> =
            needed.jobs.into_iter().filter(|id| !rows.jobs.contains_key(id)).collect();
        if !missing.is_empty() {
            rows.rowless.extend(load::parked_jobs(connection, &missing).await?);
        }
    }
    if !needed.balances.is_empty() {
        rows.balances.extend(load::balances(connection, &needed.balances).await?);
    }
    Ok(())
}
