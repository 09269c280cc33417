//! Why a store did not do what it was asked for.

use std::{error::Error, io};

/// A name that is no store's, or a store that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {location:?}: {reason}")]
pub struct LocationError {
    pub location: String,
    pub reason: String,
}

/// A request that failed. Its words say nothing of where the store is; its sources do.
#[derive(Debug, thiserror::Error)]
#[error("{told}")]
pub struct StoreError {
    told: String,
    is_absent: bool,
    source: Box<dyn Error + Send + Sync>,
}

/// The folder is not there.
#[derive(Debug, thiserror::Error)]
#[error("its folder is not there")]
pub struct Absent;

impl StoreError {
    /// Whether there is no such object.
    pub fn is_absent(&self) -> bool {
        self.is_absent
    }

    /// Whether there was no room for it.
    pub fn is_full(&self) -> bool {
        let error = io_cause(&*self.source).map(io::Error::kind);
        matches!(error, Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    }

    /// All that is known, for operators.
    pub fn details(&self) -> String {
        chain(&*self.source)
    }
}

impl From<object_store::Error> for StoreError {
    fn from(error: object_store::Error) -> Self {
        let is_absent = matches!(error, object_store::Error::NotFound { .. });
        let told = match io_cause(&error) {
            // Its own words name no file: "No space left on device (os error 28)".
            Some(error) => error.to_string(),
            None if is_absent => "there is no such object".to_owned(),
            None => "the store refused it".to_owned(),
        };
        Self { told, is_absent, source: error.into() }
    }
}

impl From<Absent> for StoreError {
    fn from(absent: Absent) -> Self {
        Self { told: absent.to_string(), is_absent: true, source: absent.into() }
    }
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        let is_absent = error.kind() == io::ErrorKind::NotFound;
        Self { told: error.to_string(), is_absent, source: error.into() }
    }
}

/// The last error of the system's own among the causes.
fn io_cause<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e io::Error> {
    let mut found = None;
    let mut next = Some(error);
    while let Some(error) = next {
        found = error.downcast_ref::<io::Error>().filter(|e| e.raw_os_error().is_some()).or(found);
        next = error.source();
    }
    found
}

/// An error with all of its causes.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
