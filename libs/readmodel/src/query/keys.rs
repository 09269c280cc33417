//! API keys, schedules and webhooks.

use std::collections::BTreeSet;

use nox_contract::{ApiKey, KeyId, ScheduleId, TenantId, UserId, WebhookId};
use sqlx::{Row, postgres::PgRow, types::Json};
use uuid::Uuid;

use super::{At, PAGE_MAX, QueryError, Reader};
use crate::{
    load::{self, SCHEDULE, WEBHOOK, decode},
    rows::{StoredKey, StoredSchedule, StoredWebhook},
    sql::{Instant, number},
};

/// A key and its id.
pub type KeyRow = (KeyId, StoredKey);
/// A schedule and its id.
pub type ScheduleRow = (ScheduleId, StoredSchedule);

/// A webhook and its id.
pub type WebhookRow = (WebhookId, StoredWebhook);

const KEY: &str =
    "key_id, tenant, name, user_id, role, scopes, expires_at, hash, created_by, created_at, n";

impl Reader {
    /// A key that was not revoked, whatever its tenant.
    pub async fn key(&self, id: KeyId) -> Result<At<Option<KeyRow>>, QueryError> {
        let mut look = self.look().await?;
        let sql = look.sql(&format!("select {KEY} from api_keys where key_id = $1"));
        let row = sqlx::query(sql).bind(id.0).fetch_optional(look.connection()).await;
        let row = row.map_err(|error| look.failed(error))?;
        look.end(row.as_ref().map(key).transpose()?).await
    }

    /// Keys of a tenant, or those that one of its users made: behind `after`, at most `limit` and
    /// [`PAGE_MAX`].
    pub async fn keys(
        &self,
        tenant: &TenantId,
        by: Option<&UserId>,
        after: Option<KeyId>,
        limit: usize,
    ) -> Result<At<Vec<KeyRow>>, QueryError> {
        let mut look = self.look().await?;
        let sql = look.sql(&format!(
            "select {KEY}
             from api_keys
             where tenant = $1 and ($2::text is null or created_by = $2)
                   and ($3::uuid is null or key_id > $3)
             order by key_id
             limit $4"
        ));
        let rows = sqlx::query(sql)
            .bind(tenant.as_str())
            .bind(by.map(|user| user.as_str()))
            .bind(after.map(|id| id.0))
            .bind(limit.clamp(1, PAGE_MAX) as i64)
            .fetch_all(look.connection())
            .await;
        let rows = rows.map_err(|error| look.failed(error))?;
        look.end(rows.iter().map(key).collect::<sqlx::Result<_>>()?).await
    }

    pub async fn schedule(
        &self,
        tenant: &TenantId,
        id: ScheduleId,
    ) -> Result<At<Option<ScheduleRow>>, QueryError> {
        let mut look = self.look().await?;
        let sql = look.sql(&format!(
            "select {SCHEDULE} from schedules where tenant = $1 and schedule_id = $2"
        ));
        let row = sqlx::query(sql)
            .bind(tenant.as_str())
            .bind(id.0)
            .fetch_optional(look.connection())
            .await;
        let row = row.map_err(|error| look.failed(error))?;
        look.end(row.as_ref().map(load::schedule).transpose()?).await
    }

    /// Schedules of a tenant, or of one of its users: behind `after`, at most `limit` and [`PAGE_MAX`].
    pub async fn schedules(
        &self,
        tenant: &TenantId,
        user: Option<&UserId>,
        after: Option<ScheduleId>,
        limit: usize,
    ) -> Result<At<Vec<ScheduleRow>>, QueryError> {
        let mut look = self.look().await?;
        let sql = look.sql(&format!(
            "select {SCHEDULE}
             from schedules
             where tenant = $1 and ($2::text is null or user_id = $2)
                   and ($3::uuid is null or schedule_id > $3)
             order by schedule_id
             limit $4"
        ));
        let rows = sqlx::query(sql)
            .bind(tenant.as_str())
            .bind(user.map(|user| user.as_str()))
            .bind(after.map(|id| id.0))
            .bind(limit.clamp(1, PAGE_MAX) as i64)
            .fetch_all(look.connection())
            .await;
        let rows = rows.map_err(|error| look.failed(error))?;
        look.end(rows.iter().map(load::schedule).collect::<sqlx::Result<_>>()?).await
    }

    pub async fn webhook(
        &self,
        tenant: &TenantId,
        id: WebhookId,
    ) -> Result<At<Option<WebhookRow>>, QueryError> {
        let mut look = self.look().await?;
        let sql = look
            .sql(&format!("select {WEBHOOK} from webhooks where tenant = $1 and webhook_id = $2"));
        let row = sqlx::query(sql)
            .bind(tenant.as_str())
            .bind(id.0)
            .fetch_optional(look.connection())
            .await;
        let row = row.map_err(|error| look.failed(error))?;
        look.end(row.as_ref().map(load::webhook).transpose()?).await
    }

    /// Webhooks of a tenant, or of one of its users: behind `after`, at most `limit` and [`PAGE_MAX`].
    pub async fn webhooks(
        &self,
        tenant: &TenantId,
        user: Option<&UserId>,
        after: Option<WebhookId>,
        limit: usize,
    ) -> Result<At<Vec<WebhookRow>>, QueryError> {
        let mut look = self.look().await?;
        let sql = look.sql(&format!(
            "select {WEBHOOK}
             from webhooks
             where tenant = $1 and ($2::text is null or user_id = $2)
                   and ($3::uuid is null or webhook_id > $3)
             order by webhook_id
             limit $4"
        ));
        let rows = sqlx::query(sql)
            .bind(tenant.as_str())
            .bind(user.map(|user| user.as_str()))
            .bind(after.map(|id| id.0))
            .bind(limit.clamp(1, PAGE_MAX) as i64)
            .fetch_all(look.connection())
            .await;
        let rows = rows.map_err(|error| look.failed(error))?;
        look.end(rows.iter().map(load::webhook).collect::<sqlx::Result<_>>()?).await
    }
}

fn key(row: &PgRow) -> sqlx::Result<KeyRow> {
    let Json(scopes): Json<BTreeSet<String>> = row.try_get("scopes")?;
    let expires_at: Option<Instant> = row.try_get("expires_at")?;
    let stored = StoredKey {
        tenant: TenantId::new(row.try_get::<&str, _>("tenant")?).map_err(decode)?,
        key: ApiKey {
            name: row.try_get("name")?,
            user_id: UserId::new(row.try_get::<&str, _>("user_id")?).map_err(decode)?,
            role: row.try_get("role")?,
            scopes,
            expires_at: expires_at.map(|instant| instant.0),
            hash: row.try_get("hash")?,
        },
        by: UserId::new(row.try_get::<&str, _>("created_by")?).map_err(decode)?,
        created_at: row.try_get::<Instant, _>("created_at")?.0,
        n: number(row.try_get("n")?),
    };
    Ok((KeyId(row.try_get::<Uuid, _>("key_id")?), stored))
}
