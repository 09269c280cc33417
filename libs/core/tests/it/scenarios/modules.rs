//! Modules, the configuration, and the log's own facts.

use nox_contract::{
    Fact, Incarnation, Manifest, ProblemCode, SchedulerConfig, Source, WaitingCode,
};
use nox_core::Internal;

use crate::log::{explaining, placing};
use crate::world::{Ask, World, ask, config, id, manifest, session_id, slots};

#[test]
fn a_new_module_is_enabled() {
    let mut world = World::new();
    world.join("w", slots(1), &[manifest("m")]);
    assert!(world.log.state.modules[&id("m")].enabled);
}

#[test]
fn a_changed_manifest_is_declared_again_and_stays_as_it_was_switched() {
    let mut world = World::working(1);
    world.switch("m", false);
    let changed = Manifest { version: "2".to_owned(), ..manifest("m") };
    let said = world.hello("w", session_id(9), slots(1), std::slice::from_ref(&changed));
    assert_eq!(said.names(), ["worker_left", "module_declared", "worker_joined"]);
    let module = &world.log.state.modules[&id("m")];
    assert_eq!((&module.versions.present, module.enabled), (&changed, false));
}

#[test]
fn a_changed_manifest_counts_the_attempts_that_run() {
    let mut world = World::working(2);
    world.submit(ask());
    let narrow = Manifest { running_max: Some(1), ..manifest("m") };
    world.join("v", slots(9), &[narrow]);
    let job = world.submit(ask());
    assert_eq!(world.waiting(job), Some(WaitingCode::Concurrency));
}

#[test]
fn switching_a_module_to_what_it_is_changes_nothing() {
    let mut world = World::working(1);
    let said = world.switch("m", true);
    assert!(said.entries.is_empty() && said.accepted().repeated);
    assert_eq!(world.switch("m", false).names(), ["module_switched"]);
    let said = world.switch("m", false);
    assert!(said.entries.is_empty() && said.accepted().repeated);
}

#[test]
fn a_module_that_nobody_declared_cannot_be_switched() {
    let mut world = World::working(1);
    let said = world.switch("nothing", false);
    assert_eq!(said.refusal().code, ProblemCode::UnknownModule);
}

#[test]
fn a_configuration_is_recorded_when_it_is_another() {
    let mut world = World::new();
    assert!(world.configure(config()).entries.is_empty());
    let other = SchedulerConfig { crashes_max: 7, ..config() };
    assert_eq!(world.configure(other.clone()).names(), ["configured"]);
    assert_eq!(world.log.state.config, Some(other));
}

#[test]
fn the_default_configuration_is_recorded_too() {
    let mut world = World::with(SchedulerConfig::default());
    assert_eq!(world.log.state.config, Some(SchedulerConfig::default()));
    assert!(world.configure(SchedulerConfig::default()).entries.is_empty());
}

#[test]
fn a_frame_without_entries_says_nothing_but_how_far_the_inputs_are_consumed() {
    let mut world = World::new();
    // The first opens the account, the second leaves no trace.
    world.ask(&ask());
    world.ask(&ask());
    let before = world.log.state.clone();
    world.log.frame().unwrap();
    let mut after = world.log.state.clone();
    assert_eq!(after.pos.commands.seq, before.pos.commands.seq + 1);
    (after.n, after.pos) = (before.n, before.pos);
    assert_eq!(after, before);
}

#[test]
fn an_operator_may_name_another_life_of_an_input_stream() {
    let mut world = World::new();
    for src in [Source::Commands, Source::Reports] {
        let incarnation = Incarnation(format!("{src:?}"));
        let reset = Internal::ResetInputs {
            src,
            incarnation: incarnation.clone(),
            position: 0,
            by: "op".to_owned(),
        };
        let said = world.internal(reset);
        let expected = Fact::InputsReset { src, incarnation, by: "op".to_owned() };
        assert_eq!(said.entries[0].known_facts().collect::<Vec<_>>(), [&expected]);
    }
    assert_eq!(world.log.state.commands, Incarnation("Commands".to_owned()));
    assert_eq!(world.log.state.reports, Incarnation("Reports".to_owned()));
}

