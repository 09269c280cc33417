//! All that is wrong with a manifest: whoever writes one mends it at once.

use std::fmt;

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// A JSON pointer into the manifest.
    pub pointer: String,
    pub reason: String,
}

/// See the head of this file. As an error, never empty.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct AllWrong(pub Vec<Wrong>);

impl AllWrong {
    pub(crate) fn add(&mut self, pointer: impl Into<String>, reason: impl Into<String>) {
        self.0.push(Wrong { pointer: pointer.into(), reason: reason.into() });
    }

    /// What is right; what is not is added.
    pub(crate) fn unless<T>(&mut self, pointer: &str, checked: Result<T, String>) -> Option<T> {
        checked.map_err(|reason| self.add(pointer, reason)).ok()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Without the places, for readers of a file of which each reason names its part.
    pub(crate) fn reasons(&self) -> String {
        let reasons: Vec<_> = self.0.iter().map(|wrong| wrong.reason.as_str()).collect();
        reasons.join("; ")
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.pointer, self.reason)
    }
}

impl fmt::Display for AllWrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told: Vec<_> = self.0.iter().map(Wrong::to_string).collect();
        f.write_str(&told.join("; "))
    }
}

impl std::error::Error for AllWrong {}
