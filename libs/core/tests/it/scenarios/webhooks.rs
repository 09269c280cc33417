//! Webhooks: whose they are, how many there may be, and that none outlives the key that set it.

use std::time::Duration;

use nox_contract::{
    Cancel, Command, DeleteWebhook, DisableReason, DisableWebhook, Fact, FrameNumber, ProblemCode,
    RedeliverWebhook, RotateWebhook, SetWebhook, TenantId, TestWebhook, WebhookId, WebhookSpec,
};
use nox_core::{Faults, webhooks::Webhook};

use super::keys::key_id;
use crate::{
    log::Said,
    world::{World, acme, delivery, id, job_id, webhook},
};

fn hook(number: u32) -> WebhookId {
    id(&format!("0193a000-0000-7000-8000-{number:012x}"))
}

fn set(number: u32, by: &str) -> SetWebhook {
    let (webhook_id, spec) = (hook(number), webhook());
    SetWebhook { webhook_id, new: true, spec, by: id(by), key_id: None, admin: false }
}

impl World {
    fn set_webhook(&mut self, set: SetWebhook) -> Said {
        self.command(&acme(), Command::SetWebhook(Box::new(set)))
    }

    fn webhook(&self, number: u32) -> &Webhook {
        &self.log.state.webhooks[&hook(number)]
    }

    fn disable_webhook(&mut self, tenant: &TenantId, number: u32, set_in: FrameNumber) -> Said {
        let (webhook_id, reason) = (hook(number), DisableReason::Gone);
        let disable = DisableWebhook { webhook_id, reason, set_in };
        self.command(tenant, Command::DisableWebhook(disable))
    }
}

fn code(said: Said) -> ProblemCode {
    said.refusal().code
}

#[test]
fn one_that_is_not_yours_is_none() {
    let mut world = World::working(1);
    world.set_webhook(set(1, "ada")).accepted();
    let (webhook_id, delivery_id) = (hook(1), delivery());
    let asked = |by: &str, admin| {
        let by = || id(by);
        [
            Command::SetWebhook(Box::new(SetWebhook {
                new: false,
                by: by(),
                admin,
                ..set(1, "ada")
            })),
            Command::TestWebhook(TestWebhook { webhook_id, delivery_id, by: by(), admin }),
            Command::RedeliverWebhook(RedeliverWebhook {
                webhook_id,
                delivery_id,
                by: by(),
                admin,
            }),
            Command::RotateWebhook(RotateWebhook {
                webhook_id,
                rotation: 1,
                overlap_s: 1,
                by: by(),
                admin,
            }),
            Command::DeleteWebhook(DeleteWebhook { webhook_id, by: by(), admin }),
        ]
    };
    for command in asked("bob", false) {
        assert_eq!(code(world.command(&acme(), command)), ProblemCode::WebhookNotFound);
    }
    for command in asked("root", true) {
        assert_eq!(code(world.command(&id("other"), command)), ProblemCode::WebhookNotFound);
    }
    for command in asked("root", true) {
        world.command(&acme(), command).accepted();
    }
    assert!(world.log.state.webhooks.is_empty());
    // A copy of the command that made it, long on its way.
    assert_eq!(code(world.set_webhook(set(1, "ada"))), ProblemCode::WebhookNotFound);
}

#[test]
fn there_are_so_many_of_a_user_and_all_of_a_tenant_is_for_admins_own_ones() {
    let mut world = World::working(1);
    for number in 1..=20 {
        world.set_webhook(set(number, "ada")).accepted();
    }
    assert_eq!(code(world.set_webhook(set(21, "ada"))), ProblemCode::TooMany);
    world.set_webhook(set(22, "bob")).accepted();
    let wide = || WebhookSpec { of_tenant: true, ..webhook() };
    let by =
        |new, number, by: &str, admin| SetWebhook { new, spec: wide(), admin, ..set(number, by) };
    assert_eq!(code(world.set_webhook(by(true, 23, "bob", false))), ProblemCode::Forbidden);
    world.set_webhook(by(true, 24, "root", true)).accepted();
    // Its owner would be sent what only the admin may see.
    assert_eq!(code(world.set_webhook(by(false, 22, "root", true))), ProblemCode::Forbidden);
}

