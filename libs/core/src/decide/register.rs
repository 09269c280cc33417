//! Workers that claim their work: who they are, what they claim tasks of, and that they go.

use nox_contract::{
    Capacity, Claimant, Entity, Fact, LostReason, Origin, ProblemCode, Refusal, Register,
    RemoveTopic, RemoveWorker, TenantId, TopicName, UserId, WorkerId, command::DeclaredTopic,
    task::TOPIC_SCHEMA_BYTES_MAX,
};

use super::{
    Decision, Draft, Rules,
    end::{self, Departure},
};
use crate::{
    state::State,
    topics::Topic,
    worker::{Claims, Worker},
};

/// Most topics of a tenant, and most that one worker claims tasks of: each takes some hundred bytes of
/// memory for as long as it is registered, and a claim looks at all of its worker's.
const TOPICS_OF_TENANT_MAX: usize = 10_000;
const TOPICS_OF_WORKER_MAX: usize = 1_000;
/// Most bytes of the names of all topics of one worker: a fact repeats them all, twice as long where they have to be
/// escaped, and has to fit into a frame.
const TOPIC_BYTES_OF_WORKER_MAX: usize = 16 * 1024;
/// Most workers that claim their work, of a tenant and of a user.
const CLAIMANTS_OF_TENANT_MAX: usize = 10_000;
const CLAIMANTS_OF_USER_MAX: usize = 100;

/// The worker of a tenant's user that claims its work, if it is there.
pub(super) fn claimant<'s>(
    state: &'s State,
    tenant: &TenantId,
    worker_id: &WorkerId,
    by: &UserId,
) -> Option<(&'s Worker, &'s Claims)> {
    let worker = state.workers.get(worker_id)?;
    let claims = worker.claims.as_ref()?;
    let is_of = claims.claimant.tenant == *tenant && claims.claimant.user_id == *by;
    is_of.then_some((worker, claims))
}

pub(super) fn decide(state: &State, tenant: &TenantId, register: &Register) -> Decision {
    let refused = |code, detail: String| Decision::refused(Refusal::new(code, detail));
    let id = &register.worker_id;
    let present = claimant(state, tenant, id, &register.by);
    if present.is_none() && state.workers.get(id).is_some() {
        let detail = format!("there is no worker {id} of yours");
        return refused(ProblemCode::WorkerNotFound, detail);
    }
    if present.is_none() && state.workers.is_past(register.session) {
        // A copy that was stored late: the worker has gone since.
        return refused(ProblemCode::StaleStamp, format!("the session of worker {id} is over"));
    }
    if present.is_none() {
        let of_user = claimants(state, tenant, Some(&register.by));
        if of_user >= CLAIMANTS_OF_USER_MAX
            || claimants(state, tenant, None) >= CLAIMANTS_OF_TENANT_MAX
        {
            let detail = format!(
                "a user has {CLAIMANTS_OF_USER_MAX} workers at most, and a tenant \
                 {CLAIMANTS_OF_TENANT_MAX}"
            );
            return refused(ProblemCode::InvalidRequest, detail);
        }
    }
    let known = match &register.topic {
        Some(topic) => match check_topic(state, tenant, topic) {
            Ok(known) => known,
            Err(refusal) => return Decision::refused(*refusal),
        },
        None => true,
    };
    let mut drafts = Vec::with_capacity(2);
    if let Some(topic) = register.topic.as_ref().filter(|_| !known) {
        let entity = Entity::Topic { tenant: tenant.clone(), topic: topic.name.clone() };
        let by = register.by.clone();
        let fact = Fact::TopicRegistered { schema: topic.schema.clone(), by };
        drafts.push(Draft { entity, facts: vec![fact] });
    }
    match offered(present, tenant, register) {
        Ok(Some(fact)) => {
            drafts.push(Draft { entity: Entity::Worker(id.clone()), facts: vec![fact] });
        }
        Ok(None) => {}
        Err(refusal) => return Decision::refused(*refusal),
    }
    if drafts.is_empty() {
        return Decision::unchanged(state.n);
    }
    let mut decision = Decision { drafts, ..Decision::nothing() }.accepted(None, None);
    if let Some(nox_contract::Outcome::Accepted(accepted)) = &mut decision.answer {
        accepted.repeated = known && register.topic.is_some();
    }
    decision
}

/// How many workers of a tenant, or of a user there, claim their work. Asked only when one more joins.
fn claimants(state: &State, tenant: &TenantId, user: Option<&UserId>) -> usize {
    let claims = state.workers.iter().filter_map(|(_, worker)| worker.claims.as_ref());
    let is_of = |claims: &&Claims| {
        let of = &claims.claimant;
        of.tenant == *tenant && user.is_none_or(|user| of.user_id == *user)
    };
    claims.filter(is_of).count()
}

