use std::sync::atomic::{AtomicUsize, Ordering};

use axum::{Router, http, response::IntoResponse, routing::get};
use serde_json::Value;

use super::*;
use crate::identity::test_keys::{EC, ED, RSA, document};

fn keys(source: KeySource, pace: Pace) -> PublishedKeys {
    let failing = IntGauge::new("failing", "for a test").unwrap();
    PublishedKeys::new(source, pace, Clock::system(), failing).unwrap()
}

fn names(keys: &PublishedKeys) -> Vec<String> {
    keys.current().iter().filter_map(|key| key.kid.clone()).collect()
}

const AT_ONCE: Pace = Pace { every: Duration::from_millis(20), again: Duration::ZERO };

#[test]
fn keys_come_from_a_file_or_from_this_machine() {
    for good in [
        "keys.json",
        "/etc/nox/keys.json",
        "http:/odd/but/a/path",
        "http://127.0.0.1:9000/jwks",
        "http://127.1.2.3/",
        "http://[::1]:9000/keys?x=1",
    ] {
        let source: KeySource = good.parse().unwrap();
        assert_eq!(source.to_string(), good);
        assert_eq!(matches!(source, KeySource::Url(_)), good.contains("://"));
    }
    for bad in [
        "",
        "https://127.0.0.1/jwks",
        "http://localhost/jwks",
        "http://example.org/jwks",
        "http://10.0.0.1/jwks",
        "http://0.0.0.0/jwks",
        "http://[::]/jwks",
        "http://[::ffff:127.0.0.1]/jwks",
        "http://169.254.169.254/latest",
        "http://127.0.0.1.example.org/",
        "http://user@127.0.0.1/",
        "http://127.0.0.1@example.org/",
        "http://user:word@127.0.0.1/",
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "http://",
        "keys\0.json",
    ] {
        assert!(bad.parse::<KeySource>().is_err(), "{bad:?}");
    }
}

#[tokio::test]
async fn a_file_is_read_again_and_what_was_read_stays_while_it_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    let write = |keys: &[Value]| std::fs::write(&path, document(keys)).unwrap();
    write(&[RSA.jwk()]);
    let keys = keys(KeySource::File(path.clone()), AT_ONCE);
    keys.renew().await;
    assert_eq!(names(&keys), ["rsa-1"]);

    write(&[RSA.jwk(), EC.jwk()]);
    keys.renew().await;
    assert_eq!(names(&keys), ["rsa-1", "ec-1"]);

    for wrong in ["", "half of it: {\"keys\": [{\"kty\"", "{\"keys\": []}"] {
        std::fs::write(&path, wrong).unwrap();
        keys.renew().await;
        assert_eq!(names(&keys), ["rsa-1", "ec-1"]);
        assert_eq!(keys.failing.get(), 1);
    }
    std::fs::remove_file(&path).unwrap();
    keys.renew().await;
    assert_eq!(names(&keys), ["rsa-1", "ec-1"]);

    // Without a question from anybody, and the retired key is gone.
    write(&[ED.jwk()]);
    let seen = async {
        while names(&keys) != ["ed-1"] {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        () = keys.watch() => unreachable!("it never ends"),
        seen = tokio::time::timeout(Duration::from_secs(10), seen) => seen.unwrap(),
    }
    assert_eq!(keys.failing.get(), 0);
}

