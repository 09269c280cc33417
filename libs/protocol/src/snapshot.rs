//! What a snapshot is made of: a fold, and the words of facts by which it was made. A version that lacks one of
//! them does not take it for whole, for something may have followed from that word.

use std::collections::BTreeSet;

use nox_contract::words;
use nox_core::State;
use serde::{Deserialize, Serialize};

use crate::future;

/// The serialised form. Another one is not read.
pub const FORMAT: &str = "state5";

#[derive(Serialize)]
struct Written<'s> {
    words: &'s BTreeSet<String>,
    state: &'s State,
}

#[derive(Deserialize)]
struct Read {
    words: BTreeSet<String>,
    state: State,
}

/// Why a snapshot is not read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("a newer version made it, which knows `{word}`")]
    Newer { word: String },
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// The words that facts are read by; those of a version that is still to come, for tests.
pub fn words(future: bool) -> BTreeSet<String> {
    let mut words = words::of_facts().clone();
    words.extend(future.then(|| future::WORD.to_owned()));
    words
}

/// The bytes of a fold that was made by these words.
///
/// # Errors
/// Of JSON: none that a state has.
pub fn write(state: &State, words: &BTreeSet<String>) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&Written { words, state })
}

/// The fold of these bytes. [`State::reindex`] comes next.
///
/// # Errors
/// It is none, or was made by other words beside these.
pub fn read(bytes: &[u8], words: &BTreeSet<String>) -> Result<State, SnapshotError> {
    let Read { words: made_by, state } = serde_json::from_slice(bytes)?;
    match made_by.difference(words).next() {
        Some(word) => Err(SnapshotError::Newer { word: word.clone() }),
        None => Ok(state),
    }
}
