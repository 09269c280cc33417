//! From the outbox to endpoints, each in a lane of its own.
//!
//! Nothing here waits for Postgres: while what became of attempts is being noted, and while it is being asked what is due,
//! attempts end and others begin. What ended meanwhile is noted together, in one statement.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use futures_util::future::BoxFuture;
use nox_contract::WebhookId;
use nox_readmodel::{OutboxError, outbox::Due};
use nox_service::Backoff;
use tokio::{task::JoinSet, time::MissedTickBehavior};

use super::{
    Targets, Webhooks,
    attempt::Made,
    lanes::{IN_HAND_MAX, Lanes},
    log_postgres,
};
use crate::{RETRY_MAX, RETRY_MIN};

/// How often the outbox is looked at where nobody says that there is something new: retries become due.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Sends, for ever.
pub(super) async fn run(webhooks: Arc<Webhooks>) -> anyhow::Result<()> {
    let mut targets = webhooks.targets.subscribe();
    let mut sending = Sending {
        lanes: Lanes::new(webhooks.fault),
        known: targets.borrow_and_update().clone(),
        look: true,
        attempts: JoinSet::new(),
        ended: Vec::new(),
        noting: None,
        asking: Asking::default(),
        disabling: JoinSet::new(),
        webhooks: webhooks.clone(),
    };
    sending.lanes.keep(&sending.known);
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            changed = targets.changed() => {
                changed.context("nobody follows the log any more")?;
                sending.change(targets.borrow_and_update().clone());
            }
            Some(made) = sending.attempts.join_next() => {
                sending.ended(made.context("an attempt panicked")?);
            }
            noted = outcome(&mut sending.noting) => sending.noted(noted?),
            found = sending.asking.outcome() => {
                if let Some((asked, due)) = found? {
                    sending.lanes.filled(&asked, due);
                }
            }
            () = webhooks.news.notified() => sending.look = true,
            _ = looks.tick() => sending.look = true,
        }
        sending.note();
        sending.ask();
        sending.start();
    }
}

/// What comes of what is under way, which is over then; nothing ever, where nothing is.
async fn outcome<T>(under_way: &mut Option<BoxFuture<'static, T>>) -> T {
    let Some(future) = under_way else { return std::future::pending().await };
    let outcome = future.await;
    *under_way = None;
    outcome
}

/// What was asked for, and what was found.
type Found = (Vec<WebhookId>, Vec<Due>);

/// What the outbox is being asked. A question that was put is never given up: it would leave its connection in the middle
/// of a transaction.
#[derive(Default)]
struct Asking {
    under_way: Option<BoxFuture<'static, anyhow::Result<Found>>>,
    is_outdated: bool,
}

impl Asking {
    /// What is being asked was for other webhooks than there are now.
    fn outdate(&mut self) {
        self.is_outdated = self.under_way.is_some();
    }

    /// What comes of it; nothing where it is of no use any more, and is to be asked anew.
    async fn outcome(&mut self) -> anyhow::Result<Option<Found>> {
        let found = outcome(&mut self.under_way).await?;
        Ok(if std::mem::take(&mut self.is_outdated) { None } else { Some(found) })
    }
}

struct Sending {
    webhooks: Arc<Webhooks>,
    known: Arc<Targets>,
    lanes: Lanes,
    /// The outbox may have something new for any lane.
    look: bool,
    attempts: JoinSet<Made>,
    /// To be noted.
    ended: Vec<Made>,
    /// At most one of each at a time.
    noting: Option<BoxFuture<'static, anyhow::Result<Vec<Made>>>>,
    asking: Asking,
    disabling: JoinSet<()>,
}

impl Sending {
    /// There are other webhooks now. What was being asked for those before is asked again.
    fn change(&mut self, known: Arc<Targets>) {
        self.known = known;
        self.lanes.keep(&self.known);
        self.webhooks.closed.send_replace(self.lanes.closed());
        self.asking.outdate();
        self.look = true;
    }

    fn ended(&mut self, made: Made) {
        self.webhooks.metrics.webhook_ended(&made.attempted);
        self.lanes.ended(&made, self.webhooks.clock.monotonic());
        let id = made.attempted.webhook_id;
        if let Some((_, set_in)) = made.disable
            && self.known.get(&id).is_some_and(|target| target.set_in == set_in)
        {
            self.lanes.close(id, set_in);
            self.webhooks.closed.send_replace(self.lanes.closed());
        }
        self.ended.push(made);
    }

