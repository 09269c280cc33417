//! Hears what services tell each other in passing: a core subscription by hand, for what no stream
//! keeps and no library of ours offers.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};
use tokio_util::task::AbortOnDropHandle;

/// How long the broker may take to greet.
const GREETING_WITHIN: Duration = Duration::from_secs(5);

/// A message as it passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    pub subject: String,
    pub payload: Vec<u8>,
}

/// Listens until it is dropped.
pub struct Wiretap {
    heard: Arc<Mutex<Vec<Heard>>>,
    _task: AbortOnDropHandle<()>,
}

impl Wiretap {
    /// Listens on `subject`, wildcards allowed; `url` is `nats://user:password@host:port`, the first of several.
    pub async fn start(url: &str, subject: &str) -> Result<Self> {
        let url = url.split(',').next().context("no URL")?;
        let rest = url.strip_prefix("nats://").context("not a broker's URL")?;
        let (credentials, host) = rest.split_once('@').context("no credentials")?;
        let (user, password) = credentials.split_once(':').context("no password")?;
        let (reader, mut writer) = TcpStream::connect(host).await?.into_split();
        let mut reader = BufReader::new(reader);
        let hello = serde_json::json!({
            "verbose": false, "pedantic": false, "user": user, "pass": password, "headers": false,
        });
        let greeting = format!("CONNECT {hello}\r\nSUB {subject} 1\r\nPING\r\n");
        writer.write_all(greeting.as_bytes()).await?;
        tokio::time::timeout(GREETING_WITHIN, async {
            loop {
                let line = line(&mut reader).await?;
                ensure!(!line.starts_with("-ERR"), "the broker says {line}");
                if line == "PONG" {
                    return anyhow::Ok(());
                }
            }
        })
        .await
        .context("the broker does not greet")??;

        let heard = Arc::<Mutex<Vec<Heard>>>::default();
        let into = heard.clone();
        let task = tokio::spawn(async move {
            // It ends with the connection: what was heard until then counts.
            let _ = listen(&mut reader, &mut writer, &into).await;
        });
        Ok(Self { heard, _task: AbortOnDropHandle::new(task) })
    }

    /// Everything so far.
    pub fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn listen(
    reader: &mut (impl AsyncBufReadExt + Unpin),
    writer: &mut (impl AsyncWriteExt + Unpin),
    heard: &Mutex<Vec<Heard>>,
) -> Result<()> {
    loop {
        let line = line(reader).await?;
        if line == "PING" {
            writer.write_all(b"PONG\r\n").await?;
            continue;
        }
        // MSG <subject> <sid> [reply-to] <bytes>
        let Some(message) = line.strip_prefix("MSG ") else { continue };
        let words: Vec<&str> = message.split(' ').collect();
        let bytes: usize = words.last().context("no length")?.parse()?;
        let mut payload = vec![0; bytes + 2];
        reader.read_exact(&mut payload).await?;
        payload.truncate(bytes);
        let subject = words[0].to_owned();
        let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.push(Heard { subject, payload });
    }
}

async fn line(reader: &mut (impl AsyncBufReadExt + Unpin)) -> Result<String> {
    let mut line = String::new();
    ensure!(reader.read_line(&mut line).await? > 0, "the broker hung up");
    Ok(line.trim_end().to_owned())
}
