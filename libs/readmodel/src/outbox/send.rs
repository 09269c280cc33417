//! What is due, what became of it, and what is kept no longer.

use nox_contract::{DeliveryId, FrameNumber, Timestamp, WebhookId};
use sqlx::{Row, postgres::PgRow};

use super::{Attempted, Due, Limits, Lock, Outbox, OutboxError, Removed, uuids};
use crate::sql::{Instant, number};

impl Outbox {
    /// Deliveries whose attempt is due at `now`, of these webhooks, at most so many of each, the first ones first;
    /// none of `under_way`.
    pub async fn due(
        &self,
        webhooks: &[WebhookId],
        under_way: &[i64],
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Due>, OutboxError> {
        let mut transaction = self.begin().await?;
        let rows = sqlx::query(
            "select due.*
             from unnest($1::uuid[]) as wanted (webhook_id)
                  cross join lateral (
                      select seq, webhook_id, delivery_id, body, attempts, due_at
                      from deliveries
                      where webhook_id = wanted.webhook_id and state = 'pending' and due_at <= $2
                            and seq <> all($3::bigint[])
                      order by due_at, seq
                      limit $4) due",
        )
        .bind(uuids(webhooks))
        .bind(Instant(now))
        .bind(under_way)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(rows.iter().map(due).collect::<sqlx::Result<_>>()?)
    }

    /// Notes what became of attempts, in one statement. A delivery that was asked for anew while its attempt was under
    /// way stays due.
    ///
    /// # Errors
    /// [`OutboxError::Another`] if another process has begun to write.
    pub async fn attempted(&self, all: &[Attempted]) -> Result<(), OutboxError> {
        let mut transaction = self.begin().await?;
        // What a crash of Postgres takes back is sent again, under the same id.
        sqlx::raw_sql("set local synchronous_commit = off").execute(&mut *transaction).await?;
        // Without a lock, which would hold up what is being taken in: what was sent was sent, whoever writes by now.
        self.is_writer(&mut transaction, Lock::None).await?;
        sqlx::query(
            "with made as (
                 select * from unnest($1::bigint[], $2::uuid[], $3::text[], $4::timestamptz[],
                                      $5::timestamptz[], $6::integer[], $7::text[],
                                      $8::timestamptz[], $9::integer[])
                               as made (seq, webhook_id, state, again_at, at, status, error,
                                        due_at, attempt)),
             noted as (
                 update deliveries
                 set state = made.state, attempts = made.attempt,
                     due_at = coalesce(made.again_at, deliveries.due_at),
                     last_at = made.at, status = made.status, error = made.error
                 from made
                 where deliveries.seq = made.seq and deliveries.state = 'pending'
                       and deliveries.due_at = made.due_at
                       and deliveries.attempts = made.attempt - 1),
             of as (
                 select webhook_id, bool_or(state = 'delivered') as taken, min(at) as at,
                        count(*) filter (where state <> 'delivered') as failed
                 from made group by webhook_id)
             update webhooks
             set failures = case when of.taken then 0 else failures + of.failed end,
                 failing_since = case when of.taken then null else coalesce(failing_since, of.at) end
             from of
             where webhooks.webhook_id = of.webhook_id
                   -- Most of the time nothing fails, and nothing changes.
                   and (not of.taken or webhooks.failures > 0)",
        )
        .bind(all.iter().map(|made| made.seq).collect::<Vec<_>>())
        .bind(uuids(all.iter().map(|made| &made.webhook_id)))
        .bind(all.iter().map(Attempted::state).collect::<Vec<_>>())
        .bind(all.iter().map(|made| made.again_at.map(Instant)).collect::<Vec<_>>())
        .bind(all.iter().map(|made| Instant(made.at)).collect::<Vec<_>>())
        .bind(all.iter().map(|made| made.status.map(i32::from)).collect::<Vec<_>>())
        .bind(all.iter().map(|made| made.error).collect::<Vec<_>>())
        .bind(all.iter().map(|made| Instant(made.due_at)).collect::<Vec<_>>())
        .bind(all.iter().map(|made| made.attempt.cast_signed()).collect::<Vec<_>>())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Webhooks that are on, and of which so many attempts have failed since before `since` and none was taken.
    pub async fn failing(
        &self,
        since: Timestamp,
        failures: u32,
    ) -> Result<Vec<(WebhookId, FrameNumber)>, OutboxError> {
        let mut transaction = self.begin().await?;
        let rows = sqlx::query(
            "select webhook_id, set_in from webhooks
             where is_on and failing_since < $1 and failures >= $2",
        )
        .bind(Instant(since))
        .bind(i32::try_from(failures).unwrap_or(i32::MAX))
        .fetch_all(&mut *transaction)
        .await?;
        transaction.commit().await?;
        let read = |row: &PgRow| -> sqlx::Result<(WebhookId, FrameNumber)> {
            Ok((WebhookId(row.try_get("webhook_id")?), number(row.try_get("set_in")?)))
        };
        Ok(rows.iter().map(read).collect::<sqlx::Result<_>>()?)
    }

    /// Drops the oldest of what waits beyond the limits, and forgets what need not be known any more.
    ///
    /// # Errors
    /// [`OutboxError::Another`] if another process has begun to write.
    pub async fn prune(&self, limits: Limits, now: Timestamp) -> Result<Removed, OutboxError> {
        let mut transaction = self.begin().await?;
        self.is_writer(&mut transaction, Lock::Shared).await?;
        let bytes_max = i64::try_from(limits.bytes_max).unwrap_or(i64::MAX);
        let dropped = sqlx::query(
            "with over as (
                 select seq from (
                     select seq, row_number() over newest as place,
                            sum(octet_length(body)) over newest as bytes
                     from deliveries where state = 'pending'
                     window newest as (partition by webhook_id order by seq desc)) ranked
                 where place > $1 or bytes > $2),
             gone as (
                 update deliveries set state = 'dropped', last_at = $3
                 from over where deliveries.seq = over.seq
                 returning webhook_id),
             counted as (select webhook_id, count(*) as count from gone group by webhook_id),
             noted as (
                 update webhooks set dropped = dropped + counted.count
                 from counted where webhooks.webhook_id = counted.webhook_id)
             select coalesce(sum(count), 0)::bigint from counted",
        )
        .bind(i64::from(limits.pending_max))
        .bind(bytes_max)
        .bind(Instant(now))
        .fetch_one(&mut *transaction)
        .await?;
        let dropped: i64 = dropped.try_get(0)?;
        let forgotten = sqlx::query(
            "delete from deliveries using (
                 select seq, last_at, row_number() over newest as place,
                        sum(octet_length(body)) over newest as bytes
                 from deliveries where state <> 'pending'
                 window newest as (partition by webhook_id order by seq desc)) ranked
             where deliveries.seq = ranked.seq
                   and (place > $1 or bytes > $2 or ranked.last_at < $3)",
        )
        .bind(i64::from(limits.ended_max))
        .bind(bytes_max)
        .bind(Instant(now - limits.keep))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(Removed { dropped: dropped.unsigned_abs(), forgotten: forgotten.rows_affected() })
    }

    /// How many deliveries wait, of all webhooks.
    pub async fn waiting(&self) -> Result<u64, OutboxError> {
        let mut transaction = self.begin().await?;
        let count: i64 =
            sqlx::query_scalar("select count(*) from deliveries where state = 'pending'")
                .fetch_one(&mut *transaction)
                .await?;
        transaction.commit().await?;
        Ok(count.unsigned_abs())
    }
}

fn due(row: &PgRow) -> sqlx::Result<Due> {
    let attempts: i32 = row.try_get("attempts")?;
    Ok(Due {
        seq: row.try_get("seq")?,
        webhook_id: WebhookId(row.try_get("webhook_id")?),
        delivery_id: DeliveryId(row.try_get("delivery_id")?),
        body: row.try_get("body")?,
        attempts: attempts.unsigned_abs(),
        due_at: row.try_get::<Instant, _>("due_at")?.0,
    })
}
