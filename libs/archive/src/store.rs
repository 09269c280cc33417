//! The folder or bucket that segments are kept in.

use std::{
    io,
    ops::Range,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures_util::TryStreamExt;
use nox_contract::{Incarnation, Timestamp};
use nox_store::{Location, LocationError, error};
use object_store::{
    Error, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutPayload, path::Path,
};

use crate::{ArchiveError, LogArchive, name};

/// Where closed stretches of logs are kept. Clones share it.
#[derive(Debug, Clone)]
pub struct Archive {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    location: Location,
    requests: AtomicU64,
}

impl Archive {
    /// A [location](Location::open) for whoever reads: a folder that is not there yet is an empty archive.
    ///
    /// # Errors
    /// It is none, or cannot be used.
    pub fn open(location: &str) -> Result<Self, ArchiveError> {
        let archive = Self::at(Location::open(location, true))?;
        if archive.inner.location.store().is_ok_and(|store| store.is_none()) {
            tracing::warn!(location, "The archive's folder is not there, or not yet");
        }
        Ok(archive)
    }

    /// The same for whoever writes, who makes the folder.
    ///
    /// # Errors
    /// As [`Self::open`], or it cannot be made.
    pub fn create(location: &str) -> Result<Self, ArchiveError> {
        Self::at(Location::create(location, true))
    }

    fn at(location: Result<Location, LocationError>) -> Result<Self, ArchiveError> {
        let location = location.map_err(|LocationError { location, reason }| {
            ArchiveError::Location { location, reason }
        })?;
        Ok(Self { inner: Arc::new(Inner { location, requests: AtomicU64::default() }) })
    }

    /// The segments of one life of the log.
    pub fn log(&self, incarnation: &Incarnation) -> LogArchive {
        let folder = name::folder(self.inner.location.base(), incarnation);
        LogArchive::new(self.clone(), incarnation.clone(), folder)
    }

    /// Below which everything lies.
    pub(crate) fn base(&self) -> &Path {
        self.inner.location.base()
    }

    /// The lives of the log that something is kept of.
    pub async fn incarnations(&self) -> Result<Vec<Incarnation>, ArchiveError> {
        let folder = self.inner.location.base().clone().join(name::LOG);
        let Some(store) = self.store()? else { return Ok(Vec::new()) };
        let list = store.list_with_delimiter(Some(&folder)).await;
        let folders = list.map_err(|error| self.unavailable(&error))?.common_prefixes;
        let names = folders.iter().filter_map(|folder| folder.filename());
        Ok(names.filter_map(name::unescape).collect())
    }

    /// As it was named.
    pub fn location(&self) -> &str {
        self.inner.location.name()
    }

    /// What lies directly in `folder`.
    pub(crate) async fn list(&self, folder: &Path) -> Result<Vec<ObjectMeta>, ArchiveError> {
        let Some(store) = self.store()? else { return Ok(Vec::new()) };
        let list = store.list(Some(folder)).try_collect().await;
        list.map_err(|error| self.unavailable(&error))
    }

    /// `None` if there is no such object.
    pub(crate) async fn get(&self, path: &Path) -> Result<Option<Bytes>, ArchiveError> {
        let Some(store) = self.store()? else { return Ok(None) };
        let get = async { store.get(path).await?.bytes().await };
        self.found(get.await)
    }

    /// `None` if there is no such object, or it ends before the range begins.
    pub(crate) async fn get_range(
        &self,
        path: &Path,
        range: Range<u64>,
    ) -> Result<Option<Bytes>, ArchiveError> {
        let Some(store) = self.store()? else { return Ok(None) };
        self.found(store.get_range(path, range).await)
    }

    /// Stores an object and returns true, or leaves the one that has its name and returns false; either is
    /// on stable storage then.
    pub(crate) async fn put_if_absent(
        &self,
        path: &Path,
        bytes: Bytes,
    ) -> Result<bool, ArchiveError> {
        let store = self.store()?.ok_or_else(|| self.unavailable(&error::Absent))?;
        let put = store.put_opts(path, PutPayload::from(bytes), PutMode::Create.into());
        let is_new = match put.await {
            Ok(_) => true,
            Err(Error::AlreadyExists { .. }) => false,
            Err(error) => return Err(self.unavailable(&error)),
        };
        self.sync(path).await?;
        Ok(is_new)
    }

    /// Stores an object in the place of another one; it is on stable storage then.
    pub(crate) async fn put(&self, path: &Path, bytes: Bytes) -> Result<(), ArchiveError> {
        let store = self.store()?.ok_or_else(|| self.unavailable(&error::Absent))?;
        let put = store.put(path, PutPayload::from(bytes)).await;
        put.map_err(|error| self.unavailable(&error))?;
        self.sync(path).await
    }

    /// Removes an object, if it is there.
    pub(crate) async fn remove(&self, path: &Path) -> Result<(), ArchiveError> {
        let Some(store) = self.store()? else { return Ok(()) };
        match store.delete(path).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.unavailable(&error)),
        }
    }

    /// An object that was there already may be one whose writer was cut off before it was synced.
    async fn sync(&self, path: &Path) -> Result<(), ArchiveError> {
        let Some((file, root)) = self.file(path)? else { return Ok(()) };
        self.blocking(move || {
            // The file, the folders above it, and the one that the root is named in.
            let within = file.ancestors().take_while(|path| path.starts_with(&root));
            for path in within.chain(root.parent()) {
                std::fs::File::open(path)?.sync_all()?;
            }
            Ok(())
        })
        .await
    }

    /// Removes from `folder` what writers left that were cut off before `before`. A segment has another name
    /// until it is whole; who still writes one then is told so, and writes it again.
    pub(crate) async fn remove_unfinished(
        &self,
        folder: &Path,
        before: Timestamp,
    ) -> Result<(), ArchiveError> {
        let Some((folder, _)) = self.file(folder)? else { return Ok(()) };
        let before = Duration::from_micros(u64::try_from(before.as_micros()).unwrap_or_default());
        self.blocking(move || {
            let entries = match std::fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(error),
            };
            for entry in entries {
                let entry = entry?;
                let is_unfinished = entry.file_name().to_str().is_some_and(name::is_unfinished);
                if is_unfinished && entry.metadata()?.modified()? < SystemTime::UNIX_EPOCH + before
                {
                    std::fs::remove_file(entry.path())?;
                    tracing::info!(file = %entry.path().display(), "Removed an unfinished segment");
                }
            }
            Ok(())
        })
        .await
    }

    /// Where an object or folder lies, and the root that it lies in; `None` of a bucket, and of a folder that
    /// is not there.
    fn file(&self, path: &Path) -> Result<Option<(PathBuf, PathBuf)>, ArchiveError> {
        self.inner.location.file(path).map_err(|error| self.unavailable(&error))
    }

    async fn blocking(
        &self,
        work: impl FnOnce() -> io::Result<()> + Send + 'static,
    ) -> Result<(), ArchiveError> {
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.unavailable(&error)),
            Err(error) => Err(self.unavailable(&error)),
        }
    }

    /// Requests so far.
    pub(crate) fn requests(&self) -> u64 {
        self.inner.requests.load(Ordering::Relaxed)
    }

    /// What one request is sent to; `None` of a folder that is not there.
    fn store(&self) -> Result<Option<&dyn ObjectStore>, ArchiveError> {
        self.inner.requests.fetch_add(1, Ordering::Relaxed);
        self.inner.location.store().map_err(|error| self.unavailable(&error))
    }

    fn found<T>(&self, result: Result<T, Error>) -> Result<Option<T>, ArchiveError> {
        match result {
            Ok(found) => Ok(Some(found)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.unavailable(&error)),
        }
    }

    fn unavailable(&self, error: &dyn std::error::Error) -> ArchiveError {
        let archive = self.location().to_owned();
        ArchiveError::Unavailable { archive, reason: error::chain(error) }
    }
}
