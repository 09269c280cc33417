//! Inputs that are too large to stand in a request: uploaded first, and referred to by
//! `{"$upload": "<id>", "sha256": "<hash>"}` in the place of a text.

use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::{TenantId, UserId, artifact::user_folder};

/// The member that makes an object in inputs a reference.
pub const MEMBER: &str = "$upload";

/// Most bytes of all uploads that one job's inputs refer to: 16 MiB. They are texts in a program's files or
/// arguments, and in memory where they are checked.
pub const INPUT_BYTES_MAX: u64 = 16 << 20;

/// What begins the place of all uploads in the store; no tenant has such a name.
pub const FOLDER: &str = "=uploads";

/// Domain of the hash behind ids; another one would give all uploads new ids.
const ID_CONTEXT: &str = "nox 2026-11 id of an upload";

/// An upload, as its owner is told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Upload {
    pub id: Uuid,
    /// In lower-case hexadecimal digits.
    pub sha256: String,
    /// In bytes.
    pub size: u64,
}

/// The id of what `user` of `tenant` has uploaded with this hash: the same for the same bytes, and another
/// for everybody else.
pub fn id(tenant: &TenantId, user: &UserId, sha256: &str) -> Uuid {
    let mut hasher = blake3::Hasher::new_derive_key(ID_CONTEXT);
    for field in [tenant.as_str(), user.as_str(), sha256] {
        hasher.update(&(field.len() as u64).to_be_bytes());
        hasher.update(field.as_bytes());
    }
    let mut bytes = [0; 16];
    hasher.finalize_xof().fill(&mut bytes);
    Uuid::new_v8(bytes)
}

/// Where a user's uploads lie, without a slash at either end.
pub fn prefix(tenant: &TenantId, user: &UserId) -> String {
    format!("{FOLDER}/{tenant}/{}", user_folder(user))
}

/// Whether a text is a SHA-256 as it is written here.
pub fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_of_one_users_one_content() {
        let sha256 = "0".repeat(64);
        let id = |tenant: &str, user: &str, sha256: &str| {
            id(&tenant.parse().unwrap(), &user.parse().unwrap(), sha256)
        };
        let ada = id("acme", "ada", &sha256);
        assert_eq!(ada, id("acme", "ada", &sha256));
        for other in [
            id("acme", "eve", &sha256),
            id("zeta", "ada", &sha256),
            id("acme", "ada", &"1".repeat(64)),
        ] {
            assert_ne!(ada, other);
        }
    }

    #[test]
    fn a_hash_is_64_lower_case_digits() {
        assert!(is_sha256(&"0a".repeat(32)));
        for wrong in
            ["", "../x", &"0A".repeat(32), &"0".repeat(63), &"0".repeat(65), &"g".repeat(64)]
        {
            assert!(!is_sha256(wrong), "{wrong}");
        }
    }
}
