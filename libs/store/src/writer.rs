//! An object that is written as its bytes come: whole under its name at the end, and never before.

use bytes::Bytes;
use object_store::{ObjectStoreExt, WriteMultipart, path::Path};
use sha2::{Digest, Sha256};

use crate::{Location, StoreError};

/// Parts of an object on their way to the store.
const PARTS_IN_FLIGHT: usize = 4;

/// An object that is being written. One that is dropped leaves nothing under its name.
pub struct Writer {
    upload: WriteMultipart,
    hash: Sha256,
    size: u64,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    pub size: u64,
    /// In lower-case hexadecimal digits.
    pub sha256: String,
}

impl Location {
    /// Begins the object at `path`; another one that is there stays until this one is whole.
    ///
    /// # Errors
    /// The store does not take it.
    pub async fn writer(&self, path: &Path) -> Result<Writer, StoreError> {
        let upload = self.present()?.put_multipart_opts(path, Default::default()).await?;
        let upload = WriteMultipart::new_with_chunk_size(upload, self.part_bytes());
        Ok(Writer { upload, hash: Sha256::new(), size: 0 })
    }

    /// Removes the object at `path`, if there is one.
    pub(crate) async fn remove(&self, path: &Path) -> Result<(), StoreError> {
        let Some(store) = self.store()? else { return Ok(()) };
        match store.delete(path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Writer {
    /// Takes the next bytes; waits while there are too many on their way.
    ///
    /// # Errors
    /// The store did not take earlier ones, as when it is full.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        self.hash.update(&bytes);
        self.size += bytes.len() as u64;
        self.upload.wait_for_capacity(PARTS_IN_FLIGHT).await?;
        self.upload.put(bytes);
        Ok(())
    }

    /// How many bytes it has so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Ends it: from here on it is there.
    ///
    /// # Errors
    /// The store did not take all of it; then it is not there.
    pub async fn finish(self) -> Result<Written, StoreError> {
        self.upload.finish().await?;
        Ok(Written { size: self.size, sha256: hex::encode(self.hash.finalize()) })
    }

    /// Leaves nothing of it.
    pub async fn abort(self) {
        if let Err(error) = self.upload.abort().await {
            tracing::debug!(%error, "What was written of an object stays until it is collected");
        }
    }
}
