use std::time::Duration;

use bytes::Bytes;
use nox_contract::{
    Cancel, Capacity, Command, Hello, JobId, RawJson, Report, Resources, SchedulerConfig,
    SessionId, Submit, event::Chain,
};

use super::*;
use crate::{
    appender::Pace,
    leader::{Effect, Leader, LeaderConfig, Now, TermEnd},
};

/// A log as the broker has it.
type Log = Vec<(u64, String, Bytes)>;

fn at(second: u64) -> Timestamp {
    "2026-11-21T22:00:00Z".parse::<Timestamp>().unwrap() + Duration::from_secs(second)
}

fn attachment(life: &str, commands_last: u64) -> Attachment {
    Attachment {
        commands: Incarnation(life.to_owned()),
        commands_last,
        reports: Incarnation("reports".to_owned()),
        reports_last: 0,
    }
}

/// Two submits that are refused, and promised: several events each.
fn commands() -> CommandMessage {
    submits(&[1, 2])
}

fn submits(numbers: &[u128]) -> CommandMessage {
    let submit = |number: u128| {
        Command::Submit(Box::new(Submit {
            job_id: format!("{number:032x}").parse::<JobId>().unwrap(),
            user_id: "ada".parse().unwrap(),
            role: "user".to_owned(),
            module: "unknown".parse().unwrap(),
            inputs: RawJson::default(),
            requested_resources: Resources { cpu: 1, mem_mb: 1, wall_time_s: 60, gpu: 0 },
            priority: 5,
            run_at: None,
            after: Vec::new(),
            fingerprint: None,
            seen: EventNumber(0),
            pending: true,
            traceparent: None,
        }))
    };
    CommandMessage { reply_to: None, commands: numbers.iter().copied().map(submit).collect() }
}

fn payload() -> Bytes {
    serde_json::to_vec(&commands()).unwrap().into()
}

/// What the first leader had written when it died: its epoch, and so many messages of one input.
fn first_term(messages: usize) -> Log {
    first_term_of(&[commands()], messages)
}

/// As above, of the last of several inputs; what followed from those before it is all there.
fn first_term_of(inputs: &[CommandMessage], messages: usize) -> Log {
    let record = EpochRecord {
        epoch: Epoch(1),
        leader: "first".to_owned(),
        at: at(0),
        commands: Incarnation("commands/0".to_owned()),
        reports: Incarnation("reports".to_owned()),
    };
    let mut state = State::default();
    state.apply_epoch(EventNumber(1), &record).unwrap();
    let payload: Bytes = serde_json::to_vec(&record).unwrap().into();
    let chain = Chain::START.extend(&payload);
    let mut log = vec![(1, subject::EPOCH.to_owned(), payload)];
    let mut sequencer = Sequencer::new(state, Positions::default(), chain, Rules::default());
    let mut written = Vec::new();
    for (seq, message) in (1..).zip(inputs) {
        let tenant = "acme".parse().unwrap();
        let input = Input::Commands { seq, tenant, message: message.clone() };
        let decided = sequencer.run(&input, at(seq)).unwrap().messages;
        let is_last = seq == inputs.len() as u64;
        assert!(!is_last || decided.len() > 1);
        written.extend(decided.into_iter().take(if is_last { messages } else { usize::MAX }));
    }
    log.extend((2..).zip(written).map(|(seq, m)| (seq, m.subject, m.payload)));
    log
}

/// Takes over up to where the input streams are looked at again.
fn second_term(log: &mut Log, early: Attachment, accept_reset: Option<&str>) -> Takeover {
    second_term_with(log, early, accept_reset, Faults::default())
}

fn second_term_with(
    log: &mut Log,
    early: Attachment,
    accept_reset: Option<&str>,
    faults: Faults,
) -> Takeover {
    let accept_reset = accept_reset.map(str::to_owned);
    let mut takeover = Takeover::new("second".to_owned(), at(9), early, accept_reset, None, faults);
    assert_eq!(takeover.start(), TakeoverEffect::ReadEpoch);
    let newest: EpochRecord = serde_json::from_slice(&log[0].2).unwrap();
    let TakeoverEffect::AppendEpoch { record, expected: 1 } = takeover.on_epoch(Some((1, newest)))
    else {
        panic!("no epoch is begun")
    };
    let seq = log.len() as u64 + 1;
    log.push((seq, subject::EPOCH.to_owned(), serde_json::to_vec(&record).unwrap().into()));
    assert_eq!(takeover.on_epoch_appended(seq), TakeoverEffect::ReadLog { from: 1, to: seq });
    assert_eq!(takeover.on_log(log).unwrap(), Some(TakeoverEffect::Attach));
    takeover
}

fn lead(effect: Option<TakeoverEffect>) -> Ready {
    match effect {
        Some(TakeoverEffect::Lead(ready)) => *ready,
        other => panic!("does not lead: {other:?}"),
    }
}

