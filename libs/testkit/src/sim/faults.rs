//! What goes wrong in a run, and which of our own switches is set to break it.
//!
//! Swarm testing: each seed enables a random part of the faults at random rates, because a world in
//! which everything fails at once never gets far enough to fail in an interesting way.

use std::collections::BTreeMap;

use nox_contract::{Limits, SchedulerConfig};
use nox_protocol::{leader::LOSSES_MAX, sequencer::FRAME_BYTES_FULL, session::SessionFaults};
use rand::{RngExt, rngs::ChaCha8Rng};

macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }

            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.name() == name)
            }
        }
    };
}

named!(
    /// A bug of our own, planted by a switch of the product: the negative controls.
    Bug {
        EpochGuardOff = "epoch_guard_off",
        PredictedSequenceOff = "predicted_sequence_off",
        BlindResend = "blind_resend",
        HalfInputDropped = "half_input_dropped",
        PartSkipped = "part_skipped",
        EmptyFramesIgnored = "empty_frames_ignored",
        ConsumedInputRepeated = "consumed_input_repeated",
        AnswerBeforeAck = "answer_before_ack",
        IncarnationIgnored = "incarnation_ignored",
        BeatJudgedEarly = "beat_judged_early",
        AbsentAtOnce = "absent_at_once",
        ReconnectsIgnored = "reconnects_ignored",
        ForgetBeforeAck = "forget_before_ack",
        GapsCounted = "gaps_counted",
        WorkNotDeduped = "work_not_deduped",
        EarlyStopForgotten = "early_stop_forgotten",
        OtherSessionsHeeded = "other_sessions_heeded",
        TokenUnchecked = "token_unchecked",
        UnstartedCountsAsCrash = "unstarted_counts_as_crash",
        UnheardStartsExcused = "unheard_starts_excused",
        SilenceProvesAnEnd = "silence_proves_an_end",
        ReservationKeptOnLoss = "reservation_kept_on_loss",
        NeighboursBlamed = "neighbours_blamed",
        PlannedStopCounts = "planned_stop_counts",
        StampUnchecked = "stamp_unchecked",
        LivingWorkerReplaced = "living_worker_replaced",
        KeyOfOthersIgnored = "key_of_others_ignored",
        FixedLimitsFollowRole = "fixed_limits_follow_role",
        DrainedWorkersGivenWork = "drained_workers_given_work",
        BatchTakenInPart = "batch_taken_in_part",
        ArchivedBeforeAck = "archived_before_ack",
        ArchiveNotCompared = "archive_not_compared",
        CutBeforeArchived = "cut_before_archived",
        CutBeyondSnapshot = "cut_beyond_snapshot",
        WhatIsGoneComesAgain = "what_is_gone_comes_again",
        OccurrencesRepeat = "occurrences_repeat",
        NewestJobCountsAlone = "newest_job_counts_alone",
        SchedulesOutliveKeys = "schedules_outlive_keys",
        /// Of the simulation's own leader: what the archive does with a segment it does not look at.
        ArchiveNotReadBack = "archive_not_read_back",
    }
);

impl Bug {
    pub(crate) fn of_protocol(bug: Option<Self>) -> nox_protocol::Faults {
        nox_protocol::Faults {
            epoch_guard_off: bug == Some(Self::EpochGuardOff),
            predicted_sequence_off: bug == Some(Self::PredictedSequenceOff),
            blind_resend: bug == Some(Self::BlindResend),
            half_input_dropped: bug == Some(Self::HalfInputDropped),
            part_skipped: bug == Some(Self::PartSkipped),
            empty_frames_ignored: bug == Some(Self::EmptyFramesIgnored),
            consumed_input_repeated: bug == Some(Self::ConsumedInputRepeated),
            answer_before_ack: bug == Some(Self::AnswerBeforeAck),
            incarnation_ignored: bug == Some(Self::IncarnationIgnored),
            archived_before_ack: bug == Some(Self::ArchivedBeforeAck),
            archive_not_compared: bug == Some(Self::ArchiveNotCompared),
            cut_before_archived: bug == Some(Self::CutBeforeArchived),
            cut_beyond_snapshot: bug == Some(Self::CutBeyondSnapshot),
            beat_judged_early: bug == Some(Self::BeatJudgedEarly),
            absent_at_once: bug == Some(Self::AbsentAtOnce),
            future: false,
            reconnects_ignored: bug == Some(Self::ReconnectsIgnored),
        }
    }