#[test]
fn only_the_notifier_finds_out_that_nobody_is_there_and_only_of_what_it_asked() {
    let mut world = World::working(1);
    world.set_webhook(set(1, "ada")).accepted();
    let set_in = world.webhook(1).set_in;
    assert_eq!(code(world.disable_webhook(&acme(), 1, set_in)), ProblemCode::WebhookNotFound);
    let system = TenantId::system();
    // The endpoint is another one by now.
    let changed = WebhookSpec { description: "moved".to_owned(), ..webhook() };
    world.set_webhook(SetWebhook { new: false, spec: changed.clone(), ..set(1, "ada") }).accepted();
    assert!(world.disable_webhook(&system, 1, set_in).entries.is_empty());
    let set_in = world.webhook(1).set_in;
    assert_eq!(world.disable_webhook(&system, 1, set_in).names(), ["webhook_disabled"]);
    assert!(world.disable_webhook(&system, 1, set_in).entries.is_empty(), "it is off already");
    let test =
        TestWebhook { webhook_id: hook(1), delivery_id: delivery(), by: id("ada"), admin: false };
    let test = || Command::TestWebhook(test.clone());
    assert_eq!(code(world.command(&acme(), test())), ProblemCode::WebhookDisabled);
    // The same again switches it on.
    world.set_webhook(SetWebhook { new: false, spec: changed, ..set(1, "ada") }).accepted();
    world.command(&acme(), test()).accepted();
    // In the name of the system nothing else can be asked for.
    let cancel = Cancel { job_id: job_id(1), by: id("root"), admin: true };
    assert_eq!(code(world.command(&system, Command::Cancel(cancel))), ProblemCode::Forbidden);
    let delete = DeleteWebhook { webhook_id: hook(1), by: id("root"), admin: true };
    assert_eq!(
        code(world.command(&system, Command::DeleteWebhook(delete))),
        ProblemCode::Forbidden
    );
}

#[test]
fn a_secret_is_rotated_once_for_each_number_and_the_old_one_counts_for_a_bounded_time() {
    let mut world = World::working(1);
    world.set_webhook(set(1, "ada")).accepted();
    let rotate = |rotation, overlap_s| {
        let (webhook_id, by, admin) = (hook(1), id("ada"), false);
        Command::RotateWebhook(RotateWebhook { webhook_id, rotation, overlap_s, by, admin })
    };
    let said = world.command(&acme(), rotate(1, u32::MAX));
    let at = world.log.state.at;
    let Some(Fact::WebhookRotated { previous_until, .. }) =
        said.entries.iter().flat_map(|entry| entry.known_facts()).next().cloned()
    else {
        panic!("it is rotated");
    };
    assert!(previous_until.since(at) <= Duration::from_secs(7 * 24 * 3_600));
    assert!(world.command(&acme(), rotate(1, 60)).entries.is_empty(), "a repetition");
    assert_eq!(code(world.command(&acme(), rotate(3, 60))), ProblemCode::StaleStamp);
    let spec = WebhookSpec { description: "n".to_owned(), ..webhook() };
    world.set_webhook(SetWebhook { new: false, spec, ..set(1, "ada") }).accepted();
    assert_eq!(world.webhook(1).rotation, 1, "whoever changes it keeps its secret");
}

#[test]
fn a_revoked_key_switches_off_what_it_set_before_it_is_gone() {
    let bound = || {
        let mut world = World::working(1);
        world.create_key(1, "ada");
        for number in 1..=3 {
            let key_id = (number < 3).then(|| key_id(1));
            world.set_webhook(SetWebhook { key_id, ..set(number, "ada") }).accepted();
        }
        world
    };
    let mut world = bound();
    let names = world.revoke_key(1, "ada", false).names();
    assert_eq!(names, ["webhook_disabled", "webhook_disabled", "key_revoked"]);
    assert_eq!(world.webhook(1).disabled, Some(DisableReason::KeyRevoked));
    assert!(world.webhook(3).is_on());
    let late = SetWebhook { new: false, key_id: Some(key_id(1)), ..set(3, "ada") };
    assert_eq!(code(world.set_webhook(late)), ProblemCode::Unauthenticated);
    // The negative control.
    let mut world = bound();
    world.log.rules.faults = Faults { webhooks_outlive_keys: true, ..Faults::default() };
    assert_eq!(world.revoke_key(1, "ada", false).names(), ["key_revoked"]);
    assert!(world.webhook(1).is_on());
}
