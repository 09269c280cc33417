//! A worker that goes with very many attempts.

use super::*;

const ATTEMPTS: u32 = 20_000;

/// A worker that runs all of these jobs and nothing else.
fn leader_of_many(losses_max: u32) -> (Leader, Broker) {
    let config = LeaderConfig { losses_max, ..leader_without_limits().config };
    let mut leader = Leader::begin(ready(State::default()), config, at(0)).unwrap();
    let mut broker = Broker::default();
    tell(&mut leader, session(1), hello_of(1), at(1));
    for number in 1..=ATTEMPTS {
        submit(&mut leader, number, at(1));
    }
    while held(&leader) < ATTEMPTS {
        leader.end_turn(at(1)).unwrap();
        broker.store(&mut leader, usize::MAX);
    }
    (leader, broker)
}

fn hello_of(process: u32) -> Report {
    let Report::Hello(hello) = hello() else { unreachable!() };
    let origin = Origin { process: nox_contract::ProcessId(job(process).0), ..hello.origin };
    let slots = ATTEMPTS;
    let capacity = Capacity { slots, cpu: u32::MAX, mem_mb: u32::MAX, gpu: 0 };
    Report::Hello(Box::new(Hello { origin, capacity, ..*hello }))
}

/// How many jobs a worker holds, or held in a session that is over.
fn held(leader: &Leader) -> u32 {
    let held = leader.state().jobs().filter(|(_, job)| job.job.worker_id().is_some());
    held.count().try_into().unwrap()
}

/// Goes on until all is lost, while somebody submits a job in each turn; says how many were lost in each
/// turn.
fn turns(leader: &mut Leader, broker: &mut Broker, now: Now) -> Vec<u32> {
    let mut lost = Vec::new();
    let mut before = ATTEMPTS;
    for turn in 0..100 {
        let new = ATTEMPTS + 1 + turn;
        submit(leader, new, now);
        leader.end_turn(now).unwrap();
        broker.store(leader, usize::MAX);
        assert!(leader.state().job(job(new)).is_some() && leader.is_settled());
        let left = held(leader);
        lost.push(before - left);
        before = left;
        if left == 0 {
            return lost;
        }
        assert_eq!(leader.next_wake(now), Some(Duration::ZERO), "nobody waits for an input");
    }
    panic!("{before} are still held after {lost:?}");
}

/// How `worker` goes, so that nobody takes its place.
fn go(leader: &mut Leader, silent: bool) -> Now {
    if silent {
        // Looked at all the time, for silence while nobody listens proves nothing.
        let mut seconds = (2..60).map(at);
        let last = seconds.find(|now| {
            leader.tick(*now).unwrap();
            leader.state().workers.get(&worker()).is_none()
        });
        last.expect("it is given up")
    } else {
        tell(leader, session(1), Report::Bye, at(2));
        at(2)
    }
}

#[test]
fn a_worker_with_very_many_attempts_is_judged_over_several_turns_and_others_go_on_between() {
    for silent in [true, false] {
        let (mut leader, mut broker) = leader_of_many(LOSSES_MAX);
        broker.most_entries = 0;
        let now = go(&mut leader, silent);
        let lost = turns(&mut leader, &mut broker, now);
        assert!(lost.iter().all(|lost| *lost <= LOSSES_MAX), "{lost:?}");
        assert_eq!(lost.iter().sum::<u32>(), ATTEMPTS);
        let entries_max = (LOSSES_MAX + PLACEMENTS_MAX) as usize;
        assert!(broker.most_entries <= entries_max, "{} in a frame", broker.most_entries);
    }
}

#[test]
fn a_turn_without_that_bound_is_noticed() {
    let (mut leader, mut broker) = leader_of_many(u32::MAX);
    let now = go(&mut leader, false);
    assert_eq!(turns(&mut leader, &mut broker, now), [ATTEMPTS]);
}

#[test]
fn whoever_takes_over_goes_on_with_the_losses_and_a_worker_that_is_back_gets_them_again() {
    let (mut leader, mut broker) = leader_of_many(LOSSES_MAX);
    tell(&mut leader, session(2), hello_of(2), at(2));
    leader.end_turn(at(2)).unwrap();
    broker.store(&mut leader, usize::MAX);
    let departed = |leader: &Leader| -> usize {
        leader.state().workers.departed().map(|of| of.assignments.len()).sum()
    };
    assert_eq!(departed(&leader), (ATTEMPTS - LOSSES_MAX) as usize);
    let place = |leader: &Leader| leader.state().workers.get(&worker()).unwrap().session;
    assert_eq!(place(&leader), session(2));

    let config = LeaderConfig { losses_max: LOSSES_MAX, ..leader_without_limits().config };
    let mut next = Leader::begin(ready(leader.state().clone()), config, at(3)).unwrap();
    let mut turns = 0;
    while departed(&next) > 0 || held(&next) < ATTEMPTS {
        next.end_turn(at(3)).unwrap();
        turns += 1;
        assert!(turns < 200, "{} are left", departed(&next));
        while next.poll().unwrap().is_some() {}
    }
    let suspicions: Vec<_> = next.state().jobs().map(|(_, job)| job.job.suspicions).collect();
    assert!(suspicions.iter().all(|suspicions| *suspicions == 1), "each was lost once");
}
