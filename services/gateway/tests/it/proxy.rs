//! Stands between a gateway and the broker, and holds back what the broker says.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, watch},
};

/// What does not get through to the gateway for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    Nothing,
    /// Acknowledgements of writes.
    Acks,
    /// These, and the scheduler's answers.
    AcksAndAnswers,
}

pub struct Proxy {
    /// Of the broker, with user and password, by way of here.
    pub url: String,
    held: watch::Sender<Held>,
    /// All that the gateway has written.
    written: Arc<Mutex<Vec<u8>>>,
}

impl Proxy {
    /// `url` is the broker's. Where `nameless`, the broker is not told what messages are called.
    pub async fn start(url: &str, nameless: bool) -> Self {
        let (before, host) = url.rsplit_once('@').expect("a user in the broker's URL");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = format!("{before}@{}", listener.local_addr().unwrap());
        let proxy =
            Self { url: own, held: watch::Sender::new(Held::Nothing), written: Arc::default() };
        let (host, held, written) =
            (host.to_owned(), proxy.held.subscribe(), proxy.written.clone());
        tokio::spawn(async move {
            while let Ok((gateway, _)) = listener.accept().await {
                let broker = TcpStream::connect(&host).await.expect("the broker is there");
                let ((from_gateway, to_gateway), (from_broker, to_broker)) =
                    (gateway.into_split(), broker.into_split());
                tokio::spawn(up(from_gateway, to_broker, written.clone(), nameless));
                let (frames, coming) = mpsc::unbounded_channel();
                tokio::spawn(read_frames(from_broker, frames));
                tokio::spawn(down(coming, to_gateway, held.clone()));
            }
        });
        proxy
    }

    pub fn hold(&self, held: Held) {
        self.held.send_replace(held);
    }

    /// How often the gateway has published commands.
    pub fn commands_published(&self) -> usize {
        let written = self.written.lock().unwrap();
        written.windows(12).filter(|bytes| bytes == b"PUB nox.cmd.").count()
    }
}

async fn up(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    written: Arc<Mutex<Vec<u8>>>,
    nameless: bool,
) {
    const NAME: &[u8] = b"Nats-Msg-Id";

    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let mut chunk = buffer[..count].to_vec();
        written.lock().unwrap().extend_from_slice(&chunk);
        let name = chunk.windows(NAME.len()).position(|bytes| bytes == NAME);
        if let Some(place) = name.filter(|_| nameless) {
            // As long as before, and nothing to the broker.
            chunk[place] = b'X';
        }
        if to.write_all(&chunk).await.is_err() {
            return;
        }
    }
}

/// One message, or another word of the broker, whole.
struct Frame {
    kind: Held,
    bytes: Vec<u8>,
}

async fn read_frames(from: OwnedReadHalf, frames: mpsc::UnboundedSender<Frame>) {
    let mut from = BufReader::new(from);
    loop {
        let mut bytes = Vec::new();
        if !matches!(from.read_until(b'\n', &mut bytes).await, Ok(1..)) {
            return;
        }
        let line = String::from_utf8_lossy(&bytes).into_owned();
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut kind = Held::Nothing;
        // MSG <subject> <sid> [reply-to] <bytes>, HMSG the same with the headers' bytes before.
        if let ["MSG" | "HMSG", subject, .., length] = words[..] {
            let mut rest = vec![0; length.parse::<usize>().unwrap() + 2];
            if from.read_exact(&mut rest).await.is_err() {
                return;
            }
            bytes.extend(rest);
            kind = match subject.rsplit('.').nth(1) {
                Some("p") => Held::Acks,
                Some("a") => Held::AcksAndAnswers,
                _ => Held::Nothing,
            };
        }
        if frames.send(Frame { kind, bytes }).is_err() {
            return;
        }
    }
}

async fn down(
    mut coming: mpsc::UnboundedReceiver<Frame>,
    mut to: OwnedWriteHalf,
    mut held: watch::Receiver<Held>,
) {
    let mut back: Vec<Frame> = Vec::new();
    loop {
        tokio::select! {
            frame = coming.recv() => {
                let Some(frame) = frame else { return };
                back.push(frame);
            }
            changed = held.changed() => if changed.is_err() { return },
        }
        let holds = *held.borrow();
        let is_held = |frame: &Frame| match holds {
            Held::Nothing => false,
            Held::Acks => frame.kind == Held::Acks,
            Held::AcksAndAnswers => frame.kind != Held::Nothing,
        };
        let (keep, go): (Vec<_>, Vec<_>) = back.into_iter().partition(is_held);
        back = keep;
        for frame in go {
            if to.write_all(&frame.bytes).await.is_err() {
                return;
            }
        }
    }
}
