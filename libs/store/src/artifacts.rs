//! The kept files of attempts, each under its attempt's prefix. Whether anybody may see them there, the
//! fact that completes the job says, and no list of the store.

use std::{
    fs::File,
    io::{self, Seek, SeekFrom},
    ops::Range,
    path::PathBuf,
    sync::Arc,
};

use bytes::{Bytes, BytesMut};
use futures_util::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use nox_contract::{Attempt, JobId, TenantId, UserId, artifact};
use object_store::{GetOptions, GetRange, path::Path};
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use tokio::io::AsyncReadExt;

use crate::{Location, LocationError, StoreError, Uploads, Writer};

/// Bytes of a file in a folder that are read at a time.
const READ_BYTES: usize = 64 * 1024;

/// Files removed at a time.
const REMOVALS_AT_A_TIME: usize = 16;

/// The store of kept files.
#[derive(Debug)]
pub struct Artifacts {
    pub(crate) location: Arc<Location>,
}

/// Whose files.
#[derive(Debug, Clone, Copy)]
pub struct Owner<'a> {
    pub tenant: &'a TenantId,
    pub user: &'a UserId,
    pub job: JobId,
    pub attempt: Attempt,
}

/// A file that is being read.
pub struct Reading {
    /// Of the whole file, in bytes.
    pub size: u64,
    pub bytes: BoxStream<'static, Result<Bytes, StoreError>>,
}

impl Artifacts {
    /// For whoever reads, and only keeps uploads. `durable` ones survive a power cut.
    ///
    /// # Errors
    /// As [`Location::open`].
    pub fn open(location: &str, durable: bool) -> Result<Self, LocationError> {
        Ok(Self { location: Arc::new(Location::open(location, durable)?) })
    }

    /// For whoever writes. `durable` files survive a power cut before the fact that names them is written.
    ///
    /// # Errors
    /// As [`Location::create`].
    pub fn create(location: &str, durable: bool) -> Result<Self, LocationError> {
        Ok(Self { location: Arc::new(Location::create(location, durable)?) })
    }

    /// What users have uploaded lies in the same store.
    pub fn uploads(&self) -> Uploads {
        Uploads { location: self.location.clone() }
    }

    /// Begins the file `name`, which is in the form of [`artifact::name`].
    ///
    /// # Errors
    /// The store does not take it.
    pub async fn write(&self, owner: Owner<'_>, name: &str) -> Result<Writer, StoreError> {
        self.location.writer(&self.path(owner, name)?).await
    }

    /// Reads a file, or a part of it, as it is taken.
    ///
    /// # Errors
    /// It is not there, or the store does not answer.
    pub async fn read(
        &self,
        owner: Owner<'_>,
        name: &str,
        range: Option<Range<u64>>,
    ) -> Result<Reading, StoreError> {
        let path = self.path(owner, name)?;
        if let Some((file, root)) = self.location.file(&path)? {
            return from_folder(file, root, range).await;
        }
        let options = GetOptions { range: range.map(GetRange::Bounded), ..GetOptions::default() };
        let found = self.location.present()?.get_opts(&path, options).await?;
        let size = found.meta.size;
        Ok(Reading { size, bytes: found.into_stream().map_err(StoreError::from).boxed() })
    }

    /// Removes all that an attempt has left; returns how many files that were.
    ///
    /// # Errors
    /// The store does not answer; some may be gone.
    pub async fn remove(&self, owner: Owner<'_>) -> Result<usize, StoreError> {
        let Some(store) = self.location.store()? else { return Ok(0) };
        let files = store.list(Some(&self.prefix(owner)?)).map_err(StoreError::from);
        let removed =
            files.map_ok(|file| async move { self.location.remove(&file.location).await });
        let removed = removed.try_buffer_unordered(REMOVALS_AT_A_TIME);
        removed.try_fold(0, async |count, ()| Ok(count + 1)).await
    }

    fn prefix(&self, owner: Owner<'_>) -> Result<Path, StoreError> {
        let Owner { tenant, user, job, attempt } = owner;
        self.location.within(&artifact::prefix(tenant, user, job, attempt))
    }

    fn path(&self, owner: Owner<'_>, name: &str) -> Result<Path, StoreError> {
        let Owner { tenant, user, job, attempt } = owner;
        let prefix = artifact::prefix(tenant, user, job, attempt);
        self.location.within(&format!("{prefix}/{}", artifact::key(name)))
    }
}

/// Reads a file that lies beneath `root`. No link is followed on the way there: a job that can write to the
/// folder must not have somebody else read for it what lies elsewhere.
async fn from_folder(
    file: PathBuf,
    root: PathBuf,
    range: Option<Range<u64>>,
) -> Result<Reading, StoreError> {
    let opening = tokio::task::spawn_blocking(move || {
        let within = file.strip_prefix(&root).unwrap_or(&file);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let folder = File::open(&root)?;
        let mut opened: File = openat2(folder, within, flags, Mode::empty(), resolve)?.into();
        let metadata = opened.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        let size = metadata.len();
        let range = range.unwrap_or(0..size);
        opened.seek(SeekFrom::Start(range.start))?;
        Ok((opened, size, range.end.saturating_sub(range.start)))
    });
    let (file, size, left) = opening.await.map_err(io::Error::other)??;
    let file = tokio::fs::File::from_std(file);
    let bytes = stream::try_unfold((file, left), |(mut file, left)| async move {
        if left == 0 {
            return Ok::<_, StoreError>(None);
        }
        let mut chunk = BytesMut::with_capacity(READ_BYTES);
        let read = (&mut file).take(left).read_buf(&mut chunk).await?;
        if read == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        Ok(Some((chunk.freeze(), (file, left - read as u64))))
    });
    Ok(Reading { size, bytes: bytes.boxed() })
}
