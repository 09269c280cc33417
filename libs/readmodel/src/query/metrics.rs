//! The metrics of jobs.

use nox_contract::{ModuleName, TenantId, UserId};
use sqlx::{Row, postgres::PgRow, types::Json};

use super::{At, QueryError, Reader};
use crate::{
    metrics::{self, Durations, MetricsSnapshot, Submitted},
    sql::count,
};

impl Reader {
    /// All metrics of jobs.
    pub async fn metrics(&self) -> Result<At<MetricsSnapshot>, QueryError> {
        let mut look = self.look().await?;
        let sql = look.sql("select name, labels, value from metrics order by name, labels");
        let rows = sqlx::query(sql).fetch_all(look.connection()).await;
        let rows = rows.map_err(|error| look.failed(error))?;
        let mut snapshot = MetricsSnapshot::default();
        for row in &rows {
            add_metric(&mut snapshot, row)?;
        }
        look.end(snapshot).await
    }
}

/// The labels of any metric; each has some of them.
#[derive(serde::Deserialize)]
struct Labels {
    tenant: Option<TenantId>,
    user_id: Option<UserId>,
    module: Option<ModuleName>,
    bucket: Option<usize>,
    code: Option<String>,
    reason: Option<String>,
}

fn add_metric(snapshot: &mut MetricsSnapshot, row: &PgRow) -> sqlx::Result<()> {
    let Json(labels): Json<Labels> = row.try_get("labels")?;
    let value: i64 = row.try_get("value")?;
    let Labels { tenant, user_id, module, bucket, code, reason } = labels;
    match (row.try_get("name")?, module) {
        (metrics::SUBMITTED, Some(module)) => {
            if let (Some(tenant), Some(user_id)) = (tenant, user_id) {
                let count = count(value);
                snapshot.submitted.push(Submitted { tenant, user_id, module, count });
            }
        }
        (metrics::RUNNING, Some(module)) => snapshot.running.push((module, value)),
        (metrics::FAILURES, Some(module)) => snapshot.failures.push((module, count(value))),
        (metrics::DURATION_BUCKET, Some(module)) => {
            let durations = durations_of(snapshot, module);
            durations.count += count(value);
            for bucket in durations.buckets.iter_mut().skip(bucket.unwrap_or(usize::MAX)) {
                *bucket += count(value);
            }
        }
        (metrics::DURATION_MICROS, Some(module)) => {
            durations_of(snapshot, module).sum_seconds = value as f64 / 1e6;
        }
        (metrics::VIOLATIONS, None) => snapshot.violations.extend(code.map(|c| (c, count(value)))),
        (metrics::PARKED, None) => snapshot.parked.extend(reason.map(|r| (r, count(value)))),
        // A newer version counts more.
        _ => {}
    }
    Ok(())
}

fn durations_of(snapshot: &mut MetricsSnapshot, module: ModuleName) -> &mut Durations {
    let known = snapshot.durations.iter().position(|durations| durations.module == module);
    let index = known.unwrap_or(snapshot.durations.len());
    if known.is_none() {
        let buckets = Default::default();
        snapshot.durations.push(Durations { module, buckets, count: 0, sum_seconds: 0.0 });
    }
    &mut snapshot.durations[index]
}
