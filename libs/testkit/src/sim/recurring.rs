//! What users have submitted again and again, and the API keys that machines of theirs show: made, changed, paused,
//! triggered, taken back, and asked for once more by copies that were long on their way.

use std::time::Duration;

use nox_contract::{
    ApiKey, Command, CreateKey, DeleteSchedule, JobId, JobTemplate, KeyId, Overlap, PauseSchedule,
    RawJson, Resources, RevokeKey, ScheduleId, ScheduleSpec, SetSchedule, Timestamp,
    TriggerSchedule, UserId,
};

use super::{
    client::USERS,
    executor::MODULES,
    wire::{MS, Micros, Wire},
};

/// How old a copy may be that still arrives: less than what is gone is remembered for.
const COPY_AGE_MAX: Micros = 600_000 * MS;

/// Times at which much is due: every minute, and by each of two ways to say so.
const CRONS: [&str; 3] = ["* * * * *", "*/2 * * * *", "0-59 * * * *"];
const TIME_ZONES: [&str; 3] = ["UTC", "Europe/Berlin", "Australia/Lord_Howe"];

/// What one client has made.
#[derive(Default)]
pub struct Recurring {
    schedules: Vec<(ScheduleId, usize)>,
    keys: Vec<(KeyId, usize)>,
    /// What made something, and when it was sent.
    made: Vec<(Micros, usize, Command)>,
    last: u64,
}

impl Recurring {
    /// Something that `asker` wants; `new_job` is the id of the job, if it is to have one.
    pub fn command(
        &mut self,
        client: usize,
        (asker, new_job): (usize, JobId),
        wire: &mut Wire,
    ) -> Option<Command> {
        match wire.between(0, 99) {
            0..22 => Some(self.create(client, asker, wire)),
            22..34 => self.set(asker, wire),
            34..46 => self.pause(true, asker, wire),
            46..60 => self.pause(false, asker, wire),
            60..76 => self.trigger(asker, new_job, wire),
            76..82 => self.delete(asker, wire),
            82..89 => Some(self.create_key(client, asker, wire)),
            89..94 => self.revoke_key(asker, wire),
            _ => self.repeat(asker, wire),
        }
    }

    /// Takes all schedules of a tenant back that there are.
    pub fn delete_all(tenant: &str, wire: &Wire) -> Vec<Command> {
        let all = wire.oracle.state().schedules.iter();
        let of_tenant = all.filter(|(_, schedule)| schedule.tenant.as_str() == tenant);
        of_tenant
            .map(|(schedule_id, _)| {
                let by = "root".parse().expect("a user");
                Command::DeleteSchedule(DeleteSchedule { schedule_id, by, admin: true })
            })
            .collect()
    }

    /// As no other client makes one.
    fn new_id(&mut self, client: usize) -> uuid::Uuid {
        self.last += 1;
        let (version, variant) = (7 << 76, 8 << 60);
        uuid::Uuid::from_u128(
            u128::from(self.last) << 80 | version | variant | (client as u128 + 1),
        )
    }

    fn create(&mut self, client: usize, asker: usize, wire: &mut Wire) -> Command {
        let id = ScheduleId(self.new_id(client));
        let command = self.setting(id, true, asker, wire);
        self.schedules.push((id, asker));
        self.made.push((wire.now, asker, command.clone()));
        command
    }

    fn set(&mut self, asker: usize, wire: &mut Wire) -> Option<Command> {
        let (id, by) = self.some_schedule(asker, wire)?;
        Some(self.setting(id, false, by, wire))
    }

    fn setting(&self, id: ScheduleId, new: bool, asker: usize, wire: &mut Wire) -> Command {
        let (by, role, admin) = user(asker);
        let key_id = self.shown_key(wire);
        let set =
            SetSchedule { schedule_id: id, new, spec: spec(id, wire), by, role, key_id, admin };
        Command::SetSchedule(Box::new(set))
    }

    fn pause(&mut self, paused: bool, asker: usize, wire: &mut Wire) -> Option<Command> {
        let (schedule_id, asker) = self.some_schedule(asker, wire)?;
        let ((by, _, admin), key_id) = (user(asker), self.shown_key(wire));
        Some(Command::PauseSchedule(PauseSchedule { schedule_id, paused, by, key_id, admin }))
    }

    fn trigger(&mut self, asker: usize, job_id: JobId, wire: &mut Wire) -> Option<Command> {
        let (schedule_id, asker) = self.some_schedule(asker, wire)?;
        let (by, role, admin) = user(asker);
        let (seen, module) = (wire.store.n(), MODULES[0].0.parse().expect("a module's name"));
        let trigger = TriggerSchedule { schedule_id, job_id, seen, module, by, role, admin };
        Some(Command::TriggerSchedule(trigger))
    }

