//! Lanes: which delivery is sent next, one lane an endpoint.
//!
//! A lane has few attempts under way at a time, and one alone while its endpoint fails or is slow; where it fails it also
//! rests between two. Lanes that fail, those that are slow and all others have places of their own: however many endpoints
//! hang or take their time, none of the others waits.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use nox_contract::{FrameNumber, WebhookId};
use nox_readmodel::outbox::Due;

use super::{Targets, attempt::Made};
use crate::config::WebhookFault;

/// Attempts under way of one lane.
const OF_LANE_MAX: usize = 4;
/// Attempts under way of all lanes of a pace.
const PROMPT_MAX: usize = 128;
const SLOW_MAX: usize = 64;
const FAILING_MAX: usize = 64;
/// So many failures in a row make a lane one that fails.
const FAILURES_IN_A_ROW: u32 = 2;
/// So many attempts in a row that took so long make a lane a slow one. Of prompt ones a place serves several a second.
const SLOW_IN_A_ROW: u32 = 2;
const SLOW: Duration = Duration::from_secs(1);
/// How long a lane that fails rests, the first time and at most. An endpoint that is back is noticed by then.
const REST_MIN: Duration = Duration::from_millis(250);
const REST_MAX: Duration = Duration::from_secs(60);
/// Longest rest that an endpoint can ask for.
const ASKED_REST_MAX: Duration = Duration::from_secs(3_600);
/// Deliveries that a lane is given at a time. One of which so many attempts are not noted yet is given none, so that a
/// crash repeats few.
pub(super) const IN_HAND_MAX: usize = 32;

/// By what lanes share places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    Prompt,
    Slow,
    Failing,
}

/// One endpoint's.
#[derive(Debug, Default)]
struct Lane {
    /// Due, and not under way.
    waiting: VecDeque<Due>,
    under_way: BTreeSet<i64>,
    /// Ended, and the outbox does not say so yet.
    unnoted: BTreeSet<i64>,
    /// In a row, the last ones.
    failures: u32,
    /// In a row, the last ones that took long, whatever was answered.
    slow: u32,
    /// On the monotonic clock, as long as the endpoint fails.
    rests_until: Duration,
    /// What the endpoint asked for, whatever becomes of other attempts. It never becomes earlier.
    left_alone_until: Duration,
    /// The outbox may have more that is due.
    may_have_more: bool,
    /// Nothing is sent of what was set in this frame: it is being switched off.
    closed: Option<FrameNumber>,
}

impl Lane {
    fn fails(&self) -> bool {
        self.failures >= FAILURES_IN_A_ROW
    }

    fn pace(&self) -> Pace {
        match self.fails() {
            true => Pace::Failing,
            false if self.slow >= SLOW_IN_A_ROW => Pace::Slow,
            false => Pace::Prompt,
        }
    }

    fn is_rested(&self, now: Duration) -> bool {
        self.rests_until.max(self.left_alone_until) <= now
    }

    fn under_way_max(&self) -> usize {
        match self.pace() {
            Pace::Prompt => OF_LANE_MAX,
            Pace::Slow | Pace::Failing => 1,
        }
    }
}

/// All lanes. No I/O, and no clock: whoever asks says when.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    of: BTreeMap<WebhookId, Lane>,
    /// Whose turn it was last.
    last: Option<WebhookId>,
    /// Attempts under way, and the pace of their lanes when they began.
    began: BTreeMap<i64, Pace>,
    fault: Option<WebhookFault>,
}

impl Lanes {
    pub(super) fn new(fault: Option<WebhookFault>) -> Self {
        Self { fault, ..Self::default() }
    }

