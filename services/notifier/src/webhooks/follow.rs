//! From the log into the outbox: what each stretch leads to, in one transaction with how far it reaches.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::Context;
use nox_archive::{Follower, Log};
use nox_contract::{
    CloudEvent, DeliveryId, Entry, Fact, FactOrUnknown, FactPlace, Frame, FrameNumber, JobId,
    Timestamp, event::KnownLabels,
};
use nox_protocol::HeadReader;
use nox_readmodel::{
    OutboxError, Reader,
    outbox::{NewDelivery, OutboxPlace, Taken},
};
use nox_service::Backoff;

use super::{Definitions, READER, Webhooks, log_postgres};
use crate::{RETRY_MAX, RETRY_MIN, place::ReaderPlace};

/// Events that are older than all attempts would take are not sent any more: whoever is that far behind begins with
/// what somebody may still want to hear.
const EVENT_AGE_MAX: Duration = Duration::from_secs(3 * 24 * 3_600);
/// How often the place is written where nothing else is: what stands between is read again, and leads to nothing.
const PLACE_EVERY: Duration = Duration::from_secs(1);
/// Deliveries after which no more frames are looked at before these are taken in.
const TAKEN_MAX: usize = 2_000;
/// Most jobs whose labels are remembered.
const LABELS_MAX: usize = 50_000;
/// Between two looks at rows that have not taken in yet what is asked of them.
const ROWS_PAUSE: Duration = Duration::from_millis(20);

/// Follows the log behind `place`, for ever.
pub(super) async fn run(
    webhooks: &Webhooks,
    log: &Log,
    place: OutboxPlace,
    definitions: Definitions,
) -> anyhow::Result<()> {
    let mut follower = Follower::new(log, HeadReader::behind(place.n, place.chain));
    let mut matching = Matching {
        webhooks,
        definitions,
        labels: KnownLabels::new(LABELS_MAX),
        taken: Taken::default(),
        changed: true,
    };
    let (mut written, mut read) = (place, place);
    let now = || webhooks.clock.monotonic();
    let mut wrote = now();
    // The log is not cut before it.
    let outbox = ReaderPlace::tell(log, READER, written.n);
    matching.publish();
    loop {
        let behind = written != read;
        tokio::select! {
            followed = follower.next() => {
                for message in followed? {
                    read = OutboxPlace { n: message.n, chain: read.chain.extend(&message.message.payload) };
                    if message.said.is_some() {
                        matching.frame(message.n, &message.message.payload).await?;
                    }
                    if matching.taken.deliveries.len() >= TAKEN_MAX {
                        matching.take((written, read)).await?;
                        (written, wrote) = (read, now());
                    }
                }
            }
            () = tokio::time::sleep(PLACE_EVERY), if behind => {}
        }
        if !matching.taken.is_empty() || now().saturating_sub(wrote) >= PLACE_EVERY {
            matching.take((written, read)).await?;
            (written, wrote) = (read, now());
        }
        outbox.reach(written.n);
    }
}

struct Matching<'a> {
    webhooks: &'a Webhooks,
    definitions: Definitions,
    labels: KnownLabels,
    taken: Taken,
    /// Since they were published.
    changed: bool,
}

