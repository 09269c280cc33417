//! The folder or bucket that segments are kept in.

use std::{ops::Range, path::PathBuf, sync::Arc};

use bytes::Bytes;
use futures_util::TryStreamExt;
use nox_contract::Incarnation;
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
}

#[derive(Debug)]
enum Store {
    Folder {
        store: LocalFileSystem,
        root: PathBuf,
    },
    #[cfg(feature = "aws")]
    Bucket(object_store::aws::AmazonS3),
}

impl Archive {
    /// A folder on this machine, as a path or `file://` URL, made if it is absent; or `s3://bucket/prefix`,
    /// where this program was built for that; keys and region are taken from the environment (`AWS_*`).
    ///
    /// # Errors
    /// It is neither, or cannot be used.
    pub fn open(location: &str) -> Result<Self, ArchiveError> {
        let (store, base) = open(location)
            .map_err(|reason| ArchiveError::Location { location: location.to_owned(), reason })?;
        Ok(Self { inner: Arc::new(Inner { location: location.to_owned(), store, base }) })
    }

    /// The segments of one life of the log.
    pub fn log(&self, incarnation: &Incarnation) -> LogArchive {
        let folder = name::folder(&self.inner.base, incarnation);
        LogArchive::new(self.clone(), incarnation.clone(), folder)
    }

    /// The lives of the log that something is kept of.
    pub async fn incarnations(&self) -> Result<Vec<Incarnation>, ArchiveError> {
        let folder = self.inner.base.clone().join(name::LOG);
        let list = self.store().list_with_delimiter(Some(&folder)).await;
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
        let list = self.store().list(Some(folder)).try_collect().await;
        list.map_err(|error| self.unavailable(&error))
    }

    /// `None` if there is no such object.
    pub(crate) async fn get(&self, path: &Path) -> Result<Option<Bytes>, ArchiveError> {
        let get = async { self.store().get(path).await?.bytes().await };
        self.found(get.await)
    }

    /// `None` if there is no such object, or it ends before the range begins.
    pub(crate) async fn get_range(
        &self,
        path: &Path,
        range: Range<u64>,
    ) -> Result<Option<Bytes>, ArchiveError> {
        self.found(self.store().get_range(path, range).await)
    }

    /// Stores an object and returns true, or leaves the one that has its name and returns false; either is
    /// on stable storage then.
    pub(crate) async fn put_if_absent(
        &self,
        path: &Path,
        bytes: Bytes,
    ) -> Result<bool, ArchiveError> {
        let put = self.store().put_opts(path, PutPayload::from(bytes), PutMode::Create.into());
        let is_new = match put.await {
            Ok(_) => true,
            Err(Error::AlreadyExists { .. }) => false,
            Err(error) => return Err(self.unavailable(&error)),
        };
        self.sync(path).await?;
        Ok(is_new)
    }

    /// An object that was there already may be one whose writer was cut off before it was synced.
    async fn sync(&self, path: &Path) -> Result<(), ArchiveError> {
        let (file, root) = match &self.inner.store {
            Store::Folder { store, root } => {
                let file = store.path_to_filesystem(path);
                (file.map_err(|error| self.unavailable(&error))?, root.clone())
            }
            #[cfg(feature = "aws")]
            Store::Bucket(_) => return Ok(()),
        };
        let sync = tokio::task::spawn_blocking(move || {
            // The file, the folders above it, and the one that the root is named in.
            let within = file.ancestors().take_while(|path| path.starts_with(&root));
            for path in within.chain(root.parent()) {
                std::fs::File::open(path)?.sync_all()?;
            }
            Ok::<_, std::io::Error>(())
        });
        match sync.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.unavailable(&error)),
            Err(error) => Err(self.unavailable(&error)),
        }
    }

    fn store(&self) -> &dyn ObjectStore {
        match &self.inner.store {
            Store::Folder { store, .. } => store,
            #[cfg(feature = "aws")]
            Store::Bucket(store) => store,
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
    let in_folder = || {
        std::fs::create_dir_all(folder)?;
        let root = std::fs::canonicalize(folder)?;
        let store = LocalFileSystem::new_with_prefix(&root)?.with_fsync(true);
        Ok::<_, Box<dyn std::error::Error>>((Store::Folder { store, root }, Path::default()))
    };
    in_folder().map_err(|error| error.to_string())
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
    fn a_folder_is_named_by_path_or_url_and_anything_else_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        for location in [path.to_owned(), format!("{path}/made"), format!("file://{path}/url")] {
            assert!(Archive::open(&location).is_ok(), "{location}");
        }
        assert!(folder.path().join("url").is_dir());

        for location in ["", "file://host/x", "http://x/y"] {
            assert!(Archive::open(location).is_err(), "{location}");
        }
        if cfg!(not(feature = "aws")) {
            let refused = Archive::open("s3://bucket/x").unwrap_err().to_string();
            assert!(refused.contains("without the feature aws"), "{refused}");
        }
    }
}
