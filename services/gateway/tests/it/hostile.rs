//! Requests that mean no good.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::system::{System, send, token};

/// The limits are 10 s.
const CUT_WITHIN: Duration = Duration::from_secs(15);

/// Sends raw bytes and reads until the server ends the connection.
async fn raw(system: &System, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(system.addr).await.unwrap();
    // The server may answer and close before everything is written.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let read = tokio::time::timeout(CUT_WITHIN, stream.read_to_end(&mut answer));
    let _ = read.await.expect("the connection is cut");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn slow_and_oversized_requests_are_cut_off_while_others_are_served() {
    let system = System::start().await;
    let ada = token("ada", "user");
    let authorization = format!("authorization: Bearer {ada}\r\n");
    let head = |rest: &str| {
        format!(
            "POST /jobs HTTP/1.1\r\nhost: x\r\n{authorization}\
             content-type: application/json\r\n{rest}\r\n"
        )
    };
    let slow =
        futures_util::future::join_all((0..200).map(|_| raw(&system, b"GET /jobs HTTP/1.1\r\nx")));
    let idle = raw(&system, b"");
    let slow_body_head = head("content-length: 100\r\n");
    let slow_body = raw(&system, slow_body_head.as_bytes());
    let healthy = async {
        for _ in 0..50 {
            system.submit(&ada, "noop").await;
        }
    };
    let (slow, _, slow_body, ()) = tokio::join!(slow, idle, slow_body, healthy);
    for answer in slow {
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    assert!(slow_body.starts_with("HTTP/1.1 408"), "{slow_body}");
    assert!(slow_body.contains("body_timeout"), "{slow_body}");

    let large = format!("GET /health HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "x".repeat(65_536));
    let answer = raw(&system, large.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    let many = "a: b\r\n".repeat(100);
    let many = format!("GET /health HTTP/1.1\r\nhost: x\r\n{many}\r\n");
    let long = format!("GET /health HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "x".repeat(40_000));
    let address = format!("GET /health?{} HTTP/1.1\r\nhost: x\r\n\r\n", "x".repeat(40_000));
    for refused in [many, long, address] {
        let answer = raw(&system, refused.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
        assert!(answer.contains("application/problem+json"), "{answer}");
        assert!(answer.contains("head_too_large") && answer.contains("x-request-id"), "{answer}");
    }
    // Announced, and not announced.
    let answer = raw(&system, head("content-length: 1073741824\r\n").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    let chunk = format!("40000\r\n{}\r\n", "x".repeat(0x40000));
    let endless = format!("{}{}", head("transfer-encoding: chunked\r\n"), chunk.repeat(8));
    let answer = raw(&system, endless.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    for garbage in
        [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], b"GET\r\n\r\n", b"\0\0\0\0\r\n\r\n"]
    {
        let answer = raw(&system, garbage).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
    system.get("/health", "").await.expect(200);
}

#[tokio::test]
async fn a_request_that_two_servers_could_read_in_two_ways_is_refused() {
    let system = System::start().await;
    let ada = token("ada", "user");
    let rest = format!("authorization: Bearer {ada}\r\n");
    let get = |lines: &str| format!("GET /jobs HTTP/1.1\r\n{lines}{rest}connection: close\r\n\r\n");
    let answer = raw(&system, get("host: x\r\n").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    for hosts in ["", "host: x\r\nhost: x\r\n", "Host: x\r\nhost: y\r\n"] {
        let answer = raw(&system, get(hosts).as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{hosts:?}: {answer}");
        assert!(answer.contains("ambiguous_head") && answer.contains("x-request-id"), "{answer}");
    }
    // A line feed by itself, in the place of each line end.
    let whole = get("host: x\r\n");
    for (at, _) in whole.match_indices("\r\n") {
        let bare = format!("{}{}", &whole[..at], &whole[at + 1..]);
        let answer = raw(&system, bare.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{at}: {answer}");
    }
    let answer = raw(&system, whole.replace("\r\n", "\n").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    // Also in a second request, behind a body that has some.
    let body = "{\n\"module\":\n\"noop\"\n}";
    let post = format!(
        "POST /jobs HTTP/1.1\r\nhost: x\r\n{rest}content-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = raw(&system, format!("{post}{whole}").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 202") && answer.contains("HTTP/1.1 200"), "{answer}");
    let bare = whole.replace("host: x\r\n", "host: x\n");
    let answer = raw(&system, format!("{post}{bare}").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 202") && answer.contains("HTTP/1.1 400"), "{answer}");
}

#[tokio::test]
async fn bad_requests_are_the_client_s_fault_and_never_ours() {
    let system = System::start().await;
    let ada = token("ada", "user");
    let post = async |body: Vec<u8>, headers: &[(&str, &str)]| {
        let mut request = system.request(Method::POST, "/jobs", &ada).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        send(request).await
    };
    let json_kind = [("content-type", "application/json")];
    post(b"{}".to_vec(), &[]).await.expect_problem(415, "unsupported_media_type");
    let kind = [("content-type", "text/plain")];
    post(b"{}".to_vec(), &kind).await.expect_problem(415, "unsupported_media_type");
    let coded = [json_kind[0], ("content-encoding", "gzip")];
    post(b"{}".to_vec(), &coded).await.expect_problem(415, "unsupported_media_type");
    let plain = [json_kind[0], ("content-encoding", "Identity")];
    post(br#"{"module":"noop"}"#.to_vec(), &plain).await.expect(202);
    post(vec![0xff, 0xfe], &json_kind).await.expect_problem(400, "malformed_json");
    post(Vec::new(), &json_kind).await.expect_problem(400, "malformed_json");
    let deep = format!("{{\"module\":\"noop\",\"inputs\":{}", "[".repeat(100_000));
    post(deep.into_bytes(), &json_kind).await.expect_problem(400, "malformed_json");
    let deep = format!(
        "{{\"module\":\"noop\",\"inputs\":{}{}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    post(deep.into_bytes(), &json_kind).await.expect_problem(422, "unstorable_json");
    let keyed = [json_kind[0], ("idempotency-key", "")];
    post(br#"{"module":"noop"}"#.to_vec(), &keyed).await.expect_problem(422, "invalid_request");

    system.get("/nothing", &ada).await.expect_problem(404, "route_not_found");
    system.get("/jobs/../../etc/passwd", &ada).await.expect_problem(404, "route_not_found");
    for id in ["x", "%00", "0193", "'; drop table jobs; --", &"a".repeat(5_000)] {
        let id: String = id.chars().map(|c| if c == ' ' { '+' } else { c }).collect();
        system.get(&format!("/jobs/{id}"), &ada).await.expect_problem(400, "invalid_id");
    }
    system.get("/jobs/%ff", &ada).await.expect_problem(400, "invalid_id");
    let reply = send(system.request(Method::DELETE, "/jobs", &ada)).await;
    reply.expect_problem(405, "method_not_allowed");
    let allow = reply.headers["allow"].to_str().unwrap();
    assert!(allow.contains("GET") && allow.contains("POST"), "{allow}");
    for query in ["limit=-1", "limit=1e9", "cursor=x", "cursor=-1", "%ff=1", "status=%00", "n=&n="]
    {
        let reply = system.get(&format!("/jobs?{query}"), &ada).await;
        assert_eq!(reply.status, 422, "{query}: {}", reply.text);
    }
    let huge = format!("/jobs?cursor={}.{}", u64::MAX, u32::MAX);
    system.get(&huge, &ada).await.expect(200);
}

#[tokio::test]
async fn no_body_whatever_makes_a_server_error() {
    let system = System::start().await;
    let ada = token("ada", "user");
    let good = br#"{"module":"xtb_hello","inputs":{"text":"a"},"requested_resources":{"cpu":1},"priority":3,"after":[],"run_at":"2026-11-21T22:00:00Z"}"#;
    let words: [&[u8]; 16] = [
        b"null",
        b"-1",
        b"1e999",
        b"\"\\u0000\"",
        b"\"\\ud800\"",
        b"[]",
        b"{}",
        b"\"",
        b"{",
        b"]",
        b",",
        b"\xff",
        b"true",
        b"99999999999999999999",
        b"\"x\"",
        b"\n",
    ];
    // A small generator of our own, so that a failure can be repeated.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let bodies: Vec<Vec<u8>> = (0..3_000)
        .map(|_| {
            let mut body = good.to_vec();
            for _ in 0..=next(3) {
                let from = next(body.len());
                let to = (from + next(12)).min(body.len());
                let word = words[next(words.len())];
                body.splice(from..to, word.iter().copied());
            }
            body
        })
        .collect();
    for bodies in bodies.chunks(50) {
        let sent = bodies.iter().map(|body| {
            let request = system.request(Method::POST, "/jobs", &ada).body(body.clone());
            send(request.header("content-type", "application/json"))
        });
        let replies = futures_util::future::join_all(sent).await;
        for (body, reply) in bodies.iter().zip(replies) {
            let body = String::from_utf8_lossy(body);
            assert!(!reply.status.is_server_error(), "{body}: {}", reply.text);
        }
    }
    let health = system.get("/health", "").await.expect(200);
    assert_eq!(health["status"], json!("ok"));
}
