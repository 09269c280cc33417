use nox_contract::{
    Capacity, Chain, Hello, InstanceId, Positions, ProcessId, Report, ReportMessage, Timestamp,
};
use nox_core::Rules;

mod probes;

use super::*;
use crate::sequencer::{Input, Sequencer};

const LEASE: Duration = Duration::from_secs(15);

fn second(second: u64) -> Duration {
    Duration::from_secs(second)
}

fn worker() -> WorkerId {
    "w1".parse().unwrap()
}

fn session(number: u32) -> SessionId {
    format!("{number:032x}").parse().unwrap()
}

/// Of one instance, or of another one.
fn origin(instance: u32, process: u32) -> Origin {
    Origin { instance: InstanceId(session(instance).0), process: ProcessId(session(process).0) }
}

fn beat() -> Beat {
    Beat {
        session: session(1),
        origin: Some(origin(1, 1)),
        received_up_to: WorkNumber(0),
        held: Vec::new(),
        joined: true,
        reports_up_to: 1,
        registered_up_to: None,
    }
}

/// A log that knows one worker.
fn state() -> State {
    state_after(&[origin(1, 1)])
}

/// A log in which sessions 1, 2, … of one name said `hello` after each other.
fn state_after(origins: &[Origin]) -> State {
    let mut sequencer =
        Sequencer::new(State::default(), Positions::default(), Chain::START, Rules::default());
    for (number, origin) in (1..).zip(origins) {
        let hello = Hello {
            origin: *origin,
            capacity: Capacity::default(),
            modules: Vec::new(),
            labels: Vec::new(),
        };
        let reports = vec![Report::Hello(Box::new(hello))];
        let message = ReportMessage { session: session(number), reports };
        let input = Input::Reports { seq: number.into(), worker_id: worker(), message };
        sequencer.run(&input, Timestamp::default()).unwrap();
    }
    sequencer.state().clone()
}

fn silent(verdicts: &[Verdict]) -> bool {
    let is = |verdict: &Verdict| matches!(verdict, Verdict::Input(Internal::WorkerSilent { .. }));
    verdicts.iter().any(is)
}

#[test]
fn a_worker_that_is_silent_for_longer_than_its_lease_is_given_up() {
    let state = state();
    let mut liveness = Liveness::new(&state, LEASE, false, second(0));
    liveness.on_beat(worker(), beat(), second(2));
    for now in 2..=17 {
        assert_eq!(liveness.judge(&state, 1, second(now)), []);
    }
    assert_eq!(liveness.judge(&state, 1, second(18)), []);
    assert!(silent(&liveness.judge(&state, 1, second(18) + SECOND_LOOK)));
}

/// It stood still for less than what counts as being away, and has beats before it.
#[test]
fn a_beat_that_waits_to_be_read_is_no_silence() {
    let state = state();
    let mut liveness = Liveness::new(&state, LEASE, false, second(0));
    for now in 1..=15 {
        assert_eq!(liveness.judge(&state, 1, second(now)), []);
    }
    assert_eq!(liveness.judge(&state, 1, second(16)), []);
    liveness.on_beat(worker(), beat(), second(16));
    assert_eq!(liveness.judge(&state, 1, second(16)), []);
    assert_eq!(liveness.judge(&state, 1, second(17)), []);
}

/// A process that was stopped for long finds the clock ahead and the beats still to be read.
#[test]
fn a_leader_that_was_away_itself_does_not_call_its_workers_silent() {
    let state = state();
    let mut liveness = Liveness::new(&state, LEASE, false, second(0));
    liveness.on_beat(worker(), beat(), second(1));
    assert_eq!(liveness.judge(&state, 1, second(1)), []);
    assert_eq!(liveness.judge(&state, 1, second(100)), []);
    // From now on the worker has to be heard of again.
    for now in 101..=115 {
        assert_eq!(liveness.judge(&state, 1, second(now)), []);
    }
    assert_eq!(liveness.judge(&state, 1, second(116)), []);
    assert!(silent(&liveness.judge(&state, 1, second(116) + SECOND_LOOK)));
}

/// Its reports were in a stream that is no more: the new one may never have as many.
#[test]
fn a_session_that_an_operator_ended_hears_so_whatever_it_reported() {
    let mut sequencer =
        Sequencer::new(state(), Positions::default(), Chain::START, Rules::default());
    let reset = Internal::ResetInputs {
        src: nox_contract::Source::Reports,
        incarnation: nox_contract::Incarnation("another".to_owned()),
        position: 0,
        by: "op".to_owned(),
    };
    sequencer.run(&Input::Internal(reset), Timestamp::default()).unwrap();
    let state = sequencer.state();
    let mut liveness = Liveness::new(state, LEASE, false, second(0));
    liveness.on_beat(worker(), Beat { reports_up_to: 55_000, ..beat() }, second(1));
    let superseded = Verdict::Superseded { worker_id: worker(), session: beat().session };
    assert_eq!(liveness.judge(state, 0, second(1)), [superseded]);
}

