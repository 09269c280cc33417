//! What a look at the queue costs, however many kinds of jobs wait: counted, for a look that costs too much
//! places the same jobs.

use nox_contract::{
    Capacity, Cause, Command, Entry, Hello, Limits, Report, Resources, SchedulerConfig, Source,
    Submit, WorkerId,
};
use nox_core::{
    Decision, Draft, Faults, Internal, Rules, State, decide, job::SUSPICIONS_MAX, turn::Turn,
};

use crate::world::{
    ROOMY, SMALL, acme, config_of, id, job_id, manifest, origin, session_id, slots,
};

/// What the job of a number asks for.
type Kind = fn(u32) -> u32;
type Look = fn(&Crowd, u32, Option<Turn>) -> Decision;

/// Jobs that wait.
const WAITING: u32 = 16_000;

/// A log of which only the state is kept: so many jobs are more than the watch can follow.
struct Crowd {
    state: State,
    rules: Rules,
    jobs: u32,
    sessions: u32,
}

impl Crowd {
    fn with(limits: Limits, faults: Faults) -> Self {
        let rules = Rules { faults, ..Rules::default() };
        let mut this = Self { state: State::default(), rules, jobs: 0, sessions: 0 };
        let config = SchedulerConfig { tenant: limits, ..config_of(limits) };
        this.internal(&Internal::Configure { config });
        this
    }

    /// The queue has no bounds.
    fn new(faults: Faults) -> Self {
        let limits = Limits {
            cpu_seconds: 1 << 40,
            queued_jobs: u32::MAX,
            running_jobs: u32::MAX,
            mem_mb: u32::MAX,
            ..ROOMY
        };
        Self::with(limits, faults)
    }

    fn join(&mut self, worker: &str, capacity: Capacity) {
        self.sessions += 1;
        let (worker_id, session): (WorkerId, _) = (id(worker), session_id(self.sessions));
        let modules = vec![manifest("m")];
        let labels = Default::default();
        let hello = Hello { origin: origin(session), capacity, modules, labels };
        let report = Report::Hello(Box::new(hello));
        let (state, rules) = (&mut self.state, &self.rules);
        loop {
            let at = state.at;
            let decision = decide::report(state, rules, &worker_id, session, &report, at);
            let more = decision.more;
            fold(state, decision);
            if !more {
                return;
            }
        }
    }

    fn submit(&mut self, mem_mb: u32, priority: u8) {
        self.jobs += 1;
        let submit = Submit {
            module_version: None,
            worker_labels: Default::default(),
            job_id: job_id(self.jobs),
            user_id: id("ada"),
            role: "user".to_owned(),
            module: id("m"),
            inputs: Default::default(),
            requested_resources: Resources { mem_mb, ..SMALL },
            priority,
            run_at: None,
            after: Vec::new(),
            fingerprint: None,
            seen: self.state.n,
            pending: false,
            task: None,
            metadata: None,
            concurrency: None,
            draft: false,
            traceparent: None,
        };
        let command = Command::Submit(Box::new(submit));
        let decision = decide::command(&self.state, &self.rules, &acme(), &command, self.state.at);
        fold(&mut self.state, decision);
    }

    fn internal(&mut self, input: &Internal) {
        if let Some(decision) = self.decide(input) {
            fold(&mut self.state, decision);
        }
    }

    fn decide(&self, input: &Internal) -> Option<Decision> {
        decide::internal(&self.state, &self.rules, input, 0, self.state.at)
    }

    fn look(&self, looks_max: u32, behind: Option<Turn>) -> Decision {
        self.decide(&Internal::Match { placements_max: 256, looks_max, behind }).unwrap()
    }

    fn explain(&self, looks_max: u32, behind: Option<Turn>) -> Decision {
        self.decide(&Internal::Reasons { reasons_max: u32::MAX, looks_max, behind }).unwrap()
    }
}

fn fold(state: &mut State, decision: Decision) {
    let by = Cause { src: Source::Commands, seq: 1, part: 0 };
    state.begin_frame(state.n.next(), state.at).unwrap();
    for Draft { entity, facts } in decision.drafts {
        let facts = facts.into_iter().map(Into::into).collect();
        state.apply_entry(&Entry::new(by, entity, facts)).unwrap();
    }
    state.end_frame(state.pos).unwrap();
}

const WORKERS: u32 = 10;

