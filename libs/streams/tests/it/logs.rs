use nox_contract::{Attempt, JobId, TenantId, subject};
use nox_streams::{
    LogPiece, LogStream,
    LogStream::{Stderr, Stdout},
};

use crate::support::{setup, soon, text};

fn job(digit: u32) -> JobId {
    format!("00000000-0000-7000-8000-{digit:012}").parse().unwrap()
}

/// The chunk `number` of an attempt, of bytes that nobody counts.
fn piece(number: u64, stream: LogStream) -> LogPiece {
    let attempt = Attempt(1);
    LogPiece { attempt, number, stream, offset: number, length: 1, missing: 0, end: false }
}

#[tokio::test]
async fn a_chunk_that_is_written_again_is_there_once_also_after_a_crash_of_the_broker() {
    let mut setup = setup().await;
    let tenant = TenantId::new("acme").unwrap();
    let last = LogPiece { missing: 7, end: true, ..piece(1, Stderr) };
    for crash in [false, true] {
        if crash {
            // What it has acknowledged is not at once on its disk.
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
            setup.server.kill9();
            setup.server.restart().await.unwrap();
        }
        for piece in [piece(0, Stdout), last] {
            crate::support::until(async || {
                setup.broker.append_log(&tenant, job(1), piece, text("x")).await.is_ok()
            })
            .await;
        }
    }
    let read = soon(setup.broker.read_logs(&tenant, job(1), 0, 300, 8 << 20)).await.unwrap();
    let told: Vec<_> = read.iter().map(|c| (c.offset, c.length, c.missing, c.end)).collect();
    assert_eq!(told, [(0, 1, 0, false), (1, 1, 7, true)]);
}

#[tokio::test]
async fn what_a_job_printed_is_read_in_order_and_in_pages() {
    let setup = setup().await;
    let broker = &setup.broker;
    let tenant = TenantId::new("acme").unwrap();
    for i in 0..700_u32 {
        let stream = if i % 3 == 0 { Stderr } else { Stdout };
        let piece = LogPiece { attempt: Attempt(1 + i / 350), ..piece(i.into(), stream) };
        let line = text(&format!("line {i}\n"));
        broker.append_log(&tenant, job(1), piece, line).await.unwrap();
        broker.append_log(&tenant, job(2), piece, text("other")).await.unwrap();
    }
    let mut read = Vec::new();
    loop {
        let after = read.last().map_or(0, |chunk: &nox_streams::LogChunk| chunk.seq);
        let page = soon(broker.read_logs(&tenant, job(1), after, 300, 8 << 20)).await.unwrap();
        assert!(page.len() <= 300);
        if page.is_empty() {
            break;
        }
        read.extend(page);
    }
    assert_eq!(read.len(), 700);
    for (chunk, i) in read.iter().zip(0_u32..) {
        assert_eq!(chunk.bytes, format!("line {i}\n"));
        assert_eq!(chunk.attempt, Attempt(1 + i / 350));
        assert_eq!(chunk.stream, if i % 3 == 0 { Stderr } else { Stdout });
    }
    assert!(read.is_sorted_by_key(|chunk| (chunk.seq, chunk.at)));
    assert!(read[0].at.as_micros() > 1_700_000_000_000_000);
    assert_eq!(broker.read_logs(&tenant, job(3), 0, 10, 8 << 20).await.unwrap(), []);
    let elsewhere = TenantId::new("other").unwrap();
    assert_eq!(broker.read_logs(&elsewhere, job(1), 0, 10, 8 << 20).await.unwrap(), []);
}

/// Its worker stood still for longer than it was waited for, and goes on when another one has begun.
#[tokio::test]
async fn what_an_attempt_says_after_a_later_one_is_not_shown_wherever_a_reader_goes_on() {
    let setup = setup().await;
    let broker = &setup.broker;
    let tenant = TenantId::new("acme").unwrap();
    let mut shown = Vec::new();
    for (number, attempt) in (0..).zip([1, 1, 2, 1, 2, 1, 1, 1, 1, 2, 1]) {
        let piece = LogPiece { attempt: Attempt(attempt), ..piece(number, Stdout) };
        let seq = broker.append_log(&tenant, job(1), piece, text("x")).await.unwrap();
        // What other jobs print is between.
        broker.append_log(&tenant, job(2), piece, text("x")).await.unwrap();
        if attempt == 2 || number < 2 {
            shown.push(seq);
        }
    }
    for page in 1..4 {
        let mut read = Vec::new();
        loop {
            let after = read.last().copied().unwrap_or(0);
            let chunks = broker.read_logs(&tenant, job(1), after, page, 8 << 20);
            let chunks = soon(chunks).await.unwrap();
            if chunks.is_empty() {
                break;
            }
            read.extend(chunks.iter().map(|chunk| chunk.seq));
        }
        assert_eq!(read, shown, "{page} at a time");
    }
}

#[tokio::test]
async fn after_the_last_number_of_all_there_is_nothing() {
    let setup = setup().await;
    let tenant = TenantId::new("acme").unwrap();
    let line = text("line\n");
    setup.broker.append_log(&tenant, job(1), piece(0, Stdout), line).await.unwrap();
    for after in [u64::MAX - 1, u64::MAX] {
        let page =
            soon(setup.broker.read_logs(&tenant, job(1), after, 300, 8 << 20)).await.unwrap();
        assert!(page.is_empty(), "{page:?}");
    }
}

#[tokio::test]
async fn a_page_of_large_chunks_is_bounded() {
    let setup = setup().await;
    let tenant = TenantId::new("acme").unwrap();
    for i in 0..100 {
        let chunk = vec![b'x'; 128 * 1024].into();
        setup.broker.append_log(&tenant, job(1), piece(i, Stdout), chunk).await.unwrap();
    }
    let (mut count, mut after) = (0, 0);
    loop {
        let page =
            soon(setup.broker.read_logs(&tenant, job(1), after, 1000, 8 << 20)).await.unwrap();
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 66, "{}", page.len());
        after = last.seq;
        count += page.len();
    }
    assert_eq!(count, 100);
}

#[tokio::test]
async fn the_history_of_one_subject_is_read() {
    let setup = setup().await;
    for i in 0..5 {
        for subject in ["nox.cmd.a", "nox.cmd.b"] {
            crate::support::store(&setup.broker, subject, i.to_string()).await;
        }
    }
    let history =
        setup.broker.read_history(subject::COMMANDS, "nox.cmd.b", 2, 3, 8 << 20).await.unwrap();
    let seqs: Vec<_> = history.iter().map(|message| message.seq).collect();
    assert_eq!(seqs, [4, 6, 8]);
    assert_eq!(history[0].subject, "nox.cmd.b");
    assert_eq!(history[0].payload, "1");
}