#[test]
fn a_session_that_has_yet_to_hear_that_it_was_taken_on_is_told() {
    let state = state();
    let mut liveness = Liveness::new(&state, LEASE, false, second(0));
    let joined = || Verdict::Joined { worker_id: worker(), session: beat().session };
    for at in 1..3 {
        liveness.on_beat(worker(), Beat { joined: false, ..beat() }, second(at));
        assert_eq!(liveness.judge(&state, 1, second(at)), [joined()]);
    }
    liveness.on_beat(worker(), beat(), second(3));
    assert_eq!(liveness.judge(&state, 1, second(3)), []);
}

/// Each would throw the other out for ever.
#[test]
fn a_process_that_another_of_its_instance_has_replaced_while_it_lives_may_not_come_back() {
    let verdict = |origins: &[Origin], beat: Beat| {
        let state = state_after(origins);
        let mut liveness = Liveness::new(&state, LEASE, false, second(0));
        liveness.on_beat(worker(), beat, second(1));
        liveness.judge(&state, 9, second(1))
    };
    let refused = [Verdict::Refused { worker_id: worker(), session: session(1) }];
    let superseded = [Verdict::Superseded { worker_id: worker(), session: session(1) }];
    assert_eq!(verdict(&[origin(1, 1), origin(1, 2)], beat()), refused);
    // Its own next session, which it knows of.
    assert_eq!(verdict(&[origin(1, 1), origin(1, 1)], beat()), superseded);
    // One of an older version does not say who it is.
    let old = Beat { origin: None, ..beat() };
    assert_eq!(verdict(&[origin(1, 1), origin(1, 2)], old), superseded);
    // Another worker, after it was away for so long that the log does not remember it: its `hello` will
    // be refused.
    let away = Beat { session: session(7), ..beat() };
    let begins_anew = [Verdict::Superseded { worker_id: worker(), session: session(7) }];
    assert_eq!(verdict(&[origin(2, 9)], away), begins_anew);
}

#[test]
fn of_names_that_no_worker_has_a_few_beats_are_kept() {
    let state = state();
    let mut liveness = Liveness::new(&state, LEASE, false, second(0));
    let name = |number: u32| format!("nobody-{number}").parse::<WorkerId>().unwrap();
    // One who has yet to say `hello`, and many who never will.
    let coming = Beat { session: session(2), joined: false, reports_up_to: 10, ..beat() };
    liveness.on_beat(name(0), coming, second(1));
    let never = Beat { session: session(3), reports_up_to: u64::MAX, ..beat() };
    for number in 1..10_000 {
        liveness.on_beat(name(number), never.clone(), second(1));
    }
    assert_eq!(liveness.judge(&state, 9, second(1)), []);
    assert!(liveness.strangers.len() + liveness.unjudged.len() <= STRANGERS_MAX);
    let superseded = Verdict::Superseded { worker_id: name(0), session: session(2) };
    assert_eq!(liveness.judge(&state, 10, second(1)), [superseded]);
}

/// Whoever joins, beats and leaves under one name after the other.
#[test]
fn of_workers_that_have_left_no_beats_are_kept() {
    let mut liveness = Liveness::new(&state(), LEASE, false, second(0));
    liveness.on_beat(worker(), Beat { reports_up_to: u64::MAX, ..beat() }, second(1));
    liveness.judge(&State::default(), 1, second(1));
    assert!(liveness.unjudged.is_empty());
}

#[test]
fn another_worker_of_the_name_is_refused_and_does_not_drown_the_first_ones_beats() {
    let state = state();
    let mut liveness = Liveness::new(&state, LEASE, false, second(0));
    let other = format!("{:032x}", 2).parse().unwrap();
    // The first one's beat waits for its reports when the other's comes.
    liveness.on_beat(worker(), Beat { joined: false, reports_up_to: 3, ..beat() }, second(1));
    let foreign = Beat { session: other, reports_up_to: 2, joined: false, ..beat() };
    liveness.on_beat(worker(), foreign, second(1));
    let refused = Verdict::Refused { worker_id: worker(), session: other };
    assert_eq!(liveness.judge(&state, 2, second(1)), [refused]);
    let joined = Verdict::Joined { worker_id: worker(), session: beat().session };
    assert_eq!(liveness.judge(&state, 3, second(1)), [joined]);
}

#[test]
fn only_a_worker_that_takes_registered_modules_is_told_of_those_that_it_has_not_heard_of() {
    let mut state = state();
    state.registrations = 3;
    for (registered_up_to, expected) in
        [(None, None), (Some(0), Some(0)), (Some(2), Some(2)), (Some(3), None)]
    {
        let mut liveness = Liveness::new(&state, LEASE, false, Duration::ZERO);
        liveness.on_beat(worker(), Beat { registered_up_to, ..beat() }, second(1));
        let verdicts = liveness.judge(&state, 1, second(1));
        let told = verdicts.iter().find_map(|verdict| match verdict {
            Verdict::Registered { above, .. } => Some(*above),
            _ => None,
        });
        assert_eq!(told, expected, "{registered_up_to:?}");
    }
}
