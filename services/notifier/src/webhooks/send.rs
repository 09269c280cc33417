//! From the outbox to endpoints, each in a lane of its own.
//!
//! A lane has few attempts under way at a time, and one alone while its endpoint fails; then it also rests between two.
//! Lanes that fail share other places than those that do not: however many endpoints hang, none of the others waits.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use nox_contract::{FrameNumber, WebhookId};
use nox_readmodel::{OutboxError, outbox::Due};
use nox_service::Backoff;
use tokio::task::JoinSet;

use super::{Targets, Webhooks, attempt::Made, log_postgres};
use crate::{RETRY_MAX, RETRY_MIN, config::WebhookFault};

/// Attempts under way of one lane.
const OF_LANE_MAX: usize = 4;
/// Attempts under way of all lanes that do not fail, and of all that do.
const HEALTHY_MAX: usize = 128;
const FAILING_MAX: usize = 64;
/// So many failures in a row make a lane one that fails.
const FAILURES_IN_A_ROW: u32 = 2;
/// How long a lane that fails rests, the first time and at most. An endpoint that is back is noticed by then.
const REST_MIN: Duration = Duration::from_millis(250);
const REST_MAX: Duration = Duration::from_secs(60);
/// Longest rest that an endpoint can ask for.
const ASKED_REST_MAX: Duration = Duration::from_secs(3_600);
/// Deliveries that a lane has in hand.
const IN_HAND_MAX: usize = 32;
/// How often the outbox is looked at where nobody says that there is something new: retries become due.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Sends, for ever.
pub(super) async fn run(webhooks: Arc<Webhooks>) -> anyhow::Result<()> {
    let mut targets = webhooks.targets.subscribe();
    let mut sending = Sending {
        lanes: Lanes::new(webhooks.fault),
        known: targets.borrow_and_update().clone(),
        attempts: JoinSet::new(),
        webhooks,
    };
    sending.lanes.keep(&sending.known);
    loop {
        let look = tokio::select! {
            changed = targets.changed() => {
                changed.context("nobody follows the log any more")?;
                sending.known = targets.borrow_and_update().clone();
                sending.lanes.keep(&sending.known);
                true
            }
            Some(made) = sending.attempts.join_next() => {
                sending.ended(made.context("an attempt panicked")?).await?;
                false
            }
            () = sending.webhooks.news.notified() => true,
            () = tokio::time::sleep(LOOK_EVERY) => true,
        };
        sending.fill(look).await?;
        sending.start();
    }
}

struct Sending {
    webhooks: Arc<Webhooks>,
    known: Arc<Targets>,
    lanes: Lanes,
    attempts: JoinSet<Made>,
}

impl Sending {
    /// Notes what became of an attempt, and of those that ended meanwhile, in one go.
    async fn ended(&mut self, first: Made) -> anyhow::Result<()> {
        let mut all = vec![first];
        while let Some(made) = self.attempts.try_join_next() {
            all.push(made.context("an attempt panicked")?);
        }
        let attempted: Vec<_> = all.iter().map(|made| made.attempted.clone()).collect();
        let mut backoff = Backoff::new(RETRY_MIN, RETRY_MAX);
        loop {
            match self.webhooks.outbox.attempted(&attempted).await {
                Ok(()) => break,
                Err(error @ OutboxError::Unavailable(_)) => {
                    log_postgres(&self.webhooks.readiness, &error);
                    tokio::time::sleep(backoff.pause()).await;
                }
                Err(error) => return Err(error).context("cannot note what was sent"),
            }
        }
        let now = self.webhooks.clock.monotonic();
        for made in all {
            self.webhooks.metrics.webhook_ended(&made.attempted);
            self.lanes.ended(&made, now);
            let id = made.attempted.webhook_id;
            if let (Some(reason), Some(target)) = (made.disable, self.known.get(&id)) {
                self.lanes.close(id, target.set_in);
                self.webhooks.disable(id, reason, target.set_in).await;
            }
        }
        Ok(())
    }

