//! What can happen, and how often.

use proptest::prelude::*;

/// One thing that happens. Numbers are taken modulo what there is to choose from.
#[derive(Debug, Clone)]
pub enum Step {
    Pass {
        ms: u64,
    },
    Submit(Submission),
    /// A submit that was sent before is sent again, or another one under its id.
    SubmitAgain {
        pick: u8,
        other: bool,
    },
    /// A draft is submitted, or what is none.
    SubmitDraft {
        pick: u8,
        by: u8,
    },
    Cancel {
        pick: u8,
        by: u8,
        admin: bool,
    },
    /// An admin sets the limits of an account, or resets them.
    Limits {
        tenant: u8,
        user: Option<u8>,
        which: u8,
    },
    Drain {
        worker: u8,
        drained: bool,
    },
    Switch {
        module: u8,
        enabled: bool,
    },
    Hello {
        worker: u8,
        again: bool,
        capacity: u8,
        modules: u8,
        manifest: u8,
    },
    /// Whoever holds a job tells of it.
    Report {
        pick: u8,
        what: What,
    },
    /// Somebody tells of a job what it cannot know.
    Forgery {
        pick: u8,
        what: What,
        lie: Lie,
    },
    /// A report that was sent before arrives once more.
    ReportAgain {
        pick: u8,
    },
    Draining {
        worker: u8,
    },
    Paused {
        worker: u8,
    },
    Resumed {
        worker: u8,
    },
    Bye {
        worker: u8,
    },
    Silent {
        worker: u8,
        old_session: bool,
    },
    Missing {
        worker: u8,
        which: u8,
    },
    /// Some attempts of sessions that are over are lost.
    Losses {
        losses_max: u8,
    },
    /// Somebody tells of an attempt that is not yet lost with its session.
    Late {
        pick: u8,
        what: What,
    },
    Timer,
    /// Instants of jobs that do not wait for one.
    WrongTimer,
    Match {
        placements_max: u8,
    },
    Reasons {
        reasons_max: u8,
    },
    /// Match and reasons, until nothing follows.
    Settle,
    Configure {
        which: u8,
    },
    Takeover,
    /// A frame without entries.
    EmptyFrame,
    /// The next decisions stand in one frame.
    Gather {
        decisions: u8,
    },
    Snapshot,
}

#[derive(Debug, Clone)]
pub struct Submission {
    pub tenant: u8,
    pub user: u8,
    pub admin: bool,
    pub module: u8,
    pub size: u8,
    pub priority: u8,
    pub run_in_s: Option<u16>,
    pub after: Vec<u8>,
    pub keyed: bool,
    pub pending: bool,
    pub draft: bool,
    /// One of a few keys, and its limit.
    pub key: Option<(u8, u8)>,
}

