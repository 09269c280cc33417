//! Modules that admins registered.

use nox_contract::{
    Command, Manifest, Outcome, ProblemCode, REGISTERED_BYTES_MAX, RawJson, RegisterModule,
    WaitingCode,
};
use nox_core::{Faults, registrations};

use crate::{
    log::Said,
    world::{Ask, World, acme, ask, config, id, manifest, session_id, slots},
};

fn version(version: &str) -> Manifest {
    Manifest { version: version.to_owned(), ..manifest("m") }
}

/// What a manifest was read from.
fn source(text: &str) -> RawJson {
    RawJson::of(&text).unwrap()
}

impl World {
    fn register(&mut self, manifest: &Manifest, text: &str) -> Said {
        let register =
            RegisterModule { manifest: manifest.clone(), source: source(text), by: id("root") };
        self.command(&acme(), Command::RegisterModule(Box::new(register)))
    }

    fn numbers(&self, above: u64) -> Vec<u64> {
        self.log.state.registered_above(above).iter().map(|module| module.number).collect()
    }

    fn present(&self) -> &str {
        &self.log.state.modules[&id::<nox_contract::ModuleName>("m")].versions.present.version
    }
}

fn is_refused(said: &Said) -> bool {
    matches!(said.answer, Some(Outcome::Refused(_)))
}

#[test]
fn jobs_of_a_registered_module_wait_until_a_worker_serves_it() {
    let mut world = World::with(config());
    assert_eq!(world.register(&version("1"), "one").names(), ["module_registered"]);
    world.open("ada");
    let job = world.submit(ask());
    world.settle();
    assert_eq!(world.waiting(job), Some(WaitingCode::NoWorker));
    let said = world.hello("w", session_id(1), slots(1), &[version("1")]);
    assert_eq!(said.names(), ["worker_joined"], "nothing of it is new");
    world.settle();
    assert_eq!(world.holder(job), Some("w"));
}

#[test]
fn a_version_is_registered_once_and_never_as_another_one() {
    let mut world = World::with(config());
    world.register(&version("1"), "one");
    assert!(world.register(&version("1"), "one").accepted().repeated);
    assert_eq!(world.register(&version("1"), "other").refusal().code, ProblemCode::VersionConflict);
    assert_eq!(world.register(&version("2"), "two").names(), ["module_registered"]);
    assert!(world.register(&version("1"), "one").accepted().repeated, "a copy that came late");
    assert_eq!((world.present(), world.numbers(0)), ("2", vec![1, 2]));
    assert_eq!(world.numbers(1), [2]);
    // The negative control.
    world.log.rules.faults = Faults { registered_versions_change: true, ..Faults::default() };
    assert_eq!(world.register(&version("1"), "other").names(), ["module_registered"]);
}

#[test]
fn what_a_worker_declared_is_registered_as_the_same_alone() {
    let mut world = World::working(1);
    let declared = manifest("m");
    let other = Manifest { title: "another".to_owned(), ..declared.clone() };
    assert_eq!(world.register(&other, "one").refusal().code, ProblemCode::VersionConflict);
    assert_eq!(world.register(&declared, "one").names(), ["module_registered"]);
}

#[test]
fn a_worker_neither_changes_what_was_registered_nor_serves_something_else_by_its_name() {
    for believed in [false, true] {
        let mut world = World::with(config());
        world.log.rules.faults =
            Faults { registered_versions_change: believed, ..Faults::default() };
        world.register(&version("1"), "one");
        let other = Manifest { title: "another".to_owned(), ..version("1") };
        world.join("w", slots(1), std::slice::from_ref(&other));
        world.open("ada");
        let job = world.submit(ask());
        world.settle();
        assert_eq!(world.holder(job), believed.then_some("w"), "the negative control");
    }
}

#[test]
fn what_was_registered_stays_the_present_version_although_nobody_serves_it() {
    for believed in [false, true] {
        let mut world = World::with(config());
        world.log.rules.faults =
            Faults { registered_versions_change: believed, ..Faults::default() };
        world.join("a", slots(1), &[version("1")]);
        world.register(&version("2"), "two");
        world.silent("a");
        world.join("a", slots(1), &[version("1")]);
        let expected = if believed { "1" } else { "2" };
        assert_eq!(world.present(), expected, "the negative control is 1");
    }
}

#[test]
fn a_worker_serves_several_versions_of_a_module() {
    let mut world = World::with(config());
    world.register(&version("1"), "one");
    world.open("ada");
    let older = world.submit(ask());
    world.register(&version("2"), "two");
    let newer = world.submit(ask());
    let named = world.submit(Ask { version: Some("1".to_owned()), ..ask() });
    world.join("w", slots(2), &[version("2"), version("1")]);
    world.settle();
    assert_eq!((world.holder(older), world.holder(newer)), (Some("w"), Some("w")));
    assert_eq!(world.present(), "2");
    world.start(older);
    world.succeed(older);
    world.place();
    assert_eq!(world.holder(named), Some("w"));
}

#[test]
fn a_switched_off_module_stays_so_when_a_version_is_registered() {
    let mut world = World::with(config());
    world.register(&version("1"), "one");
    world.open("ada");
    world.switch("m", false);
    world.register(&version("2"), "two");
    let (_, said) = world.ask(&ask());
    assert_eq!(said.refusal().code, ProblemCode::DisabledModule);
}

#[test]
fn the_oldest_of_too_many_versions_is_kept_no_more_and_comes_back_as_itself_alone() {
    let mut world = World::with(config());
    for number in 1..=17 {
        world.register(&version(&number.to_string()), &format!("text {number}"));
    }
    assert_eq!(world.numbers(0), (2..=17).collect::<Vec<_>>());
    let other = world.register(&version("1"), "other");
    assert_eq!(other.refusal().code, ProblemCode::VersionConflict);
    assert_eq!(world.register(&version("1"), "text 1").names(), ["module_registered"]);
    assert_eq!(world.present(), "1");
    assert_eq!(world.numbers(0), (3..=18).collect::<Vec<_>>());
}

#[test]
fn registrations_are_bounded_in_number_and_size() {
    let mut world = World::with(config());
    let large = "x".repeat(REGISTERED_BYTES_MAX - 2);
    let refused = world.register(&version("1"), &format!("{large}x"));
    assert_eq!(refused.refusal().code, ProblemCode::BodyTooLarge);
    world.register(&version("1"), &large);
    let schema = RawJson::of(&format!("{large}x")).unwrap();
    let declared = Manifest { input_schema: schema, ..version("2") };
    assert_eq!(world.register(&declared, "two").refusal().code, ProblemCode::BodyTooLarge);
    let mut module = 0;
    let bytes = loop {
        module += 1;
        let said = world.register(&manifest(&format!("m{module}")), &large);
        if is_refused(&said) {
            break said;
        }
    };
    assert_eq!(bytes.refusal().code, ProblemCode::TooMany);
    assert_eq!(module, registrations::BYTES_MAX / REGISTERED_BYTES_MAX);

    let mut world = World::with(config());
    for module in 0..registrations::MODULES_MAX {
        world.register(&manifest(&format!("m{module}")), "small");
    }
    assert_eq!(world.register(&version("1"), "one").refusal().code, ProblemCode::TooMany);
    let further = Manifest { version: "2".to_owned(), ..manifest("m7") };
    assert_eq!(world.register(&further, "two").names(), ["module_registered"]);
}
