//! A line: an act, and the chain over all lines before it.

use nox_contract::{Chain, audit::Act};

/// What stands in a line beside its act, at its end.
const PREV: &str = ",\"prev\":\"";
const HASH: &str = "\",\"hash\":\"";
const END: &str = "\"}";

/// As it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub act: Act,
    /// The `hash` of the line before; that of the first line is `b3:` and zeros.
    pub prev: Chain,
    /// BLAKE3 of `prev`'s 32 bytes and the line without `prev` and `hash`.
    pub hash: Chain,
}

/// An act as a line behind `prev`, with the chain after it.
///
/// # Errors
/// Of JSON: none that an act has.
pub(super) fn write(act: &Act, prev: Chain) -> serde_json::Result<(String, Chain)> {
    let body = serde_json::to_string(act)?;
    let hash = prev.extend(body.as_bytes());
    let members = body.strip_suffix('}').unwrap_or(&body);
    Ok((format!("{members}{PREV}{prev}{HASH}{hash}{END}\n"), hash))
}

/// Reads a line without its line feed, if it is what its own hash says.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn read(text: &str) -> Result<Line, String> {
    let (members, rest) = text.rsplit_once(PREV).ok_or("has no prev")?;
    let (prev, rest) = rest.split_once(HASH).ok_or("has no hash")?;
    let prev = Chain::parse(prev).ok_or("prev is no hash")?;
    let hash = rest.strip_suffix(END).and_then(Chain::parse).ok_or("hash is no hash")?;
    let body = format!("{members}}}");
    if prev.extend(body.as_bytes()) != hash {
        return Err("is not what its hash says".to_owned());
    }
    let act = serde_json::from_str(&body).map_err(|error| format!("is no act: {error}"))?;
    Ok(Line { act, prev, hash })
}