#[tokio::test]
async fn at_the_start_a_file_has_to_be_there_and_a_url_may_come_later() {
    let open = |source: &str| {
        let source = source.parse::<KeySource>().unwrap();
        async move { PublishedKeys::open(source, Duration::from_secs(60), &Runtime::new()).await }
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    let path = path.to_str().unwrap();
    assert!(open(path).await.is_err());
    std::fs::write(path, "{}").unwrap();
    assert!(open(path).await.is_err());
    // A folder and a pipe are no files.
    assert!(open(folder.path().to_str().unwrap()).await.is_err());
    assert!(open("/dev/zero").await.is_err());

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    assert_eq!(open(&nobody).await.unwrap().current().len(), 0);

    // But what answers there with something wrong is a mistake.
    let server = Server::start().await;
    server.say(StatusCode::OK, b"{}".to_vec());
    assert!(open(&server.url).await.is_err());
}

/// A provider, that counts what it is asked.
struct Server {
    url: String,
    asked: Arc<AtomicUsize>,
    answer: Arc<std::sync::Mutex<(StatusCode, Vec<u8>)>>,
}

impl Server {
    async fn start() -> Self {
        let asked = Arc::new(AtomicUsize::new(0));
        let answer = Arc::new(std::sync::Mutex::new((StatusCode::OK, Vec::new())));
        let handler = get({
            let (asked, answer) = (asked.clone(), answer.clone());
            async move || {
                asked.fetch_add(1, Ordering::SeqCst);
                let (status, body) = answer.lock().unwrap().clone();
                let elsewhere = [(http::header::LOCATION, "/elsewhere")];
                if status.is_redirection() {
                    return (status, elsewhere, body).into_response();
                }
                (status, body).into_response()
            }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks", listener.local_addr().unwrap());
        let router = Router::new().route("/jwks", handler.clone()).route("/elsewhere", handler);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, asked, answer }
    }

    fn say(&self, status: StatusCode, body: Vec<u8>) {
        *self.answer.lock().unwrap() = (status, body);
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn a_url_is_asked_again_for_an_unknown_key_and_seldom_enough() {
    let server = Server::start().await;
    server.say(StatusCode::OK, document(&[RSA.jwk()]));
    let pace = Pace { every: Duration::from_secs(3_600), again: Duration::from_millis(500) };
    let keys = Arc::new(keys(server.url.parse().unwrap(), pace));
    keys.renew().await;
    assert_eq!((names(&keys), server.asked()), (vec!["rsa-1".to_owned()], 1));

    // A thousand tokens with names of no key cost the provider nothing more meanwhile.
    server.say(StatusCode::OK, document(&[RSA.jwk(), EC.jwk()]));
    let many = (0..1_000).map(|_| {
        let keys = keys.clone();
        async move { keys.renew().await }
    });
    futures_util::future::join_all(many).await;
    assert_eq!((names(&keys).len(), server.asked()), (1, 1));

    // Afterwards one of them asks, and the others wait for its answer.
    tokio::time::sleep(pace.again).await;
    let many = (0..1_000).map(|_| {
        let keys = keys.clone();
        async move {
            keys.renew().await;
            assert_eq!(names(&keys).len(), 2);
        }
    });
    futures_util::future::join_all(many).await;
    assert_eq!(server.asked(), 2);
}

#[tokio::test]
async fn keys_stay_while_their_url_is_away_slow_wrong_or_sends_us_elsewhere() {
    let server = Server::start().await;
    server.say(StatusCode::OK, document(&[RSA.jwk()]));
    let keys = keys(server.url.parse().unwrap(), AT_ONCE);
    keys.renew().await;

    let other = document(&[EC.jwk()]);
    for (status, body) in [
        (StatusCode::SERVICE_UNAVAILABLE, other.clone()),
        (StatusCode::NOT_FOUND, other.clone()),
        (StatusCode::FOUND, other.clone()),
        (StatusCode::OK, vec![b' '; 10 << 20]),
        (StatusCode::OK, b"<html>".to_vec()),
    ] {
        server.say(status, body);
        let before = server.asked();
        keys.renew().await;
        assert_eq!(server.asked(), before + 1, "{status}: nobody else is asked");
        assert_eq!(names(&keys), ["rsa-1"], "{status}");
        assert_eq!(keys.failing.get(), 1, "{status}");
    }

    server.say(StatusCode::OK, other);
    keys.renew().await;
    assert_eq!((names(&keys), keys.failing.get()), (vec!["ec-1".to_owned()], 0));
}

#[tokio::test]
async fn a_url_that_does_not_answer_is_waited_for_two_seconds() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let source = format!("http://{}/", listener.local_addr().unwrap());
    let keys = keys(source.parse().unwrap(), AT_ONCE);
    let before = keys.clock.monotonic();
    keys.renew().await;
    let took = keys.clock.monotonic() - before;
    assert!(took < ANSWER_WAIT * 3, "{took:?}");
    assert_eq!(keys.failing.get(), 1);
}
