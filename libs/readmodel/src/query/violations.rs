//! What accounts were refused.

use std::{fmt, str::FromStr};

use nox_contract::{FrameNumber, JobId, ModuleName, TenantId, Timestamp, UserId};
use sqlx::{Postgres, QueryBuilder, Row, postgres::PgRow};

use super::{At, NoCursor, PAGE_MAX, QueryError, Reader};
use crate::{
    load::decode,
    sql::{Instant, number},
};

/// Where in the log a refusal was recorded, which no other one was. As text, the frame and the fact with a dot
/// between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ViolationPlace {
    pub n: FrameNumber,
    /// Among all facts of the frame, counted from 0.
    pub part: u32,
}

impl fmt::Display for ViolationPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.n, self.part)
    }
}

impl FromStr for ViolationPlace {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        let (n, part) = text.split_once('.').ok_or(NoCursor)?;
        let n = n.parse().map(FrameNumber).map_err(|_| NoCursor)?;
        Ok(Self { n, part: part.parse().map_err(|_| NoCursor)? })
    }
}

/// A refusal that was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViolationRow {
    pub place: ViolationPlace,
    pub account: String,
    pub user_id: UserId,
    pub job_id: JobId,
    pub module: ModuleName,
    /// The word of a [`nox_contract::ProblemCode`].
    pub code: String,
    pub quota: Option<String>,
    pub usage: Option<i64>,
    pub limit: Option<i64>,
    pub requested: Option<i64>,
    pub retry_after_s: Option<i64>,
    pub detail: String,
    pub at: Timestamp,
}

impl Reader {
    /// The refusals of a tenant, or of one of its users, newest first: those before `before`, at most `limit` and
    /// [`PAGE_MAX`].
    pub async fn violations(
        &self,
        tenant: &TenantId,
        user: Option<&UserId>,
        before: Option<ViolationPlace>,
        limit: usize,
    ) -> Result<At<Vec<ViolationRow>>, QueryError> {
        let mut look = self.look().await?;
        let mut query = QueryBuilder::<Postgres>::new(
            "select n, part, account, user_id, job_id, module, code, quota, usage, quota_limit,
                    requested, retry_after_s, detail, at
             from quota_violations
             where tenant = ",
        );
        query.push_bind(tenant.as_str().to_owned());
        if let Some(user) = user {
            query.push(" and user_id = ").push_bind(user.as_str().to_owned());
        }
        if let Some(ViolationPlace { n, part }) = before {
            // No frame and no fact has a number beyond these.
            query.push(" and (n, part) < (").push_bind(i64::try_from(n.0).unwrap_or(i64::MAX));
            query.push(", ").push_bind(i32::try_from(part).unwrap_or(i32::MAX)).push(")");
        }
        let limit = limit.clamp(1, PAGE_MAX) as i64;
        query.push(" order by n desc, part desc limit ").push_bind(limit).push(look.mark());
        let rows = query.build().fetch_all(look.connection()).await;
        let rows = rows.map_err(|error| look.failed(error))?;
        look.end(rows.iter().map(violation).collect::<sqlx::Result<_>>()?).await
    }
}

fn violation(row: &PgRow) -> sqlx::Result<ViolationRow> {
    Ok(ViolationRow {
        place: ViolationPlace {
            n: number(row.try_get("n")?),
            part: row.try_get::<i32, _>("part")?.unsigned_abs(),
        },
        account: row.try_get("account")?,
        user_id: UserId::new(row.try_get::<&str, _>("user_id")?).map_err(decode)?,
        job_id: JobId(row.try_get("job_id")?),
        module: ModuleName::new(row.try_get::<&str, _>("module")?).map_err(decode)?,
        code: row.try_get("code")?,
        quota: row.try_get("quota")?,
        usage: row.try_get("usage")?,
        limit: row.try_get("quota_limit")?,
        requested: row.try_get("requested")?,
        retry_after_s: row.try_get("retry_after_s")?,
        detail: row.try_get("detail")?,
        at: row.try_get::<Instant, _>("at")?.0,
    })
}
