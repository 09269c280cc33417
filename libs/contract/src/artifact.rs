//! Where an attempt's files lie in the artifact store, and what they are called outside.
//!
//! A user id may be any text, so it stands in neither as it is.

use std::fmt::Write;

use crate::{Attempt, JobId, TenantId, UserId};

/// Longest user id that stands in a path as it is; file systems allow 255 bytes a name.
const PLAIN_USER_BYTES_MAX: usize = 100;

/// Hex digits of the hash that stands for any other user id.
const USER_HASH_DIGITS: usize = 32;

/// The folder of an attempt, without a slash at either end: `<tenant>/<user>/<job>/<attempt>`.
pub fn prefix(tenant: &TenantId, user: &UserId, job: JobId, attempt: Attempt) -> String {
    format!("{tenant}/{}/{job}/{attempt}", user_folder(user))
}

/// The name of a job's file in its outputs: `sandbox://<user>/<job>/<file>`, percent-encoded.
/// Which attempt's folder it is in, the fact that completed the job says.
///
/// The users `.` and `..` have their dots encoded, too: whoever maps the rest of the URI to a path as
/// it stands would leave the folder.
pub fn uri(user: &UserId, job: JobId, file: &str) -> String {
    let mut uri = "sandbox://".to_owned();
    match user.as_str() {
        dots @ ("." | "..") => uri.push_str(&dots.replace('.', "%2E")),
        user => percent_encode(&mut uri, user, false),
    }
    let _ = write!(uri, "/{job}/");
    percent_encode(&mut uri, file, true);
    uri
}

/// A user id of harmless letters is its own folder; `=` begins the hash of any other, which no
/// harmless one does.
fn user_folder(user: &UserId) -> String {
    let text = user.as_str();
    let plain = text.len() <= PLAIN_USER_BYTES_MAX
        && !text.starts_with('.')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.@+".contains(&b));
    if plain {
        return text.to_owned();
    }
    format!("={}", &blake3::hash(text.as_bytes()).to_hex()[..USER_HASH_DIGITS])
}

fn percent_encode(out: &mut String, text: &str, slashes: bool) {
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        if plain || (slashes && byte == b'/') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: &str = "0193a000-0000-7000-8000-000000000001";

    fn folder(user: &str) -> String {
        let (tenant, user) = ("acme".parse().unwrap(), user.parse().unwrap());
        prefix(&tenant, &user, JOB.parse().unwrap(), Attempt(2))
    }

    #[test]
    fn a_harmless_user_is_its_own_folder() {
        for user in ["ada", "ada@example.com", "cafe-babe_1"] {
            assert_eq!(folder(user), format!("acme/{user}/{JOB}/2"));
        }
    }

    #[test]
    fn no_user_id_leaves_its_folder_or_takes_anothers() {
        let long = "x".repeat(256);
        let hostile =
            ["..", ".", "../eve", "a/b", "a\\b", "=0", "%2e%2e", "ä", " ", ".hidden", "a:b", &long];
        let folders: std::collections::BTreeSet<_> = hostile.map(folder).into();
        assert_eq!(folders.len(), hostile.len());
        for folder in folders {
            let parts: Vec<_> = folder.split('/').collect();
            assert_eq!((parts.len(), parts[0], parts[2]), (4, "acme", JOB), "{folder}");
            assert!(parts[1].starts_with('=') && parts[1].len() == 33, "{folder}");
        }
    }

    #[test]
    fn a_uri_has_exactly_the_parts_that_it_was_made_of() {
        let uri = |user: &str, file| uri(&user.parse().unwrap(), JOB.parse().unwrap(), file);
        assert_eq!(uri("ada", "result.txt"), format!("sandbox://ada/{JOB}/result.txt"));
        assert_eq!(
            uri("a/b?c#d@e:f", "sub/ä %.txt"),
            format!("sandbox://a%2Fb%3Fc%23d%40e%3Af/{JOB}/sub/%C3%A4%20%25.txt")
        );
        assert_eq!(uri("..", "a.txt"), format!("sandbox://%2E%2E/{JOB}/a.txt"));
        assert_eq!(uri(".", "a.txt"), format!("sandbox://%2E/{JOB}/a.txt"));
        assert_eq!(uri("a.b", "a.txt"), format!("sandbox://a.b/{JOB}/a.txt"));
    }
}
