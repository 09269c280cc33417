//! The simulation holds, and notices what it is there to notice.

use nox_testkit::sim::{Bug, Disaster, Options, Outcome, Stats, run};

/// Runs of the first seeds until so many steps are done.
const STEPS_MIN: u64 = 1_000_000;
/// Steps within which a planted bug has to be found.
const NOTICED_WITHIN: u64 = 4_000_000;

/// Runs for each disaster.
const RUNS: u64 = 20;

fn holds(options: &Options) -> Outcome {
    let outcome = run(options);
    assert_eq!(outcome.violation, None, "sim --seed {}\n{}", options.seed, outcome.plan);
    outcome
}

#[test]
fn a_million_steps_in_worlds_that_misbehave_break_nothing() {
    let (mut steps, mut stats) = (0, Stats::default());
    let mut runs = 0;
    while steps < STEPS_MIN {
        let outcome = holds(&Options::seed(runs));
        runs += 1;
        steps += outcome.steps;
        stats.add(&outcome.stats);
    }
    println!("{runs} runs, {steps} steps: {stats:?}");
    // A world in which nothing happens proves nothing.
    for (count, what) in [
        (stats.epochs, "took over"),
        (stats.cut, "ended within an input"),
        (stats.empty, "was a frame without entries"),
        (stats.completed_by_another, "went on within another one's input"),
        (stats.succeeded, "succeeded"),
        (stats.failed, "failed"),
        (stats.canceled, "was canceled"),
        (stats.lost, "was lost"),
        (stats.excused, "was handed back or lost as planned"),
        (stats.suspected, "was suspected"),
        (stats.crashed, "was charged with the loss of its worker"),
        (stats.refused, "was refused"),
        (stats.snapshots_compared, "was compared"),
        (stats.archived, "was archived"),
        (stats.log_cuts, "was cut off the log's stream"),
        (stats.occurred, "was submitted by a schedule"),
        (stats.held_back, "was held back by an earlier job of its schedule"),
        (stats.keyless, "was paused because of its key"),
    ] {
        // A charge is the rarest: seven to fourteen in a million steps, whichever they are.
        assert!(count >= 5, "hardly anything {what}: {count}");
    }
}

#[test]
fn a_run_is_the_same_to_the_last_step_whenever_it_is_done() {
    for seed in (0..2_000).step_by(97) {
        let options = Options { steps: 1_000, ..Options::seed(seed) };
        assert_eq!(run(&options), run(&options));
    }
    let trace = |seed| run(&Options { steps: 1_000, ..Options::seed(seed) }).trace;
    assert_ne!(trace(1), trace(2));
}

#[test]
fn whoever_remembers_what_a_disaster_took_stops_and_says_so() {
    for disaster in Disaster::ALL {
        let mut stats = Stats::default();
        for seed in 0..RUNS {
            let options = Options { disaster: Some(*disaster), ..Options::seed(10_000 + seed) };
            stats.add(&holds(&options).stats);
        }
        println!("{}: {} of {RUNS} runs cannot be judged", disaster.name(), stats.regrown);
        assert!(stats.regrown <= RUNS / 4, "{}: {}", disaster.name(), stats.regrown);
    }
}

/// Runs seeds until the planted bug shows, and the same run without it to tell it from our own.
fn notices(bug: Bug) {
    // These show only where an input stream is another one, or the log lost its end.
    let disaster = match bug {
        Bug::IncarnationIgnored => Some(Disaster::CommandsRecreated),
        Bug::ArchiveNotCompared => Some(Disaster::LogRolledBack),
        _ => None,
    };
    let mut steps = 0;
    for seed in 0.. {
        let options = Options { disaster, ..Options::seed(seed) };
        let outcome = run(&Options { bug: Some(bug), ..options.clone() });
        steps += outcome.steps;
        if let Some(violation) = outcome.violation {
            println!("{} noticed after {steps} steps, in run {seed}: {violation}", bug.name());
            holds(&options);
            return;
        }
        assert!(steps < NOTICED_WITHIN, "{} shows in none of {steps} steps", bug.name());
    }
}