#[test]
fn everything_that_the_leader_notices_survives_being_written_into_the_log() {
    for input in [
        Internal::Timer { due: vec![crate::world::job_id(1)] },
        Internal::WorkerSilent { worker_id: id("w"), session: session_id(1) },
        Internal::AttemptsMissing {
            worker_id: id("w"),
            session: session_id(1),
            missing: vec![nox_contract::beat::Held {
                job_id: crate::world::job_id(1),
                attempt: nox_contract::Attempt(1),
            }],
        },
        placing(7),
        explaining(7),
        Internal::Configure { config: config() },
        Internal::ResetInputs {
            src: Source::Commands,
            incarnation: Incarnation::default(),
            position: 7,
            by: "op".to_owned(),
        },
    ] {
        let text = serde_json::to_string(&input).unwrap();
        assert_eq!(serde_json::from_str::<Internal>(&text).unwrap(), input, "{text}");
    }
}

fn version(version: &str) -> Manifest {
    Manifest { version: version.to_owned(), ..manifest("m") }
}

fn present(world: &World) -> &str {
    &world.log.state.modules[&id::<nox_contract::ModuleName>("m")].versions.present.version
}

#[test]
fn a_job_keeps_the_version_that_it_was_submitted_for_and_workers_serve_their_own() {
    let mut world = World::new();
    world.join("old", slots(1), &[version("1")]);
    world.open("ada");
    let (runs, waits) = (world.submit(ask()), world.submit(ask()));
    world.join("new", slots(9), &[version("2")]);
    assert_eq!(present(&world), "2");
    world.settle();
    assert_eq!((world.holder(runs), world.holder(waits)), (Some("old"), None));
    assert_eq!(world.waiting(waits), Some(WaitingCode::Resources));
    let newer = world.submit(ask());
    let older = world.submit(Ask { version: Some("1".to_owned()), ..ask() });
    world.settle();
    assert_eq!((world.holder(newer), world.holder(older)), (Some("new"), None));
    world.start(runs);
    world.succeed(runs);
    world.place();
    assert_eq!(world.holder(waits), Some("old"));
    let unknown = Ask { version: Some("3".to_owned()), ..ask() };
    assert_eq!(world.ask(&unknown).1.refusal().code, ProblemCode::UnknownModule);
}

#[test]
fn an_older_version_is_the_present_one_again_when_nobody_serves_the_newer_one() {
    let mut world = World::new();
    let old = version("1");
    world.join("a", slots(1), std::slice::from_ref(&old));
    world.join("b", slots(1), &[version("2")]);
    // It comes again beside the newer one, and changes nothing.
    world.silent("a");
    world.join("a", slots(1), std::slice::from_ref(&old));
    assert_eq!(present(&world), "2");
    world.silent("b");
    world.silent("a");
    world.join("a", slots(1), &[old]);
    assert_eq!(present(&world), "1");
}

#[test]
fn a_job_waits_for_a_worker_that_has_its_labels() {
    let mut world = World::new();
    world.join("plain", slots(9), &[manifest("m")]);
    world.open("ada");
    let job = world.submit(Ask { labels: vec!["zone:a", "ssd"], ..ask() });
    let other = world.submit(ask());
    world.settle();
    assert_eq!(world.waiting(job), Some(WaitingCode::NoWorker));
    assert_eq!(world.holder(other), Some("plain"), "nobody waits behind it");
    world.join_labelled("half", &["zone:a"]);
    world.settle();
    assert_eq!(world.waiting(job), Some(WaitingCode::NoWorker));
    world.join_labelled("whole", &["ssd", "hdd", "zone:a"]);
    world.place();
    assert_eq!(world.holder(job), Some("whole"));
}
