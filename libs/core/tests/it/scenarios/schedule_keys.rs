//! Schedules that are bound to API keys: none outlives its key.

use nox_contract::{
    ApiKey, Command, CreateKey, DeleteSchedule, Fact, Overlap, PauseReason, PauseSchedule,
    ProblemCode, ScheduleId, SetSchedule, TriggerSchedule,
};
use nox_core::{Faults, Internal, schedules::Next};

use super::{
    keys::key_id,
    schedules::{job_of, nightly, one_oclock, outcome},
};
use crate::{
    log::Said,
    world::{World, acme, id, job_id, key, seconds, spec},
};

/// What a schedule is asked for by.
#[derive(Clone, Copy)]
struct Asker {
    by: &'static str,
    role: &'static str,
    key: Option<u32>,
}

const PERSON: Asker = Asker { by: "ada", role: "user", key: None };
const KEY: Asker = Asker { key: Some(1), ..PERSON };

impl World {
    fn set_by(&mut self, new: bool, overlap: Overlap, asker: Asker) -> Said {
        let set = SetSchedule {
            schedule_id: nightly(),
            new,
            spec: spec(overlap),
            by: id(asker.by),
            role: asker.role.to_owned(),
            key_id: asker.key.map(key_id),
            admin: asker.role == "admin",
        };
        self.command(&acme(), Command::SetSchedule(Box::new(set)))
    }

    fn pause_by(&mut self, paused: bool, asker: Asker) -> Said {
        let pause = PauseSchedule {
            schedule_id: nightly(),
            paused,
            by: id(asker.by),
            key_id: asker.key.map(key_id),
            admin: asker.role == "admin",
        };
        self.command(&acme(), Command::PauseSchedule(pause))
    }

    fn bound_to(&self) -> Option<u32> {
        let key = self.log.state.schedules.get(nightly()).unwrap().key_id?;
        (1..9).find(|number| key_id(*number) == key)
    }

    fn paused(&self) -> Option<PauseReason> {
        self.log.state.schedules.get(nightly()).unwrap().paused
    }
}

fn bound() -> World {
    let mut world = World::working(9);
    world.create_key(1, "ada");
    world.set_by(true, Overlap::Allow, KEY);
    world.plan(Some(one_oclock()));
    world
}

#[test]
fn a_revoked_key_pauses_what_it_set_before_it_is_gone() {
    let mut world = bound();
    let said = world.revoke_key(1, "ada", false);
    assert_eq!(said.names(), ["schedule_paused", "key_revoked"]);
    assert_eq!(world.paused(), Some(PauseReason::KeyRevoked));
    assert!(world.fall_due(one_oclock(), 0).entries.is_empty());
    // The negative control.
    let mut world = bound();
    world.log.rules.faults = Faults { schedules_outlive_keys: true, ..Faults::default() };
    assert_eq!(world.revoke_key(1, "ada", false).names(), ["key_revoked"]);
    let job = job_of(&world.fall_due(one_oclock(), 0));
    world.succeed(job);
}

#[test]
fn whatever_a_key_set_is_paused_however_much_it_is() {
    let mut world = World::working(9);
    world.create_key(1, "ada");
    let own = |number: u32, by: &str| SetSchedule {
        schedule_id: id(&format!("0193a000-0000-7000-8000-{number:012}")),
        new: true,
        spec: spec(Overlap::Skip),
        by: id(by),
        role: "user".to_owned(),
        key_id: None,
        admin: false,
    };
    for number in 0..250 {
        let new = own(number, ["ada", "bob", "eve"][number as usize % 3]);
        world.command(&acme(), Command::SetSchedule(Box::new(new.clone())));
        // A key of an admin may change what is others'.
        let change =
            SetSchedule { new: false, by: id("root"), admin: true, key_id: Some(key_id(1)), ..new };
        world.command(&acme(), Command::SetSchedule(Box::new(change)));
    }
    let said = world.revoke_key(1, "ada", false);
    assert_eq!(said.names().len(), 251);
    assert_eq!(said.names().last(), Some(&"key_revoked"));
    assert!(world.log.state.schedules.iter().all(|(_, schedule)| schedule.is_paused()));
}

#[test]
fn a_key_that_has_run_out_pauses_what_it_set_when_that_is_due() {
    let expires_at = |at| ApiKey { expires_at: Some(at), ..key() };
    for (late, expected) in [(0, None), (1, Some(PauseReason::KeyExpired))] {
        let mut world = World::working(9);
        let key = expires_at(one_oclock() + seconds(1 - late));
        let create = CreateKey { key_id: key_id(1), key, by: id("ada") };
        world.command(&acme(), Command::CreateKey(Box::new(create)));
        world.set_by(true, Overlap::Queue, KEY);
        world.plan(Some(one_oclock()));
        let said = world.fall_due(one_oclock(), 0);
        assert_eq!(world.paused(), expected);
        if expected.is_some() {
            assert_eq!(said.names(), ["schedule_paused"]);
            continue;
        }
        // What waits for a job to end is judged when it has.
        let next = one_oclock() + seconds(3_600);
        world.succeed(job_of(&said));
        assert_eq!(world.fall_due(next, 0).names(), ["schedule_paused"]);
        assert_eq!(world.paused(), Some(PauseReason::KeyExpired));
    }
}

