//! The scheduler's state, kept for the next one: a name, and compressed bytes.

use std::time::Duration;

use async_nats::jetstream::object_store::{ObjectMetadata, ObjectStore};
use futures_util::StreamExt;
use nox_contract::subject;
use tokio::io::AsyncReadExt;

use crate::{Broker, Error, api::StreamInfo};

/// Below the broker's 1 MiB a message; one round trip each.
const CHUNK_BYTES: usize = 512 * 1024;
/// The library waits for ever for a chunk that is not there.
const READ_WAIT: Duration = Duration::from_secs(5);
/// Snapshots are JSON-like: level 3 compresses 5 to 10 times at 300 MB/s a core.
const ZSTD_LEVEL: i32 = 3;
/// Largest snapshot, in bytes before compression: five million live jobs. More is not read into memory.
const BYTES_MAX: u64 = 4 << 30;

impl Broker {
    /// Keeps `bytes` under `name`: `<format>-<n>-<chain in hex>`.
    pub async fn put_snapshot(&self, name: &str, bytes: Vec<u8>) -> Result<(), Error> {
        let compressed = blocking(move || zstd::bulk::compress(&bytes, ZSTD_LEVEL)).await?;
        let store = self.snapshot_store().await?;
        let metadata = ObjectMetadata {
            name: name.to_owned(),
            chunk_size: Some(CHUNK_BYTES),
            ..ObjectMetadata::default()
        };
        // A slice fills whole chunks; a reader in small pieces would make a message of each.
        store.put(metadata, &mut compressed.as_slice()).await.map_err(unavailable)?;
        Ok(())
    }

    /// Deletes these snapshots, and what is left of those that were never finished.
    pub async fn delete_snapshots(&self, names: &[String]) -> Result<(), Error> {
        let store = self.snapshot_store().await?;
        for name in names {
            store.delete(name).await.map_err(unavailable)?;
        }
        self.sweep(&store).await
    }

    /// The names of the snapshots that are there, the highest `n` first.
    pub async fn snapshots(&self) -> Result<Vec<String>, Error> {
        let store = self.snapshot_store().await?;
        let mut names = Vec::new();
        for object in list(&store).await? {
            names.extend(n_of(&object.name).map(|n| (n, object.name.clone())));
        }
        names.sort_unstable_by(|a, b| b.cmp(a));
        Ok(names.into_iter().map(|(_, name)| name).collect())
    }

    /// The bytes kept under `name`, checked against their hash; `None` if there is no such snapshot.
    pub async fn get_snapshot(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        use async_nats::jetstream::object_store::GetErrorKind;

        let store = self.snapshot_store().await?;
        let mut object = match store.get(name).await {
            Ok(object) => object,
            Err(error) if error.kind() == GetErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unavailable(error)),
        };
        let mut compressed = Vec::new();
        loop {
            // `read_to_end` panics where the library finds the hash wrong after it has read.
            let read = tokio::time::timeout(READ_WAIT, object.read_buf(&mut compressed)).await;
            let stuck = |_| std::io::Error::other(format!("chunks missing after {READ_WAIT:?}"));
            if read.map_err(stuck).flatten().map_err(unreadable)? == 0 {
                break;
            }
        }
        blocking(move || decompress(&compressed)).await.map(Some)
    }

    async fn snapshot_store(&self) -> Result<ObjectStore, Error> {
        self.inner.jetstream.get_object_store(subject::SNAPSHOTS).await.map_err(unavailable)
    }

    /// Deletes the chunks of snapshots that were never finished: nothing else would, and the bucket
    /// would be full some day. A deposed leader's unfinished one is swept with them, and is of no use.
    async fn sweep(&self, store: &ObjectStore) -> Result<(), Error> {
        let chunks = format!("$O.{}.C.", subject::SNAPSHOTS);
        let stream = format!("OBJ_{}", subject::SNAPSHOTS);
        let filter = serde_json::json!({ "subjects_filter": format!("{chunks}>") });
        let info: StreamInfo = self.api(&format!("STREAM.INFO.{stream}"), &filter).await?;
        let objects = list(store).await?;
        for subject in info.state.subjects.keys() {
            let finished = objects
                .iter()
                .any(|object| subject.strip_prefix(&chunks) == Some(object.nuid.as_str()));
            if !finished {
                self.purge(&stream, serde_json::json!({ "filter": subject })).await?;
            }
        }
        Ok(())
    }
}

async fn list(
    store: &ObjectStore,
) -> Result<Vec<async_nats::jetstream::object_store::ObjectInfo>, Error> {
    let mut listed = store.list().await.map_err(unavailable)?;
    let mut objects = Vec::new();
    while let Some(object) = listed.next().await {
        objects.push(object.map_err(unavailable)?);
    }
    Ok(objects)
}

/// The `n` of `<format>-<n>-<chain>`.
fn n_of(name: &str) -> Option<u64> {
    let mut parts = name.rsplit('-');
    let _chain = parts.next()?;
    parts.next()?.parse().ok()
}

fn decompress(compressed: &[u8]) -> std::io::Result<Vec<u8>> {
    use std::io::Read;

    let mut bytes = Vec::new();
    let mut reader = zstd::stream::read::Decoder::new(compressed)?.take(BYTES_MAX + 1);
    reader.read_to_end(&mut bytes)?;
    match bytes.len() as u64 > BYTES_MAX {
        true => Err(std::io::Error::other("larger than any snapshot")),
        false => Ok(bytes),
    }
}

/// Compression takes seconds for a large state: not on a thread that others wait for.
async fn blocking(
    work: impl FnOnce() -> std::io::Result<Vec<u8>> + Send + 'static,
) -> Result<Vec<u8>, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(unreadable),
        Err(error) => Err(Error::Unavailable(error.to_string())),
    }
}

fn unreadable(error: std::io::Error) -> Error {
    Error::Unreadable { what: "snapshot", reason: error.to_string() }
}

fn unavailable(error: impl std::error::Error) -> Error {
    Error::Unavailable(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_snapshot_is_compared_as_a_number() {
        assert_eq!(n_of("state1-9-ab"), Some(9));
        assert_eq!(n_of("state-1-10-ab"), Some(10));
        assert_eq!(n_of("notes"), None);
        assert_eq!(n_of("a-b-c"), None);
    }
}