    /// Asks the outbox what is due for lanes that have room.
    async fn fill(&mut self, look: bool) -> anyhow::Result<()> {
        let now = self.webhooks.clock.monotonic();
        let wanting = self.lanes.wanting(now, look);
        if wanting.is_empty() {
            return Ok(());
        }
        let (in_hand, wall) = (self.lanes.in_hand(), self.webhooks.clock.wall());
        match self.webhooks.outbox.due(&wanting, in_hand, IN_HAND_MAX, wall).await {
            Ok(due) => {
                self.lanes.filled(&wanting, due);
                Ok(())
            }
            Err(error @ OutboxError::Unavailable(_)) => {
                log_postgres(&self.webhooks.readiness, &error);
                Ok(())
            }
            Err(error) => Err(error).context("cannot find out what is to be sent"),
        }
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

/// One endpoint's.
#[derive(Debug, Default)]
struct Lane {
    /// Due, and not under way.
    waiting: VecDeque<Due>,
    under_way: BTreeSet<i64>,
    /// In a row, the last ones.
    failures: u32,
    /// On the monotonic clock.
    rests_until: Duration,
    /// The outbox may have more that is due.
    may_have_more: bool,
    /// Nothing is sent of what was set in this frame: it is being switched off.
    closed: Option<FrameNumber>,
}

impl Lane {
    fn fails(&self) -> bool {
        self.failures >= FAILURES_IN_A_ROW
    }

    fn under_way_max(&self) -> usize {
        if self.fails() { 1 } else { OF_LANE_MAX }
    }
}

/// All lanes. No I/O, and no clock: whoever asks says when.
#[derive(Debug, Default)]
struct Lanes {
    of: BTreeMap<WebhookId, Lane>,
    /// Whose turn it was last.
    last: Option<WebhookId>,
    healthy: usize,
    failing: usize,
    /// Of each attempt under way, whether its lane failed when it began.
    began_failing: BTreeSet<i64>,
    fault: Option<WebhookFault>,
}

impl Lanes {
    fn new(fault: Option<WebhookFault>) -> Self {
        Self { fault, ..Self::default() }
    }

    /// One for each webhook that is on. Of the others, what is under way ends.
    fn keep(&mut self, targets: &Targets) {
        let is_on = |id: &WebhookId| targets.get(id).is_some_and(|target| target.is_on);
        for (id, target) in targets.iter().filter(|(_, target)| target.is_on) {
            let lane = self.of.entry(*id).or_default();
            lane.may_have_more = true;
            if lane.closed.is_some_and(|closed| closed != target.set_in) {
                // Somebody has set it anew: perhaps it is another endpoint.
                (lane.closed, lane.failures, lane.rests_until) = (None, 0, Duration::ZERO);
            }
        }
        for (_, lane) in self.of.iter_mut().filter(|(id, _)| !is_on(id)) {
            lane.waiting.clear();
            lane.may_have_more = false;
        }
        self.of.retain(|id, lane| is_on(id) || !lane.under_way.is_empty());
    }

    /// Nothing more is sent of what was set in this frame.
    fn close(&mut self, id: WebhookId, set_in: FrameNumber) {
        if let Some(lane) = self.of.get_mut(&id) {
            lane.closed = Some(set_in);
            lane.waiting.clear();
        }
    }

    /// Lanes that have nothing waiting, of which the outbox may know something; all of those, if `look`.
    fn wanting(&self, now: Duration, look: bool) -> Vec<WebhookId> {
        let wants = |lane: &Lane| {
            lane.waiting.is_empty()
                && lane.closed.is_none()
                && (lane.may_have_more || look)
                && lane.rests_until <= now
                && lane.under_way.len() < lane.under_way_max()
        };
        self.of.iter().filter(|(_, lane)| wants(lane)).map(|(id, _)| *id).collect()
    }

    /// What must not be found again.
    fn in_hand(&self) -> Vec<i64> {
        self.of.values().flat_map(|lane| lane.under_way.iter().copied()).collect()
    }

    fn filled(&mut self, asked: &[WebhookId], due: Vec<Due>) {
        for due in due {
            if let Some(lane) = self.of.get_mut(&due.webhook_id) {
                lane.waiting.push_back(due);
            }
        }
        for id in asked {
            if let Some(lane) = self.of.get_mut(id) {
                lane.may_have_more = lane.waiting.len() >= IN_HAND_MAX;
            }
        }
    }

    /// The next that is sent, if there is a place for it. Lanes take turns.
    fn next(&mut self, now: Duration) -> Option<Due> {
        let one_place = self.fault == Some(WebhookFault::OnePlace);
        let (healthy_max, failing_max) =
            if one_place { (1, 1) } else { (HEALTHY_MAX, FAILING_MAX) };
        let room = |lane: &Lane| {
            let is_free = match lane.fails() {
                _ if one_place => self.healthy + self.failing == 0,
                true => self.failing < failing_max,
                false => self.healthy < healthy_max,
            };
            is_free
                && !lane.waiting.is_empty()
                && lane.rests_until <= now
                && lane.under_way.len() < lane.under_way_max()
        };
        let behind = self.of.iter().filter(|(id, _)| Some(**id) > self.last);
        let before = self.of.iter().filter(|(id, _)| Some(**id) <= self.last);
        let id = behind.chain(before).find(|(_, lane)| room(lane)).map(|(id, _)| *id)?;
        let lane = self.of.get_mut(&id)?;
        let due = lane.waiting.pop_front()?;
        lane.under_way.insert(due.seq);
        if lane.fails() {
            self.failing += 1;
            self.began_failing.insert(due.seq);
        } else {
            self.healthy += 1;
        }
        self.last = Some(id);
        Some(due)
    }

    /// Its place is free again.
    fn leave(&mut self, id: WebhookId, seq: i64) {
        if self.began_failing.remove(&seq) {
            self.failing -= 1;
        } else {
            self.healthy -= 1;
        }
        if let Some(lane) = self.of.get_mut(&id) {
            lane.under_way.remove(&seq);
        }
    }

    fn ended(&mut self, made: &Made, now: Duration) {
        self.leave(made.attempted.webhook_id, made.attempted.seq);
        let Some(lane) = self.of.get_mut(&made.attempted.webhook_id) else { return };
        if made.attempted.taken {
            (lane.failures, lane.rests_until) = (0, Duration::ZERO);
            return;
        }
        lane.failures = lane.failures.saturating_add(1);
        let asked = made.rest.unwrap_or_default().min(ASKED_REST_MAX);
        let rest = match lane.failures.checked_sub(FAILURES_IN_A_ROW) {
            Some(more) if self.fault != Some(WebhookFault::OnePlace) => {
                (REST_MIN * 2_u32.saturating_pow(more.min(16))).min(REST_MAX)
            }
            _ => Duration::ZERO,
        };
        lane.rests_until = now + rest.max(asked);
        if lane.fails() {
            // What is in hand would wait here for long, and is to be found where it waits.
            lane.waiting.clear();
            lane.may_have_more = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use nox_contract::{DeliveryId, Timestamp};
    use nox_readmodel::outbox::Attempted;
    use uuid::Uuid;

    use super::*;

    const NOW: Duration = Duration::from_secs(100);

    fn id(n: u128) -> WebhookId {
        WebhookId(Uuid::from_u128(n))
    }

    fn lanes(count: u128, each: i64, fault: Option<WebhookFault>) -> Lanes {
        let mut lanes = Lanes::new(fault);
        for lane in 1..=count {
            let due = |place| Due {
                seq: i64::try_from(lane).unwrap() * 1_000 + place,
                webhook_id: id(lane),
                delivery_id: DeliveryId(Uuid::nil()),
                body: String::new(),
                attempts: 0,
            };
            let lane = lanes.of.entry(id(lane)).or_default();
            lane.waiting.extend((0..each).map(due));
        }
        lanes
    }

    fn made(due: &Due, taken: bool) -> Made {
        let at = Timestamp::from_micros(0);
        let (seq, webhook_id) = (due.seq, due.webhook_id);
        let attempted =
            Attempted { seq, webhook_id, at, again_at: None, taken, status: None, error: None };
        Made { attempted, disable: None, rest: None }
    }

    fn started(lanes: &mut Lanes, now: Duration) -> Vec<Due> {
        std::iter::from_fn(|| lanes.next(now)).collect()
    }

    #[test]
    fn lanes_take_turns_and_none_has_more_than_its_places() {
        let mut lanes = lanes(3, 10, None);
        let first = started(&mut lanes, NOW);
        let order: Vec<_> = first.iter().map(|due| due.webhook_id).collect();
        assert_eq!(order[..6], [id(1), id(2), id(3), id(1), id(2), id(3)]);
        assert_eq!(order.len(), 3 * OF_LANE_MAX);
        lanes.ended(&made(&first[0], true), NOW);
        assert_eq!(started(&mut lanes, NOW)[0].webhook_id, id(1));
    }

    #[test]
    fn however_many_endpoints_hang_one_that_does_not_finds_a_place() {
        let hanging = 1_000;
        let run = |fault| {
            let mut lanes = lanes(hanging, 10, fault);
            // All of them have failed before: each attempt under way hangs.
            lanes.of.values_mut().for_each(|lane| lane.failures = FAILURES_IN_A_ROW);
            let under_way = started(&mut lanes, NOW).len();
            let mut good = self::lanes(hanging + 1, 1, None).of.remove(&id(hanging + 1)).unwrap();
            good.failures = 0;
            lanes.of.insert(id(hanging + 1), good);
            (under_way, lanes.next(NOW).map(|due| due.webhook_id))
        };
        assert_eq!(run(None), (FAILING_MAX, Some(id(hanging + 1))));
        assert_eq!(run(Some(WebhookFault::OnePlace)), (1, None), "with one place for all it waits");
    }

    #[test]
    fn one_that_fails_is_tried_by_one_attempt_at_a_time_and_rests_between() {
        let mut lanes = lanes(1, 100, None);
        let first = started(&mut lanes, NOW);
        assert_eq!(first.len(), OF_LANE_MAX);
        first.iter().for_each(|due| lanes.ended(&made(due, false), NOW));
        assert!(lanes.wanting(NOW, true).is_empty(), "it rests");
        let later = NOW + REST_MAX;
        assert_eq!(lanes.wanting(later, false), [id(1)]);
        lanes.filled(&[id(1)], first);
        let again = started(&mut lanes, later);
        assert_eq!(again.len(), 1);
        lanes.ended(&made(&again[0], true), later);
        assert_eq!(started(&mut lanes, later).len(), 3, "it is back");
    }

    #[test]
    fn whoever_asks_to_be_left_alone_is_left_alone() {
        let mut lanes = lanes(1, 9, None);
        let due = lanes.next(NOW).unwrap();
        let rest = Some(Duration::from_secs(30));
        lanes.ended(&Made { rest, ..made(&due, false) }, NOW);
        assert!(lanes.next(NOW + Duration::from_secs(29)).is_none());
        assert!(lanes.next(NOW + Duration::from_secs(30)).is_some());
    }
}
