//! What stands in the outbox.

use std::{collections::BTreeMap, time::Duration};

use nox_contract::{
    Chain, DeliveryId, EventType, FactPlace, FrameNumber, TenantId, Timestamp, UserId, WebhookId,
    WebhookSpec,
};
use sqlx::{Row, postgres::PgRow, types::Json};

use crate::{
    load::decode,
    rows::UnknownWord,
    sql::{Instant, number},
};

/// How far the log was looked through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutboxPlace {
    pub n: FrameNumber,
    pub chain: Chain,
}

/// A webhook at that place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTarget {
    pub tenant: TenantId,
    pub owner: UserId,
    pub spec: WebhookSpec,
    /// When the API key runs out that it is bound to.
    pub expires_at: Option<Timestamp>,
    pub rotation: u32,
    pub previous_until: Option<Timestamp>,
    /// Whether it sends anything.
    pub is_on: bool,
    /// The frame in which it was set last.
    pub set_in: FrameNumber,
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Attached {
    pub place: OutboxPlace,
    pub webhooks: BTreeMap<WebhookId, StoredTarget>,
}

/// What a stretch of the log leads to.
#[derive(Debug, Default, Clone)]
pub struct Taken {
    /// `None` of those that were deleted.
    pub webhooks: BTreeMap<WebhookId, Option<StoredTarget>>,
    pub deliveries: Vec<NewDelivery>,
    /// What is to be sent once more.
    pub again: Vec<(WebhookId, DeliveryId)>,
}

impl Taken {
    /// Whether nothing but the place moves.
    pub fn is_empty(&self) -> bool {
        self.webhooks.is_empty() && self.deliveries.is_empty() && self.again.is_empty()
    }
}

#[derive(Debug, Clone)]
pub struct NewDelivery {
    pub webhook_id: WebhookId,
    pub delivery_id: DeliveryId,
    pub event_id: FactPlace,
    pub event_type: EventType,
    /// The event, as it is sent.
    pub body: String,
}

/// A delivery whose attempt is due.
#[derive(Debug, Clone)]
pub struct Due {
    pub seq: i64,
    pub webhook_id: WebhookId,
    pub delivery_id: DeliveryId,
    pub body: String,
    /// Those that were made.
    pub attempts: u32,
    pub due_at: Timestamp,
}

/// What became of an attempt.
#[derive(Debug, Clone)]
pub struct Attempted {
    pub seq: i64,
    pub webhook_id: WebhookId,
    /// Since when it was due, and which attempt it was: of a delivery that was asked for anew meanwhile, nothing is noted.
    pub due_at: Timestamp,
    pub attempt: u32,
    pub at: Timestamp,
    /// `None` if it was taken, or was the last one.
    pub again_at: Option<Timestamp>,
    pub taken: bool,
    pub status: Option<u16>,
    /// Why there is no status.
    pub error: Option<&'static str>,
}

impl Attempted {
    pub(super) fn state(&self) -> &'static str {
        match (self.taken, self.again_at) {
            (true, _) => "delivered",
            (false, Some(_)) => "pending",
            (false, None) => "failed",
        }
    }
}

/// How much is kept, of each webhook.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most deliveries that wait, and the bytes of their bodies; the oldest ones beyond are dropped.
    pub pending_max: u32,
    pub bytes_max: u64,
    /// Most that do not wait any more, within the same bytes, and for how long.
    pub ended_max: u32,
    pub keep: Duration,
}

/// What was removed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Removed {
    pub dropped: u64,
    pub forgotten: u64,
}

pub(super) fn chain(row: &PgRow) -> sqlx::Result<Chain> {
    let text: &str = row.try_get("chain")?;
    let unknown = || decode(UnknownWord { column: "chain", found: text.to_owned() });
    Chain::parse(text).ok_or_else(unknown)
}

pub(super) fn target(row: &PgRow) -> sqlx::Result<(WebhookId, StoredTarget)> {
    let Json(spec) = row.try_get("spec")?;
    let instant = |column| row.try_get::<Option<Instant>, _>(column).map(|i| i.map(|i| i.0));
    let rotation: i32 = row.try_get("rotation")?;
    let target = StoredTarget {
        tenant: TenantId::new(row.try_get::<&str, _>("tenant")?).map_err(decode)?,
        owner: UserId::new(row.try_get::<&str, _>("owner")?).map_err(decode)?,
        spec,
        expires_at: instant("expires_at")?,
        rotation: rotation.unsigned_abs(),
        previous_until: instant("previous_until")?,
        is_on: row.try_get("is_on")?,
        set_in: number(row.try_get("set_in")?),
    };
    Ok((WebhookId(row.try_get("webhook_id")?), target))
}
