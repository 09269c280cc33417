//! Many readers of long logs, fast and slow, beside everybody's submits.

use std::time::Duration;

use futures_util::future::join_all;
use nox_contract::{Attempt, TenantId};
use nox_streams::{LogPiece, LogStream};
use reqwest::Method;
use serde_json::json;

use crate::system::{System, TIMEOUT, peak_memory, token, until};

/// 16 MiB, in chunks of the largest kind.
const CHUNKS: usize = 128;
const CHUNK_BYTES: usize = 128 * 1024;
const FAST_READERS: usize = 100;
const SLOW_READERS: usize = 20;
/// Longer than a submit takes beside the readers, and much shorter than a lost connection costs.
const SUBMIT_WITHIN: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread")]
async fn many_readers_of_long_logs_read_them_whole_and_hold_up_nobodys_submits() {
    let system = System::start().await;
    let ada = token("ada", "user");
    let (job, n) = system.submit(&ada, "xtb_hello").await;
    let tenant = TenantId::new(TenantId::DEFAULT).unwrap();
    let id = job.parse().unwrap();
    let chunks = (0..CHUNKS).map(|number| {
        let number = u64::try_from(number).unwrap();
        let length = u64::try_from(CHUNK_BYTES).unwrap();
        let piece = LogPiece {
            attempt: Attempt(1),
            number,
            stream: LogStream::Stdout,
            offset: number * length,
            length,
            missing: 0,
            end: false,
        };
        system.broker.append_log(&tenant, id, piece, vec![b'x'; CHUNK_BYTES].into())
    });
    join_all(chunks).await.into_iter().for_each(|kept| assert!(kept.is_ok(), "{kept:?}"));

    let path = format!("/jobs/{job}/logs?n={n}");
    let read = |slow: bool| {
        let request = system.request(Method::GET, &path, &ada).header("accept", "text/plain");
        async move {
            let mut answer = request.send().await?.error_for_status()?;
            let mut bytes = 0;
            while let Some(chunk) = answer.chunk().await? {
                bytes += chunk.len();
                if slow {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            }
            // Not fatal here: how the submits fared beside them is seen first.
            Ok::<_, reqwest::Error>(bytes)
        }
    };
    let readers = join_all((0..FAST_READERS + SLOW_READERS).map(|i| read(i < SLOW_READERS)));
    let submits = async {
        for number in 0..40 {
            let begun = system.runtime.clock.monotonic();
            let body = json!({"module": "xtb_hello", "inputs": {"text": number.to_string()}});
            system.post("/jobs", &ada, &body).await.expect(202);
            let took = system.runtime.clock.monotonic() - begun;
            assert!(took < SUBMIT_WITHIN, "a submit took {took:?}");
        }
    };
    let (read, ()) = tokio::time::timeout(TIMEOUT, async { tokio::join!(readers, submits) })
        .await
        .expect("in time");
    let all_of_it = |read: &_| matches!(read, Ok(bytes) if *bytes == CHUNKS * CHUNK_BYTES);
    assert!(read.iter().all(all_of_it), "{read:?}");
}

#[tokio::test]
async fn what_is_no_text_comes_byte_for_byte_as_it_was_printed() {
    let system = System::start().await;
    let ada = token("ada", "user");
    let (job, n) = system.submit(&ada, "xtb_hello").await;
    let tenant = TenantId::new(TenantId::DEFAULT).unwrap();
    let mut printed: Vec<u8> = Vec::new();
    for (number, bytes) in
        (0..).zip([&b"a\xff\xfeb\n"[..], "gr\u{fc}n\n".as_bytes(), b"\x80\0\x1b"])
    {
        let piece = LogPiece {
            attempt: Attempt(1),
            number,
            stream: LogStream::Stdout,
            offset: printed.len() as u64,
            length: bytes.len() as u64,
            missing: 0,
            end: false,
        };
        system.broker.append_log(&tenant, job.parse().unwrap(), piece, bytes.into()).await.unwrap();
        printed.extend(bytes);
    }
    let path = format!("/jobs/{job}/logs?n={n}");
    let plain = system.request(Method::GET, &path, &ada).header("accept", "text/plain");
    let plain = plain.send().await.unwrap().error_for_status().unwrap().bytes().await.unwrap();
    assert_eq!(plain, printed);

    let page = system.get(&path, &ada).await.expect(200);
    let told: Vec<_> = page["chunks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|chunk| (chunk["text"].as_str().unwrap(), chunk["base64"].as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("a\u{fffd}\u{fffd}b\n", Some("Yf/+Ygo=")),
            ("gr\u{fc}n\n", None),
            ("\u{fffd}\0\u{1b}", Some("gAAb")),
        ]
    );
}

/// Stores what a job has printed to stdout, in chunks.
async fn print(system: &System, job: &str, chunks: impl IntoIterator<Item = Vec<u8>>) {
    let tenant = TenantId::new(TenantId::DEFAULT).unwrap();
    let id = job.parse().unwrap();
    let mut offset = 0;
    let stored: Vec<_> = (0..)
        .zip(chunks)
        .map(|(number, chunk)| {
            let length = chunk.len() as u64;
            let piece = LogPiece {
                attempt: Attempt(1),
                number,
                stream: LogStream::Stdout,
                offset,
                length,
                missing: 0,
                end: false,
            };
            offset += length;
            system.broker.append_log(&tenant, id, piece, chunk.into())
        })
        .collect();
    join_all(stored).await.into_iter().for_each(|kept| assert!(kept.is_ok(), "{kept:?}"));
}

