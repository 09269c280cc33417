//! Who asked for what a command wants: for the audit. Nothing is decided by it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{KeyId, TenantId, UserId};

/// Most characters of a reason that a request may give.
pub const REASON_CHARS_MAX: usize = 500;
/// Most characters of a token's name (`jti`) that are kept.
pub const TOKEN_ID_CHARS_MAX: usize = 128;
/// Largest row of [`Asked`] with its [`Asker`] in a frame, in bytes. A frame has room for one beside its entries, in
/// what is left of the broker's limit.
pub const ASKED_BYTES_MAX: usize = 8 * 1024;
/// Most refused commands that one frame tells of.
pub const REFUSED_MAX: usize = 16;

/// Somebody who asks, as a gateway has found it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Asker {
    pub tenant: TenantId,
    pub user_id: UserId,
    /// By which it may.
    pub role: String,
    /// What its issuer calls the token (`jti`), cut at [`TOKEN_ID_CHARS_MAX`]. Never the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_id: Option<String>,
    /// The API key that it showed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<KeyId>,
    /// The IP address of whoever connected to the gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// One request, which asked for so many commands of a message, one behind the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Requested {
    pub commands: u32,
    /// Its place among the message's askers; `None` where a gateway asks by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asker: Option<u32>,
    /// As its answer names it (`X-Request-Id`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Why, in its own words; at most [`REASON_CHARS_MAX`] characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What a frame says of a request that something became true of, or that was refused: entries whose cause is one of
/// these parts of the message are what it asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Asked {
    /// Of the message in NOX_COMMANDS.
    pub seq: u64,
    /// The first of its parts, and how many they are.
    pub part: u32,
    pub parts: u32,
    /// Its place among the frame's askers.
    pub asker: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Of its commands, those that were refused without a fact; at most [`REFUSED_MAX`] in a frame, alike ones once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<RefusedCommand>,
}

impl Asked {
    /// Whether it asked for this part of a message.
    pub fn covers(&self, seq: u64, part: u32) -> bool {
        self.seq == seq && (self.part..self.part.saturating_add(self.parts)).contains(&part)
    }
}

/// A command that led to nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefusedCommand {
    pub part: u32,
    /// Its name, as in NOX_COMMANDS.
    pub command: String,
    /// The id of what it was about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// Of the refusal; text, for a newer version may have others.
    pub code: String,
}