    pub(crate) fn of_core(bug: Option<Self>) -> nox_core::Faults {
        nox_core::Faults {
            token_unchecked: bug == Some(Self::TokenUnchecked),
            unstarted_counts_as_crash: bug == Some(Self::UnstartedCountsAsCrash),
            unheard_starts_excused: bug == Some(Self::UnheardStartsExcused),
            silence_proves_an_end: bug == Some(Self::SilenceProvesAnEnd),
            reservation_kept_on_loss: bug == Some(Self::ReservationKeptOnLoss),
            neighbours_blamed: bug == Some(Self::NeighboursBlamed),
            planned_stop_counts: bug == Some(Self::PlannedStopCounts),
            living_worker_replaced: bug == Some(Self::LivingWorkerReplaced),
            stamp_unchecked: bug == Some(Self::StampUnchecked),
            fixed_limits_follow_role: bug == Some(Self::FixedLimitsFollowRole),
            drained_workers_given_work: bug == Some(Self::DrainedWorkersGivenWork),
            batch_taken_in_part: bug == Some(Self::BatchTakenInPart),
            // What there is room for is compared with what each account has in the core's own tests.
            batch_admitted_one_by_one: false,
            what_is_gone_comes_again: bug == Some(Self::WhatIsGoneComesAgain),
            occurrences_repeat: bug == Some(Self::OccurrencesRepeat),
            newest_job_counts_alone: bug == Some(Self::NewestJobCountsAlone),
            schedules_outlive_keys: bug == Some(Self::SchedulesOutliveKeys),
            // It costs time and changes no decision, so nothing here could notice it.
            refused_asked_again: false,
            // Of tasks, which no client of the simulation submits; see the core's own tests.
            task_updates_unchecked: false,
            claims_unordered: false,
            key_of_others_ignored: bug == Some(Self::KeyOfOthersIgnored),
            // Whose turn it is, and when, is compared with what counts all jobs in the core's own tests.
            turns_not_taken: false,
            pace_unchecked: false,
            registered_versions_change: false,
            // Of webhooks, which no client of the simulation sets; see the core's own tests.
            webhooks_outlive_keys: false,
            // No version that is still to come leads in the simulation; see the test of mixed versions.
            parked_decided_upon: false,
            parked_company_ignored: false,
        }
    }

    pub(crate) fn of_session(bug: Option<Self>) -> SessionFaults {
        SessionFaults {
            forget_before_ack: bug == Some(Self::ForgetBeforeAck),
            work_not_deduped: bug == Some(Self::WorkNotDeduped),
            early_stop_forgotten: bug == Some(Self::EarlyStopForgotten),
            other_sessions_heeded: bug == Some(Self::OtherSessionsHeeded),
            gaps_counted: bug == Some(Self::GapsCounted),
        }
    }
}

named!(
    /// Something that the world does to Nox, and that Nox has to survive.
    Fault {
        /// Stored, but the acknowledgement gets lost.
        AckLost = "ack_lost",
        /// Stored, and acknowledged after what was stored later.
        AckOvertaken = "ack_overtaken",
        /// Not stored, and nobody says so.
        PublishLost = "publish_lost",
        /// Arrives after its sender has given it up.
        PublishDelayed = "publish_delayed",
        /// Refused although nothing speaks against it (a replicated stream's `in flight`, a full
        /// stream).
        PublishRefused = "publish_refused",
        /// Some messages take a hundred times as long.
        SlowNetwork = "slow_network",
        ReadFails = "read_fails",
        WorkLost = "work_lost",
        WorkTwice = "work_twice",
        WorkOutOfOrder = "work_out_of_order",
        BeatLost = "beat_lost",
        BeatSlow = "beat_slow",
        /// Inputs are delivered again.
        Redelivery = "redelivery",
        /// A scheduler dies between two effects.
        SchedulerCrash = "scheduler_crash",
        /// A snapshot is kept, and later takeovers begin from it.
        Snapshot = "snapshot",
        /// A segment of the log is archived.
        Archives = "archives",
        /// The archive keeps another segment than it was given, by a bit.
        ArchiveDamages = "archive_damages",
        /// The log's stream gets full, and is cut.
        CutsLog = "cuts_log",
        /// The lease is given to whoever asks.
        SplitLease = "split_lease",
        /// An executor dies between two effects.
        ExecutorCrash = "executor_crash",
        /// An attempt takes its executor down, and whatever runs beside it.
        TakesDown = "takes_down",
        /// An executor cannot run an attempt, nor any other for a while.
        CannotRun = "cannot_run",
        /// A projector dies around its commit.
        ProjectorCrash = "projector_crash",
        /// Somebody sends reports with a wrong token.
        Forgery = "forgery",
        /// A message that nobody can read stands in the commands.
        Garbage = "garbage",
        /// Commands are published again by an impatient gateway.
        Impatience = "impatience",
        /// Jobs are cancelled more often than not.
        Regret = "regret",
    }
);