/// As many workers with free slots, and as many jobs none of which fits.
fn unfit(faults: Faults, mem_mb: impl Fn(u32) -> u32) -> Crowd {
    let mut crowd = Crowd::new(faults);
    for worker in 0..WORKERS {
        crowd.join(&format!("w{worker}"), slots(9));
    }
    for number in 0..WAITING {
        crowd.submit(mem_mb(number), 5);
    }
    crowd
}

#[test]
fn no_worker_is_asked_for_more_than_it_has_just_refused() {
    let cost = |faults, mem_mb: fn(u32) -> u32| {
        let decision = unfit(faults, mem_mb).look(u32::MAX, None);
        assert!(decision.drafts.is_empty());
        decision.looks
    };
    let kinds: Kind = |n| 2_000_000 + n;
    let alike: Kind = |_| 2_000_000;
    assert_eq!(cost(Faults::default(), alike), 1 + WORKERS);
    assert_eq!(cost(Faults::default(), kinds), WAITING + WORKERS, "one look each");
    let broken = Faults { refused_asked_again: true, ..Faults::default() };
    assert_eq!(cost(broken, kinds), WAITING * (1 + WORKERS));
}

#[test]
fn no_worker_is_asked_for_who_may_run_no_more() {
    let cost = |faults| {
        let limits =
            Limits { running_jobs: 1, queued_jobs: u32::MAX, cpu_seconds: 1 << 40, ..ROOMY };
        let mut crowd = Crowd::with(limits, faults);
        for worker in 0..WORKERS {
            crowd.join(&format!("w{worker}"), slots(9));
        }
        for number in 0..WAITING {
            crowd.submit(1 + number, 5);
        }
        crowd.internal(&Internal::Match { placements_max: 1, looks_max: u32::MAX, behind: None });
        let decision = crowd.look(u32::MAX, None);
        assert!(decision.drafts.is_empty());
        decision.looks
    };
    assert_eq!(cost(Faults::default()), WAITING - 1 + WORKERS);
    let broken = Faults { refused_asked_again: true, ..Faults::default() };
    assert_eq!(cost(broken), (WAITING - 1) * (1 + WORKERS));
}

#[test]
fn a_job_that_waits_to_be_alone_does_not_make_others_dearer() {
    let mut crowd = Crowd::new(Faults::default());
    let (large, small) = (Capacity { mem_mb: u32::MAX, ..slots(9) }, slots(1_000));
    let of_suspect = small.mem_mb + 1;
    crowd.join("small", small);
    crowd.submit(of_suspect, 5);
    let matching = Internal::Match { placements_max: 256, looks_max: u32::MAX, behind: None };
    for _ in 0..SUSPICIONS_MAX {
        crowd.join("large", large);
        crowd.internal(&matching);
        let (worker_id, session) = (id("large"), session_id(crowd.sessions));
        crowd.internal(&Internal::WorkerSilent { worker_id, session });
        crowd.internal(&Internal::Losses { losses_max: 1 });
    }
    // Somebody else has the one worker that is large enough for it.
    crowd.submit(of_suspect, 9);
    crowd.join("large", large);
    crowd.internal(&Internal::Match { placements_max: 1, looks_max: u32::MAX, behind: None });
    for number in 1..=WAITING {
        crowd.submit(number, 5);
    }
    assert_eq!(crowd.state.job(job_id(1)).map(|job| job.job.is_isolated()), Some(true));
    assert_eq!(crowd.state.job(job_id(1)).and_then(|job| job.job.worker_id()), None);
    let decision = crowd.look(u32::MAX, None);
    assert_eq!(decision.drafts.len(), 256);
    // For each who is placed both workers are asked, and again for the one who waits.
    assert!(decision.looks <= 257 * 5, "{}", decision.looks);
}

#[test]
fn a_look_has_an_end_and_the_next_goes_on_there() {
    // Each asks for less than the one before, so that for each the workers are asked.
    let crowd = unfit(Faults::default(), |number| 2_000_000 - number);
    let looks_max = 20_000;
    let looks: [Look; 2] = [Crowd::look, Crowd::explain];
    for look in looks {
        let (mut behind, mut looks) = (None, 0);
        loop {
            let decision = look(&crowd, looks_max, behind);
            assert!(decision.looks <= looks_max + WORKERS, "{}", decision.looks);
            looks += decision.looks;
            if decision.behind.is_none() {
                break;
            }
            assert!(decision.behind > behind, "it goes on");
            behind = decision.behind;
        }
        assert_eq!(looks, WAITING * (1 + WORKERS), "each was looked at once");
    }
}
