//! Where ids are made.

use nox_contract::{JobId, SessionId, TenantId, TopicName, UserId};
use uuid::Uuid;

/// Domain of the hash behind keyed job ids; another one would give all of them new ids.
const KEYED_JOB_CONTEXT: &str = "nox 2026-11 job id of an idempotency key";
/// The same of the names of workers and topics.
const WORKER_OF_USER_CONTEXT: &str = "nox 2026-11 worker id of a user";
const TOPIC_CONTEXT: &str = "nox 2026-11 id of a topic";

/// A new job's id: UUIDv7, so that ids made later sort later.
pub fn job_id() -> JobId {
    JobId(Uuid::now_v7())
}

/// The id of the job that `user` of `tenant` submits under `key`: UUIDv8 of a BLAKE3 hash, the same
/// each time.
pub fn keyed_job_id(tenant: &TenantId, user: &UserId, key: &str) -> JobId {
    JobId(hashed(KEYED_JOB_CONTEXT, &[tenant.as_str(), user.as_str(), key]))
}

/// What the worker of a user is called that speaks HTTP: the user's id where that is a UUID, else UUIDv8 of a
/// BLAKE3 hash of it.
pub fn worker_of_user(user: &UserId) -> Uuid {
    user.as_str().parse().unwrap_or_else(|_| hashed(WORKER_OF_USER_CONTEXT, &[user.as_str()]))
}

/// What a topic of a tenant is called beside its name: UUIDv8 of a BLAKE3 hash.
pub fn topic(tenant: &TenantId, topic: &TopicName) -> Uuid {
    hashed(TOPIC_CONTEXT, &[tenant.as_str(), topic.as_str()])
}

/// Each field is preceded by its length, so that no two lists are hashed alike.
fn hashed(context: &str, fields: &[&str]) -> Uuid {
    let mut hasher = blake3::Hasher::new_derive_key(context);
    for field in fields {
        hasher.update(&(field.len() as u64).to_be_bytes());
        hasher.update(field.as_bytes());
    }
    let mut bytes = [0; 16];
    hasher.finalize_xof().fill(&mut bytes);
    Uuid::new_v8(bytes)
}

/// A new life of a worker process.
pub fn session_id() -> SessionId {
    SessionId(Uuid::new_v4())
}

/// A process of which the one that began last is to go on: UUIDv7, so that ids made later sort later.
pub fn process() -> Uuid {
    Uuid::now_v7()
}

/// An id that nothing else has, for requests, inboxes and processes.
pub fn unique() -> Uuid {
    Uuid::new_v4()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyed(tenant: &str, user: &str, key: &str) -> JobId {
        keyed_job_id(&tenant.parse().unwrap(), &user.parse().unwrap(), key)
    }

    #[test]
    fn the_same_key_gives_the_same_job_and_any_other_field_another() {
        let id = keyed("acme", "ada", "k1");
        assert_eq!(id, keyed("acme", "ada", "k1"));
        assert_eq!(id.0.get_version_num(), 8);
        for other in [
            keyed("acme", "ada", "k2"),
            keyed("acme", "eve", "k1"),
            keyed("zeta", "ada", "k1"),
            keyed("acme", "adak", "1"),
            keyed("acmea", "da", "k1"),
        ] {
            assert_ne!(id, other);
        }
    }

    #[test]
    fn keyed_ids_stay_what_they_are() {
        // A client may repeat a request after an update of Nox: this id is a promise.
        assert_eq!(
            keyed("default", "ada", "order-1").to_string(),
            "a839d417-4c3d-8c1a-9133-65e285bdf3dc"
        );
    }

    #[test]
    fn later_jobs_sort_later() {
        let ids: Vec<_> = (0..1_000).map(|_| job_id()).collect();
        assert!(ids.is_sorted());
        assert_eq!(ids[0].0.get_version_num(), 7);
    }
}
