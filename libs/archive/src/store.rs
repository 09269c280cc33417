//! The folder or bucket that segments are kept in.

use std::{
    io,
    ops::Range,
    path::PathBuf,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures_util::TryStreamExt;
use nox_contract::{Incarnation, Timestamp};
use object_store::{
    Error, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutPayload, local::LocalFileSystem,
    path::Path,
};

use crate::{ArchiveError, LogArchive, name};

/// Where closed stretches of logs are kept. Clones share it.
#[derive(Debug, Clone)]
pub struct Archive {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// As it was named.
    location: String,
    store: Store,
    /// Within the store.
    base: Path,
    requests: AtomicU64,
}

#[derive(Debug)]
enum Store {
    Folder(Folder),
    #[cfg(feature = "aws")]
    Bucket(object_store::aws::AmazonS3),
}

/// A folder on this machine, which whoever reads it finds empty until whoever writes it has made it.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    opened: OnceLock<(LocalFileSystem, PathBuf)>,
}

impl Folder {
    /// The store, and where it lies; `None` while it is not there.
    fn opened(&self) -> Result<Option<&(LocalFileSystem, PathBuf)>, Box<dyn std::error::Error>> {
        if let Some(opened) = self.opened.get() {
            return Ok(Some(opened));
        }
        let root = match std::fs::canonicalize(&self.path) {
            Ok(root) => root,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let store = LocalFileSystem::new_with_prefix(&root)?.with_fsync(true);
        Ok(Some(self.opened.get_or_init(|| (store, root))))
    }
}

impl Archive {
    /// A folder on this machine, as a path or `file://` URL, or `s3://bucket/prefix`, where this program was
    /// built for that; keys and region are taken from the environment (`AWS_*`). For whoever reads: a folder
    /// that is not there yet is an empty archive.
    ///
    /// # Errors
    /// It is neither, or cannot be used.
    pub fn open(location: &str) -> Result<Self, ArchiveError> {
        Self::begin(location, |folder| {
            if folder.opened().map_err(|error| error.to_string())?.is_none() {
                tracing::warn!(location, "The archive's folder is not there, or not yet");
            }
            Ok(())
        })
    }

    /// The same for whoever writes, who makes the folder.
    ///
    /// # Errors
    /// As [`Self::open`], or it cannot be made.
    pub fn create(location: &str) -> Result<Self, ArchiveError> {
        Self::begin(location, |folder| {
            std::fs::create_dir_all(&folder.path).map_err(|error| error.to_string())?;
            folder.opened().map(drop).map_err(|error| error.to_string())
        })
    }

    fn begin(
        location: &str,
        look: impl FnOnce(&Folder) -> Result<(), String>,
    ) -> Result<Self, ArchiveError> {
        let opened = open(location).and_then(|(store, base)| match &store {
            Store::Folder(folder) => look(folder).map(|()| (store, base)),
            #[cfg(feature = "aws")]
            Store::Bucket(_) => Ok((store, base)),
        });
        let location = location.to_owned();
        match opened {
            Ok((store, base)) => {
                let requests = AtomicU64::default();
                Ok(Self { inner: Arc::new(Inner { location, store, base, requests }) })
            }
            Err(reason) => Err(ArchiveError::Location { location, reason }),
        }
    }

    /// The segments of one life of the log.
    pub fn log(&self, incarnation: &Incarnation) -> LogArchive {
        let folder = name::folder(&self.inner.base, incarnation);
        LogArchive::new(self.clone(), incarnation.clone(), folder)
    }

    /// The lives of the log that something is kept of.
    pub async fn incarnations(&self) -> Result<Vec<Incarnation>, ArchiveError> {
        let folder = self.inner.base.clone().join(name::LOG);
        let Some(store) = self.store()? else { return Ok(Vec::new()) };
        let list = store.list_with_delimiter(Some(&folder)).await;
        let folders = list.map_err(|error| self.unavailable(&error))?.common_prefixes;
        let names = folders.iter().filter_map(|folder| folder.filename());
        Ok(names.filter_map(name::unescape).collect())
    }