fn begin(ready: Ready) -> Result<Leader, TermEnd> {
    let config = LeaderConfig {
        rules: Rules::default(),
        pace: Pace::Relaxed,
        worker_lease: Duration::from_secs(15),
        scheduler: SchedulerConfig::default(),
        faults: Faults::default(),
    };
    let now = Now { at: at(9), wall: at(9), monotonic: Duration::ZERO };
    Leader::begin(ready, config, now)
}

/// The epoch record stands within the unfinished input, and is folded only with it.
#[test]
fn what_is_left_of_an_unfinished_input_is_written_in_the_epoch_of_who_completes_it() {
    let mut log = first_term(2);
    let mut takeover = second_term(&mut log, attachment("commands/0", 1), None);
    let read = TakeoverEffect::ReadInput { src: Source::Commands, seq: 1 };
    assert_eq!(takeover.on_attachment(attachment("commands/0", 1)).unwrap(), Some(read));
    let message = ("nox.cmd.acme".to_owned(), payload());
    let ready = lead(takeover.on_input(Some(message)).unwrap());

    let mut leader = begin(ready).unwrap();
    let mut reader = Reader::default();
    for (_, subject, payload) in &log {
        reader.read(subject, payload).unwrap();
    }
    let mut written = 0;
    while let Some(Effect::Append { messages, .. }) = leader.poll() {
        for message in messages {
            assert_eq!(message.event.epoch, Epoch(2));
            reader.read(&message.subject, &message.payload).unwrap();
            written += 1;
        }
    }
    assert!(written > 0);
}

/// A submit, two cancels of no job, which lead to nothing, and a packed message that is cut off: how
/// far the cancels were consumed stands in nothing but its parts.
fn cut_off_behind_what_led_to_nothing() -> Log {
    let cancel = Command::Cancel(Cancel {
        job_id: format!("{:032x}", 99).parse::<JobId>().unwrap(),
        by: "ada".parse().unwrap(),
        admin: false,
    });
    let refused = CommandMessage { reply_to: None, commands: vec![cancel] };
    first_term_of(&[submits(&[7]), refused.clone(), refused, commands()], 1)
}

fn ready_behind_what_led_to_nothing(log: &mut Log, faults: Faults) -> Ready {
    let mut takeover = second_term_with(log, attachment("commands/0", 4), None, faults);
    let read = TakeoverEffect::ReadInput { src: Source::Commands, seq: 4 };
    assert_eq!(takeover.on_attachment(attachment("commands/0", 4)).unwrap(), Some(read));
    lead(takeover.on_input(Some(("nox.cmd.acme".to_owned(), payload()))).unwrap())
}

#[test]
fn whoever_completes_an_input_goes_on_where_its_parts_say_that_the_inputs_were() {
    let mut log = cut_off_behind_what_led_to_nothing();
    let ready = ready_behind_what_led_to_nothing(&mut log, Faults::default());
    assert_eq!((ready.state.pos.commands, ready.pos.commands), (1, 3));
    assert_eq!(ready.acked_pos().commands, 3);
    // What is told of the term is its own record, which the state has yet to fold.
    assert_eq!((ready.state.epoch, ready.epoch), (Epoch(1), Epoch(2)));

    let mut leader = begin(ready).unwrap();
    let mut reader = Reader::default();
    for (_, subject, payload) in &log {
        reader.read(subject, payload).unwrap();
    }
    while let Some(Effect::Append { messages, .. }) = leader.poll() {
        for message in messages {
            let before = reader.pos();
            reader.read(&message.subject, &message.payload).unwrap();
            assert!(reader.pos().commands >= before.commands);
        }
    }
    assert_eq!(reader.pos().commands, 4);
}

#[test]
fn a_leader_whose_positions_would_go_back_writes_nothing() {
    let mut log = cut_off_behind_what_led_to_nothing();
    let faults = Faults { factless_inputs_forgotten: true, ..Faults::default() };
    let ready = ready_behind_what_led_to_nothing(&mut log, faults);
    let end = begin(ready).map(|_| ());
    let refused = TermEnd::Broken(SequenceError::Apply(ApplyError::PositionsGoBack {
        n: EventNumber(log.len() as u64 + 1),
        before: Positions { commands: 3, reports: 0 },
        found: Positions { commands: 1, reports: 0 },
    }));
    assert_eq!(end, Err(refused));
}

/// What the parts of an unfinished input say of a stream counts as well.
#[test]
fn inputs_that_were_consumed_without_a_fact_and_are_gone_stop_everybody() {
    let mut log = cut_off_behind_what_led_to_nothing();
    let mut takeover = second_term(&mut log, attachment("commands/0", 4), None);
    let end = takeover.on_attachment(attachment("commands/0", 2));
    assert!(matches!(end, Err(TakeoverError::Inputs { src: Source::Commands, .. })), "{end:?}");
}

