//! One address whose connections go to several databases in turn: what a client's pool sees while a
//! failover is under way. As some poolers do, it passes on who connects, and no other parameter.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

/// Longest start-up message that is passed on; ours has some hundred bytes.
const START_UP_BYTES_MAX: usize = 10_000;

/// What a client asks first that would speak TLS.
const SSL_REQUEST: [u8; 4] = 80_877_103_u32.to_be_bytes();

/// The address. Dropping it takes no further connections.
pub struct Turns {
    folder: TempDir,
    task: JoinHandle<()>,
}

impl Turns {
    /// Listens on a socket of its own, and passes connections on to `socket`, whatever database they
    /// name: the first to the first of `databases`, and so on.
    pub(crate) fn start(socket: PathBuf, databases: &[&str]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("nox-").tempdir()?;
        let listener = UnixListener::bind(folder.path().join(super::postgres::SOCKET))?;
        let databases: Arc<[String]> = databases.iter().map(|name| (*name).to_owned()).collect();
        let next = Arc::new(AtomicUsize::new(0));
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (socket, databases, next) = (socket.clone(), databases.clone(), next.clone());
                tokio::spawn(async move {
                    let database =
                        &databases[next.fetch_add(1, Ordering::Relaxed) % databases.len()];
                    // Either side may hang up at any time.
                    let _ = pass_on(client, &socket, database).await;
                });
            }
        });
        Ok(Self { folder, task })
    }

    /// For the user `nox`.
    pub fn url(&self) -> String {
        format!("postgres://nox@localhost/any?host={}", self.folder.path().display())
    }
}

impl Drop for Turns {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass_on(mut client: UnixStream, socket: &Path, database: &str) -> Result<()> {
    let mut message = start_up(&mut client).await?;
    if message == SSL_REQUEST {
        client.write_all(b"N").await?;
        message = start_up(&mut client).await?;
    }

    let mut server = UnixStream::connect(socket).await?;
    let message = naming(&message, database)?;
    server.write_u32(message.len() as u32 + 4).await?;
    server.write_all(&message).await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

async fn start_up(client: &mut UnixStream) -> Result<Vec<u8>> {
    let length = client.read_u32().await? as usize;
    let length = length.checked_sub(4).filter(|length| *length <= START_UP_BYTES_MAX);
    let mut message = vec![0; length.context("no start-up message")?];
    client.read_exact(&mut message).await?;
    Ok(message)
}

/// The version, then names and values, each ended by a zero, and one more in the end. Of these the user
/// is kept, and the database is `database`.
fn naming(message: &[u8], database: &str) -> io::Result<Vec<u8>> {
    let short = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let (version, parameters) = message.split_at_checked(4).ok_or_else(short)?;
    let mut words = parameters.split(|byte| *byte == 0);
    let mut changed = version.to_vec();
    while let (Some(name), Some(value)) =
        (words.next().filter(|name| !name.is_empty()), words.next())
    {
        let value = match name {
            b"database" => database.as_bytes(),
            b"user" => value,
            _ => continue,
        };
        for word in [name, value] {
            changed.extend_from_slice(word);
            changed.push(0);
        }
    }
    changed.push(0);
    Ok(changed)
}
