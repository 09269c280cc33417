//! Many connections that mean no good, and those between them that do.

use std::{net::SocketAddr, time::Duration};

use nox_gateway::HttpLimits;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use crate::system::{System, TIMEOUT, token, until};

/// Addresses of the machine itself that strangers may have as well.
const CROWD: &str = "127.0.0.2";
const SECOND_CROWD: &str = "127.0.0.3";
const BYSTANDER: &str = "127.0.0.4";

/// Longer than a peer that reads nothing is waited for, and its end.
const CUT_WITHIN: Duration = Duration::from_secs(25);

/// What anybody gets who is not kept out.
const AT_ONCE: Duration = Duration::from_secs(5);

/// A connection from `from` that keeps next to nothing in the kernel.
async fn connect(addr: SocketAddr, from: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
    socket.connect(addr).await.unwrap()
}

/// Asks once, and reads to the end.
async fn ask(addr: SocketAddr, from: &str, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let mut stream = connect(addr, from).await;
    let mut answer = Vec::new();
    // One that is turned away may be told so before it has asked.
    let _ = stream.write_all(request.as_bytes()).await;
    let read = tokio::time::timeout(AT_ONCE, stream.read_to_end(&mut answer)).await;
    let _ = read.unwrap_or_else(|_| panic!("no answer to {path} from {from}"));
    String::from_utf8_lossy(&answer).into_owned()
}

async fn expect(system: &System, from: &str, path: &str, status: u16) -> String {
    let answer = ask(system.addr, from, path).await;
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path} from {from}: {answer}");
    answer
}

/// A connection as everybody makes them, for which the kernel takes answers that nobody reads.
async fn connect_roomy(addr: SocketAddr, from: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
    socket.connect(addr).await.unwrap()
}

/// Connections that ask and ask and never read.
async fn never_read(
    addr: SocketAddr,
    from: &str,
    count: usize,
    head: &str,
    connect: impl AsyncFn(SocketAddr, &str) -> TcpStream,
) -> Vec<TcpStream> {
    let mut crowd = Vec::new();
    for _ in 0..count {
        let mut stream = connect(addr, from).await;
        // As much as the kernel takes.
        let asked = head.repeat(2_000);
        let write = stream.write_all(asked.as_bytes());
        let _ = tokio::time::timeout(Duration::from_millis(5), write).await;
        crowd.push(stream);
    }
    crowd
}

