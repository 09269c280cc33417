//! Why a question to the broker has no answer.

use nox_protocol::reader::ReadError;

const STREAM_NOT_FOUND: u64 = 10059;
const INSUFFICIENT_RESOURCES: u64 = 10023;
/// The stream or the cluster has no leader at the moment, or fewer servers than a stream needs.
const NOT_NOW: [u64; 3] = [10009, 10118, 10005];

/// Why a question to the broker has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// Not connected, no leader, or too slow: ask again.
    #[error("broker unavailable: {0}")]
    Unavailable(String),
    /// The stream or bucket does not exist: declare it.
    #[error("no such stream: {0}")]
    Missing(String),
    /// The stream is not configured as `nats/streams.toml` says: somebody has to look.
    #[error(transparent)]
    Drift(#[from] Drift),
    /// The broker said no, and will again.
    #[error("refused by the broker ({code}): {description}")]
    Refused { code: u64, description: String },
    /// It is not the stream that was read before: stop.
    #[error(transparent)]
    Position(#[from] ConsumeError),
    /// The bytes make no sense.
    #[error("unreadable {what}: {reason}")]
    Unreadable { what: &'static str, reason: String },
}

/// Why a stream is read no further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConsumeError {
    /// It is not the one that was read before. Reading on would skip or repeat: stop.
    #[error("{stream}: {reason}")]
    Position {
        stream: String,
        #[source]
        reason: ReadError,
    },
    /// It does not have the message that comes next any more, and has later ones.
    #[error("{stream} has no message {from} any more; the next one there is {next}")]
    Gap { stream: String, from: u64, next: u64 },
    /// It is not configured as it should be.
    #[error(transparent)]
    Drift(#[from] Drift),
}

/// A setting that a stream, or a consumer of one, must not have.
///
/// It may copy, redirect or forget what is in there, so nobody works with it; and nobody changes it
/// behind its owner's back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("stream {stream} has {setting} = {found}, but it should be {wanted}")]
pub struct Drift {
    pub stream: String,
    pub setting: String,
    pub wanted: String,
    pub found: String,
}

impl Error {
    /// What an error of the JetStream API means: 503 is "not now", unless the limits do not fit.
    pub(crate) fn of_api(status: u64, code: u64, description: String) -> Self {
        if (status == 503 && code != INSUFFICIENT_RESOURCES) || NOT_NOW.contains(&code) {
            return Self::Unavailable(format!("{description} ({code})"));
        }
        Self::Refused { code, description }
    }

    /// The same, with the stream's name where the stream is not there.
    pub(crate) fn about(self, stream: &str) -> Self {
        match self {
            Self::Refused { code: STREAM_NOT_FOUND, .. } => Self::Missing(stream.to_owned()),
            error => error,
        }
    }
}
