//! API keys.

use nox_contract::{Command, CreateKey, KeyId, ProblemCode, RevokeKey};
use nox_core::Faults;

use crate::{
    log::Said,
    world::{World, acme, config, id, key},
};

pub fn key_id(number: u32) -> KeyId {
    id(&format!("0193a000-0000-7000-8000-{number:012}"))
}

impl World {
    pub fn create_key(&mut self, number: u32, by: &str) -> Said {
        let create = CreateKey { key_id: key_id(number), key: key(), by: id(by) };
        self.command(&acme(), Command::CreateKey(Box::new(create)))
    }

    pub fn revoke_key(&mut self, number: u32, by: &str, admin: bool) -> Said {
        let revoke = RevokeKey { key_id: key_id(number), by: id(by), admin };
        self.command(&acme(), Command::RevokeKey(revoke))
    }
}

#[test]
fn a_revoked_key_does_not_come_again() {
    let mut world = World::with(config());
    assert_eq!(world.create_key(1, "ada").names(), ["key_created"]);
    assert!(world.create_key(1, "ada").accepted().repeated, "a copy of the command");
    assert_eq!(world.revoke_key(1, "grace", false).refusal().code, ProblemCode::KeyNotFound);
    assert_eq!(world.revoke_key(1, "ada", false).names(), ["key_revoked"]);
    assert_eq!(world.revoke_key(1, "ada", false).refusal().code, ProblemCode::KeyNotFound);
    // A copy that was long on its way.
    assert_eq!(world.create_key(1, "ada").refusal().code, ProblemCode::KeyNotFound);
    // The negative control.
    world.log.rules.faults = Faults { what_is_gone_comes_again: true, ..Faults::default() };
    assert_eq!(world.create_key(1, "ada").names(), ["key_created"]);
}

#[test]
fn an_admin_revokes_what_others_made_in_its_tenant_alone() {
    let mut world = World::with(config());
    world.create_key(1, "ada");
    let revoke = RevokeKey { key_id: key_id(1), by: id("root"), admin: true };
    let elsewhere = world.command(&id("other"), Command::RevokeKey(revoke));
    assert_eq!(elsewhere.refusal().code, ProblemCode::KeyNotFound);
    world.revoke_key(1, "root", true);
    assert!(world.log.state.api_keys.is_empty());
}

#[test]
fn a_user_has_a_hundred_keys_at_most() {
    let mut world = World::with(config());
    for number in 0..100 {
        world.create_key(number, "ada");
    }
    assert_eq!(world.create_key(100, "ada").refusal().code, ProblemCode::TooMany);
    world.create_key(101, "grace");
    world.revoke_key(0, "ada", false);
    world.create_key(100, "ada");
}
