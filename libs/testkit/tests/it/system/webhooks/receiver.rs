//! Endpoints: good ones and bad ones, by the path that they are asked at.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result};
use nox_contract::Timestamp;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    Good,
    Fail,
    Gone,
    /// Never answers.
    Hang,
    /// Answers a byte now and then.
    Drip,
    /// Answers ten gigabytes.
    Huge,
}

impl Behaviour {
    fn of(path: &str) -> Self {
        match path.split('/').nth(1) {
            Some("fail") => Self::Fail,
            Some("hang") => Self::Hang,
            Some("drip") => Self::Drip,
            Some("huge") => Self::Huge,
            _ => Self::Good,
        }
    }
}

struct Arrived {
    path: String,
    id: String,
    event: Value,
    late: Duration,
}

#[derive(Default)]
struct Known {
    arrived: Vec<Arrived>,
    /// From here on, times count.
    timed: usize,
    behaviours: BTreeMap<String, Behaviour>,
}

/// Endpoints at one port.
pub struct Receiver {
    port: u16,
    known: Arc<Mutex<Known>>,
}

impl Receiver {
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let known: Arc<Mutex<Known>> = Arc::default();
        let of_all = known.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let known = of_all.clone();
                tokio::spawn(async move {
                    // Whoever goes away in the middle has had enough.
                    let _ = serve(stream, &known).await;
                });
            }
        });
        Ok(Self { port, known })
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// What is answered at a path from now on.
    pub fn behave(&self, path: &str, behaviour: Behaviour) {
        self.known.lock().unwrap().behaviours.insert(path.to_owned(), behaviour);
    }

    /// How many requests came to a path.
    pub fn count(&self, path: &str) -> usize {
        let known = self.known.lock().unwrap();
        known.arrived.iter().filter(|arrived| arrived.path == path).count()
    }

    /// Events that came to a path, by their ids, each with the ids of the deliveries that brought it.
    pub fn events(&self, path: &str) -> BTreeMap<String, BTreeSet<String>> {
        let known = self.known.lock().unwrap();
        let mut events: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for arrived in known.arrived.iter().filter(|arrived| arrived.path == path) {
            let event = arrived.event["id"].as_str().unwrap_or_default();
            events.entry(event.to_owned()).or_default().insert(arrived.id.clone());
        }
        events
    }

    /// Whose jobs a path has heard of.
    pub fn owners(&self, path: &str) -> BTreeSet<String> {
        let known = self.known.lock().unwrap();
        let at_path = known.arrived.iter().filter(|arrived| arrived.path == path);
        at_path.filter_map(|of| Some(of.event["data"]["user_id"].as_str()?.to_owned())).collect()
    }

    pub fn forget_times(&self) {
        let mut known = self.known.lock().unwrap();
        known.timed = known.arrived.len();
    }

    /// Within how long 99 of 100 events came to these paths, from when they were decided.
    pub fn lateness(&self, paths: &[&str]) -> Duration {
        let known = self.known.lock().unwrap();
        let counted = known.arrived[known.timed..].iter();
        let counted = counted.filter(|arrived| paths.contains(&arrived.path.as_str()));
        let mut all: Vec<_> = counted.map(|arrived| arrived.late).collect();
        all.sort_unstable();
        all.get(all.len().saturating_sub(1) * 99 / 100).copied().unwrap_or_default()
    }
}

async fn serve(mut stream: TcpStream, known: &Mutex<Known>) -> Result<()> {
    let (path, headers, body) = request(&mut stream).await?;
    let header = |name: &str| headers.get(name).cloned().unwrap_or_default();
    let event: Value = serde_json::from_slice(&body)?;
    let behaviour = {
        let mut known = known.lock().unwrap();
        let (id, late) = (header("webhook-id"), late(&event));
        known.arrived.push(Arrived { path: path.clone(), id, event, late });
        known.behaviours.get(&path).copied().unwrap_or_else(|| Behaviour::of(&path))
    };
    let answer = match behaviour {
        Behaviour::Good => "HTTP/1.1 204 No Content\r\n\r\n",
        Behaviour::Fail => "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
        Behaviour::Gone => "HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n",
        Behaviour::Hang => {
            // Until whoever asks has had enough.
            let mut rest = [0; 1];
            while stream.read(&mut rest).await? > 0 {}
            return Ok(());
        }
        Behaviour::Drip => {
            for byte in b"HTTP/1.1 200 OK\r\nX-Drip: ".iter().chain([b'a'; 1_000].iter()) {
                stream.write_all(&[*byte]).await?;
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            return Ok(());
        }
        Behaviour::Huge => {
            stream.write_all(b"HTTP/1.1 500 Sorry\r\nContent-Length: 10000000000\r\n\r\n").await?;
            let some = vec![b'x'; 1 << 20];
            for _ in 0..10_000 {
                stream.write_all(&some).await?;
            }
            return Ok(());
        }
    };
    stream.write_all(answer.as_bytes()).await?;
    Ok(())
}

type Request = (String, BTreeMap<String, String>, Vec<u8>);

async fn request(stream: &mut TcpStream) -> Result<Request> {
    let mut read = Vec::new();
    let end = loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        anyhow::ensure!(stream.read_buf(&mut read).await? > 0, "the request broke off");
    };
    let head = std::str::from_utf8(&read[..end])?;
    let mut lines = head.split("\r\n");
    let path = lines.next().and_then(|line| line.split(' ').nth(1)).context("a path")?.to_owned();
    let headers: BTreeMap<_, _> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers.get("content-length").context("a length")?.parse()?;
    let mut body = read[end + 4..].to_vec();
    while body.len() < length {
        anyhow::ensure!(stream.read_buf(&mut body).await? > 0, "the body broke off");
    }
    Ok((path, headers, body))
}

/// How long ago the event was decided.
fn late(event: &Value) -> Duration {
    let decided: Option<Timestamp> = event["time"].as_str().and_then(|time| time.parse().ok());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = Timestamp::from_micros(i64::try_from(now.as_micros()).unwrap_or(i64::MAX));
    decided.map(|decided| now.since(decided)).unwrap_or_default()
}
