//! Workers that are asked after.

use nox_contract::{Command, CommandMessage, TenantId, command::Register};

use super::*;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn watching(state: &State, faults: Faults) -> Liveness {
    Liveness::new(state, LEASE, false, ms(0)).with_probing(Some(Probing::default()), &faults)
}

/// Looks every 10 ms from `from` to `to`, and answers each question by `listens`: whether somebody does at that
/// time, and which report was stored last. Returns when the worker was given up; reports are consumed up to 1.
fn given_up_at(
    liveness: &mut Liveness,
    state: &State,
    from: u64,
    to: u64,
    listens: impl Fn(u64) -> Option<(bool, u64)>,
) -> Option<u64> {
    for now in (from..=to).step_by(10) {
        let verdicts = liveness.judge(state, 1, ms(now));
        if silent(&verdicts) {
            return Some(now);
        }
        for verdict in verdicts {
            let Verdict::Probe { worker_id, session, probe } = verdict else { continue };
            if let Some((false, reports)) = listens(now) {
                liveness.on_absent(&worker_id, session, probe, reports, ms(now));
            }
        }
    }
    None
}

/// Gone from `from` on.
fn gone(from: u64) -> impl Fn(u64) -> Option<(bool, u64)> {
    move |now| Some((now < from, 1))
}

#[test]
fn a_worker_whose_process_is_gone_is_given_up_within_two_seconds_whenever_it_was_killed() {
    let state = state();
    for killed in (1_000..3_000).step_by(37) {
        let mut liveness = watching(&state, Faults::default());
        liveness.on_beat(worker(), beat(), ms(1_000));
        let given_up = given_up_at(&mut liveness, &state, 1_000, 20_000, gone(killed)).unwrap();
        assert!((killed + 1_200..=killed + 1_650).contains(&given_up), "{killed}: {given_up}");
    }
    // Where nobody is asked after, the lease decides.
    let mut liveness = Liveness::new(&state, LEASE, false, ms(0));
    liveness.on_beat(worker(), beat(), ms(1_000));
    let given_up = given_up_at(&mut liveness, &state, 1_000, 20_000, gone(1_000)).unwrap();
    assert!((16_000..16_100).contains(&given_up), "{given_up}");
}

#[test]
fn a_connection_that_is_back_within_a_second_loses_nothing() {
    let lost = |faults: Faults, from: u64, span: u64| {
        let state = state();
        let mut liveness = watching(&state, faults);
        liveness.on_beat(worker(), beat(), ms(1_000));
        let listens = |now| Some((!(from..from + span).contains(&now), 1));
        given_up_at(&mut liveness, &state, 1_000, 10_000, listens).is_some()
    };
    for from in (1_000..2_000).step_by(37) {
        assert!(!lost(Faults::default(), from, 1_000), "{from}");
    }
    assert!(lost(Faults { absent_at_once: true, ..Faults::default() }, 1_100, 1_000));
    assert!(lost(Faults::default(), 1_100, 2_000));
}

/// It was there in between, or the broker could not be asked: either way nothing is proved.
#[test]
fn one_question_without_an_answer_begins_the_wait_anew() {
    let state = state();
    let mut liveness = watching(&state, Faults::default());
    liveness.on_beat(worker(), beat(), ms(1_000));
    let listens = |now| if (2_000..2_400).contains(&now) { None } else { Some((false, 1)) };
    let given_up = given_up_at(&mut liveness, &state, 1_000, 20_000, listens).unwrap();
    assert!((3_600..4_100).contains(&given_up), "{given_up}");
}

#[test]
fn a_beat_ends_an_absence() {
    let state = state();
    let mut liveness = watching(&state, Faults::default());
    liveness.on_beat(worker(), beat(), ms(1_000));
    let absent = |_| Some((false, 1));
    assert_eq!(given_up_at(&mut liveness, &state, 1_000, 2_500, absent), None);
    liveness.on_beat(worker(), beat(), ms(2_500));
    assert_eq!(given_up_at(&mut liveness, &state, 2_510, 4_000, absent), None);
    assert!(given_up_at(&mut liveness, &state, 4_010, 4_200, absent).is_some());
}