    /// One for each webhook that is on. Of the others, what is under way ends.
    pub(super) fn keep(&mut self, targets: &Targets) {
        let is_on = |id: &WebhookId| targets.get(id).is_some_and(|target| target.is_on);
        for (id, target) in targets.iter().filter(|(_, target)| target.is_on) {
            let lane = self.of.entry(*id).or_default();
            lane.may_have_more = true;
            if lane.closed.is_some_and(|closed| closed != target.set_in) {
                // Somebody has set it anew: perhaps it is another endpoint.
                (lane.closed, lane.failures, lane.slow) = (None, 0, 0);
                (lane.rests_until, lane.left_alone_until) = (Duration::ZERO, Duration::ZERO);
            }
        }
        for (_, lane) in self.of.iter_mut().filter(|(id, _)| !is_on(id)) {
            lane.waiting.clear();
            lane.may_have_more = false;
        }
        let is_done = |lane: &Lane| lane.under_way.is_empty() && lane.unnoted.is_empty();
        self.of.retain(|id, lane| is_on(id) || !is_done(lane));
    }

    /// Nothing more is sent of what was set in this frame.
    pub(super) fn close(&mut self, id: WebhookId, set_in: FrameNumber) {
        if let Some(lane) = self.of.get_mut(&id) {
            lane.closed = Some(set_in);
            lane.waiting.clear();
        }
    }

    /// Those of which nothing more is sent, and in which frame they were set.
    pub(super) fn closed(&self) -> BTreeMap<WebhookId, FrameNumber> {
        self.of.iter().filter_map(|(id, lane)| Some((*id, lane.closed?))).collect()
    }

    /// Lanes that have nothing waiting, of which the outbox may know something; all of those, if `look`.
    pub(super) fn wanting(&self, now: Duration, look: bool) -> Vec<WebhookId> {
        let wants = |lane: &Lane| {
            lane.waiting.is_empty()
                && lane.closed.is_none()
                && (lane.may_have_more || look)
                && lane.is_rested(now)
                && lane.under_way.len() < lane.under_way_max()
                && lane.unnoted.len() < IN_HAND_MAX
        };
        self.of.iter().filter(|(_, lane)| wants(lane)).map(|(id, _)| *id).collect()
    }

    /// What must not be found again.
    pub(super) fn in_hand(&self) -> Vec<i64> {
        let of = |lane: &'_ Lane| lane.under_way.union(&lane.unnoted).copied().collect::<Vec<_>>();
        self.of.values().flat_map(of).collect()
    }

