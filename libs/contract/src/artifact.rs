//! What an attempt's files are called, and where they lie in the artifact store.
//!
//! | | |
//! |---|---|
//! | what the program called it | any bytes but NUL: [`bytes`] |
//! | its name in facts and answers | text that says these bytes: [`name`] |
//! | where it lies beneath the attempt's prefix | what every file system and bucket can hold: [`key`] |
//!
//! A user id may be any text, so it stands in no path as it is.

use std::fmt::Write;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Attempt, JobId, TenantId, UserId};

/// Longest user id that stands in a path as it is; file systems allow 255 bytes a name.
const PLAIN_USER_BYTES_MAX: usize = 100;

/// Hex digits of the hash that stands for any other user id.
const USER_HASH_DIGITS: usize = 32;

/// Longest part of a key that is the file's own name: the store adds a suffix while it writes.
const PLAIN_NAME_BYTES_MAX: usize = 200;

/// Longest key that is the file's own path.
const PLAIN_PATH_BYTES_MAX: usize = 512;

/// Hex digits of the hash that stands for the name of any other file.
const NAME_HASH_DIGITS: usize = 32;

/// A kept file, as the fact that completes its job names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Artifact {
    /// In the form of [`name`]; no other file of the job has it.
    pub name: String,
    /// The media type that its name says.
    pub mime: String,
    /// In bytes.
    pub size: u64,
    /// In lower-case hexadecimal digits.
    pub sha256: String,
}

/// The name of a file whose path beneath the work directory is `path`, in bytes: these as text, but `%`,
/// control characters and bytes that are no UTF-8 as `%` and two hexadecimal digits each. So each path has
/// one name, and each name one path.
pub fn name(path: &[u8]) -> String {
    let mut name = String::with_capacity(path.len());
    let escape = |name: &mut String, byte: u8| {
        let _ = write!(name, "%{byte:02X}");
    };
    for chunk in path.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '%' || c.is_control() {
                c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| escape(&mut name, byte));
            } else {
                name.push(c);
            }
        }
        chunk.invalid().iter().for_each(|byte| escape(&mut name, *byte));
    }
    name
}

/// The path that has the name `name`; `None` if no path has it.
pub fn bytes(name: &str) -> Option<Vec<u8>> {
    let mut path = Vec::with_capacity(name.len());
    let mut rest = name.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            let digits = std::str::from_utf8(&digits).ok()?;
            path.push(u8::from_str_radix(digits, 16).ok()?);
        } else {
            path.push(byte);
        }
    }
    (self::name(&path) == name).then_some(path)
}

/// Where the file lies beneath its attempt's prefix: a harmless name is its own place; `=` begins the hash
/// of any other, which no harmless one does. No key leads out of the prefix, whatever `name` is.
pub fn key(name: &str) -> String {
    let plain = |part: &str| {
        !matches!(part, "" | "." | "..")
            && part.len() <= PLAIN_NAME_BYTES_MAX
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.@+".contains(&b))
    };
    if name.len() <= PLAIN_PATH_BYTES_MAX && name.split('/').all(plain) {
        return name.to_owned();
    }
    format!("={}", &blake3::hash(name.as_bytes()).to_hex()[..NAME_HASH_DIGITS])
}

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
pub(crate) fn user_folder(user: &UserId) -> String {
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
    fn every_path_has_one_name_and_every_name_one_path() {
        for (path, named) in [
            (&b"result.txt"[..], "result.txt"),
            (b"a#1", "a#1"),
            (b"sub/a b", "sub/a b"),
            ("gr\u{fc}n.xyz".as_bytes(), "gr\u{fc}n.xyz"),
            (b"100%", "100%25"),
            (b"%41", "%2541"),
            (b"a\nb\x1b\x7f", "a%0Ab%1B%7F"),
            ("\u{85}".as_bytes(), "%C2%85"),
            (b"\xff\xc3", "%FF%C3"),
            (b"\xed\xa0\x80", "%ED%A0%80"),
        ] {
            assert_eq!(name(path), named);
            assert_eq!(bytes(named).as_deref(), Some(path));
        }
        for nobodys in ["%", "%4", "%41", "%0a", "%zz", "%+1", "\n", "%C3%BC"] {
            assert_eq!(bytes(nobodys), None, "{nobodys}");
        }
    }

    #[test]
    fn no_name_leads_out_of_its_prefix_or_to_another_files_place() {
        for harmless in ["a", "a/b.txt", "..a", "a@b+c-1_2"] {
            assert_eq!(key(harmless), harmless);
        }
        let (long, deep) = ("x".repeat(201), "a/".repeat(300) + "a");
        let hostile = [
            "..", ".", "../a", "a/../b", "/a", "a//b", "", "a\\b", "=0", "a#1", "a b", "%2E%2E",
            "ä", "a:b", "a\0", &long, &deep,
        ];
        let keys: std::collections::BTreeSet<_> = hostile.map(key).into();
        assert_eq!(keys.len(), hostile.len());
        assert!(keys.iter().all(|key| key.len() == 33 && key.starts_with('=')), "{keys:?}");
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