#[derive(Debug, Clone, Copy)]
pub enum What {
    Started,
    Succeeded {
        wall_ms: u32,
    },
    Failed {
        wall_ms: u32,
        retryable: bool,
    },
    Crashed {
        wall_ms: u32,
    },
    /// It failed before it ran, and the worker calls it a crash.
    Unstarted,
    HandedBack {
        started: bool,
        draining: bool,
    },
    Stopped {
        wall_ms: u32,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    Token,
    Attempt,
    Session,
    Worker,
    Job,
}

pub fn history(length: usize) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..length)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => span().prop_map(|ms| Step::Pass { ms }),
        14 => submission().prop_map(Step::Submit),
        2 => (any::<u8>(), any::<bool>())
            .prop_map(|(pick, other)| Step::SubmitAgain { pick, other }),
        4 => (any::<u8>(), 0..8_u8).prop_map(|(pick, by)| Step::SubmitDraft { pick, by }),
        4 => (any::<u8>(), 0..4_u8, prop::bool::weighted(0.3))
            .prop_map(|(pick, by, admin)| Step::Cancel { pick, by, admin }),
        2 => (any::<u8>(), prop::bool::weighted(0.6))
            .prop_map(|(module, enabled)| Step::Switch { module, enabled }),
        2 => (0..2_u8, prop::option::weighted(0.8, 0..3_u8), any::<u8>())
            .prop_map(|(tenant, user, which)| Step::Limits { tenant, user, which }),
        3 => (any::<u8>(), any::<bool>())
            .prop_map(|(worker, drained)| Step::Drain { worker, drained }),
        6 => (any::<u8>(), prop::bool::weighted(0.2), any::<u8>(), any::<u8>(), any::<u8>())
            .prop_map(|(worker, again, capacity, modules, manifest)| Step::Hello {
                worker,
                again,
                capacity,
                modules,
                manifest,
            }),
        16 => (any::<u8>(), what()).prop_map(|(pick, what)| Step::Report { pick, what }),
        3 => (any::<u8>(), what(), lie())
            .prop_map(|(pick, what, lie)| Step::Forgery { pick, what, lie }),
        2 => any::<u8>().prop_map(|pick| Step::ReportAgain { pick }),
        1 => any::<u8>().prop_map(|worker| Step::Draining { worker }),
        1 => any::<u8>().prop_map(|worker| Step::Paused { worker }),
        2 => any::<u8>().prop_map(|worker| Step::Resumed { worker }),
        1 => any::<u8>().prop_map(|worker| Step::Bye { worker }),
        2 => (any::<u8>(), prop::bool::weighted(0.2))
            .prop_map(|(worker, old_session)| Step::Silent { worker, old_session }),
        2 => (any::<u8>(), any::<u8>())
            .prop_map(|(worker, which)| Step::Missing { worker, which }),
        3 => (1..4_u8).prop_map(|losses_max| Step::Losses { losses_max }),
        2 => (any::<u8>(), what()).prop_map(|(pick, what)| Step::Late { pick, what }),
        6 => Just(Step::Timer),
        1 => Just(Step::WrongTimer),
        8 => (1..20_u8).prop_map(|placements_max| Step::Match { placements_max }),
        3 => (1..20_u8).prop_map(|reasons_max| Step::Reasons { reasons_max }),
        4 => Just(Step::Settle),
        2 => any::<u8>().prop_map(|which| Step::Configure { which }),
        1 => Just(Step::Takeover),
        1 => Just(Step::EmptyFrame),
        4 => (2..12_u8).prop_map(|decisions| Step::Gather { decisions }),
        1 => Just(Step::Snapshot),
    ]
}

/// From nothing to more than a day.
fn span() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0..2_000_u64,
        4 => 2_000..120_000_u64,
        1 => 600_000..1_200_000_u64,
        1 => 40_000_000..100_000_000_u64,
    ]
}

fn submission() -> impl Strategy<Value = Submission> {
    let who = (0..2_u8, 0..3_u8, prop::bool::weighted(0.2), any::<u8>());
    let what = (any::<u8>(), 0..10_u8, prop::option::weighted(0.15, 0..90_u16));
    let how = (
        prop_oneof![3 => Just(Vec::new()), 1 => prop::collection::vec(any::<u8>(), 1..3)],
        any::<bool>(),
        prop::bool::weighted(0.3),
    );
    let also = (prop::bool::weighted(0.15), prop::option::weighted(0.2, (0..2_u8, 1..3_u8)));
    (who, what, how, also).prop_map(|(who, what, (after, keyed, pending), (draft, key))| {
        let (tenant, user, admin, module) = who;
        let (size, priority, run_in_s) = what;
        Submission {
            tenant,
            user,
            admin,
            module,
            size,
            priority,
            run_in_s,
            after,
            keyed,
            pending,
            draft,
            key,
        }
    })
}

fn what() -> impl Strategy<Value = What> {
    let wall_ms = || prop_oneof![9 => 0..200_000_u32, 1 => Just(u32::MAX)];
    prop_oneof![
        5 => Just(What::Started),
        4 => wall_ms().prop_map(|wall_ms| What::Succeeded { wall_ms }),
        2 => (wall_ms(), prop::bool::weighted(0.7))
            .prop_map(|(wall_ms, retryable)| What::Failed { wall_ms, retryable }),
        3 => wall_ms().prop_map(|wall_ms| What::Crashed { wall_ms }),
        1 => Just(What::Unstarted),
        1 => (any::<bool>(), any::<bool>())
            .prop_map(|(started, draining)| What::HandedBack { started, draining }),
        2 => wall_ms().prop_map(|wall_ms| What::Stopped { wall_ms }),
    ]
}

fn lie() -> impl Strategy<Value = Lie> {
    prop_oneof![
        Just(Lie::Token),
        Just(Lie::Attempt),
        Just(Lie::Session),
        Just(Lie::Worker),
        Just(Lie::Job),
    ]
}
