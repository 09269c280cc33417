//! Writes that the broker acknowledges, and what its replies prove.

use serde::Deserialize;

/// Headers of a message: names and values.
///
/// A value must not contain a line break; such a message is refused before it is sent.
pub type Headers = Vec<(&'static str, String)>;

/// Names a message, so that the broker stores one of several copies (`duplicate_window` in
/// `nats/streams.toml` says for how long it remembers the name).
pub const MESSAGE_ID: &str = "Nats-Msg-Id";

/// The broker has stored the message, as durably as it was configured to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    pub stream: String,
    /// Its stream sequence.
    pub seq: u64,
}

/// Why a write has no acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The broker, or the client before it sent anything, said no: nothing is stored.
    #[error("refused ({code}): {description}")]
    Refused { code: u64, description: String },
    /// Nobody knows: it may be stored, now or later. Read before writing again.
    #[error("outcome unknown: {0}")]
    Unknown(String),
}

/// A guard failed: the stream or the subject has moved on.
pub const WRONG_LAST_SEQUENCE: u64 = 10071;
/// A guard failed: another message with the same guard is in flight.
pub const GUARD_IN_FLIGHT: u64 = 10164;
/// The stream did not store the message; a refusal only where a limit is the reason.
pub const STORE_FAILED: u64 = 10077;
/// Nobody listens on the subject; also the code of what was never sent because there is no
/// connection or too much waits for one.
pub const NOBODY_THERE: u64 = 503;
/// The message is larger than the broker takes.
pub const TOO_LARGE: u64 = 10054;
/// The client's own: the subject or a header cannot be sent.
pub const MALFORMED: u64 = 400;

/// The broker's codes that it sends only before it has stored anything; read in its source
/// (`processJetStreamMsg` and what it calls). Every other error leaves open what happened.
const PROOFS: [u64; 17] = [
    10002, // the account's resources are used up
    10023, // the server's resources are used up
    10028, // memory is used up
    10047, // storage is used up
    TOO_LARGE,
    10060, // another stream was expected
    WRONG_LAST_SEQUENCE,
    10097, // the headers are too large
    10109, // the stream is sealed
    10111, // roll-ups are not permitted
    10163, // the guard's subject is still being read
    GUARD_IN_FLIGHT,
    10165, // the TTL cannot be read
    10166, // no TTLs on this stream
    10167, // too many requests
    10185, // the message asks for a newer server
    10193, // a guard's subject without its sequence
];

impl PublishError {
    pub(crate) fn refused(code: u64, description: impl Into<String>) -> Self {
        Self::Refused { code, description: description.into() }
    }

    /// Whether a guard failed: the writer's picture of the stream is old.
    pub fn is_guard(&self) -> bool {
        matches!(self, Self::Refused { code: WRONG_LAST_SEQUENCE | GUARD_IN_FLIGHT, .. })
    }

    /// Whether the same write will never be taken.
    pub fn is_hopeless(&self) -> bool {
        matches!(self, Self::Refused { code: TOO_LARGE | MALFORMED, .. })
    }

    /// Whether the stream is full: nothing was stored, and the same write may succeed when there
    /// is room.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Refused { code: STORE_FAILED | 10002 | 10023 | 10028 | 10047, .. })
    }
}

#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    stream: String,
    #[serde(default)]
    seq: u64,
    error: Option<ReplyError>,
}

#[derive(Deserialize)]
struct ReplyError {
    code: u64,
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

/// What a reply to a write proves.
pub(crate) fn outcome(status: Option<u16>, payload: &[u8]) -> Result<Ack, PublishError> {
    if status == Some(503) {
        return Err(PublishError::refused(NOBODY_THERE, "no stream takes this subject now"));
    }
    let reply: Reply = serde_json::from_slice(payload)
        .map_err(|e| PublishError::Unknown(format!("unreadable reply: {e}")))?;
    match reply.error {
        Some(error) => Err(error.into()),
        None if reply.seq == 0 => Err(PublishError::Unknown("reply without a sequence".into())),
        None => Ok(Ack { stream: reply.stream, seq: reply.seq }),
    }
}

impl From<ReplyError> for PublishError {
    fn from(error: ReplyError) -> Self {
        let ReplyError { code, err_code, description } = error;
        // "maximum bytes exceeded" and its kind, or "message too large": checked before storing. A
        // store that was closed meanwhile has the same code, and a replica may yet apply the write.
        let limit = err_code == STORE_FAILED
            && (description.starts_with("maximum ") || description.contains("too large"));
        if limit || PROOFS.contains(&err_code) {
            return Self::Refused { code: err_code, description };
        }
        Self::Unknown(format!("{description} ({code}/{err_code})"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acknowledgement_names_the_sequence() {
        let ack = outcome(None, br#"{"stream":"S","seq":7,"domain":"d"}"#).unwrap();
        assert_eq!(ack, Ack { stream: "S".into(), seq: 7 });
    }

    #[test]
    fn only_what_proves_that_nothing_is_stored_is_a_refusal() {
        let error = |code: u64, text: &str| {
            let reply = format!(
                r#"{{"error":{{"code":400,"err_code":{code},"description":"{text}"}},"stream":"S","seq":0}}"#
            );
            outcome(None, reply.as_bytes()).unwrap_err()
        };
        assert!(error(10071, "wrong last sequence: 4").is_guard());
        assert!(error(10164, "wrong last sequence").is_guard());
        assert!(error(10077, "maximum bytes exceeded").is_full());
        assert!(matches!(error(10077, "store is closed"), PublishError::Unknown(_)));
        assert!(matches!(error(10008, "temporarily unavailable"), PublishError::Unknown(_)));
        assert!(matches!(error(0, "raft: not leader"), PublishError::Unknown(_)));
    }

    #[test]
    fn no_listener_is_a_refusal_and_no_sense_is_unknown() {
        assert_eq!(
            outcome(Some(503), b"").unwrap_err(),
            PublishError::refused(NOBODY_THERE, "no stream takes this subject now")
        );
        for reply in [&b""[..], b"+ACK", b"{}", br#"{"seq":0}"#] {
            assert!(matches!(outcome(None, reply), Err(PublishError::Unknown(_))));
        }
    }
}
