//! A folder or bucket, opened by its name.

use std::{io, path::PathBuf, sync::OnceLock};

use object_store::{ObjectStore, local::LocalFileSystem, path::Path};

use crate::error::{Absent, LocationError, StoreError};

/// Bytes of a part on its way to a folder…
const FOLDER_PART_BYTES: usize = 256 * 1024;

/// …and to a bucket, where it may not be less.
#[cfg(feature = "s3")]
const BUCKET_PART_BYTES: usize = 5 << 20;

/// Where objects are kept.
#[derive(Debug)]
pub struct Location {
    /// As it was named.
    name: String,
    kind: Kind,
    /// Within the store.
    base: Path,
}

#[derive(Debug)]
enum Kind {
    Folder(Folder),
    #[cfg(feature = "s3")]
    Bucket(object_store::aws::AmazonS3),
}

/// A folder on this machine, which whoever reads it finds empty until whoever writes it has made it.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    durable: bool,
    opened: OnceLock<(LocalFileSystem, PathBuf)>,
}

impl Folder {
    /// The store, and where it lies; `None` while it is not there.
    fn opened(&self) -> Result<Option<&(LocalFileSystem, PathBuf)>, StoreError> {
        if let Some(opened) = self.opened.get() {
            return Ok(Some(opened));
        }
        let root = match std::fs::canonicalize(&self.path) {
            Ok(root) => root,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let store = LocalFileSystem::new_with_prefix(&root)?
            .with_fsync(self.durable)
            .with_automatic_cleanup(true);
        Ok(Some(self.opened.get_or_init(|| (store, root))))
    }
}

impl Location {
    /// A folder on this machine, as a path or `file://` URL, or `s3://bucket/prefix`, where this program was
    /// built for that; keys and region are taken from the environment (`AWS_*`). For whoever reads: a folder
    /// that is not there yet has nothing in it. What is written to a `durable` one survives a power cut from
    /// then on.
    ///
    /// # Errors
    /// It is neither, or cannot be used.
    pub fn open(name: &str, durable: bool) -> Result<Self, LocationError> {
        let location = Self::named(name, durable)?;
        match location.store() {
            Ok(_) => Ok(location),
            Err(error) => Err(Self::wrong(name, error.details())),
        }
    }

    /// The same for whoever writes, who makes the folder.
    ///
    /// # Errors
    /// As [`Self::open`], or it cannot be made.
    pub fn create(name: &str, durable: bool) -> Result<Self, LocationError> {
        let location = Self::named(name, durable)?;
        location.make().map_err(|error| Self::wrong(name, error.details()))?;
        Ok(location)
    }

    fn named(name: &str, durable: bool) -> Result<Self, LocationError> {
        let wrong = |reason: &str| Err(Self::wrong(name, reason));
        let folder = match name.split_once("://") {
            Some(("s3", _)) => return Self::bucket(name),
            Some(("file", path)) if path.starts_with('/') => path,
            Some(_) => return wrong("it is no folder, file:///folder or s3://bucket/prefix"),
            None => name,
        };
        if folder.is_empty() {
            return wrong("it has no name");
        }
        let folder = Folder { path: folder.into(), durable, opened: OnceLock::new() };
        Ok(Self { name: name.to_owned(), kind: Kind::Folder(folder), base: Path::default() })
    }

    #[cfg(feature = "s3")]
    fn bucket(name: &str) -> Result<Self, LocationError> {
        let prefix = name.trim_start_matches("s3://").split_once('/').map_or("", |(_, path)| path);
        let base = Path::parse(prefix).map_err(|error| Self::wrong(name, error.to_string()))?;
        let builder = object_store::aws::AmazonS3Builder::from_env().with_url(name);
        let store = builder.build().map_err(|error| Self::wrong(name, error.to_string()))?;
        Ok(Self { name: name.to_owned(), kind: Kind::Bucket(store), base })
    }

    #[cfg(not(feature = "s3"))]
    fn bucket(name: &str) -> Result<Self, LocationError> {
        Err(Self::wrong(name, "this program was built without the feature s3, which knows s3://"))
    }

    fn wrong(name: &str, reason: impl Into<String>) -> LocationError {
        LocationError { location: name.to_owned(), reason: reason.into() }
    }

    /// Makes the folder if it is not there.
    pub(crate) fn make(&self) -> Result<(), StoreError> {
        match &self.kind {
            Kind::Folder(folder) => {
                std::fs::create_dir_all(&folder.path)?;
                folder.opened().map(drop)
            }
            #[cfg(feature = "s3")]
            Kind::Bucket(_) => Ok(()),
        }
    }

    /// As it was named.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What all of its objects' paths begin with.
    pub fn base(&self) -> &Path {
        &self.base
    }

    /// An object's path within the store.
    pub(crate) fn within(&self, path: &str) -> Result<Path, StoreError> {
        let slash = if self.base.as_ref().is_empty() { "" } else { "/" };
        let path = Path::parse(format!("{}{slash}{path}", self.base));
        Ok(path.map_err(object_store::Error::from)?)
    }

    /// What requests are sent to; `None` of a folder that is not there.
    pub fn store(&self) -> Result<Option<&dyn ObjectStore>, StoreError> {
        match &self.kind {
            Kind::Folder(folder) => {
                Ok(folder.opened()?.map(|(store, _)| store as &dyn ObjectStore))
            }
            #[cfg(feature = "s3")]
            Kind::Bucket(store) => Ok(Some(store)),
        }
    }

    /// The same for whoever needs one.
    pub(crate) fn present(&self) -> Result<&dyn ObjectStore, StoreError> {
        self.store()?.ok_or_else(|| Absent.into())
    }

    /// Where an object or folder lies, and the root that it lies in; `None` of a bucket, and of a folder that
    /// is not there.
    pub fn file(&self, path: &Path) -> Result<Option<(PathBuf, PathBuf)>, StoreError> {
        match &self.kind {
            Kind::Folder(folder) => {
                let Some((store, root)) = folder.opened()? else { return Ok(None) };
                Ok(Some((store.path_to_filesystem(path)?, root.clone())))
            }
            #[cfg(feature = "s3")]
            Kind::Bucket(_) => Ok(None),
        }
    }

    /// How large the parts of an object are that is written as its bytes come.
    pub(crate) fn part_bytes(&self) -> usize {
        match &self.kind {
            Kind::Folder(_) => FOLDER_PART_BYTES,
            #[cfg(feature = "s3")]
            Kind::Bucket(_) => BUCKET_PART_BYTES,
        }
    }
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
            assert!(Location::open(&location, true).is_ok(), "{location}");
        }
        assert!(!folder.path().join("url").exists(), "who reads makes nothing");
        Location::create(&url, true).unwrap();
        assert!(folder.path().join("url").is_dir());

        for location in ["", "file://host/x", "http://x/y"] {
            assert!(Location::open(location, true).is_err(), "{location}");
            assert!(Location::create(location, true).is_err(), "{location}");
        }
        let file = folder.path().join("file");
        std::fs::write(&file, b"?").unwrap();
        assert!(Location::create(file.to_str().unwrap(), true).is_err());
        if cfg!(not(feature = "s3")) {
            let refused = Location::open("s3://bucket/x", true).unwrap_err().to_string();
            assert!(refused.contains("without the feature s3"), "{refused}");
        }
    }
}
