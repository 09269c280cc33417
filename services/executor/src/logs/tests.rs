use std::{
    io,
    pin::Pin,
    sync::Mutex,
    task::{Context, Poll},
};

use nox_contract::StartWork;
use tokio::io::{AsyncWriteExt, DuplexStream, ReadBuf};

use super::{
    side::{HEAD_BYTES, TAIL_BYTES, TAIL_FOR_ERRORS, notice},
    *,
};
use crate::{log_buffer::Piece, log_writer::Logs, metrics::Metrics, start_work::start_work};

fn start() -> StartWork {
    start_work("0193a000-0000-7000-8000-000000000001".parse().unwrap(), "{}")
}

fn logs() -> Logs {
    Logs::new(Metrics::register(&prometheus::Registry::new()).unwrap())
}

fn store(logs: &Logs) -> Option<Piece> {
    let sent = logs.next_piece()?;
    logs.stored(&sent, Duration::ZERO);
    Some(sent.piece)
}

/// What a program prints by these two hands.
fn pipes() -> (DuplexStream, DuplexStream, Output<DuplexStream, DuplexStream>) {
    let ((out, stdout), (err, stderr)) = (tokio::io::duplex(64), tokio::io::duplex(64));
    (out, err, Output { stdout: Some(stdout), stderr: Some(stderr) })
}

async fn read(
    log: AttemptLog,
    mask: Mask,
    output: Output<impl AsyncRead, impl AsyncRead>,
) -> (Vec<u8>, Vec<u8>) {
    let capture =
        Capture { log: &log, mask: &mask, whole: [false; 2], progress: None, tell: &|_| () };
    capture.read(output).await
}

/// All pieces until both streams have ended, or one of which something came.
async fn pieces(logs: &Logs, streams: usize) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    while pieces.iter().filter(|piece| piece.end).count() < streams {
        match store(logs) {
            Some(piece) => pieces.push(piece),
            None => tokio::task::yield_now().await,
        }
    }
    pieces
}

#[tokio::test]
async fn a_line_is_handed_on_soon_though_the_attempt_goes_on() {
    let logs = logs();
    let log = logs.open(&start());
    let (mut program, err, output) = pipes();
    let task = tokio::spawn(read(log, Mask::default(), output));
    let clock = nox_service::Clock::system();
    let mut took = Vec::new();
    for _ in 0..5 {
        let began = clock.monotonic();
        program.write_all(b"hello\n").await.unwrap();
        let piece = loop {
            logs.more().await;
            if let Some(piece) = store(&logs) {
                break piece;
            }
        };
        took.push(clock.monotonic() - began);
        assert_eq!((&piece.bytes[..], piece.stream), (&b"hello\n"[..], Stream::Stdout));
    }
    took.sort();
    assert!(took[2] < Duration::from_millis(300), "{took:?}");
    drop((program, err));
    assert_eq!(task.await.unwrap().0, b"hello\n".repeat(5));
    assert!(store(&logs).unwrap().end);
}

#[tokio::test]
async fn what_two_streams_print_is_told_in_the_order_in_which_it_came() {
    let logs = logs();
    let log = logs.open(&start());
    let (mut out, mut err, output) = pipes();
    let task = tokio::spawn(read(log, Mask::default(), output));
    let mut printed = Vec::new();
    for number in 0..20 {
        let stream = if number % 3 == 0 { &mut err } else { &mut out };
        stream.write_all(format!("{number} ").as_bytes()).await.unwrap();
        printed.push(format!("{number} "));
        // Read before the next is printed; less than any piece has to wait.
        sleep(Duration::from_millis(2)).await;
    }
    drop((out, err));
    task.await.unwrap();
    let pieces = pieces(&logs, 2).await;
    let told: String = pieces.iter().map(|p| String::from_utf8_lossy(&p.bytes)).collect();
    assert_eq!(told, printed.concat());
    // Not a piece for each: what one stream prints in a row is one.
    assert!(pieces.len() <= 17, "{}", pieces.len());
}

/// Reads `length` bytes, each of which says where it stands, to one power of two.
struct Flood {
    at: usize,
    length: usize,
}

fn byte_at(at: usize) -> u8 {
    b'a' + u8::try_from((at / 1_000) % 26).unwrap()
}

