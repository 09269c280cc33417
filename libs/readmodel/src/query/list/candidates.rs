//! Which rows a page has, in its order, before any is read.

use sqlx::{PgConnection, QueryBuilder, Row, postgres::PgRow};
use uuid::Uuid;

use super::{
    super::jobs::{Cursor, Filter},
    runs::write_candidates,
};
use crate::batch::EntryPlace;

/// Each statement has one right plan, which is to walk along its indexes; see the indexes in the migration.
pub const PLAN: &str = "set local enable_seqscan = off; set local enable_bitmapscan = off;
                    set local enable_sort = off; set local enable_hashjoin = off;
                    set local enable_mergejoin = off; set local jit = off";

/// Rows that a page with conditions looks at, at most, and at a time.
const LOOKED_AT_MAX: usize = 20_000;
const LOOKED_AT: usize = 1_000;

/// Bytes of what the programs made of a row.
const BYTES_OF_ENDED: &str =
    "octet_length(coalesce(inputs::text, '')) + octet_length(coalesce(outputs::text, ''))
                              + octet_length(coalesce(error::text, ''))";
const BYTES_OF_LIVE: &str =
    "octet_length(coalesce(inputs::text, '')) + octet_length(coalesce(error::text, ''))";

/// The same of rows without them.
const BYTES_OF_BRIEF: &str = "octet_length(coalesce(error::text, ''))";

/// What is counted of the rows of a list, of those that ended and of others.
fn bytes_of(filter: &Filter) -> (&'static str, &'static str) {
    if filter.brief { (BYTES_OF_BRIEF, BYTES_OF_BRIEF) } else { (BYTES_OF_ENDED, BYTES_OF_LIVE) }
}

/// A row of a page, before it is read.
pub struct Found {
    pub id: Uuid,
    pub place: EntryPlace,
    bytes: usize,
}

/// What a row takes up beside what is counted: names, ids and instants.
const ROW_BYTES: usize = 1024;

/// The first rows that have at most `bytes_max` bytes, but at least one: their bytes, and how many.
pub fn fitting(found: &[Found], bytes_max: usize) -> (usize, usize) {
    let mut bytes = 0;
    for (count, row) in found.iter().enumerate() {
        if count > 0 && bytes + row.bytes > bytes_max {
            return (bytes, count);
        }
        bytes += row.bytes;
    }
    (bytes, found.len())
}

/// Rows for a page, in order and one more than it shows, if there are so many.
pub struct Candidates {
    pub found: Vec<Found>,
    /// Where to go on if these are all that were found, and not all were looked at.
    pub behind: Option<Cursor>,
}

pub async fn page(
    connection: &mut PgConnection,
    filter: &Filter,
    limit: usize,
    mark: &str,
) -> sqlx::Result<Candidates> {
    sqlx::raw_sql(PLAN).execute(&mut *connection).await?;
    if filter.conditions.is_empty() {
        let found = newest(connection, filter, limit, mark).await?;
        return Ok(Candidates { found, behind: None });
    }
    let (mut found, mut looked_at) = (Vec::new(), 0);
    let mut filter = Filter { limit: LOOKED_AT, ..filter.clone() };
    loop {
        let mut looked: Vec<Uuid> = Vec::new();
        let step = candidates(connection, &filter, LOOKED_AT, mark).await?;
        let is_end = step.len() <= LOOKED_AT;
        for (id, place) in step.into_iter().take(LOOKED_AT) {
            looked.push(id);
            filter.before = Some(Cursor(place));
        }
        looked_at += looked.len();
        found.extend(passing(connection, &filter, looked, mark).await?);
        if is_end || found.len() > limit {
            found.truncate(limit + 1);
            return Ok(Candidates { found, behind: None });
        }
        if looked_at >= LOOKED_AT_MAX {
            return Ok(Candidates { found, behind: filter.before });
        }
    }
}

/// Those of `looked` that meet the conditions, in the filter's order.
async fn passing(
    connection: &mut PgConnection,
    filter: &Filter,
    looked: Vec<Uuid>,
    mark: &str,
) -> sqlx::Result<Vec<Found>> {
    let mut query = QueryBuilder::new("select id, submitted, bytes from (");
    let (of_ended, of_live) = bytes_of(filter);
    for (table, bytes) in [("jobs_live", of_live), ("jobs_ended", of_ended)] {
        let union = if table == "jobs_live" { "" } else { " union all " };
        query.push(format!(
            "{union}select id, submitted, {bytes} as bytes from {table} where id = any("
        ));
        query.push_bind(looked.clone()).push("::uuid[])");
        for condition in &filter.conditions {
            condition.push(&mut query, table);
        }
    }
    query.push(") as found").push(mark);
    let rows = query.build().fetch_all(connection).await?;
    let mut found = rows.iter().map(found_row).collect::<sqlx::Result<Vec<_>>>()?;
    found.sort_by_key(|found| found.place.packed());
    if !filter.oldest_first {
        found.reverse();
    }
    Ok(found)
}

/// The first rows that a filter without conditions lets through, and one more than `limit`, if there are so many.
async fn newest(
    connection: &mut PgConnection,
    filter: &Filter,
    limit: usize,
    mark: &str,
) -> sqlx::Result<Vec<Found>> {
    let (of_ended, of_live) = bytes_of(filter);
    let mut query = QueryBuilder::new(format!(
        "select id, submitted,
                coalesce(
                    (select {of_ended} from jobs_ended where jobs_ended.id = found.id),
                    (select {of_live} from jobs_live where jobs_live.id = found.id)
                ) as bytes
         from ("
    ));
    write_candidates(&mut query, filter, limit);
    query.push(mark);
    query.build().fetch_all(connection).await?.iter().map(found_row).collect()
}

/// The same, by their places alone.
async fn candidates(
    connection: &mut PgConnection,
    filter: &Filter,
    limit: usize,
    mark: &str,
) -> sqlx::Result<Vec<(Uuid, EntryPlace)>> {
    let mut query = QueryBuilder::new("select id, submitted from (");
    write_candidates(&mut query, filter, limit);
    query.push(mark);
    let rows = query.build().fetch_all(connection).await?;
    let place =
        |row: &PgRow| Ok((row.try_get("id")?, EntryPlace::unpacked(row.try_get("submitted")?)));
    rows.iter().map(place).collect()
}

fn found_row(row: &PgRow) -> sqlx::Result<Found> {
    let bytes: i32 = row.try_get("bytes")?;
    Ok(Found {
        id: row.try_get("id")?,
        place: EntryPlace::unpacked(row.try_get("submitted")?),
        bytes: bytes.unsigned_abs() as usize + ROW_BYTES,
    })
}