impl Fault {
    /// How often it happens, each time that it could, where it is enabled at all.
    fn rate(self) -> f64 {
        match self {
            Self::AckLost | Self::PublishLost | Self::PublishDelayed => 0.02,
            Self::AckOvertaken => 0.1,
            Self::PublishRefused => 0.01,
            Self::SlowNetwork => 0.02,
            Self::ReadFails => 0.1,
            Self::WorkLost | Self::WorkTwice | Self::WorkOutOfOrder => 0.1,
            Self::BeatLost => 0.2,
            Self::BeatSlow => 0.2,
            Self::Redelivery => 0.1,
            Self::SchedulerCrash => 0.004,
            Self::Snapshot => 0.02,
            Self::Archives | Self::CutsLog => 0.02,
            Self::ArchiveDamages => 0.1,
            Self::SplitLease => 0.05,
            Self::ExecutorCrash => 0.003,
            Self::TakesDown => 0.1,
            Self::CannotRun => 0.05,
            Self::ProjectorCrash => 0.02,
            Self::Forgery => 0.1,
            Self::Garbage => 0.01,
            Self::Impatience => 0.1,
            Self::Regret => 0.3,
        }
    }
}

named!(
    /// Something that befalls a whole process or the broker, now and then.
    Blow {
        SchedulerDies = "scheduler_dies",
        /// Stopped for longer than its lease, then woken where it was.
        SchedulerFreezes = "scheduler_freezes",
        SchedulerCutOff = "scheduler_cut_off",
        ExecutorDies = "executor_dies",
        ExecutorFreezes = "executor_freezes",
        ExecutorCutOff = "executor_cut_off",
        ExecutorDrains = "executor_drains",
        ClientCutOff = "client_cut_off",
        ProjectorDies = "projector_dies",
        ProjectorFreezes = "projector_freezes",
        /// The broker's process dies: what it had in memory alone is gone.
        BrokerDies = "broker_dies",
        /// The log takes nothing more for a while.
        LogFull = "log_full",
    }
);

named!(
    /// What no promise covers: whoever remembers more than is left has to stop loudly.
    Disaster {
        /// An input stream is deleted and made anew; an operator says to go on.
        CommandsRecreated = "commands_recreated",
        ReportsRecreated = "reports_recreated",
        /// Power is lost and the last of what was acknowledged with it, or an old copy is restored.
        LogRolledBack = "log_rolled_back",
        /// Power is lost before the newest frames, which were acknowledged, were written to disk.
        LogUnsynced = "log_unsynced",
        CommandsRolledBack = "commands_rolled_back",
        ReportsRolledBack = "reports_rolled_back",
    }
);

impl Disaster {
    /// Whether an operator can say to go on, and everything settles again.
    pub(crate) fn is_recoverable(self) -> bool {
        matches!(self, Self::CommandsRecreated | Self::ReportsRecreated)
    }
}

/// One in this many runs meets a disaster, unless it is asked for.
const DISASTER_ONE_IN: u32 = 6;

/// What happens to one run.
#[derive(Debug, Clone)]
pub struct Plan {
    pub bug: Option<Bug>,
    pub disaster: Option<Disaster>,
    /// Most frames in flight.
    pub window: usize,
    /// From how many bytes on a frame is full; small ones end within inputs, at every part.
    pub frame_bytes: usize,
    /// Most losses that a turn tells; few let others come between any two.
    pub losses_max: u32,
    /// By how much people, jobs and leases are slower than the network; makes long histories.
    pub scale: u64,
    pub rates: BTreeMap<Fault, f64>,
    pub blows: Vec<Blow>,
    /// Steps between two blows, on average.
    pub blow_every: u32,
    pub schedulers: usize,
    pub executors: usize,
    /// One more executor bears the name of the first, with a data folder of its own.
    pub namesake: bool,
    pub clients: usize,
    /// Microseconds of wall time at the beginning.
    pub begins_at: i64,
    /// By how much each scheduler's clock is ahead, in microseconds.
    pub skews: [i64; 2],
    /// By how much its wall clock was set ahead since its process began, in microseconds.
    pub wall_skews: [i64; 2],
    /// How much faster the time of wall clocks passes, so that schedules of minutes are due within seconds.
    pub wall_pace: i64,
    /// What each scheduler was given; mostly the same.
    pub configs: [SchedulerConfig; 2],
}

/// 2026-11-21T12:00:00Z, in microseconds.
const NOON: i64 = 1_795_262_400_000_000;
const HOUR: i64 = 3_600_000_000;
/// Half a minute in a second.
const WALL_PACE: i64 = 30;