/// Whether the topic is known as it is declared.
fn check_topic(
    state: &State,
    tenant: &TenantId,
    topic: &DeclaredTopic,
) -> Result<bool, Box<Refusal>> {
    let name = &topic.name;
    match state.topics.get(tenant, name) {
        Some(known) if known.schema_hash == Topic::hash(&topic.schema) => Ok(true),
        Some(_) => {
            let detail = format!("{name} is registered with another schema");
            Err(Box::new(Refusal::new(ProblemCode::SchemaConflict, detail)))
        }
        None if topic.schema.get().len() > TOPIC_SCHEMA_BYTES_MAX => {
            let detail = format!("the schema has more than {TOPIC_SCHEMA_BYTES_MAX} bytes");
            Err(Box::new(Refusal::new(ProblemCode::InvalidRequest, detail)))
        }
        None if state.topics.count(tenant) >= TOPICS_OF_TENANT_MAX => {
            let detail = format!("{TOPICS_OF_TENANT_MAX} jobs are registered, which is the most");
            Err(Box::new(Refusal::new(ProblemCode::InvalidRequest, detail)))
        }
        None => Ok(false),
    }
}

/// What becomes true of the worker: that it is there, or that it claims one topic more.
fn offered(
    present: Option<(&Worker, &Claims)>,
    tenant: &TenantId,
    register: &Register,
) -> Result<Option<Fact>, Box<Refusal>> {
    let topic = register.topic.as_ref().map(|topic| &topic.name);
    let label = topic.map(|topic: &TopicName| topic.as_str().to_owned());
    let none = Capacity::default();
    let Some((worker, claims)) = present else {
        let claimant = Claimant {
            tenant: tenant.clone(),
            user_id: register.by.clone(),
            lease_ms: register.lease_ms,
        };
        return Ok(Some(Fact::WorkerJoined {
            session: register.session,
            origin: Origin::default(),
            capacity: none,
            modules: Vec::new(),
            labels: label.into_iter().collect(),
            claimant: Some(claimant),
        }));
    };
    if topic.is_none_or(|topic| claims.topics.contains(topic)) {
        return Ok(None);
    }
    if claims.topics.len() >= TOPICS_OF_WORKER_MAX {
        let detail = format!("a worker registers {TOPICS_OF_WORKER_MAX} jobs at most");
        return Err(Box::new(Refusal::new(ProblemCode::InvalidRequest, detail)));
    }
    let bytes: usize = worker.labels.iter().chain(&label).map(String::len).sum();
    if bytes > TOPIC_BYTES_OF_WORKER_MAX {
        let detail =
            format!("the names of a worker's jobs have {TOPIC_BYTES_OF_WORKER_MAX} bytes at most");
        return Err(Box::new(Refusal::new(ProblemCode::InvalidRequest, detail)));
    }
    Ok(Some(Fact::WorkerOffered {
        session: worker.session,
        number: worker.offers + 1,
        capacity: none,
        modules: Vec::new(),
        labels: worker.labels.iter().cloned().chain(label).collect(),
    }))
}

/// Its session is over; what it claimed goes back, for a planned stop is no task's fault.
pub(super) fn remove_worker(
    state: &State,
    rules: &Rules,
    tenant: &TenantId,
    remove: &RemoveWorker,
) -> Decision {
    let id = &remove.worker_id;
    let claims = state.workers.get(id).and_then(|worker| Some((worker, worker.claims.as_ref()?)));
    let may = |claims: &Claims| {
        claims.claimant.tenant == *tenant && (remove.admin || claims.claimant.user_id == remove.by)
    };
    let Some((worker, _)) = claims.filter(|(_, claims)| may(claims)) else {
        let detail = format!("there is no worker {id} of yours");
        return Decision::refused(Refusal::new(ProblemCode::WorkerNotFound, detail));
    };
    let departure = Departure::Planned(LostReason::Draining);
    Decision::of_draft(end::leave(rules, id, worker, &departure)).accepted(None, None)
}

pub(super) fn remove_topic(state: &State, tenant: &TenantId, remove: &RemoveTopic) -> Decision {
    let known = state.topics.get(tenant, &remove.topic);
    if !known.is_some_and(Topic::is_orphan) {
        return Decision::unchanged(state.n);
    }
    let entity = Entity::Topic { tenant: tenant.clone(), topic: remove.topic.clone() };
    Decision::of(entity, vec![Fact::TopicRemoved {}]).accepted(None, None)
}