    /// Notes what ended since the last time.
    fn note(&mut self) {
        if self.noting.is_some() || self.ended.is_empty() {
            return;
        }
        let (made, webhooks) = (std::mem::take(&mut self.ended), self.webhooks.clone());
        self.noting = Some(Box::pin(async move { webhooks.note(made).await }));
    }

    fn noted(&mut self, all: Vec<Made>) {
        while self.disabling.try_join_next().is_some() {}
        for Made { attempted, disable, .. } in all {
            let id = attempted.webhook_id;
            self.lanes.noted(id, attempted.seq);
            if let Some((reason, set_in)) = disable {
                let webhooks = self.webhooks.clone();
                self.disabling.spawn(async move { webhooks.disable(id, reason, set_in).await });
            }
        }
    }

    /// Asks the outbox what is due for lanes that have room.
    fn ask(&mut self) {
        if self.asking.under_way.is_some() {
            return;
        }
        let asked = self.lanes.wanting(self.webhooks.clock.monotonic(), self.look);
        self.look = false;
        if asked.is_empty() {
            return;
        }
        let (in_hand, webhooks) = (self.lanes.in_hand(), self.webhooks.clone());
        self.asking.under_way = Some(Box::pin(async move {
            let due = webhooks.due(&asked, in_hand).await?;
            Ok((asked, due))
        }));
    }

    fn start(&mut self) {
        let now = self.webhooks.clock.monotonic();
        while let Some(due) = self.lanes.next(now) {
            let Some(target) = self.known.get(&due.webhook_id).filter(|target| target.is_on) else {
                self.lanes.leave(due.webhook_id, due.seq);
                continue;
            };
            let (webhooks, target) = (self.webhooks.clone(), target.clone());
            self.attempts.spawn(async move { webhooks.attempt(due, target).await });
        }
    }
}

impl Webhooks {
    /// Notes what became of attempts, again and again where Postgres is away.
    async fn note(&self, made: Vec<Made>) -> anyhow::Result<Vec<Made>> {
        let attempted: Vec<_> = made.iter().map(|made| made.attempted.clone()).collect();
        let mut backoff = Backoff::new(RETRY_MIN, RETRY_MAX);
        loop {
            match self.outbox.attempted(&attempted).await {
                Ok(()) => return Ok(made),
                Err(error @ OutboxError::Unavailable(_)) => {
                    log_postgres(&self.readiness, &error);
                    tokio::time::sleep(backoff.pause()).await;
                }
                Err(error) => return Err(error).context("cannot note what was sent"),
            }
        }
    }

    /// What is due of these, again and again where Postgres is away.
    async fn due(&self, asked: &[WebhookId], in_hand: Vec<i64>) -> anyhow::Result<Vec<Due>> {
        let mut backoff = Backoff::new(RETRY_MIN, RETRY_MAX);
        loop {
            let wall = self.clock.wall();
            match self.outbox.due(asked, &in_hand, IN_HAND_MAX, wall).await {
                Ok(due) => return Ok(due),
                Err(error @ OutboxError::Unavailable(_)) => {
                    log_postgres(&self.readiness, &error);
                    tokio::time::sleep(backoff.pause()).await;
                }
                Err(error) => return Err(error).context("cannot find out what is to be sent"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn what_is_being_asked_when_webhooks_change_is_answered_and_of_no_use() {
        let mut asking = Asking::default();
        let ask = |asking: &mut Asking| {
            let (answer, answered) = oneshot::channel::<()>();
            asking.under_way = Some(Box::pin(async move {
                answered.await?;
                Ok(Found::default())
            }));
            answer
        };
        let answer = ask(&mut asking);
        asking.outdate();
        answer.send(()).expect("it was not given up");
        assert!(asking.outcome().await.unwrap().is_none());
        let answer = ask(&mut asking);
        answer.send(()).unwrap();
        assert!(asking.outcome().await.unwrap().is_some(), "the next one is of use");
        // Where nothing is being asked, nothing becomes of no use.
        asking.outdate();
        ask(&mut asking).send(()).unwrap();
        assert!(asking.outcome().await.unwrap().is_some());
    }
}
