//! Which events somebody may see: of each thing, those who may see the thing at its own address.

use std::collections::BTreeMap;

use nox_contract::{
    Entity, Entry, Fact, FrameNumber, JobId, KeyId, ScheduleId, TenantId, UserId, Viewer, WebhookId,
};

use nox_readmodel::query::PAGE_MAX;

use crate::{
    app::App,
    identity::auth::Caller,
    problem::ApiError,
    read::{hub::frame::HubEntry, required::Required},
};

/// Most things of which a viewer remembers whose they are; beyond that all are forgotten.
const KNOWN_MAX: usize = 4_096;

/// What a viewer has found out of things that events name by their ids alone.
#[derive(Default)]
pub struct Known {
    schedules: BTreeMap<ScheduleId, Option<UserId>>,
    webhooks: BTreeMap<WebhookId, Option<UserId>>,
    /// Who made them.
    keys: BTreeMap<KeyId, UserId>,
    labels: BTreeMap<JobId, BTreeMap<String, String>>,
}

/// Whether `caller` may be shown anything of the entry, before more of it is read.
pub fn may_see(caller: &Caller, of: &HubEntry) -> bool {
    if of.tenant.is_system() {
        return true;
    }
    let own = of.job_id.is_none() || caller.admin || of.user_id.as_ref() == Some(&caller.user);
    of.tenant == caller.tenant && own
}

impl Known {
    /// What the caller has now that may be gone from the rows when an event names it.
    pub async fn of(app: &App, caller: &Caller) -> Result<Self, ApiError> {
        let mut known = Self::default();
        if caller.admin {
            return Ok(known);
        }
        let (tenant, user) = (&caller.tenant, Some(&caller.user));
        let read = || app.reader.schedules(tenant, user, None, PAGE_MAX);
        let schedules = app.barrier.read(&Required::default(), read).await?.value;
        let schedules = schedules.into_iter().map(|(id, of)| (id, Some(of.owner)));
        known.schedules.extend(schedules);
        let read = || app.reader.webhooks(tenant, user, None, PAGE_MAX);
        let webhooks = app.barrier.read(&Required::default(), read).await?.value;
        known.webhooks.extend(webhooks.into_iter().map(|(id, of)| (id, Some(of.owner))));
        let read = || app.reader.keys(tenant, user, None, PAGE_MAX);
        let keys = app.barrier.read(&Required::default(), read).await?.value;
        known.keys.extend(keys.into_iter().map(|(id, _)| (id, caller.user.clone())));
        Ok(known)
    }

    /// Remembers what a fact says of what others name by its id.
    pub fn hear(&mut self, entry: &Entry, fact: &Fact) {
        if let (Fact::WebhookSet { owner, .. }, Some(id)) = (fact, entry.webhook_id) {
            make_room(&mut self.webhooks);
            self.webhooks.insert(id, Some(owner.clone()));
        }
        match (fact, entry.schedule_id, entry.key_id, entry.job_id) {
            (Fact::ScheduleSet { owner, .. }, Some(id), ..) => {
                make_room(&mut self.schedules);
                self.schedules.insert(id, Some(owner.clone()));
            }
            (Fact::KeyCreated { by, .. }, _, Some(id), _) => {
                make_room(&mut self.keys);
                self.keys.insert(id, by.clone());
            }
            (Fact::Submitted(submitted) | Fact::Drafted(submitted), _, _, Some(id)) => {
                make_room(&mut self.labels);
                let labels = submitted.metadata.as_ref().map(|of| of.labels.clone());
                self.labels.insert(id, labels.unwrap_or_default());
            }
            (Fact::Rejected(rejected), _, _, Some(id)) => {
                make_room(&mut self.labels);
                let labels = rejected.metadata.as_ref().map(|of| of.labels.clone());
                self.labels.insert(id, labels.unwrap_or_default());
            }
            _ => {}
        }
    }

    /// Whether `caller` may see a fact of `entry`, which stands in frame `n`.
    pub async fn sees(
        &mut self,
        app: &App,
        caller: &Caller,
        n: FrameNumber,
        entry: &Entry,
        fact: &Fact,
    ) -> Result<bool, ApiError> {
        let Some(entity) = entry.entity() else { return Ok(false) };
        let viewer = Viewer { tenant: &caller.tenant, user: &caller.user, admin: caller.admin };
        let owner = match &entity {
            // Nobody has to be asked where it makes no difference.
            _ if caller.admin || entry.tenant != caller.tenant => None,
            Entity::Key { key_id, .. } => self.keys.get(key_id).cloned(),
            Entity::Schedule { tenant, schedule_id } => {
                self.owner_of(app, tenant, *schedule_id, n).await?
            }
            Entity::Webhook { tenant, webhook_id } => {
                self.owner_of_webhook(app, tenant, *webhook_id, n).await?
            }
            _ => None,
        };
        Ok(viewer.sees(&entity, fact, owner.as_ref()))
    }

    /// Of a schedule that was gone from the rows before the viewer came, nobody knows.
    async fn owner_of(
        &mut self,
        app: &App,
        tenant: &TenantId,
        id: ScheduleId,
        n: FrameNumber,
    ) -> Result<Option<UserId>, ApiError> {
        if let Some(owner) = self.schedules.get(&id) {
            return Ok(owner.clone());
        }
        let read = || app.reader.schedule(tenant, id);
        let row = app.barrier.read(&Required::frame(Some(n)), read).await?.value;
        let owner = row.map(|(_, schedule)| schedule.owner);
        make_room(&mut self.schedules);
        self.schedules.insert(id, owner.clone());
        Ok(owner)
    }

    /// The same of a webhook.
    async fn owner_of_webhook(
        &mut self,
        app: &App,
        tenant: &TenantId,
        id: WebhookId,
        n: FrameNumber,
    ) -> Result<Option<UserId>, ApiError> {
        if let Some(owner) = self.webhooks.get(&id) {
            return Ok(owner.clone());
        }
        let read = || app.reader.webhook(tenant, id);
        let row = app.barrier.read(&Required::frame(Some(n)), read).await?.value;
        let owner = row.map(|(_, webhook)| webhook.owner);
        make_room(&mut self.webhooks);
        self.webhooks.insert(id, owner.clone());
        Ok(owner)
    }

    /// The labels of the job that `entry` is of; none, if it is of no job.
    pub async fn labels(
        &mut self,
        app: &App,
        n: FrameNumber,
        entry: &Entry,
    ) -> Result<&BTreeMap<String, String>, ApiError> {
        const NONE: &BTreeMap<String, String> = &BTreeMap::new();
        let Some(id) = entry.job_id else { return Ok(NONE) };
        if !self.labels.contains_key(&id) {
            let read = || app.reader.job(&entry.tenant, id);
            let row = app.barrier.read(&Required::frame(Some(n)), read).await?.value;
            let labels = row.map(|row| row.metadata.labels).unwrap_or_default();
            make_room(&mut self.labels);
            self.labels.insert(id, labels);
        }
        Ok(self.labels.get(&id).unwrap_or(NONE))
    }
}

fn make_room<K: Ord, V>(known: &mut BTreeMap<K, V>) {
    if known.len() >= KNOWN_MAX {
        known.clear();
    }
}