    fn delete(&mut self, asker: usize, wire: &mut Wire) -> Option<Command> {
        let (schedule_id, asker) = self.some_schedule(asker, wire)?;
        let (by, _, admin) = user(asker);
        Some(Command::DeleteSchedule(DeleteSchedule { schedule_id, by, admin }))
    }

    fn create_key(&mut self, client: usize, asker: usize, wire: &mut Wire) -> Command {
        let key_id = KeyId(self.new_id(client));
        let (user_id, role, _) = user(asker);
        let expires_at = wire.chance(0.3).then(|| soon(wire));
        let key = ApiKey {
            name: "ci".to_owned(),
            user_id: user_id.clone(),
            role,
            scopes: Default::default(),
            expires_at,
            hash: String::new(),
        };
        let command = Command::CreateKey(Box::new(CreateKey { key_id, key, by: user_id }));
        self.keys.push((key_id, asker));
        self.made.push((wire.now, asker, command.clone()));
        command
    }

    fn revoke_key(&mut self, asker: usize, wire: &mut Wire) -> Option<Command> {
        let (key_id, of) = *pick(&self.keys, wire)?;
        let (by, _, admin) = user(if wire.chance(0.8) { of } else { asker });
        Some(Command::RevokeKey(RevokeKey { key_id, by, admin }))
    }

    /// A copy of what made something, which may be gone by now.
    fn repeat(&mut self, asker: usize, wire: &mut Wire) -> Option<Command> {
        let now = wire.now;
        self.made.retain(|(at, ..)| now - at <= COPY_AGE_MAX);
        let of_tenant = |of: &usize| USERS[*of].0 == USERS[asker].0;
        let copies: Vec<_> = self.made.iter().filter(|(_, of, _)| of_tenant(of)).collect();
        pick(&copies, wire).map(|(.., command)| command.clone())
    }

    fn some_schedule(&self, asker: usize, wire: &mut Wire) -> Option<(ScheduleId, usize)> {
        let (id, of) = *pick(&self.schedules, wire)?;
        // What belongs to another tenant is asked for in its own.
        let same = USERS[of].0 == USERS[asker].0;
        Some((id, if same && wire.chance(0.8) { of } else { asker }))
    }

    /// The key that is shown; gateways believe one for a while that is gone.
    fn shown_key(&self, wire: &mut Wire) -> Option<KeyId> {
        let shown = wire.chance(0.4);
        pick(&self.keys, wire).filter(|_| shown).map(|(id, _)| *id)
    }
}

/// One of the newest.
fn pick<'a, T>(all: &'a [T], wire: &mut Wire) -> Option<&'a T> {
    let back = wire.between(0, all.len().clamp(1, 6) as u64 - 1) as usize;
    all.get(all.len().checked_sub(1 + back)?)
}

fn user(asker: usize) -> (UserId, String, bool) {
    let (_, user, role) = USERS[asker];
    (user.parse().expect("a user"), role.to_owned(), role == "admin")
}

/// Within the next minutes, as schedules count them.
fn soon(wire: &mut Wire) -> Timestamp {
    let span = Duration::from_secs(wire.between(30, 600));
    wire.calendar_time() + span
}

fn spec(id: ScheduleId, wire: &mut Wire) -> ScheduleSpec {
    let mut of =
        |words: &[&str]| words[wire.between(0, words.len() as u64 - 1) as usize].to_owned();
    let (cron, time_zone) = (of(&CRONS), of(&TIME_ZONES));
    let overlap = [Overlap::Skip, Overlap::Queue, Overlap::Allow][wire.between(0, 2) as usize];
    let labels = wire.chance(0.3).then(|| ("team".to_owned(), "spectra".to_owned()));
    ScheduleSpec {
        name: "again".to_owned(),
        cron,
        time_zone,
        overlap,
        catch_up_s: [0, 90, 3_600][wire.between(0, 2) as usize],
        job: JobTemplate {
            module: MODULES[0].0.parse().expect("a module's name"),
            module_version: None,
            worker_labels: Default::default(),
            inputs: RawJson::of(&id).expect("an id"),
            requested_resources: Resources {
                cpu: wire.between(1, 2) as u32,
                mem_mb: 64,
                wall_time_s: wire.between(1, 20) as u32,
                gpu: 0,
            },
            priority: wire.between(0, 9) as u8,
            labels: labels.into_iter().collect(),
            release_id: None,
            concurrency: None,
        },
    }
}
