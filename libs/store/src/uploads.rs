//! What users have uploaded: each content once for each user, under its hash.

use std::{sync::Arc, time::SystemTime};

use bytes::Bytes;
use futures_util::TryStreamExt;
use nox_contract::{
    TenantId, UserId,
    upload::{self, Upload},
};
use object_store::{ObjectStoreExt, path::Path};
use sha2::{Digest, Sha256};

use crate::{Location, StoreError, Writer};

/// What an upload is called before its hash is known.
pub(crate) const INCOMING: &str = "incoming-";

/// The store of uploads.
#[derive(Debug, Clone)]
pub struct Uploads {
    pub(crate) location: Arc<Location>,
}

/// Whose uploads.
#[derive(Debug, Clone, Copy)]
pub struct Uploader<'a> {
    pub tenant: &'a TenantId,
    pub user: &'a UserId,
}

/// An upload that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// In bytes.
    pub size: u64,
    /// When it was uploaded last.
    pub at: SystemTime,
}

/// An upload whose bytes are coming.
pub struct Incoming<'u> {
    uploads: &'u Uploads,
    uploader: Uploader<'u>,
    path: Path,
    writer: Writer,
}

/// Why a text that inputs refer to is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    #[error("there is no such upload, or it has expired")]
    Absent,
    #[error("it is no text in UTF-8")]
    NoText,
    #[error("it has more than {0} bytes")]
    TooLarge(u64),
    #[error("it is not what was uploaded: its SHA-256 is another one")]
    Damaged,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Uploads {
    /// Begins an upload. `unique` is what no other one has.
    ///
    /// # Errors
    /// The store does not take it.
    pub async fn begin<'u>(
        &'u self,
        uploader: Uploader<'u>,
        unique: impl std::fmt::Display,
    ) -> Result<Incoming<'u>, StoreError> {
        self.location.make()?;
        let path = self.path(uploader, &format!("{INCOMING}{unique}"))?;
        let writer = self.location.writer(&path).await?;
        Ok(Incoming { uploads: self, uploader, path, writer })
    }

    /// How many bytes a user's uploads have.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn usage(&self, uploader: Uploader<'_>) -> Result<u64, StoreError> {
        let Some(store) = self.location.store()? else { return Ok(0) };
        let Uploader { tenant, user } = uploader;
        let prefix = self.location.within(&upload::prefix(tenant, user))?;
        let objects = store.list(Some(&prefix)).map_err(StoreError::from);
        objects.try_fold(0, async |sum, object| Ok(sum + object.size)).await
    }

    /// The upload with this hash, if there is one.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn find(
        &self,
        uploader: Uploader<'_>,
        sha256: &str,
    ) -> Result<Option<Stored>, StoreError> {
        let Some(store) = self.location.store()? else { return Ok(None) };
        match store.head(&self.path(uploader, sha256)?).await {
            Ok(meta) => Ok(Some(Stored { size: meta.size, at: meta.last_modified.into() })),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The text of an upload, compared with its hash.
    ///
    /// # Errors
    /// It is not there, no text, larger than `bytes_max`, or not what was uploaded; or the store does not
    /// answer.
    pub async fn text(
        &self,
        uploader: Uploader<'_>,
        sha256: &str,
        bytes_max: u64,
    ) -> Result<String, TextError> {
        let store = self.location.store()?.ok_or(TextError::Absent)?;
        let found = match store.get(&self.path(uploader, sha256)?).await {
            Err(object_store::Error::NotFound { .. }) => return Err(TextError::Absent),
            found => found.map_err(StoreError::from)?,
        };
        if found.meta.size > bytes_max {
            return Err(TextError::TooLarge(bytes_max));
        }
        let bytes = found.bytes().await.map_err(StoreError::from)?;
        if hex::encode(Sha256::digest(&bytes)) != sha256 {
            return Err(TextError::Damaged);
        }
        String::from_utf8(bytes.into()).map_err(|_| TextError::NoText)
    }

    fn path(&self, uploader: Uploader<'_>, name: &str) -> Result<Path, StoreError> {
        let Uploader { tenant, user } = uploader;
        self.location.within(&format!("{}/{name}", upload::prefix(tenant, user)))
    }
}

impl Incoming<'_> {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// The store does not take them.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        self.writer.write(bytes).await
    }

    /// How many bytes it has so far.
    pub fn size(&self) -> u64 {
        self.writer.size()
    }

    /// Ends it, unless that takes the user beyond `quota` bytes; then `None`, and it is gone. Returns the
    /// upload, and whether it is new: the same content again only begins its time anew.
    ///
    /// # Errors
    /// The store does not take it.
    pub async fn finish(self, quota: u64) -> Result<Option<(Upload, bool)>, StoreError> {
        let Self { uploads, uploader, path, writer } = self;
        let written = writer.finish().await?;
        let Uploader { tenant, user } = uploader;
        let is_new = uploads.find(uploader, &written.sha256).await?.is_none();
        // It is among them already.
        if is_new && uploads.usage(uploader).await? > quota {
            uploads.location.remove(&path).await?;
            return Ok(None);
        }
        let store = uploads.location.present()?;
        store.rename(&path, &uploads.path(uploader, &written.sha256)?).await?;
        let id = upload::id(tenant, user, &written.sha256);
        Ok(Some((Upload { id, sha256: written.sha256, size: written.size }, is_new)))
    }

    /// Leaves nothing of it.
    pub async fn abort(self) {
        self.writer.abort().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Artifacts;

    const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

    #[tokio::test]
    async fn the_same_content_is_one_upload_and_other_users_have_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let uploads = Artifacts::open(folder.path().to_str().unwrap(), false).unwrap().uploads();
        let (tenant, ada, eve) =
            ("acme".parse().unwrap(), "ada".parse().unwrap(), "e/ve".parse().unwrap());
        let (ada, eve) =
            (Uploader { tenant: &tenant, user: &ada }, Uploader { tenant: &tenant, user: &eve });
        let put = async |uploader, unique: u32, text: &'static str, quota| {
            let mut incoming = uploads.begin(uploader, unique).await.unwrap();
            incoming.write(text.into()).await.unwrap();
            incoming.finish(quota).await.unwrap()
        };
        let (first, is_new) = put(ada, 1, "hello", 100).await.unwrap();
        assert_eq!((&*first.sha256, first.size, is_new), (HELLO, 5, true));
        assert_eq!(put(ada, 2, "hello", 0).await.unwrap(), (first.clone(), false));
        assert_eq!(uploads.usage(ada).await.unwrap(), 5);
        let (other, is_new) = put(eve, 3, "hello", 100).await.unwrap();
        assert!(other.id != first.id && is_new);
        // Beyond what is allowed nothing of it stays.
        assert_eq!(put(ada, 4, "more", 8).await, None);
        assert_eq!(uploads.usage(ada).await.unwrap(), 5);
        assert!(put(ada, 5, "more", 9).await.is_some());

        assert_eq!(uploads.text(ada, HELLO, 5).await.unwrap(), "hello");
        assert!(matches!(uploads.text(ada, HELLO, 4).await, Err(TextError::TooLarge(4))));
        assert!(matches!(uploads.text(ada, &"0".repeat(64), 4).await, Err(TextError::Absent)));
        let file = folder.path().join(format!("=uploads/acme/ada/{HELLO}"));
        std::fs::write(file, "hullo").unwrap();
        assert!(matches!(uploads.text(ada, HELLO, 5).await, Err(TextError::Damaged)));
    }
}