impl Plan {
    pub fn new(rng: &mut ChaCha8Rng, bug: Option<Bug>, disaster: Option<Disaster>) -> Self {
        let mut rates = BTreeMap::new();
        for fault in Fault::ALL {
            let (enabled, strength) = (rng.random_bool(0.5), rng.random_range(-0.7..0.5));
            if enabled {
                rates.insert(*fault, fault.rate() * f64::powf(10.0, strength));
            }
        }
        let blows: Vec<_> = Blow::ALL.iter().copied().filter(|_| rng.random_bool(0.4)).collect();
        let chance = rng.random_ratio(1, DISASTER_ONE_IN);
        let drawn = Disaster::ALL[rng.random_range(0..Disaster::ALL.len())];
        let disaster = disaster.or_else(|| {
            // This one shows nowhere else.
            let wanted = chance || bug == Some(Bug::IncarnationIgnored);
            wanted.then_some(drawn)
        });
        let window = [1, 2, 4][rng.random_range(0..3)];
        let frame_bytes = [1, 1, 1_500, 4_000, FRAME_BYTES_FULL][rng.random_range(0..5)];
        // Half of the runs begin shortly before a day of budgets ends.
        let begins_at = if rng.random_bool(0.5) { NOON } else { NOON + 12 * HOUR - 5_000_000 };
        let skew = |rng: &mut ChaCha8Rng| match rng.random_range(0..3) {
            0 => rng.random_range(-5_000_000..5_000_000),
            _ => 0,
        };
        // A clock that was wrong by hours when the process began, and was set right since.
        let set_right = |rng: &mut ChaCha8Rng| match rng.random_range(0..12) {
            0 => rng.random_range(-30 * HOUR..30 * HOUR),
            _ => 0,
        };
        let wrong = [set_right(rng), set_right(rng)];
        let wall_pace = if rng.random_bool(0.5) { WALL_PACE } else { 1 };
        Self {
            bug,
            disaster,
            window,
            frame_bytes,
            losses_max: [1, 2, LOSSES_MAX][blows.len() % 3],
            scale: if rng.random_bool(0.2) { 200 } else { 1 },
            rates,
            blows,
            blow_every: rng.random_range(60..600),
            schedulers: if rng.random_bool(0.25) { 1 } else { 2 },
            executors: rng.random_range(2..=3),
            namesake: rng.random_bool(0.25),
            clients: rng.random_range(1..=3),
            begins_at,
            skews: [skew(rng) + wrong[0], skew(rng) + wrong[1]],
            wall_pace,
            wall_skews: [skew(rng) - wrong[0], skew(rng) - wrong[1]],
            configs: {
                let first = config(rng);
                let changed = if rng.random_bool(0.3) { config(rng) } else { first.clone() };
                [first, changed]
            },
        }
    }

    /// What a true wall clock says `now` microseconds after the beginning.
    pub fn wall_at(&self, now: u64) -> i64 {
        self.begins_at + self.wall_pace * now as i64
    }

    /// The faults by name, for people.
    pub fn describe(&self) -> String {
        let rates: Vec<_> =
            self.rates.iter().map(|(fault, rate)| format!("{}={rate:.3}", fault.name())).collect();
        let blows: Vec<_> = self.blows.iter().map(|blow| blow.name()).collect();
        format!(
            "bug {:?}, disaster {:?}, window {}, frames of {} bytes, {} losses a turn, scale {}, faults [{}], a blow each {} steps of [{}], \
             {} schedulers, {} executors (namesake {}), {} clients",
            self.bug.map(Bug::name),
            self.disaster.map(Disaster::name),
            self.window,
            self.frame_bytes,
            self.losses_max,
            self.scale,
            rates.join(" "),
            self.blow_every,
            blows.join(" "),
            self.schedulers,
            self.executors,
            self.namesake,
            self.clients,
        )
    }
}

/// Limits so tight that every kind of refusal and of waiting occurs.
fn config(rng: &mut ChaCha8Rng) -> SchedulerConfig {
    let user = Limits {
        cpu_seconds: rng.random_range(100..800),
        queued_jobs: rng.random_range(3..12),
        running_jobs: rng.random_range(1..5),
        cpu: 2,
        mem_mb: 512,
        drafts: 3,
        starts_per_minute: nox_contract::limits::UNLIMITED,
    };
    let admin = Limits {
        cpu_seconds: 100_000,
        queued_jobs: 100,
        running_jobs: 50,
        cpu: 64,
        mem_mb: 65_536,
        drafts: 100,
        starts_per_minute: nox_contract::limits::UNLIMITED,
    };
    let tenant = Limits {
        cpu_seconds: rng.random_range(500..100_000),
        queued_jobs: rng.random_range(10..60),
        running_jobs: rng.random_range(3..20),
        ..admin
    };
    SchedulerConfig {
        roles: [("user".to_owned(), user), ("admin".to_owned(), admin)].into(),
        tenant,
        crashes_max: 3,
        ageing_ms: 1_000,
        // So little that much is forgotten within a run.
        keyed_remembered_ms: rng.random_range(100..5_000),
        unkeyed_remembered_max: rng.random_range(1..40),
        keyed_remembered_max: rng.random_range(1..40),
        refuse_unsatisfiable: false,
    }
}