#[test]
fn what_waits_is_not_submitted_for_a_key_that_has_run_out_meanwhile() {
    let mut world = World::working(9);
    let next = one_oclock() + seconds(3_600);
    let key = ApiKey { expires_at: Some(next + seconds(1)), ..key() };
    let create = CreateKey { key_id: key_id(1), key, by: id("ada") };
    world.command(&acme(), Command::CreateKey(Box::new(create)));
    world.set_by(true, Overlap::Queue, KEY);
    world.plan(Some(one_oclock()));
    let job = job_of(&world.fall_due(one_oclock(), 0));
    assert_eq!(outcome(&world.fall_due(next, 0)).as_str(), "queued");
    world.succeed(job);
    let at = next + seconds(2);
    world.log.now = at;
    let unqueue = Internal::Unqueue { wall: at, at, schedules: vec![nightly()] };
    assert_eq!(world.internal(unqueue).names(), ["schedule_paused"]);
}

#[test]
fn a_key_that_was_revoked_sets_nothing_and_lets_nothing_go_on() {
    let mut world = bound();
    world.create_key(2, "ada");
    world.pause_by(true, PERSON);
    world.revoke_key(2, "ada", false);
    // Gateways believe it for some seconds.
    let gone = Asker { key: Some(2), ..KEY };
    let code = |said: Said| said.refusal().code;
    assert_eq!(code(world.set_by(false, Overlap::Skip, gone)), ProblemCode::Unauthenticated);
    assert_eq!(code(world.pause_by(false, gone)), ProblemCode::Unauthenticated);
    assert_eq!(world.paused(), Some(PauseReason::Asked));
    let delete = DeleteSchedule { schedule_id: nightly(), by: id("ada"), admin: false };
    world.command(&acme(), Command::DeleteSchedule(delete));
    let another: ScheduleId = id("0193a000-0000-7000-8000-00000000b002");
    let set = SetSchedule {
        schedule_id: another,
        new: true,
        spec: spec(Overlap::Skip),
        by: id("ada"),
        role: "user".to_owned(),
        key_id: Some(key_id(2)),
        admin: false,
    };
    assert_eq!(
        code(world.command(&acme(), Command::SetSchedule(Box::new(set.clone())))),
        ProblemCode::Unauthenticated
    );
    // A key of another tenant is none here.
    world.create_key(3, "ada");
    let set = SetSchedule { key_id: Some(key_id(3)), ..set };
    let elsewhere = world.command(&id("other"), Command::SetSchedule(Box::new(set.clone())));
    assert_eq!(code(elsewhere), ProblemCode::Unauthenticated);
    // The negative control.
    world.log.rules.faults = Faults { schedules_outlive_keys: true, ..Faults::default() };
    let set = SetSchedule { key_id: Some(key_id(2)), ..set };
    world.command(&acme(), Command::SetSchedule(Box::new(set))).accepted();
}

#[test]
fn whoever_changes_a_schedule_or_lets_it_go_on_binds_it_to_what_they_show() {
    let mut world = bound();
    assert_eq!(world.bound_to(), Some(1));
    // A pause by hand unbinds nothing.
    world.pause_by(true, PERSON);
    world.pause_by(false, PERSON);
    assert_eq!(world.bound_to(), Some(1));
    // The same again, by a person who stands up for it.
    assert_eq!(world.set_by(false, Overlap::Allow, PERSON).names(), ["schedule_set"]);
    assert!(world.set_by(false, Overlap::Allow, PERSON).accepted().repeated);
    assert_eq!(world.bound_to(), None);
    assert_eq!(world.revoke_key(1, "ada", false).names(), ["key_revoked"]);

    world.create_key(2, "ada");
    world.create_key(3, "ada");
    let second = Asker { key: Some(2), ..KEY };
    let third = Asker { key: Some(3), ..KEY };
    world.set_by(false, Overlap::Allow, second);
    world.revoke_key(2, "ada", false);
    world.pause_by(false, third);
    assert_eq!((world.bound_to(), world.paused()), (Some(3), None));
    world.pause_by(true, PERSON);
    assert_eq!(world.revoke_key(3, "ada", false).names(), ["key_revoked"], "it is paused already");
    world.pause_by(false, PERSON);
    assert_eq!((world.bound_to(), world.next_due()), (None, Next::Unplanned));
}

#[test]
fn the_role_is_that_of_the_owner_who_changed_it_last() {
    let mut world = World::working(9);
    let admin = Asker { role: "admin", ..PERSON };
    let role = |world: &World| world.log.state.schedules.get(nightly()).unwrap().role.clone();
    world.set_by(true, Overlap::Skip, admin);
    assert_eq!(role(&world), "admin");
    // A token that may do less.
    world.set_by(false, Overlap::Skip, PERSON);
    assert_eq!(role(&world), "user");
    // An admin gives nobody its own.
    world.set_by(false, Overlap::Allow, Asker { by: "root", ..admin });
    assert_eq!(role(&world), "user");
    // A triggered job goes by the role of its owner where that asked, and else by that of the schedule.
    for (number, by, expected) in [(77, "ada", "guest"), (78, "root", "user")] {
        let trigger = TriggerSchedule {
            schedule_id: nightly(),
            job_id: job_id(number),
            seen: world.log.last(),
            module: id("m"),
            by: id(by),
            role: "guest".to_owned(),
            admin: true,
        };
        let said = world.command(&acme(), Command::TriggerSchedule(trigger));
        let mut facts = said.entries.iter().flat_map(|entry| entry.known_facts());
        let limits = facts.find_map(|fact| match fact {
            Fact::LimitsSet { role, .. } => Some(role.as_str()),
            _ => None,
        });
        assert_eq!(limits, Some(expected));
        world.settle();
        world.succeed(job_id(number));
    }
}
