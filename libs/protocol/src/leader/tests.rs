use std::collections::BTreeSet;

use nox_contract::{
    Capacity, Command, CommandMessage, Hello, Manifest, Report, ReportMessage, RetryPolicy, Submit,
    subject,
};

use super::*;

fn job(number: u32) -> JobId {
    format!("00000000-0000-0000-0000-{number:012}").parse().unwrap()
}

fn leader() -> Leader {
    let ready = Ready {
        state: State::default(),
        chain: nox_contract::event::Chain::START,
        epoch_seq: 0,
        unfinished: None,
        resets: Vec::new(),
    };
    let config = LeaderConfig {
        rules: Rules::default(),
        pace: Pace::Relaxed,
        worker_lease: Duration::from_secs(15),
        scheduler: SchedulerConfig::default(),
        faults: Faults::default(),
    };
    Leader::begin(ready, config, at(0)).unwrap()
}

fn at(second: u64) -> Now {
    let start: Timestamp = "2026-11-21T22:00:00Z".parse().unwrap();
    let now = start + Duration::from_secs(second);
    Now { at: now, wall: now, monotonic: Duration::from_secs(second) }
}

fn worker() -> WorkerId {
    "w1".parse().unwrap()
}

fn session(number: u32) -> SessionId {
    SessionId(job(number).0)
}

fn tell(leader: &mut Leader, session: SessionId, report: Report, now: Now) {
    let seq = leader.next_report();
    let message = ReportMessage { session, reports: vec![report] };
    let message = serde_json::to_vec(&message).unwrap();
    leader.on_input(Source::Reports, seq, &subject::reports(&worker()), &message, now).unwrap();
}

fn hello() -> Report {
    let resources = Resources { cpu: 1, mem_mb: 1, wall_time_s: 60, gpu: 0 };
    Report::Hello(Box::new(Hello {
        capacity: Capacity { slots: 4, cpu: 64, mem_mb: 64, gpu: 0 },
        modules: vec![Manifest {
            name: "noop".parse().unwrap(),
            version: "1".to_owned(),
            title: String::new(),
            input_schema: RawJson::of(&true).unwrap(),
            output_schema: RawJson::of(&true).unwrap(),
            resources,
            retry: RetryPolicy::default(),
            running_max: None,
        }],
        labels: Vec::new(),
    }))
}

fn submit(leader: &mut Leader, number: u32, now: Now) {
    let seq = leader.next_command();
    let submit = Submit {
        job_id: job(number),
        user_id: "ada".parse().unwrap(),
        role: "user".to_owned(),
        module: "noop".parse().unwrap(),
        inputs: RawJson::default(),
        requested_resources: Resources { cpu: 1, mem_mb: 1, wall_time_s: 60, gpu: 0 },
        priority: 5,
        run_at: None,
        after: Vec::new(),
        fingerprint: None,
        seen: leader.state().n,
        pending: false,
        traceparent: None,
    };
    let commands = vec![Command::Submit(Box::new(submit))];
    let message = serde_json::to_vec(&CommandMessage { reply_to: None, commands }).unwrap();
    leader.on_input(Source::Commands, seq, "nox.cmd.acme", &message, now).unwrap();
}

/// A broker that stores what was sent when it is told to, in order.
#[derive(Default)]
struct Broker {
    sent: VecDeque<(u64, u64)>,
}

impl Broker {
    /// Takes what is to be done, and stores so many of the appends that were sent.
    fn store(&mut self, leader: &mut Leader, mut count: usize) -> Vec<Effect> {
        let mut effects = Vec::new();
        loop {
            while let Some(effect) = leader.poll() {
                match effect {
                    Effect::Append { tag, messages, .. } => {
                        self.sent.push_back((tag, messages.last().unwrap().event.n.0));
                    }
                    effect => effects.push(effect),
                }
            }
            let Some((tag, seq)) = self.sent.pop_front_if(|_| count > 0) else { return effects };
            leader.on_stored(tag, seq);
            count -= 1;
        }
    }
}

/// What a resend may say to have settled: no more than was handed out in that very session.
#[test]
fn a_resend_covers_nothing_of_a_session_that_is_over() {
    let (mut leader, mut broker) = (leader(), Broker::default());
    tell(&mut leader, session(1), hello(), at(1));
    for number in 1..=4 {
        submit(&mut leader, number, at(1));
    }
    leader.end_group(at(1)).unwrap();
    let handed_out = broker.store(&mut leader, usize::MAX);
    assert_eq!(handed_out.iter().filter(|e| matches!(e, Effect::Dispatch { .. })).count(), 4);
    // More work of the first session waits for the log, so that numbers up to 8 are known of.
    for number in 1..=4 {
        let cancel =
            nox_contract::Cancel { job_id: job(number), by: "ada".parse().unwrap(), admin: false };
        let message = CommandMessage { reply_to: None, commands: vec![Command::Cancel(cancel)] };
        let message = serde_json::to_vec(&message).unwrap();
        let seq = leader.next_command();
        leader.on_input(Source::Commands, seq, "nox.cmd.acme", &message, at(2)).unwrap();
    }
    leader.end_group(at(2)).unwrap();
    broker.store(&mut leader, 3);

    // The worker begins anew, with numbers from 1, while something is still on its way.
    tell(&mut leader, session(2), hello(), at(3));
    submit(&mut leader, 5, at(3));
    leader.end_group(at(3)).unwrap();
    for second in 4..7 {
        let beat = Beat {
            session: session(2),
            received_up_to: WorkNumber(0),
            held: Vec::new(),
            reports_up_to: 2,
        };
        leader.on_beat(worker(), beat, at(second));
        leader.tick(at(second)).unwrap();
        leader.end_group(at(second)).unwrap();
    }
    let everything = broker.store(&mut leader, usize::MAX);

    let mut dispatched = BTreeSet::new();
    let mut covered = WorkNumber(0);
    for effect in &everything {
        match effect {
            Effect::Dispatch { session: of, work, .. } if *of == session(2) => {
                dispatched.insert(work.number());
            }
            Effect::Redeliver { session: of, covers, .. } if *of == session(2) => {
                covered = covered.max(covers.up_to);
            }
            _ => {}
        }
    }
    assert_eq!(dispatched, BTreeSet::from([WorkNumber(1)]));
    assert!(covered <= WorkNumber(1), "numbers up to {covered} are said to be settled");
}
