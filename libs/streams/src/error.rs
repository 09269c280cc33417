//! Why a question to the broker has no answer.

use nox_protocol::reader::ReadError;

const STREAM_NOT_FOUND: u64 = 10059;
const INSUFFICIENT_RESOURCES: u64 = 10023;
/// The stream or the cluster has no leader at the moment.
const NO_LEADER: [u64; 2] = [10009, 10118];

/// Why a question to the broker has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// Not connected, no leader, or too slow: ask again.
    #[error("broker unavailable: {0}")]
    Unavailable(String),
    /// The stream or bucket does not exist: declare it.
    #[error("no such stream: {0}")]
    Missing(String),
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

/// The stream is not the one that was read before. Reading on would skip or repeat: stop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{stream}: {reason}")]
pub struct ConsumeError {
    pub stream: String,
    #[source]
    pub reason: ReadError,
}

impl Error {
    /// What an error of the JetStream API means: 503 is "not now", unless the limits do not fit.
    pub(crate) fn of_api(status: u64, code: u64, description: String) -> Self {
        if (status == 503 && code != INSUFFICIENT_RESOURCES) || NO_LEADER.contains(&code) {
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