impl Matching<'_> {
    /// Takes in what was gathered between two places.
    async fn take(&mut self, places: (OutboxPlace, OutboxPlace)) -> anyhow::Result<()> {
        self.webhooks.take(places, &self.taken).await?;
        self.taken = Taken::default();
        self.publish();
        self.webhooks.metrics.outbox_place(places.1.n);
        Ok(())
    }

    /// Says which webhooks there are, once what stands there is of them.
    fn publish(&mut self) {
        if std::mem::take(&mut self.changed) {
            self.webhooks.targets.send_replace(Arc::new(self.definitions.webhooks.clone()));
        }
        self.webhooks.news.notify_one();
    }

    async fn frame(&mut self, n: FrameNumber, payload: &[u8]) -> anyhow::Result<()> {
        if !self.definitions.any_is_on() && !Definitions::concerns(payload) {
            return Ok(());
        }
        let frame: Frame =
            serde_json::from_slice(payload).with_context(|| format!("frame {n} cannot be read"))?;
        let now = self.webhooks.clock.wall();
        let is_old = now.since(frame.at) > EVENT_AGE_MAX;
        self.labels.make_room();
        for (entry, of) in (0..).zip(&frame.entries) {
            for (fact, known) in (0..).zip(&of.facts) {
                let place = FactPlace { n, entry, fact };
                // What of a newer version's fact may be told is not known; the feed counts them.
                let FactOrUnknown::Known(known) = known else { continue };
                self.labels.hear(of, known);
                if !is_old {
                    self.fact(place, frame.at, of, known).await?;
                }
                self.definitions.hear(n, of, known, &mut self.taken);
                self.changed |= matches!(
                    known,
                    Fact::WebhookSet { .. }
                        | Fact::WebhookRotated { .. }
                        | Fact::WebhookDisabled { .. }
                        | Fact::WebhookDeleted { .. }
                );
            }
        }
        Ok(())
    }

    /// Makes what a fact leads to.
    async fn fact(
        &mut self,
        place: FactPlace,
        at: Timestamp,
        entry: &Entry,
        fact: &Fact,
    ) -> anyhow::Result<()> {
        let wanting = match (fact, entry.webhook_id) {
            // To that webhook alone, whatever its filter says, under the id that its asker was told.
            (Fact::WebhookTested { delivery_id, .. }, Some(id)) => {
                let known = self.definitions.webhooks.get(&id).cloned();
                known.map(|webhook| (id, webhook, *delivery_id)).into_iter().collect()
            }
            _ => {
                let mut all = Vec::new();
                for (id, webhook) in self.definitions.wanting(entry, fact, at) {
                    let filter = &webhook.spec.filter;
                    let labels = match entry.job_id.filter(|_| filter.asks_for_labels()) {
                        Some(job) => self.labels_of(place.n, entry, job).await?,
                        None => BTreeMap::new(),
                    };
                    if filter.wants(entry, fact, &labels) {
                        all.push((id, webhook, DeliveryId::of_event(id, place)));
                    }
                }
                all
            }
        };
        if wanting.is_empty() {
            return Ok(());
        }
        let event = CloudEvent::of(place, at, entry, fact)
            .with_context(|| format!("the fact at {place} cannot be told"))?;
        let Some(event) = event else { return Ok(()) };
        let body = serde_json::to_string(&event)?;
        for (webhook_id, _, delivery_id) in wanting {
            let (event_id, event_type, body) = (place, event.event_type, body.clone());
            let delivery = NewDelivery { webhook_id, delivery_id, event_id, event_type, body };
            self.taken.deliveries.push(delivery);
        }
        Ok(())
    }

    /// The labels of a job, from its row where its beginning was not read: once that is as new as the frame.
    async fn labels_of(
        &mut self,
        n: FrameNumber,
        entry: &Entry,
        job: JobId,
    ) -> anyhow::Result<BTreeMap<String, String>> {
        if let Some(labels) = self.labels.get(Some(job)) {
            return Ok(labels.clone());
        }
        let rows: &Reader = &self.webhooks.rows;
        let mut backoff = Backoff::new(RETRY_MIN, RETRY_MAX);
        let row = loop {
            match rows.job(&entry.tenant, job).await {
                Ok(found) if found.value.is_some() || found.progress.n >= n => break found.value,
                Ok(_) => tokio::time::sleep(ROWS_PAUSE).await,
                Err(error @ nox_readmodel::QueryError::Broken(_)) => {
                    return Err(error).context("cannot look up a job's labels");
                }
                Err(error) => {
                    log_postgres(&self.webhooks.readiness, &error);
                    tokio::time::sleep(backoff.pause()).await;
                }
            }
        };
        let labels = row.map(|row| row.metadata.labels).unwrap_or_default();
        self.labels.insert(job, labels.clone());
        Ok(labels)
    }
}

impl Webhooks {
    /// Takes in, again and again where Postgres is away.
    async fn take(&self, places: (OutboxPlace, OutboxPlace), taken: &Taken) -> anyhow::Result<()> {
        let mut backoff = Backoff::new(RETRY_MIN, RETRY_MAX);
        loop {
            match self.outbox.take(places, taken, self.clock.wall()).await {
                Ok(()) => {
                    self.readiness.set(super::PART, Ok::<(), String>(()));
                    return Ok(());
                }
                Err(error @ OutboxError::Unavailable(_)) => {
                    log_postgres(&self.readiness, &error);
                    tokio::time::sleep(backoff.pause()).await;
                }
                Err(error) => return Err(error).context("cannot keep what webhooks have to send"),
            }
        }
    }
}