/// The streams were looked at before the epoch record fenced the last leader out.
#[test]
fn inputs_that_the_last_leader_consumed_meanwhile_are_no_regression() {
    let mut log = first_term(usize::MAX);
    let mut takeover = second_term(&mut log, attachment("commands/0", 0), None);
    let ready = lead(takeover.on_attachment(attachment("commands/0", 1)).unwrap());
    assert_eq!(ready.state.pos.commands, 1);
}

#[test]
fn inputs_that_were_consumed_and_are_gone_stop_everybody() {
    let mut log = first_term(usize::MAX);
    let mut takeover = second_term(&mut log, attachment("commands/0", 1), None);
    let end = takeover.on_attachment(attachment("commands/0", 0));
    assert!(matches!(end, Err(TakeoverError::Inputs { src: Source::Commands, .. })), "{end:?}");

    let mut log = first_term(usize::MAX);
    let mut takeover = second_term(&mut log, attachment("commands/0", 1), None);
    let end = takeover.on_attachment(attachment("commands/1", 7));
    assert!(matches!(end, Err(TakeoverError::Inputs { src: Source::Commands, .. })), "{end:?}");
}

/// The new stream may well have a message of the same number, and it is another one.
#[test]
fn an_unfinished_input_goes_with_the_stream_that_an_operator_gave_up() {
    let mut log = first_term(2);
    let mut takeover = second_term(&mut log, attachment("commands/1", 5), Some("ops"));
    let ready = lead(takeover.on_attachment(attachment("commands/1", 5)).unwrap());
    assert_eq!(ready.unfinished, None);
    assert_eq!(ready.state.n, EventNumber(4));
    assert!(matches!(&ready.resets[..], [Internal::ResetInputs { position: 0, .. }]));
}

/// An epoch record says nothing of its place in the log, so its sequence has to.
#[test]
fn a_message_that_is_missing_before_an_epoch_record_stops_the_fold() {
    let mut log = first_term(usize::MAX);
    let attached = attachment("commands/0", 1);
    let (begins, faults) = (at(9), Faults::default());
    let mut takeover = Takeover::new("second".to_owned(), begins, attached, None, None, faults);
    takeover.start();
    let newest: EpochRecord = serde_json::from_slice(&log[0].2).unwrap();
    let TakeoverEffect::AppendEpoch { record, .. } = takeover.on_epoch(Some((1, newest))) else {
        panic!("no epoch is begun")
    };
    let seq = log.len() as u64 + 1;
    log.push((seq, subject::EPOCH.to_owned(), serde_json::to_vec(&record).unwrap().into()));
    takeover.on_epoch_appended(seq);
    log.remove(log.len() - 2);
    let end = takeover.on_log(&log);
    assert!(matches!(end, Err(TakeoverError::Read(ReadError::Gap { .. }))), "{end:?}");
}

/// The operator's word is in the log, and what follows from it is not: all sessions are to end.
#[test]
fn a_reset_that_was_cut_off_is_completed_by_whoever_takes_over() {
    let mut log = first_term(0);
    let record: EpochRecord = serde_json::from_slice(&log[0].2).unwrap();
    let mut state = State::default();
    state.apply_epoch(EventNumber(1), &record).unwrap();
    let chain = Chain::START.extend(&log[0].2);
    let mut sequencer = Sequencer::new(state, Positions::default(), chain, Rules::default());
    let hello = Hello {
        origin: Default::default(),
        capacity: Capacity { slots: 1, cpu: 1, mem_mb: 1, gpu: 0 },
        modules: Vec::new(),
        labels: Default::default(),
    };
    let session = SessionId(format!("{:032x}", 7).parse::<JobId>().unwrap().0);
    let message = ReportMessage { session, reports: vec![Report::Hello(Box::new(hello))] };
    let joins = Input::Reports { seq: 5, worker_id: "w1".parse().unwrap(), message };
    let reset = Internal::ResetInputs {
        src: Source::Reports,
        incarnation: Incarnation("reports/1".to_owned()),
        position: 0,
        by: "ops".to_owned(),
    };
    let joined = sequencer.run(&joins, at(1)).unwrap().messages;
    let gone = sequencer.run(&Input::Internal(reset), at(2)).unwrap().messages;
    assert!(gone.len() > 1);
    let written = joined.into_iter().chain(gone.into_iter().take(1));
    log.extend((2..).zip(written).map(|(seq, m)| (seq, m.subject, m.payload)));

    let mut found = attachment("commands/0", 0);
    found.reports = Incarnation("reports/1".to_owned());
    let mut takeover = second_term(&mut log, found.clone(), None);
    let ready = lead(takeover.on_attachment(found).unwrap());
    assert!(ready.resets.is_empty() && ready.unfinished.is_some());
    // Of the stream that is there now nothing was read, so none of it may be removed.
    assert_eq!((ready.state.pos.reports, ready.acked_pos().reports), (5, 0));
    let (sequencer, completed) = ready.begin(Rules::default()).unwrap();
    assert_eq!(completed.unwrap().1.messages.len(), 1);
    assert_eq!(sequencer.state().workers.iter().count(), 0);
}