    /// What was found for the lanes that were `asked` for. One that was closed meanwhile sends nothing more.
    pub(super) fn filled(&mut self, asked: &[WebhookId], due: Vec<Due>) {
        for due in due {
            let lane = self.of.get_mut(&due.webhook_id);
            if let Some(lane) = lane.filter(|lane| lane.closed.is_none()) {
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
    pub(super) fn next(&mut self, now: Duration) -> Option<Due> {
        let one_place = self.fault == Some(WebhookFault::OnePlace);
        let of = |pace| self.began.values().filter(|began| **began == pace).count();
        let (prompt, slow, failing) = (of(Pace::Prompt), of(Pace::Slow), of(Pace::Failing));
        let room = |lane: &Lane| {
            let is_free = match lane.pace() {
                _ if one_place => self.began.is_empty(),
                Pace::Prompt => prompt < PROMPT_MAX,
                Pace::Slow => slow < SLOW_MAX,
                Pace::Failing => failing < FAILING_MAX,
            };
            is_free
                && !lane.waiting.is_empty()
                && lane.is_rested(now)
                && lane.under_way.len() < lane.under_way_max()
        };
        let behind = self.of.iter().filter(|(id, _)| Some(**id) > self.last);
        let before = self.of.iter().filter(|(id, _)| Some(**id) <= self.last);
        let id = behind.chain(before).find(|(_, lane)| room(lane)).map(|(id, _)| *id)?;
        let lane = self.of.get_mut(&id)?;
        let due = lane.waiting.pop_front()?;
        lane.under_way.insert(due.seq);
        self.began.insert(due.seq, lane.pace());
        self.last = Some(id);
        Some(due)
    }

    /// Its place is free again.
    pub(super) fn leave(&mut self, id: WebhookId, seq: i64) {
        self.began.remove(&seq);
        if let Some(lane) = self.of.get_mut(&id) {
            lane.under_way.remove(&seq);
        }
    }

    /// Its place is free again, and what became of it has to be noted: until then it is not found again.
    pub(super) fn ended(&mut self, made: &Made, now: Duration) {
        self.leave(made.attempted.webhook_id, made.attempted.seq);
        let Some(lane) = self.of.get_mut(&made.attempted.webhook_id) else { return };
        lane.unnoted.insert(made.attempted.seq);
        lane.slow = if made.took < SLOW { 0 } else { lane.slow.saturating_add(1) };
        if made.attempted.taken {
            (lane.failures, lane.rests_until) = (0, Duration::ZERO);
            return;
        }
        lane.failures = lane.failures.saturating_add(1);
        let asked = made.rest.unwrap_or_default().min(ASKED_REST_MAX);
        lane.left_alone_until = lane.left_alone_until.max(now + asked);
        let rest = match lane.failures.checked_sub(FAILURES_IN_A_ROW) {
            Some(more) if self.fault != Some(WebhookFault::OnePlace) => {
                (REST_MIN * 2_u32.saturating_pow(more.min(16))).min(REST_MAX)
            }
            _ => Duration::ZERO,
        };
        lane.rests_until = now + rest;
        if lane.fails() {
            // What is in hand would wait here for long, and is to be found where it waits.
            lane.waiting.clear();
            lane.may_have_more = true;
        }
    }

    /// The outbox says what became of it.
    pub(super) fn noted(&mut self, id: WebhookId, seq: i64) {
        if let Some(lane) = self.of.get_mut(&id) {
            lane.unnoted.remove(&seq);
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

    fn due(lane: u128, place: i64) -> Due {
        Due {
            seq: i64::try_from(lane).unwrap() * 1_000 + place,
            webhook_id: id(lane),
            delivery_id: DeliveryId(Uuid::nil()),
            body: String::new(),
            attempts: 0,
            due_at: Timestamp::from_micros(0),
        }
    }

    fn lanes(count: u128, each: i64, fault: Option<WebhookFault>) -> Lanes {
        let mut lanes = Lanes::new(fault);
        for lane in 1..=count {
            let of = lanes.of.entry(id(lane)).or_default();
            of.waiting.extend((0..each).map(|place| due(lane, place)));
        }
        lanes
    }

    fn made(due: &Due, taken: bool) -> Made {
        let at = Timestamp::from_micros(0);
        let attempted = Attempted {
            seq: due.seq,
            webhook_id: due.webhook_id,
            due_at: due.due_at,
            attempt: due.attempts + 1,
            at,
            again_at: None,
            taken,
            status: None,
            error: None,
        };
        Made { attempted, took: Duration::from_millis(20), disable: None, rest: None }
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
    fn endpoints_that_take_their_time_leave_places_to_those_that_do_not_and_to_those_that_fail() {
        let took = 6 * SLOW;
        let slow = 200;
        let mut lanes = lanes(slow, 10, None);
        for _ in 0..10 {
            let under_way = started(&mut lanes, NOW);
            under_way.iter().for_each(|due| lanes.ended(&Made { took, ..made(due, true) }, NOW));
        }
        let mut fresh = self::lanes(slow + 2, 10, None).of;
        fresh.retain(|of, _| *of > id(slow));
        fresh.get_mut(&id(slow + 2)).unwrap().failures = FAILURES_IN_A_ROW;
        // Each has shown by now what it is, and none has more than one place, of those that are for such.
        assert!(lanes.of.values().all(|lane| lane.pace() == Pace::Slow));
        assert_eq!(started(&mut lanes, NOW).len(), SLOW_MAX);
        lanes.of.append(&mut fresh);
        let started = started(&mut lanes, NOW);
        let of = |n| started.iter().filter(|due| due.webhook_id == id(n)).count();
        assert_eq!((of(slow + 1), of(slow + 2), started.len()), (OF_LANE_MAX, 1, OF_LANE_MAX + 1));
    }

    #[test]
    fn one_that_took_its_time_has_all_its_places_again_when_it_answers_promptly() {
        let mut lanes = lanes(1, 100, None);
        let first = started(&mut lanes, NOW);
        first.iter().for_each(|due| lanes.ended(&Made { took: SLOW, ..made(due, true) }, NOW));
        let one = started(&mut lanes, NOW);
        assert_eq!(one.len(), 1);
        lanes.ended(&made(&one[0], true), NOW);
        assert_eq!(started(&mut lanes, NOW).len(), OF_LANE_MAX);
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
    fn what_ended_frees_its_place_at_once_and_is_not_found_again_before_it_is_noted() {
        let mut lanes = lanes(1, 4, None);
        let first = started(&mut lanes, NOW);
        assert_eq!((first.len(), lanes.wanting(NOW, true)), (OF_LANE_MAX, vec![]));
        lanes.ended(&made(&first[0], true), NOW);
        assert_eq!(lanes.wanting(NOW, true), [id(1)], "the note is not waited for");
        assert!(lanes.in_hand().contains(&first[0].seq));
        lanes.noted(id(1), first[0].seq);
        assert!(!lanes.in_hand().contains(&first[0].seq));
    }

    #[test]
    fn one_of_which_much_is_not_noted_is_given_no_more() {
        let mut lanes = lanes(1, IN_HAND_MAX as i64, None);
        let mut ended = Vec::new();
        while let Some(due) = lanes.next(NOW) {
            lanes.ended(&made(&due, true), NOW);
            ended.push(due.seq);
        }
        assert_eq!((ended.len(), lanes.wanting(NOW, true)), (IN_HAND_MAX, vec![]));
        lanes.noted(id(1), ended[0]);
        assert_eq!(lanes.wanting(NOW, true), [id(1)]);
    }

    #[test]
    fn what_was_asked_for_before_an_endpoint_was_gone_is_not_sent() {
        let mut lanes = lanes(1, 2, None);
        let first = lanes.next(NOW).unwrap();
        lanes.close(id(1), FrameNumber(7));
        lanes.filled(&[id(1)], vec![first]);
        assert!(lanes.next(NOW).is_none());
        assert_eq!(lanes.closed(), BTreeMap::from([(id(1), FrameNumber(7))]));
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

    #[test]
    fn what_becomes_of_other_attempts_does_not_shorten_how_long_one_is_left_alone() {
        let mut lanes = lanes(1, 9, None);
        let under_way = started(&mut lanes, NOW);
        let asks = |due, seconds| {
            let rest = Some(Duration::from_secs(seconds));
            Made { rest, ..made(due, false) }
        };
        lanes.ended(&asks(&under_way[0], 30), NOW);
        lanes.ended(&asks(&under_way[1], 5), NOW);
        lanes.ended(&made(&under_way[2], true), NOW);
        let until = NOW + Duration::from_secs(30);
        assert_eq!(lanes.wanting(until - REST_MIN, true), []);
        lanes.filled(&[id(1)], vec![due(1, 9)]);
        assert!(lanes.next(until - REST_MIN).is_none());
        assert!(lanes.next(until).is_some());
        // An hour at most.
        lanes.ended(&asks(&under_way[3], 2 * ASKED_REST_MAX.as_secs()), until);
        lanes.filled(&[id(1)], vec![due(1, 10)]);
        assert!(lanes.next(until + ASKED_REST_MAX - REST_MIN).is_none());
        assert!(lanes.next(until + ASKED_REST_MAX).is_some());
    }
}
