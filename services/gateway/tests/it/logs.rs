//! Many readers of long logs, fast and slow, beside everybody's submits.

use std::time::Duration;

use futures_util::future::join_all;
use nox_contract::{Attempt, TenantId};
use nox_streams::{LogPiece, LogStream};
use reqwest::Method;
use serde_json::json;

use crate::system::{System, TIMEOUT, token};

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
