//! Where a request must not go: whoever listens there hears of nobody. Each kind of case is run once more with the
//! rules switched off, and then the listener is reached.

use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use nox_egress::{Answer, Client, Failure, Request, Resolve, Rules, UrlError};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// Spellings of this machine's addresses in an URL, as some program somewhere reads them.
const OF_THIS_MACHINE: &[&str] = &[
    "127.0.0.1",
    "127.0.0.2",
    "127.1",
    "127.0.1",
    "127.255.255.254",
    "127.0.0.1.",
    "127.1.",
    "2130706433",
    "017700000001",
    "0x7f000001",
    "0x7F000001",
    "0x7f.1",
    "0x7f.0x0.0x0.0x1",
    "0177.0.0.1",
    "0177.0.0.01",
    "00000177.0.0.1",
    "0x7f.0.1",
    "127.0x1",
    "127.0.0x0.1",
    "0",
    "0.0.0.0",
    "0x0",
    "00",
    "0.0",
    "0.0.0",
    "%31%32%37.0.0.1",
    "127%2E0%2E0%2E1",
    "１２７.０.０.１",
    "①②⑦.⓪.⓪.①",
    "127。0。0。1",
    "127．0．0．1",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[0000::0001]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::127.0.0.1]",
    "[::7f00:1]",
];

/// Addresses that are not on the Internet, each of which a name may stand for.
const FORBIDDEN: &[&str] = &[
    // This machine.
    "127.0.0.1",
    "127.0.0.53",
    "127.255.255.255",
    "0.0.0.0",
    "0.1.2.3",
    "::1",
    "::",
    // Private networks.
    "10.0.0.1",
    "10.255.255.255",
    "172.16.0.1",
    "172.17.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "192.168.255.255",
    "fc00::1",
    "fd00::1",
    "fd12:3456:789a::1",
    "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "fec0::1",
    "feff::1",
    // Metadata of clouds.
    "169.254.169.254",
    "169.254.170.2",
    "100.100.100.200",
    "192.0.0.192",
    "168.63.129.16",
    "fd00:ec2::254",
    "fe80::a9fe:a9fe",
    // Link-local, shared, protocols' own.
    "169.254.0.1",
    "169.254.255.255",
    "100.64.0.1",
    "100.127.255.255",
    "192.0.0.1",
    "192.0.0.170",
    "fe80::1",
    "febf::1",
    // Documentation and benchmarks.
    "192.0.2.1",
    "198.51.100.1",
    "203.0.113.255",
    "198.18.0.1",
    "198.19.255.255",
    "2001:db8::1",
    "2001:db8:ffff::1",
    "3fff::1",
    "2001:2::1",
    "100::1",
    // Multicast, reserved, broadcast.
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.254",
    "255.255.255.255",
    "ff02::1",
    "ff05::2",
    "4000::1",
    "e000::1",
    // IPv4 within IPv6: mapped, compatible, translated, 6to4, Teredo, ISATAP's prefixes.
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:8.8.8.8",
    "::127.0.0.1",
    "::10.0.0.1",
    "::ffff:0:127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::169.254.169.254",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::127.0.0.1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "2002:a9fe:a9fe::1",
    "2002:c0a8:1::1",
    "2001:0:7f00:1::",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:80ff:fffe",
    "2001:10::1",
    "2001:20::1",
    "192.88.99.1",
    "192.31.196.1",
    "192.52.193.1",
    "192.175.48.1",
    "2620:4f:8000::1",
    "3ffe::1",
    "5f00::1",
];

/// Counts whoever connects, and answers each.
async fn listener(
    on: &str,
    port: u16,
    answer: &'static str,
) -> io::Result<(u16, Arc<AtomicUsize>)> {
    let listener = TcpListener::bind((on, port)).await?;
    let port = listener.local_addr()?.port();
    let count = Arc::new(AtomicUsize::new(0));
    let seen = count.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            seen.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let mut head = [0; 4096];
                let _ = stream.read(&mut head).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    Ok((port, count))
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// Says what it was told to, one answer after the other, the last one for ever.
struct Names {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    asked: AtomicUsize,
}

impl Names {
    fn new(answers: impl IntoIterator<Item = Vec<IpAddr>>) -> Arc<Self> {
        let answers = Mutex::new(answers.into_iter().collect());
        Arc::new(Self { answers, asked: AtomicUsize::new(0) })
    }
}

impl Resolve for Names {
    fn resolve<'a>(&'a self, _: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        Box::pin(async move { Ok(answer.unwrap_or_default()) })
    }
}

fn client(rules: Rules, names: Arc<Names>) -> Client {
    Client::new(Rules { plain_http: true, ..rules }, names).unwrap()
}

fn unchecked() -> Rules {
    Rules { unchecked: true, ..Rules::default() }
}