/// Its last words, an end or a goodbye, are yet to be read.
#[test]
fn a_worker_is_not_given_up_before_all_that_it_said_is_consumed() {
    let state = state();
    let mut liveness = watching(&state, Faults::default());
    liveness.on_beat(worker(), beat(), ms(1_000));
    let absent = |_| Some((false, 2));
    assert_eq!(given_up_at(&mut liveness, &state, 1_000, 10_000, absent), None);
    assert!(silent(&liveness.judge(&state, 2, ms(10_010))));
}

#[test]
fn who_was_not_heard_of_since_the_leader_connected_has_its_lease() {
    let given_up = |faults: Faults| {
        let state = state();
        let mut liveness = watching(&state, faults);
        // A leader that begins does not know who is there.
        assert_eq!(given_up_at(&mut liveness, &state, 0, 14_000, gone(0)), None);
        liveness.on_beat(worker(), beat(), ms(14_000));
        assert_eq!(given_up_at(&mut liveness, &state, 14_010, 15_000, gone(0)), None);
        liveness.on_reconnected(ms(15_000));
        given_up_at(&mut liveness, &state, 15_010, 40_000, gone(0)).unwrap()
    };
    assert!((30_000..30_100).contains(&given_up(Faults::default())));
    let ignored = Faults { reconnects_ignored: true, ..Faults::default() };
    assert!((15_010..17_000).contains(&given_up(ignored)));
}

/// All processes of a machine stood still, and its leader is the first to go on.
#[test]
fn a_leader_that_was_away_itself_does_not_count_an_absence_from_before() {
    let state = state();
    let mut liveness = watching(&state, Faults::default());
    liveness.on_beat(worker(), beat(), ms(1_000));
    assert_eq!(given_up_at(&mut liveness, &state, 1_000, 2_000, gone(0)), None);
    assert_eq!(given_up_at(&mut liveness, &state, 602_000, 610_000, gone(0)), None);
    liveness.on_beat(worker(), beat(), ms(610_000));
    assert!(given_up_at(&mut liveness, &state, 610_010, 612_000, gone(0)).is_some());
}

#[test]
fn what_is_said_of_another_session_is_nothing() {
    let state = state();
    let mut liveness = watching(&state, Faults::default());
    liveness.on_beat(worker(), beat(), ms(1_000));
    for now in (1_000..10_000).step_by(10) {
        let verdicts = liveness.judge(&state, 1, ms(now));
        assert!(!silent(&verdicts));
        for verdict in verdicts {
            let Verdict::Probe { worker_id, probe, .. } = verdict else { continue };
            liveness.on_absent(&worker_id, session(2), probe, 1, ms(now));
        }
    }
}

/// One that claims its work speaks HTTP with some gateway, and listens to nobody.
#[test]
fn a_worker_that_claims_is_never_asked_after_and_has_its_own_lease() {
    let mut sequencer =
        Sequencer::new(State::default(), Positions::default(), Chain::START, Rules::default());
    let register = Register {
        worker_id: worker(),
        session: session(1),
        by: "ada".parse().unwrap(),
        lease_ms: 60_000,
        topic: None,
    };
    let commands = vec![Command::Register(Box::new(register))];
    let message = CommandMessage::new(None, commands);
    let tenant: TenantId = "acme".parse().unwrap();
    let input = Input::Commands { seq: 1, tenant, message };
    sequencer.run(&input, Timestamp::default()).unwrap();
    let state = sequencer.state();
    let mut liveness = watching(state, Faults::default());
    liveness.on_beat(worker(), beat(), ms(1_000));
    for now in (1_000..=61_000).step_by(10) {
        assert_eq!(liveness.judge(state, 1, ms(now)), [], "at {now}");
    }
    let given_up = given_up_at(&mut liveness, state, 61_010, 62_000, gone(0)).unwrap();
    assert!((61_010..61_100).contains(&given_up), "{given_up}");
}
