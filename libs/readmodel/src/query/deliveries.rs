//! What became of what webhooks had to send, as the notifier has written it.

use nox_contract::{DeliveryId, Timestamp, WebhookId};
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use super::{At, PAGE_MAX, QueryError, Reader};
use crate::sql::Instant;

/// A delivery, without its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRow {
    /// The order in which they were made.
    pub seq: i64,
    pub delivery_id: DeliveryId,
    /// Where the event stands in the log.
    pub event_id: String,
    pub event_type: String,
    /// `pending`, `delivered`, `failed`, `dropped` or `canceled`.
    pub state: String,
    pub attempts: u32,
    /// When the next attempt is due, if there is to be one.
    pub due_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub last_at: Option<Timestamp>,
    pub status: Option<u32>,
    pub error: Option<String>,
}

/// How a webhook's endpoint is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointRow {
    /// Attempts that failed since the last one that was taken, and since when they do.
    pub failures: u32,
    pub failing_since: Option<Timestamp>,
    /// Deliveries that were given up because too many waited.
    pub dropped: u64,
}

const DELIVERY: &str = "seq, delivery_id, event_id, event_type, state, attempts, due_at, created_at, \
                        last_at, status, error";

impl Reader {
    /// Deliveries of a webhook, the newest first: before `before`, at most `limit` and [`PAGE_MAX`].
    pub async fn deliveries(
        &self,
        webhook: WebhookId,
        before: Option<i64>,
        limit: usize,
    ) -> Result<At<Vec<DeliveryRow>>, QueryError> {
        let mut look = self.look().await?;
        let sql = look.sql(&format!(
            "select {DELIVERY}
             from nox_outbox.deliveries
             where webhook_id = $1 and ($2::bigint is null or seq < $2)
             order by seq desc
             limit $3"
        ));
        let rows = sqlx::query(sql)
            .bind(webhook.0)
            .bind(before)
            .bind(limit.clamp(1, PAGE_MAX) as i64)
            .fetch_all(look.connection())
            .await;
        let rows = rows.map_err(|error| look.failed(error))?;
        look.end(rows.iter().map(delivery).collect::<sqlx::Result<_>>()?).await
    }

    /// Whether there is a delivery of a webhook.
    pub async fn has_delivery(
        &self,
        webhook: WebhookId,
        id: DeliveryId,
    ) -> Result<At<bool>, QueryError> {
        let mut look = self.look().await?;
        let sql = look.sql(
            "select exists (
                 select from nox_outbox.deliveries where webhook_id = $1 and delivery_id = $2)",
        );
        let found =
            sqlx::query_scalar(sql).bind(webhook.0).bind(id.0).fetch_one(look.connection()).await;
        let found = found.map_err(|error| look.failed(error))?;
        look.end(found).await
    }

    /// How the endpoint of a webhook is; `None` if the notifier has not heard of it.
    pub async fn endpoint(
        &self,
        webhook: WebhookId,
    ) -> Result<At<Option<EndpointRow>>, QueryError> {
        let mut look = self.look().await?;
        let sql = look.sql(
            "select failures, failing_since, dropped from nox_outbox.webhooks where webhook_id = $1",
        );
        let row = sqlx::query(sql).bind(webhook.0).fetch_optional(look.connection()).await;
        let row = row.map_err(|error| look.failed(error))?;
        let read = |row: &PgRow| -> sqlx::Result<EndpointRow> {
            let failing_since: Option<Instant> = row.try_get("failing_since")?;
            Ok(EndpointRow {
                failures: row.try_get::<i32, _>("failures")?.unsigned_abs(),
                failing_since: failing_since.map(|instant| instant.0),
                dropped: row.try_get::<i64, _>("dropped")?.unsigned_abs(),
            })
        };
        look.end(row.as_ref().map(read).transpose()?).await
    }
}

fn delivery(row: &PgRow) -> sqlx::Result<DeliveryRow> {
    let state: String = row.try_get("state")?;
    let due_at = row.try_get::<Instant, _>("due_at")?.0;
    let status: Option<i32> = row.try_get("status")?;
    Ok(DeliveryRow {
        seq: row.try_get("seq")?,
        delivery_id: DeliveryId(row.try_get::<Uuid, _>("delivery_id")?),
        event_id: row.try_get("event_id")?,
        event_type: row.try_get("event_type")?,
        due_at: (state == "pending").then_some(due_at),
        state,
        attempts: row.try_get::<i32, _>("attempts")?.unsigned_abs(),
        created_at: row.try_get::<Instant, _>("created_at")?.0,
        last_at: row.try_get::<Option<Instant>, _>("last_at")?.map(|instant| instant.0),
        status: status.map(i32::unsigned_abs),
        error: row.try_get("error")?,
    })
}