async fn send(client: &Client, url: &str) -> Result<Answer, Failure> {
    let body = Bytes::from_static(b"{}");
    client.send(url, Request { content_type: "application/json", headers: Vec::new(), body }).await
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[tokio::test]
async fn no_spelling_of_this_machine_reaches_it() {
    let (port, seen) = listener("0.0.0.0", 0, OK).await.unwrap();
    let (_, seen_v6) = listener("::1", port, OK).await.unwrap();
    // Where a spelling is no address but a name, the name stands for this machine as well.
    let names = || Names::new([vec![IpAddr::from(Ipv4Addr::LOCALHOST)]]);
    let checked = client(Rules::default(), names());
    for spelling in OF_THIS_MACHINE {
        for url in [format!("http://{spelling}:{port}/"), format!("https://{spelling}:{port}/")] {
            let failure = send(&checked, &url).await.unwrap_err();
            assert_eq!(failure.class(), "unreachable", "{url}: {failure}");
        }
    }
    assert_eq!(seen.load(Ordering::SeqCst) + seen_v6.load(Ordering::SeqCst), 0);

    let open = client(unchecked(), names());
    for spelling in OF_THIS_MACHINE {
        let _ = send(&open, &format!("http://{spelling}:{port}/")).await;
    }
    let reached = seen.load(Ordering::SeqCst) + seen_v6.load(Ordering::SeqCst);
    assert!(reached >= OF_THIS_MACHINE.len() * 3 / 4, "{reached} of {}", OF_THIS_MACHINE.len());
}

#[tokio::test]
async fn no_name_reaches_what_is_not_on_the_internet() {
    assert!(OF_THIS_MACHINE.len() * 2 + FORBIDDEN.len() * 2 >= 100);
    let (port, seen) = listener("0.0.0.0", 0, OK).await.unwrap();
    let (_, seen_v6) = listener("::1", port, OK).await.unwrap();
    for forbidden in FORBIDDEN {
        // Alone, and behind one that is all right.
        for answer in [vec![address(forbidden)], vec![address("1.1.1.1"), address(forbidden)]] {
            let client = client(Rules::default(), Names::new([answer]));
            let failure = send(&client, &format!("http://hooks.example.org:{port}/")).await;
            let failure = failure.unwrap_err();
            assert!(matches!(failure, Failure::Forbidden(_)), "{forbidden}: {failure}");
        }
        let host = if forbidden.contains(':') {
            format!("[{forbidden}]")
        } else {
            (*forbidden).to_owned()
        };
        let client = client(Rules::default(), Names::new([]));
        let failure = send(&client, &format!("http://{host}:{port}/")).await.unwrap_err();
        assert!(matches!(failure, Failure::Url(UrlError::Address)), "{host}: {failure}");
    }
    assert_eq!(seen.load(Ordering::SeqCst) + seen_v6.load(Ordering::SeqCst), 0);

    let open = client(unchecked(), Names::new([vec![address("127.0.0.53")], vec![address("::1")]]));
    for _ in 0..2 {
        send(&open, &format!("http://hooks.example.org:{port}/")).await.unwrap();
    }
    assert_eq!((seen.load(Ordering::SeqCst), seen_v6.load(Ordering::SeqCst)), (1, 1));
}

#[tokio::test]
async fn a_name_that_says_something_else_later_is_looked_at_each_time_and_asked_once() {
    let (port, seen) = listener("0.0.0.0", 0, OK).await.unwrap();
    let rules = || Rules { allow: vec!["127.0.0.2/32".parse().unwrap()], ..Rules::default() };
    let turns = || Names::new([vec![address("127.0.0.2")], vec![address("127.0.0.1")]]);
    let url = format!("http://hooks.example.org:{port}/");

    let names = turns();
    let checked = client(rules(), names.clone());
    assert_eq!(send(&checked, &url).await.unwrap().status, 200);
    assert_eq!(names.asked.load(Ordering::SeqCst), 1, "what is asked again may say something else");
    for _ in 0..3 {
        let failure = send(&checked, &url).await.unwrap_err();
        assert!(matches!(failure, Failure::Forbidden(_)), "{failure}");
    }
    assert_eq!(seen.load(Ordering::SeqCst), 1);

    let open = client(unchecked(), turns());
    for _ in 0..4 {
        send(&open, &url).await.unwrap();
    }
    assert_eq!(seen.load(Ordering::SeqCst), 5);
}

#[tokio::test]
async fn nobody_is_followed_to_another_place() {
    let (inner, seen) = listener("127.0.0.1", 0, OK).await.unwrap();
    let moved = format!(
        "HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:{inner}/\r\nContent-Length: 0\r\n\r\n"
    );
    let (outer, asked) = listener("127.0.0.1", 0, moved.leak()).await.unwrap();
    let rules = Rules { allow: vec!["127.0.0.1".parse().unwrap()], ..Rules::default() };
    let client = client(rules, Names::new([]));
    assert_eq!(send(&client, &format!("http://127.0.0.1:{outer}/")).await.unwrap().status, 307);
    assert_eq!((asked.load(Ordering::SeqCst), seen.load(Ordering::SeqCst)), (1, 0));
    // It is there, for whoever asks for it.
    assert_eq!(send(&client, &format!("http://127.0.0.1:{inner}/")).await.unwrap().status, 200);
}

#[tokio::test]
async fn whoever_drips_or_says_too_much_is_given_up() {
    let rules = || Rules { allow: vec!["127.0.0.1".parse().unwrap()], ..Rules::default() };
    let client = client(rules(), Names::new([]));
    // A head that never ends is cut off at its size.
    let head = format!("HTTP/1.1 200 OK\r\nX-A: {}", "a".repeat(200 * 1024));
    let (port, _) = listener("127.0.0.1", 0, head.leak()).await.unwrap();
    let failure = send(&client, &format!("http://127.0.0.1:{port}/")).await.unwrap_err();
    assert!(matches!(failure, Failure::Protocol(_)), "{failure}");
    // What is no HTTP is none.
    let (port, _) = listener("127.0.0.1", 0, "SSH-2.0-OpenSSH\r\n\r\n").await.unwrap();
    let failure = send(&client, &format!("http://127.0.0.1:{port}/")).await.unwrap_err();
    assert_eq!(failure.class(), "protocol");
    // A body without end takes a second, and its status counts.
    let endless = "HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\nx";
    let (port, _) = listener("127.0.0.1", 0, endless).await.unwrap();
    assert_eq!(send(&client, &format!("http://127.0.0.1:{port}/")).await.unwrap().status, 200);
}