#[tokio::test]
async fn rows_are_read_by_offset_and_limit_and_the_last_says_how_it_ended() {
    let system = System::start().await;
    let ada = token("ada", "user");
    let (job, n) = system.submit(&ada, "xtb_hello").await;
    let lines = (0..25).map(|number| format!("line {number}\n").into_bytes());
    print(&system, &job, lines.chain([b"\xff\x1b[31m".to_vec()])).await;
    let rows = async |query: &str| {
        let answer = system.get(&format!("/jobs/{job}/status?n={n}{query}"), &ada).await;
        answer.expect(200).as_array().unwrap().clone()
    };
    let all = rows("").await;
    assert_eq!(all.len(), 26);
    assert_eq!(all[3]["output"], "line 3\n");
    assert_eq!((&all[3]["jobId"], &all[3]["stream"]), (&json!(job), &json!("stdout")));
    assert!(all.windows(2).all(|two| two[0]["id"].as_u64() < two[1]["id"].as_u64()));
    assert!(all.iter().all(|row| row["createdAt"].is_string() && row["updatedAt"].is_string()));
    assert_eq!(
        (&all[25]["output"], &all[25]["base64"]),
        (&json!("\u{fffd}\u{1b}[31m"), &json!("/xtbMzFt"))
    );
    // Forwards, as whoever polls does, backwards, and beyond.
    for (offset, limit) in [(0, 10), (10, 10), (20, 10), (26, 10), (5, 1), (0, 1000), (99, 1)] {
        let part = rows(&format!("&offset={offset}&limit={limit}")).await;
        let expected: Vec<_> = all.iter().skip(offset).take(limit).cloned().collect();
        assert_eq!(part, expected, "{offset} {limit}");
    }
    for wrong in ["limit=0", "limit=1001", "offset=-1", "offset=x", "page=1"] {
        let refused = system.get(&format!("/jobs/{job}/status?{wrong}"), &ada).await;
        refused.expect_problem(422, "invalid_request");
    }
    system.scheduler.succeed(job.parse().unwrap()).await;
    until(async || rows("").await.len() == 27).await;
    let ended = rows("&offset=26").await;
    assert_eq!(ended.len(), 1);
    assert_eq!(ended[0]["output"], "Process exited with code 0");
    assert_eq!(ended[0]["stream"], json!(null));
    assert!(ended[0]["id"].as_u64() > all[25]["id"].as_u64());
    assert!(rows("&offset=27").await.is_empty());

    let (failed, _) = system.submit(&ada, "xtb_hello").await;
    system.scheduler.fail(failed.parse().unwrap()).await;
    let path = format!("/jobs/{failed}/status");
    until(async || system.get(&path, &ada).await.json()[0].is_object()).await;
    let told = system.get(&path, &ada).await.expect(200);
    assert_eq!(told[0]["output"], "Process exited with code 1");
}

#[tokio::test]
async fn a_log_of_100_mb_costs_the_gateway_as_little_memory_as_one_of_1_mb() {
    const MB: usize = 1_000_000;
    let system = System::start().await;
    let ada = token("ada", "user");
    let mut grown = Vec::new();
    for megabytes in [1, 100] {
        let (job, n) = system.submit(&ada, "xtb_hello").await;
        for part in 0..megabytes {
            // One after the other: the test's own client holds what is on its way.
            print_part(&system, &job, part, MB).await;
        }
        let before = peak_memory(true);
        let path = format!("/jobs/{job}/logs?n={n}");
        let request = system.request(Method::GET, &path, &ada).header("accept", "text/plain");
        let mut answer = request.send().await.unwrap().error_for_status().unwrap();
        let mut bytes = 0;
        while let Some(chunk) = answer.chunk().await.unwrap() {
            bytes += chunk.len();
        }
        assert_eq!(bytes, megabytes * MB);
        // Rows of all of it, page by page, from the far end first.
        let rows = format!("/jobs/{job}/status?offset={}", megabytes * 10 - 1);
        assert_eq!(system.get(&rows, &ada).await.expect(200).as_array().unwrap().len(), 1);
        grown.push(peak_memory(false).saturating_sub(before));
    }
    println!("peak memory grew by {grown:?} bytes");
    assert!(grown[1] < grown[0] + (24 << 20), "{grown:?}");
}

/// Stores part `part` of a log, in ten chunks.
async fn print_part(system: &System, job: &str, part: usize, bytes: usize) {
    let tenant = TenantId::new(TenantId::DEFAULT).unwrap();
    let length = u64::try_from(bytes / 10).unwrap();
    for chunk in 0..10 {
        let number = u64::try_from(part).unwrap() * 10 + chunk;
        let piece = LogPiece {
            attempt: Attempt(1),
            number,
            stream: LogStream::Stdout,
            offset: number * length,
            length,
            missing: 0,
            end: false,
        };
        let chunk = vec![b'x'; bytes / 10].into();
        system.broker.append_log(&tenant, job.parse().unwrap(), piece, chunk).await.unwrap();
    }
}