async fn gauge(system: &System, name: &str) -> i64 {
    let metrics = ask(system.addr, BYSTANDER, "/metrics").await;
    let line = metrics.lines().find(|line| line.starts_with(&format!("{name} "))).expect(name);
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// The most memory that requests had in hand, of so many looks, some 20 ms one after the other.
async fn most_held(system: &System, looks: u32) -> i64 {
    let mut most = 0;
    for _ in 0..looks {
        most = most.max(gauge(system, "nox_http_memory_bytes").await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    most
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_never_read_keep_nobody_out() {
    let limits = HttpLimits { connections_max: 200, memory_mb: 64, address_percent: 50 };
    let system = System::start_with(limits).await;
    let modules = "GET /modules HTTP/1.1\r\nhost: x\r\n\r\n";

    // Six times as many as each may have: their shares are taken, and no more, and with them all places.
    let (crowd, second) = tokio::join!(
        never_read(system.addr, CROWD, 600, modules, connect_roomy),
        never_read(system.addr, SECOND_CROWD, 600, modules, connect_roomy),
    );
    for from in [CROWD, SECOND_CROWD] {
        let refused = expect(&system, from, "/modules", 503).await;
        let says = |word| refused.contains(word);
        assert!(says("\"overloaded\"") && says("retry-after"), "{refused}");
        for path in ["/livez", "/readyz"] {
            expect(&system, from, path, 200).await;
        }
    }
    // Whoever has none is given a place of those who have most.
    let taken = gauge(&system, "nox_http_connections").await;
    assert!(taken >= 190, "{taken} places are taken");
    for path in ["/modules", "/livez", "/readyz"] {
        expect(&system, BYSTANDER, path, 200).await;
    }

    // They are cut off while they still hold their ends open.
    let served = async || ask(system.addr, CROWD, "/modules").await.starts_with("HTTP/1.1 200");
    tokio::time::timeout(CUT_WITHIN, until(served)).await.expect("they are cut off");
    drop((crowd, second));
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_keep_nobody_out() {
    let limits = HttpLimits { connections_max: 100, memory_mb: 64, address_percent: 50 };
    let system = System::start_with(limits).await;
    let mut crowd = Vec::new();
    for (place, from) in [CROWD, SECOND_CROWD].into_iter().cycle().take(800).enumerate() {
        let mut stream = connect(system.addr, from).await;
        // Nothing at all, a part of a head, and a part of a body.
        let said: &[u8] = match place / 2 % 3 {
            0 => b"",
            1 => b"GET /modules HTTP/1.1\r\nhost:",
            _ => b"POST /jobs HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{",
        };
        let _ = stream.write_all(said).await;
        crowd.push(stream);
    }
    for from in [CROWD, BYSTANDER] {
        for path in ["/livez", "/readyz"] {
            expect(&system, from, path, 200).await;
        }
    }
    let served = async || ask(system.addr, BYSTANDER, "/modules").await.starts_with("HTTP/1.1 200");
    tokio::time::timeout(CUT_WITHIN, until(served)).await.expect("they are cut off");
    drop(crowd);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_and_answers_in_hand_share_one_bounded_memory() {
    const MIB: i64 = 1024 * 1024;
    let limits = HttpLimits { connections_max: 1_000, memory_mb: 8, address_percent: 50 };
    let system = System::start_with(limits).await;
    let ada = token("ada", "user");
    let large = json!({"module": "noop", "inputs": {"text": "x".repeat(16_000)}});
    let jobs = json!({"jobs": vec![large; 25], "atomic": false});
    let mut n = 0;
    for _ in 0..4 {
        let answer = system.post("/jobs/batch", &ada, &jobs).await.expect(200);
        n = answer["jobs"][24]["accepted"]["n"].as_u64().unwrap();
    }
    system.get(&format!("/jobs?limit=1&n={n}"), &ada).await.expect(200);

    // A hundred bodies that say they have 4 MiB and stop after one.
    let authorization = format!("authorization: Bearer {ada}\r\n");
    let head = format!(
        "POST /jobs/batch HTTP/1.1\r\nhost: x\r\n{authorization}content-type: application/json\r\n\
         content-length: 4194304\r\n\r\n"
    );
    let mut bodies = Vec::new();
    for _ in 0..100 {
        let mut stream = connect(system.addr, CROWD).await;
        let _ = stream.write_all(head.as_bytes()).await;
        let part = vec![b' '; MIB as usize];
        bodies.push(tokio::spawn(async move {
            let _ = stream.write_all(&part).await;
            let mut answer = [0; 1_024];
            let read = tokio::time::timeout(AT_ONCE, stream.read(&mut answer)).await;
            (stream, read.is_ok_and(|read| read.is_ok()) && answer.starts_with(b"HTTP/1.1 503"))
        }));
    }
    let mut most = 0;
    let mut refused = 0;
    let mut held = Vec::new();
    for body in bodies {
        most = most.max(gauge(&system, "nox_http_memory_bytes").await);
        let (stream, was_refused) = body.await.unwrap();
        held.push(stream);
        refused += usize::from(was_refused);
    }
    assert!(refused >= 90, "{refused} refused");
    assert!((MIB..=4 * MIB).contains(&most), "{most} bytes");
    // There is room for others meanwhile, and for all when the bodies have taken too long.
    system.submit(&ada, "noop").await;
    until(async || gauge(&system, "nox_http_memory_bytes").await == 0).await;
    drop(held);

    // Answers of half a megabyte that nobody reads.
    let list = format!("GET /jobs?limit=200 HTTP/1.1\r\nhost: x\r\n{authorization}\r\n");
    let mut steady = connect(system.addr, SECOND_CROWD).await;
    steady
        .write_all(list.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let steady = tokio::spawn(read_steadily(steady));
    let crowd = never_read(system.addr, CROWD, 100, &list, connect);
    let held = most_held(&system, 200);
    let (crowd, most) = tokio::join!(crowd, held);
    assert!((MIB..=8 * MIB).contains(&most), "{most} bytes");
    expect(&system, BYSTANDER, "/modules", 200).await;
    // Who reads slowly and goes on reading gets it all; who reads nothing is cut off.
    let listed = steady.await.unwrap();
    assert!(listed["jobs"].as_array().unwrap().len() > 25);
    until(async || gauge(&system, "nox_http_memory_bytes").await == 0).await;
    drop(crowd);
}

/// Reads an answer at some 100 KiB a second.
async fn read_steadily(mut stream: TcpStream) -> Value {
    let mut answer = Vec::new();
    let mut part = vec![0; 10 * 1_024];
    loop {
        let read = tokio::time::timeout(TIMEOUT, stream.read(&mut part)).await;
        match read.expect("an answer").expect("the whole answer") {
            0 => break,
            length => answer.extend_from_slice(&part[..length]),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let text = String::from_utf8(answer).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    serde_json::from_str(body).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_writes_all_before_it_reads_is_told_why_it_was_refused() {
    let limits = HttpLimits { connections_max: 40, memory_mb: 4, address_percent: 50 };
    let system = System::start_with(limits).await;
    let (ada, viewer) = (token("ada", "user"), token("ada", "viewer"));
    let body = "x".repeat(4_300_000);
    let json = "content-type: application/json\r\n";
    let bearer = |token: &str| format!("authorization: Bearer {token}\r\n");
    let length = format!("content-length: {}\r\n", body.len());
    let many = "a: b\r\n".repeat(100);
    let post = |path: &str, headers: &[&str], framing: &str| {
        format!("POST {path} HTTP/1.1\r\nhost: x\r\n{}{framing}\r\n", headers.concat())
    };
    let ada = bearer(&ada);
    let refusals = [
        (401, post("/jobs", &[json], &length)),
        (403, post("/jobs", &[json, &bearer(&viewer)], &length)),
        (404, post("/nothing", &[], &length)),
        (405, post("/quotas/my/usage", &[], &length)),
        (413, post("/jobs", &[json, &ada], &length)),
        (413, post("/jobs/batch", &[json, &ada], &length)),
        (415, post("/jobs", &[&ada], &length)),
        (422, post("/jobs", &[json, &ada, "idempotency-key: \r\n"], &length)),
        (431, post("/jobs", &[&many], &length)),
        // Two megabytes of one address's share of memory.
        (503, post("/jobs/batch", &[json, &ada], "content-length: 4194304\r\n")),
        // Not announced.
        (413, post("/jobs", &[json, &ada], "transfer-encoding: chunked\r\n")),
        // Below the API.
        (400, "NO HTTP\r\n\r\n".to_owned()),
    ];
    for (status, head) in &refusals {
        let chunked = head.contains("chunked");
        let body = match status {
            503 => body[..4_194_304].to_owned(),
            _ if chunked => format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()),
            _ => body.clone(),
        };
        for _ in 0..8 {
            told(system.addr, *status, head, &body).await;
        }
    }
    // Whoever has no place, neither. One connection is kept by the client of other tests' requests.
    until(async || gauge(&system, "nox_http_connections").await <= 2).await;
    let mut crowd = Vec::new();
    for _ in 0..20 {
        crowd.push(connect(system.addr, "127.0.0.1").await);
    }
    for _ in 0..8 {
        told(system.addr, 503, &post("/jobs", &[json, &ada], &length), &body).await;
    }
    drop(crowd);
}

/// Writes head and body, and only then reads.
async fn told(addr: SocketAddr, status: u16, head: &str, body: &str) {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let exchange = async {
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = tokio::time::timeout(TIMEOUT, exchange).await.expect("an end");
    let answer = answer.unwrap_or_else(|error| panic!("{status}: {error}"));
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{status}: {answer}");
}