    /// As it was named.
    pub fn location(&self) -> &str {
        &self.inner.location
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
        let store = self.store()?.ok_or_else(|| self.unavailable(&Absent))?;
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
        let store = self.store()?.ok_or_else(|| self.unavailable(&Absent))?;
        let put = store.put(path, PutPayload::from(bytes)).await;
        put.map_err(|error| self.unavailable(&error))?;
        self.sync(path).await
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
        match &self.inner.store {
            Store::Folder(folder) => {
                let opened = folder.opened().map_err(|error| self.unavailable(&*error))?;
                let Some((store, root)) = opened else { return Ok(None) };
                let file = store.path_to_filesystem(path);
                Ok(Some((file.map_err(|error| self.unavailable(&error))?, root.clone())))
            }
            #[cfg(feature = "aws")]
            Store::Bucket(_) => Ok(None),
        }
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
        match &self.inner.store {
            Store::Folder(folder) => {
                let opened = folder.opened().map_err(|error| self.unavailable(&*error))?;
                Ok(opened.map(|(store, _)| store as &dyn ObjectStore))
            }
            #[cfg(feature = "aws")]
            Store::Bucket(store) => Ok(Some(store)),
        }
    }

    fn found<T>(&self, result: Result<T, Error>) -> Result<Option<T>, ArchiveError> {
        match result {
            Ok(found) => Ok(Some(found)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.unavailable(&error)),
        }
    }

    fn unavailable(&self, error: &dyn std::error::Error) -> ArchiveError {
        let mut reason = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            reason.push_str(": ");
            reason.push_str(&error.to_string());
            cause = error.source();
        }
        ArchiveError::Unavailable { archive: self.inner.location.clone(), reason }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("its folder is not there")]
struct Absent;

fn open(location: &str) -> Result<(Store, Path), String> {
    let folder = match location.split_once("://") {
        Some(("s3", _)) => return open_bucket(location),
        Some(("file", path)) if path.starts_with('/') => path,
        Some(_) => return Err("it is no folder, file:///folder or s3://bucket/prefix".into()),
        None => location,
    };
    if folder.is_empty() {
        return Err("it has no name".into());
    }
    let folder = Folder { path: folder.into(), opened: OnceLock::new() };
    Ok((Store::Folder(folder), Path::default()))
}

#[cfg(feature = "aws")]
fn open_bucket(location: &str) -> Result<(Store, Path), String> {
    let prefix = location.trim_start_matches("s3://").split_once('/').map_or("", |(_, path)| path);
    let base = Path::parse(prefix).map_err(|error| error.to_string())?;
    let builder = object_store::aws::AmazonS3Builder::from_env().with_url(location);
    let store = builder.build().map_err(|error| error.to_string())?;
    Ok((Store::Bucket(store), base))
}

#[cfg(not(feature = "aws"))]
fn open_bucket(_: &str) -> Result<(Store, Path), String> {
    Err("this program was built without the feature aws, which knows s3://".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_named_by_path_or_url_and_made_by_whoever_writes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        let url = format!("file://{path}/url");
        for location in [path.to_owned(), format!("{path}/made"), url.clone()] {
            assert!(Archive::open(&location).is_ok(), "{location}");
        }
        assert!(!folder.path().join("url").exists(), "who reads makes nothing");
        Archive::create(&url).unwrap();
        assert!(folder.path().join("url").is_dir());

        for location in ["", "file://host/x", "http://x/y"] {
            assert!(Archive::open(location).is_err(), "{location}");
            assert!(Archive::create(location).is_err(), "{location}");
        }
        let file = folder.path().join("file");
        std::fs::write(&file, b"?").unwrap();
        assert!(Archive::create(file.to_str().unwrap()).is_err());
        if cfg!(not(feature = "aws")) {
            let refused = Archive::open("s3://bucket/x").unwrap_err().to_string();
            assert!(refused.contains("without the feature aws"), "{refused}");
        }
    }
}