macro_rules! notices {
    ($($name:ident: $bug:ident,)*) => {
        $(
            #[test]
            fn $name() {
                notices(Bug::$bug);
            }
        )*

        #[test]
        fn every_switch_that_breaks_something_has_its_negative_control() {
            assert_eq!(Bug::ALL, &[$(Bug::$bug,)*]);
        }
    };
}

notices! {
    the_simulation_notices_an_append_that_does_not_name_the_epoch: EpochGuardOff,
    the_simulation_notices_an_append_that_does_not_name_the_sequence: PredictedSequenceOff,
    the_simulation_notices_what_is_sent_again_blindly: BlindResend,
    the_simulation_notices_an_input_that_is_left_half_done: HalfInputDropped,
    the_simulation_notices_a_frame_that_skips_a_part: PartSkipped,
    the_simulation_notices_a_position_that_goes_back: EmptyFramesIgnored,
    the_simulation_notices_an_input_that_is_done_twice: ConsumedInputRepeated,
    the_simulation_notices_an_answer_before_its_write: AnswerBeforeAck,
    the_simulation_notices_a_position_that_is_used_in_another_stream: IncarnationIgnored,
    the_simulation_notices_a_beat_that_is_judged_before_its_reports: BeatJudgedEarly,
    the_simulation_notices_a_worker_that_is_given_up_for_one_moment_of_absence: AbsentAtOnce,
    the_simulation_notices_an_absence_that_is_counted_over_the_leaders_own: ReconnectsIgnored,
    the_simulation_notices_an_attempt_that_is_forgotten_too_soon: ForgetBeforeAck,
    the_simulation_notices_work_that_is_received_over_a_gap: GapsCounted,
    the_simulation_notices_work_that_is_done_twice: WorkNotDeduped,
    the_simulation_notices_a_stop_that_is_forgotten_before_its_start: EarlyStopForgotten,
    the_simulation_notices_work_that_was_meant_for_another_session: OtherSessionsHeeded,
    the_simulation_notices_a_token_that_is_not_checked: TokenUnchecked,
    the_simulation_notices_a_crash_of_what_nobody_heard_start: UnstartedCountsAsCrash,
    the_simulation_notices_what_ran_unheard_and_is_excused: UnheardStartsExcused,
    the_simulation_notices_silence_that_is_taken_for_an_end: SilenceProvesAnEnd,
    the_simulation_notices_a_reservation_that_is_kept: ReservationKeptOnLoss,
    the_simulation_notices_neighbours_that_are_charged_with_a_crash: NeighboursBlamed,
    the_simulation_notices_a_planned_stop_that_counts: PlannedStopCounts,
    the_simulation_notices_a_submit_that_runs_again_after_it_was_forgotten: StampUnchecked,
    the_simulation_notices_a_worker_that_takes_a_living_ones_place: LivingWorkerReplaced,
    the_simulation_notices_a_limit_of_a_key_that_is_not_kept_to: KeyOfOthersIgnored,
    the_simulation_notices_limits_of_an_admin_that_a_role_overwrites: FixedLimitsFollowRole,
    the_simulation_notices_work_for_a_drained_worker: DrainedWorkersGivenWork,
    the_simulation_notices_a_batch_that_is_taken_in_part: BatchTakenInPart,
    the_simulation_notices_a_frame_that_is_archived_before_it_is_in_the_log: ArchivedBeforeAck,
    the_simulation_notices_an_archive_that_is_of_another_log: ArchiveNotCompared,
    the_simulation_notices_a_log_that_is_cut_before_it_is_archived: CutBeforeArchived,
    the_simulation_notices_a_log_that_is_cut_beyond_the_newest_snapshot: CutBeyondSnapshot,
    the_simulation_notices_a_key_or_schedule_that_comes_again: WhatIsGoneComesAgain,
    the_simulation_notices_an_occurrence_that_comes_again: OccurrencesRepeat,
    the_simulation_notices_a_job_of_a_schedule_that_a_newer_one_hides: NewestJobCountsAlone,
    the_simulation_notices_a_schedule_that_outlives_its_key: SchedulesOutliveKeys,
    the_simulation_notices_a_segment_that_nobody_has_read_back: ArchiveNotReadBack,
}
