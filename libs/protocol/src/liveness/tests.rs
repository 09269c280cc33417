use nox_contract::{
    Capacity, Hello, Origin, Positions, Report, ReportMessage, Timestamp, event::Chain,
};
use nox_core::Rules;

use super::*;
use crate::sequencer::{Input, Sequencer};

const LEASE: Duration = Duration::from_secs(15);

fn second(second: u64) -> Duration {
    Duration::from_secs(second)
}

fn worker() -> WorkerId {
    "w1".parse().unwrap()
}

fn beat() -> Beat {
    Beat {
        session: format!("{:032x}", 1).parse().unwrap(),
        received_up_to: WorkNumber(0),
        held: Vec::new(),
        joined: true,
        reports_up_to: 1,
    }
}

/// A log that knows one worker.
fn state() -> State {
    let hello = Hello {
        origin: Origin::default(),
        capacity: Capacity::default(),
        modules: Vec::new(),
        labels: Vec::new(),
    };
    let message =
        ReportMessage { session: beat().session, reports: vec![Report::Hello(Box::new(hello))] };
    let input = Input::Reports { seq: 1, worker_id: worker(), message };
    let mut sequencer =
        Sequencer::new(State::default(), Positions::default(), Chain::START, Rules::default());
    sequencer.run(&input, Timestamp::default()).unwrap();
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

#[test]
fn another_worker_of_the_name_is_refused_and_does_not_drown_the_first_ones_beats() {
    let state = state();
    let mut liveness = Liveness::new(&state, LEASE, false, second(0));
    let other = format!("{:032x}", 2).parse().unwrap();
    // The first one's beat waits for its reports when the other's comes.
    liveness.on_beat(worker(), Beat { joined: false, reports_up_to: 3, ..beat() }, second(1));
    let foreign = Beat { session: other, reports_up_to: 2, ..beat() };
    liveness.on_beat(worker(), foreign, second(1));
    let refused = Verdict::Refused { worker_id: worker(), session: other };
    assert_eq!(liveness.judge(&state, 2, second(1)), [refused]);
    let joined = Verdict::Joined { worker_id: worker(), session: beat().session };
    assert_eq!(liveness.judge(&state, 3, second(1)), [joined]);
}
