//! Takes in what a stretch of the log leads to.

use nox_contract::Timestamp;
use sqlx::{Postgres, Transaction, types::Json};

use super::{Lock, Outbox, OutboxError, OutboxPlace, StoredTarget, Taken, uuids};
use crate::sql::{Instant, big, number};

impl Outbox {
    /// Takes in what stands between two places, whole, and moves the place with it. May be given again where it is not
    /// known whether it was taken in.
    ///
    /// # Errors
    /// [`OutboxError::Another`] if another process has begun to write.
    pub async fn take(
        &self,
        (from, to): (OutboxPlace, OutboxPlace),
        taken: &Taken,
        now: Timestamp,
    ) -> Result<(), OutboxError> {
        let mut transaction = self.begin().await?;
        let moved = sqlx::query(
            "update place set n = $1, chain = $2 where n = $3 and chain = $4 and writer = $5",
        )
        .bind(big(to.n.0))
        .bind(to.chain.to_string())
        .bind(big(from.n.0))
        .bind(from.chain.to_string())
        .bind(self.writer)
        .execute(&mut *transaction)
        .await?;
        if moved.rows_affected() == 0 {
            return self.was_taken(transaction, to).await;
        }
        if !taken.is_empty() {
            write(&mut transaction, taken, now).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// The place is another one: that is all right if it is where this was to lead.
    async fn was_taken(
        &self,
        mut transaction: Transaction<'_, Postgres>,
        to: OutboxPlace,
    ) -> Result<(), OutboxError> {
        self.is_writer(&mut transaction, Lock::Shared).await?;
        let n = sqlx::query_scalar("select n from place where chain = $1")
            .bind(to.chain.to_string())
            .fetch_optional(&mut *transaction)
            .await?;
        if n.map(number) == Some(to.n) { Ok(()) } else { Err(OutboxError::Another) }
    }
}

async fn write(
    transaction: &mut Transaction<'_, Postgres>,
    taken: &Taken,
    now: Timestamp,
) -> sqlx::Result<()> {
    webhooks(transaction, taken).await?;
    deliveries(transaction, taken, now).await?;
    let is_off = |target: &Option<_>| target.as_ref().is_some_and(|of: &StoredTarget| !of.is_on);
    let off = uuids(taken.webhooks.iter().filter(|(_, of)| is_off(of)).map(|(id, _)| id));
    if !off.is_empty() {
        sqlx::query(
            "update deliveries set state = 'canceled', last_at = $2
             where webhook_id = any($1::uuid[]) and state = 'pending'",
        )
        .bind(off)
        .bind(Instant(now))
        .execute(&mut **transaction)
        .await?;
    }
    let deleted = uuids(taken.webhooks.iter().filter(|(_, of)| of.is_none()).map(|(id, _)| id));
    if !deleted.is_empty() {
        sqlx::query("delete from webhooks where webhook_id = any($1::uuid[])")
            .bind(deleted)
            .execute(&mut **transaction)
            .await?;
    }
    Ok(())
}

async fn webhooks(transaction: &mut Transaction<'_, Postgres>, taken: &Taken) -> sqlx::Result<()> {
    let rows = taken.webhooks.iter().filter_map(|(id, target)| Some((id, target.as_ref()?)));
    for (id, target) in rows {
        sqlx::query(
            "insert into webhooks
                 (webhook_id, tenant, owner, spec, expires_at, rotation, previous_until, is_on, set_in)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             on conflict (webhook_id) do update
             set spec = excluded.spec,
                 expires_at = excluded.expires_at,
                 rotation = excluded.rotation,
                 previous_until = excluded.previous_until,
                 is_on = excluded.is_on,
                 failures = case when webhooks.set_in = excluded.set_in then webhooks.failures else 0 end,
                 failing_since = case when webhooks.set_in = excluded.set_in then webhooks.failing_since end,
                 set_in = excluded.set_in",
        )
        .bind(id.0)
        .bind(target.tenant.as_str())
        .bind(target.owner.as_str())
        .bind(Json(&target.spec))
        .bind(target.expires_at.map(Instant))
        .bind(i32::try_from(target.rotation).unwrap_or(i32::MAX))
        .bind(target.previous_until.map(Instant))
        .bind(target.is_on)
        .bind(big(target.set_in.0))
        .execute(&mut **transaction)
        .await?;
    }
    Ok(())
}

/// In the order of the log; of one that is known already nothing changes.
async fn deliveries(
    transaction: &mut Transaction<'_, Postgres>,
    taken: &Taken,
    now: Timestamp,
) -> sqlx::Result<()> {
    let all = &taken.deliveries;
    if !all.is_empty() {
        sqlx::query(
            "insert into deliveries
                 (webhook_id, delivery_id, event_id, event_type, body, state, due_at, created_at)
             select webhook_id, delivery_id, event_id, event_type, body, 'pending', $6, $6
             from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[])
                  with ordinality as new (webhook_id, delivery_id, event_id, event_type, body, place)
                  join webhooks using (webhook_id)
             order by place
             on conflict (webhook_id, delivery_id) do nothing",
        )
        .bind(all.iter().map(|new| new.webhook_id.0).collect::<Vec<_>>())
        .bind(all.iter().map(|new| new.delivery_id.0).collect::<Vec<_>>())
        .bind(all.iter().map(|new| new.event_id.to_string()).collect::<Vec<_>>())
        .bind(all.iter().map(|new| new.event_type.to_string()).collect::<Vec<_>>())
        .bind(all.iter().map(|new| new.body.as_str()).collect::<Vec<_>>())
        .bind(Instant(now))
        .execute(&mut **transaction)
        .await?;
    }
    if !taken.again.is_empty() {
        sqlx::query(
            "update deliveries set state = 'pending', due_at = $3, attempts = 0
             from unnest($1::uuid[], $2::uuid[]) as again (webhook_id, delivery_id)
             where deliveries.webhook_id = again.webhook_id
                   and deliveries.delivery_id = again.delivery_id",
        )
        .bind(taken.again.iter().map(|(webhook, _)| webhook.0).collect::<Vec<_>>())
        .bind(taken.again.iter().map(|(_, delivery)| delivery.0).collect::<Vec<_>>())
        .bind(Instant(now))
        .execute(&mut **transaction)
        .await?;
    }
    Ok(())
}
