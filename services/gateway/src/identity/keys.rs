//! Who asks, by an API key: `nox_<id>_<secret><checksum>`.
//!
//! What is known of keys is read from rows and remembered for [`REMEMBERED`], so that a revoked one is refused
//! soon. Nothing but a hash of the secret is kept anywhere.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use blake3::Hash;
use nox_contract::{KeyId, ProblemCode, Timestamp};
use nox_readmodel::{QueryError, Reader, query::KeyRow};
use nox_service::{Clock, Secret, ids};
use uuid::Uuid;

use super::jwt::Identity;
use crate::problem::ApiError;

/// How every key begins.
pub const PREFIX: &str = "nox_";

/// For so long a key is taken for what it was.
const REMEMBERED: Duration = Duration::from_secs(5);
/// Most keys that are remembered; beyond that all are forgotten.
const REMEMBERED_MAX: usize = 10_000;

/// Digits of a part: of the id, of the secret (two random UUIDs: 244 bits of chance), and of the checksum, by
/// which a slip is found before anybody is asked.
const ID_DIGITS: usize = 32;
const SECRET_DIGITS: usize = 64;
const CHECKSUM_DIGITS: usize = 8;

/// A key as its holder has it.
pub struct Shown {
    pub id: KeyId,
    /// What is kept of the secret.
    pub hash: String,
    pub text: Secret,
}

impl Shown {
    /// A new one.
    pub fn new() -> Self {
        let id = KeyId(ids::unique());
        let secret = format!("{}{}", ids::unique().simple(), ids::unique().simple());
        let head = format!("{PREFIX}{}_{secret}", id.0.simple());
        let text = Secret::new(format!("{head}{}", checksum(&head)));
        Self { id, hash: blake3::hash(secret.as_bytes()).to_hex().to_string(), text }
    }
}

/// The id and the hash of the secret that a text names; `None` if it is no key.
fn parse(text: &str) -> Option<(KeyId, Hash)> {
    let (head, sum) = text.split_at_checked(text.len().checked_sub(CHECKSUM_DIGITS)?)?;
    let (id, secret) = head.strip_prefix(PREFIX)?.split_once('_')?;
    let digits = |text: &str, count| {
        text.len() == count
            && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    if !digits(id, ID_DIGITS) || !digits(secret, SECRET_DIGITS) || checksum(head) != sum {
        return None;
    }
    Some((KeyId(Uuid::try_parse(id).ok()?), blake3::hash(secret.as_bytes())))
}

fn checksum(head: &str) -> String {
    blake3::hash(head.as_bytes()).to_hex()[..CHECKSUM_DIGITS].to_owned()
}

/// What is known of keys.
pub struct Keys {
    reader: Reader,
    clock: Clock,
    /// With when they were read, on the monotonic clock.
    known: Mutex<HashMap<KeyId, (Duration, Option<KeyRow>)>>,
}

impl Keys {
    pub fn new(reader: Reader, clock: Clock) -> Self {
        Self { reader, clock, known: Mutex::default() }
    }

    /// Whom a key speaks for; a bad one, an unknown one and one that has run out are alike.
    ///
    /// # Errors
    /// The key is worth nothing, or Postgres is away.
    pub async fn identify(
        &self,
        text: &str,
        now: Timestamp,
    ) -> Result<(KeyId, Identity), ApiError> {
        let (id, hash) = parse(text).ok_or_else(unauthenticated)?;
        let (_, row) = self.find(id).await?.ok_or_else(unauthenticated)?;
        let right = Hash::from_hex(&row.key.hash).is_ok_and(|kept| kept == hash);
        let expired = row.key.expires_at.is_some_and(|at| at <= now);
        if !right || expired {
            return Err(unauthenticated());
        }
        let identity = Identity {
            tenant: row.tenant,
            user: row.key.user_id,
            token_id: None,
            roles: vec![row.key.role],
            is_admin: false,
            scopes: row.key.scopes.into_iter().collect(),
            expires_at: row.key.expires_at,
        };
        Ok((id, identity))
    }

    async fn find(&self, id: KeyId) -> Result<Option<KeyRow>, ApiError> {
        let now = self.clock.monotonic();
        if let Some((at, row)) = self.known().get(&id)
            && now.saturating_sub(*at) < REMEMBERED
        {
            return Ok(row.clone());
        }
        let found = self.reader.key(id).await.map_err(|error| match error {
            QueryError::Broken(_) => ApiError::internal(error),
            QueryError::Unavailable(_) => {
                let detail = "who holds this key cannot be looked up now";
                ApiError::new(ProblemCode::Unavailable, detail).caused_by(error)
            }
        })?;
        // One that is not there yet may be there in a moment.
        if found.value.is_some() {
            let mut known = self.known();
            if known.len() >= REMEMBERED_MAX {
                known.clear();
            }
            known.insert(id, (now, found.value.clone()));
        }
        Ok(found.value)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<KeyId, (Duration, Option<KeyRow>)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unauthenticated() -> ApiError {
    ApiError::new(ProblemCode::Unauthenticated, "a valid bearer token is needed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_reads_as_itself_and_with_any_slip_as_none() {
        let shown = Shown::new();
        let text = shown.text.reveal();
        let (id, hash) = parse(text).unwrap();
        assert_eq!((id, hash.to_hex().to_string()), (shown.id, shown.hash.clone()));
        assert!(text.starts_with("nox_") && !text.contains(&shown.hash));
        for place in 0..text.len() {
            let mut slip = text.to_owned();
            let other = if slip.as_bytes()[place] == b'0' { "1" } else { "0" };
            slip.replace_range(place..=place, other);
            assert!(parse(&slip).is_none(), "{place}");
        }
        for bad in ["", "nox_", "nox__", &text[1..], &text[..text.len() - 1], "nox_ü_ü"] {
            assert!(parse(bad).is_none(), "{bad}");
        }
        assert_ne!(Shown::new().text.reveal(), text);
    }
}