impl AsyncRead for Flood {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let count = buffer.remaining().min(self.length - self.at);
        let bytes: Vec<u8> = (self.at..self.at + count).map(byte_at).collect();
        buffer.put_slice(&bytes);
        self.at += count;
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn of_a_flood_the_beginning_and_the_end_are_kept_and_what_is_missing_is_counted() {
    const LENGTH: usize = 100_000_000;
    let logs = logs();
    let log = logs.open(&start());
    let output =
        Output { stdout: None::<tokio::io::Empty>, stderr: Some(Flood { at: 0, length: LENGTH }) };
    let (tail, pieces) = tokio::join!(read(log, Mask::default(), output), pieces(&logs, 1));
    assert!(tail.1.len() == TAIL_FOR_ERRORS && tail.1[0] == byte_at(LENGTH - TAIL_FOR_ERRORS));
    let mut at = 0;
    let (mut kept, mut missing) = (0, 0);
    for piece in &pieces {
        at += usize::try_from(piece.missing).unwrap();
        missing += piece.missing;
        kept += piece.length;
        if piece.length > 0 {
            assert_eq!(piece.offset, at as u64);
            for (place, byte) in piece.bytes.iter().enumerate() {
                assert_eq!(*byte, byte_at(at + place), "{at}");
            }
            at += piece.bytes.len();
        }
        assert!(piece.bytes.len() <= 2 * CHUNK_BYTES);
    }
    assert_eq!(at, LENGTH);
    let most = (HEAD_BYTES + TAIL_BYTES) as u64;
    assert_eq!((kept, missing), (most, LENGTH as u64 - most));
    let words = pieces.iter().filter(|piece| piece.bytes == notice().as_bytes());
    assert_eq!(words.count(), 1);
}

#[tokio::test]
async fn what_just_fits_is_kept_whole_and_in_whole_characters() {
    let logs = logs();
    let log = logs.open(&start());
    let text = "€".repeat((HEAD_BYTES + TAIL_BYTES) / 3);
    let output = Output { stdout: Some(text.as_bytes()), stderr: None::<&[u8]> };
    let (_, pieces) = tokio::join!(read(log, Mask::default(), output), pieces(&logs, 1));
    assert!(pieces.iter().all(|piece| piece.missing == 0));
    let printed = pieces.iter().filter(|piece| piece.length > 0);
    let all: Vec<u8> = printed.flat_map(|piece| piece.bytes.to_vec()).collect();
    assert!(all == text.as_bytes());
    // The same, with some in the middle missing: no half character stands at either side.
    let log = logs.open(&start());
    let text = "€".repeat(HEAD_BYTES);
    let output = Output { stdout: Some(text.as_bytes()), stderr: None::<&[u8]> };
    let (_, pieces) = tokio::join!(read(log, Mask::default(), output), self::pieces(&logs, 1));
    let after = pieces.iter().find(|piece| piece.missing > 0).unwrap();
    assert!(after.bytes.starts_with("€".as_bytes()));
    let sum: u64 = pieces.iter().map(|piece| piece.length + piece.missing).sum();
    assert_eq!(sum, text.len() as u64);
}

#[tokio::test]
async fn a_secret_is_not_seen_though_its_halves_come_at_different_times() {
    let logs = logs();
    let log = logs.open(&start());
    let (mut out, err, output) = pipes();
    let task = tokio::spawn(read(log, Mask::new(["hunter2-hunter2"]).unwrap(), output));
    out.write_all(b"the password is hunter2-").await.unwrap();
    // Longer than any piece waits.
    sleep(2 * FLUSH_AFTER).await;
    out.write_all(b"hunter2!\nhunter2-h").await.unwrap();
    drop((out, err));
    let (tail, _) = task.await.unwrap();
    let told: Vec<u8> =
        pieces(&logs, 1).await.iter().flat_map(|piece| piece.bytes.to_vec()).collect();
    assert_eq!(String::from_utf8_lossy(&told), "the password is ***!\nhunter2-h");
    assert_eq!(tail, told);
}

#[tokio::test]
async fn progress_is_told_while_the_attempt_runs() {
    let logs = logs();
    let log = logs.open(&start());
    let rule: Rule = toml::from_str(r"pattern = '(?<percent>\d+)%'").unwrap();
    let (mut out, err, output) = pipes();
    let told = Mutex::new(Vec::new());
    let tell = |progress: Progress| told.lock().unwrap().push(progress.percent.unwrap());
    let mask = Mask::default();
    let progress = Some(&rule);
    let capture = Capture { log: &log, mask: &mask, whole: [false; 2], progress, tell: &tell };
    let print = async {
        for percent in 0..40 {
            out.write_all(format!("\r{percent}%").as_bytes()).await.unwrap();
            sleep(Duration::from_millis(50)).await;
        }
        // The newest is told though nothing more is printed.
        out.write_all(b"\r").await.unwrap();
        sleep(Duration::from_millis(1_100)).await;
        drop((out, err));
    };
    tokio::join!(capture.read(output), print);
    let told = told.into_inner().unwrap();
    assert!((2..=5).contains(&told.len()) && told.last() == Some(&39), "{told:?}");
}
