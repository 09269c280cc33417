//! What came of jobs: told when they have ended, downloaded as it was kept, and nothing else of the store
//! or the machine.

use std::{collections::BTreeMap, fs, path::Path};

use nox_contract::{Attempt, JobId, TenantId, UserId, artifact};
use nox_store::{Artifacts, artifacts::Owner};
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::system::{System, peak_memory, send, tenant_token, token};

const HELLO_SHA256: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

/// A job of ada's that has succeeded with these files, each with `hello` in it.
async fn with_files(system: &System, names: &[&str]) -> String {
    let (id, _) = system.submit(&token("ada", "user"), "noop").await;
    let store = Artifacts::create(system.store().to_str().unwrap(), false).unwrap();
    let tenant = TenantId::new(TenantId::DEFAULT).unwrap();
    let (user, job): (UserId, JobId) = ("ada".parse().unwrap(), id.parse().unwrap());
    let owner = Owner { tenant: &tenant, user: &user, job, attempt: Attempt(1) };
    for name in names {
        let mut writer = store.write(owner, name).await.unwrap();
        writer.write("hello".into()).await.unwrap();
        assert_eq!(writer.finish().await.unwrap().sha256, HELLO_SHA256);
    }
    let artifacts = names
        .iter()
        .map(|name| json!({"name": name, "mime": "text/plain", "size": 5, "sha256": HELLO_SHA256}));
    let artifacts: Vec<_> = artifacts.collect();
    system.scheduler.succeed_with(job, &json!({"artifacts": artifacts})).await;
    id
}

fn at(id: &str, name: &str) -> String {
    let mut path = format!("/jobs/{id}/artifacts/");
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    path
}

#[tokio::test]
async fn what_came_of_a_job_is_told_once_it_has_ended_and_never_denied_for_a_late_view() {
    let system = System::start().await;
    let ada = token("ada", "user");
    let (id, _) = system.submit(&ada, "noop").await;
    let path = format!("/jobs/{id}/artifacts");
    let early = system.get(&path, &ada).await.expect_problem(404, "artifact_not_found");
    assert!(early["detail"].as_str().unwrap().contains("not ended"), "{early}");
    let early = system.get(&format!("{path}/result.txt"), &ada).await;
    early.expect_problem(404, "artifact_not_found");

    system.scheduler.hold_projection().await;
    let outputs = json!({
        "files": [], "metrics": {},
        "scalars": {"E_total_hartree": -5.070_544_43},
        "series": {"energies": [1.0, 2.5]},
        "artifacts": [{"name": "a b.xyz", "mime": "chemical/x-xyz", "size": 5, "sha256": HELLO_SHA256}],
    });
    system.scheduler.succeed_with(id.parse().unwrap(), &outputs).await;
    // The rows still say that it is queued; that is no reason to say that there is nothing.
    system.get(&path, &ada).await.expect_problem(503, "lagging");
    system.scheduler.project().await;
    let told = system.get(&path, &ada).await.expect(200);
    assert_eq!(
        told,
        json!({
            "scalars": {"E_total_hartree": -5.070_544_43},
            "series": {"energies": [1.0, 2.5]},
            "artifacts": [{
                "name": "a b.xyz", "path": format!("sandbox://ada/{id}/a%20b.xyz"),
                "mime": "chemical/x-xyz", "size": 5, "sha256": HELLO_SHA256,
            }],
        })
    );
    for (asker, status) in [
        (token("root", "admin"), 200),
        (token("eve", "user"), 404),
        (tenant_token("acme", "ada", "admin"), 404),
    ] {
        assert_eq!(system.get(&path, &asker).await.status, status);
    }
    // What was never kept, or has expired, is no error of ours.
    let gone = system.get(&at(&id, "a b.xyz"), &ada).await;
    let gone = gone.expect_problem(404, "artifact_not_found");
    assert_eq!(gone["detail"], "the file has expired");

    let (failed, _) = system.submit(&ada, "noop").await;
    system.scheduler.fail(failed.parse().unwrap()).await;
    let told = system.get(&format!("/jobs/{failed}/artifacts"), &ada).await;
    let told = told.expect_problem(404, "artifact_not_found");
    assert!(told["detail"].as_str().unwrap().contains("failed"), "{told}");
    // Of a builtin there is nothing, and that is told.
    let (builtin, _) = system.submit(&ada, "noop").await;
    system.scheduler.succeed(builtin.parse().unwrap()).await;
    let told = system.get(&format!("/jobs/{builtin}/artifacts"), &ada).await.expect(200);
    assert_eq!(told, json!({"scalars": {}, "series": {}, "artifacts": []}));
}

#[tokio::test]
async fn a_kept_file_is_downloaded_whole_or_in_part_and_not_twice() {
    let system = System::start().await;
    let ada = token("ada", "user");
    let names = ["sub/grün \"1\".txt", "a#1", "100%25", "a%0Ab", "%FF", "x y;z", "..."];
    let id = with_files(&system, &names).await;
    for name in names {
        let reply = system.get(&at(&id, name), &ada).await;
        assert_eq!((reply.status, &*reply.text), (StatusCode::OK, "hello"), "{name}");
    }

    let path = at(&id, names[0]);
    let get = async |pairs: &[(header::HeaderName, &str)]| {
        let request = system.request(Method::GET, &path, &ada);
        send(pairs.iter().fold(request, |r, (name, value)| r.header(name, *value))).await
    };
    let whole = get(&[]).await;
    let etag = format!("\"{HELLO_SHA256}\"");
    for (name, value) in [
        ("content-type", "text/plain"),
        ("content-length", "5"),
        ("accept-ranges", "bytes"),
        ("etag", &etag),
        ("x-content-type-options", "nosniff"),
        ("cache-control", "private, no-cache"),
        ("content-security-policy", "default-src 'none'; sandbox"),
        (
            "content-disposition",
            "attachment; filename=\"gr_n__1_.txt\"; filename*=UTF-8''gr%C3%BCn%20%221%22.txt",
        ),
    ] {
        assert_eq!(whole.headers[name], value, "{name}");
    }
    let part = get(&[(header::RANGE, "bytes=1-3")]).await;
    assert_eq!((part.status.as_u16(), &*part.text), (206, "ell"));
    assert_eq!(part.headers["content-range"], "bytes 1-3/5");
    assert_eq!(part.headers["content-length"], "3");
    let other = get(&[(header::RANGE, "bytes=1-3"), (header::IF_RANGE, "\"x\"")]).await;
    assert_eq!((other.status.as_u16(), &*other.text), (200, "hello"));
    let behind = get(&[(header::RANGE, "bytes=5-")]).await;
    behind.expect_problem(416, "range_not_satisfiable");
    assert_eq!(behind.headers["content-range"], "bytes */5");
    let known = get(&[(header::IF_NONE_MATCH, &etag)]).await;
    assert_eq!((known.status.as_u16(), &*known.text), (304, ""));
    assert_eq!(known.headers["etag"], etag);
    let head = send(system.request(Method::HEAD, &path, &ada)).await;
    assert_eq!((head.status.as_u16(), &*head.text), (200, ""));
    assert_eq!(head.headers["content-length"], "5");
    for asker in [token("eve", "user"), tenant_token("acme", "ada", "user")] {
        system.get(&path, &asker).await.expect_problem(404, "job_not_found");
    }
    system.get(&path, "").await.expect_problem(401, "unauthenticated");
    // A file that is not what its fact says is not served.
    let file = system.store().join(format!("default/ada/{id}/1/{}", artifact::key("a#1")));
    fs::write(file, "hello!").unwrap();
    system.get(&at(&id, "a#1"), &ada).await.expect_problem(500, "internal");
}

/// Ways out of a folder, in all the spellings that servers were found to undo.
fn ways_out() -> Vec<String> {
    let targets = ["canary", "../canary", "../../canary", "etc/passwd"];
    let ups = [
        "../",
        "..%2f",
        "%2e%2e/",
        "%2e%2e%2f",
        "%252e%252e%252f",
        "%25252e%25252e%25252f",
        "..%5c",
        "..\\",
        "%2e%2e%5c",
        "..%c0%af",
        "%c0%ae%c0%ae/",
        "%c0%ae%c0%ae%c0%af",
        "%e0%80%ae%e0%80%ae%2f",
        "%ef%bc%8e%ef%bc%8e%ef%bc%8f",
        "%uff0e%uff0e%u2215",
        "..%00/",
        ".%00./",
        "....//",
        "..;/",
        "./../",
        "..%0d%0a/",
        "x/../../",
        "%2f",
        "//",
        "///",
        "/./",
        "~/",
        "~root/",
        "c:/",
        "c%3a%5c",
        "file:%2f%2f",
        "sandbox:%2f%2fada/",
        "..%20/",
        "..%09/",
        "%2e/%2e%2e/",
        "..%u2215",
        "%2e%2e%e2%88%95",
        "..%EF%BC%8F",
        "proc/self/root/",
        "..%2f..%2f..%2f..%2f..%2f..%2f",
        "%c1%9c..",
        "..%c1%9c",
    ];
    let mut ways: Vec<String> = Vec::new();
    for up in ups {
        for depth in [1, 3, 6] {
            ways.extend(targets.map(|target| format!("{}{target}", up.repeat(depth))));
        }
    }
    ways.extend(
        [
            "result.txt%00",
            "result.txt%00.png",
            "result.txt%20",
            "result.txt.",
            "result.txt/",
            "RESULT.TXT",
            "result.txt%0d%0aSet-Cookie:%20x",
            "result.txt%23",
            "./result.txt",
            "%72esult.txt%2f..%2fcanary",
            "result.txt?n=",
            "result.txt#x",
            "result%2Etxt%2F",
            ".",
            "..",
            "%2e",
            "%2e%2e",
            "%00",
            "%ff",
            "%",
            "%zz",
            "1/result.txt",
            "../1/result.txt",
            "../2/canary",
            "..%2f2%2fcanary",
            "*",
            "?",
            "%2a",
        ]
        .map(str::to_owned),
    );
    ways.push("a".repeat(4_096));
    ways.push("a%2f".repeat(2_000));
    ways
}

/// Every file beneath a folder, with its content.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(contents(&path));
        } else {
            all.insert(path.display().to_string(), fs::read(&path).unwrap());
        }
    }
    all
}

/// Sends a path as it stands, which no client library does, and reads the answer.
async fn raw(system: &System, path: &str, token: &str) -> String {
    let mut stream = TcpStream::connect(system.addr).await.unwrap();
    let head = format!(
        "GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn no_path_leads_out_of_what_a_job_has_kept() {
    const CANARY: &str = "the-canary-sings";
    let system = System::start().await;
    let ada = token("ada", "user");
    let id = with_files(&system, &["result.txt"]).await;
    // Of another attempt, of another job, of another tenant, and beside the store.
    let store = system.store();
    for folder in [
        format!("default/ada/{id}/2"),
        format!("default/ada/{id}"),
        "default/ada/0193a000-0000-7000-8000-000000000001/1".to_owned(),
        "acme/ada".to_owned(),
        "..".to_owned(),
        String::new(),
    ] {
        fs::create_dir_all(store.join(&folder)).unwrap();
        fs::write(store.join(folder).join("canary"), CANARY).unwrap();
    }
    std::os::unix::fs::symlink("/etc/passwd", store.join(format!("default/ada/{id}/1/link")))
        .unwrap();
    let outside = contents(&store);

    let ways = ways_out();
    assert!(ways.len() >= 200, "{}", ways.len());
    for way in &ways {
        let answer = raw(&system, &format!("/jobs/{id}/artifacts/{way}"), &ada).await;
        let refused =
            ["400", "404", "414", "422", "431"].map(|status| format!("HTTP/1.1 {status} "));
        let is_refused = refused.iter().any(|status| answer.starts_with(status));
        // The file itself, in another spelling of its own path.
        let is_itself = answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\nhello");
        let plain = ["result.txt#x"].contains(&&**way);
        assert!(is_refused || (is_itself && plain), "{way}: {answer}");
        assert!(!answer.contains(CANARY) && !answer.contains("root:"), "{way}: {answer}");
        let store = store.to_str().unwrap();
        assert!(!answer.contains(store), "{way} tells of the machine: {answer}");
    }
    assert_eq!(contents(&store), outside);
    // Nor does a link that somebody put in a file's place, or in that of a folder above it.
    let kept = store.join(format!("default/ada/{id}/1"));
    let hello = fs::read(kept.join("result.txt")).unwrap();
    fs::write(store.join("same-size"), "CANAR").unwrap();
    fs::remove_file(kept.join("result.txt")).unwrap();
    std::os::unix::fs::symlink(store.join("same-size"), kept.join("result.txt")).unwrap();
    let linked = raw(&system, &format!("/jobs/{id}/artifacts/result.txt"), &ada).await;
    assert!(linked.starts_with("HTTP/1.1 503 ") && !linked.contains("CANAR"), "{linked}");
    fs::remove_dir_all(&kept).unwrap();
    fs::create_dir(store.join("other")).unwrap();
    fs::write(store.join("other/result.txt"), "CANAR").unwrap();
    std::os::unix::fs::symlink(store.join("other"), &kept).unwrap();
    let linked = raw(&system, &format!("/jobs/{id}/artifacts/result.txt"), &ada).await;
    assert!(linked.starts_with("HTTP/1.1 503 ") && !linked.contains("CANAR"), "{linked}");
    fs::remove_file(&kept).unwrap();
    fs::create_dir(&kept).unwrap();
    fs::write(kept.join("result.txt"), hello).unwrap();
    // The control: the way that is meant leads there, and the canary can be read by who may.
    let meant = raw(&system, &format!("/jobs/{id}/artifacts/result.txt"), &ada).await;
    assert!(meant.ends_with("\r\n\r\nhello"), "{meant}");
    assert!(outside.values().any(|content| content == CANARY.as_bytes()));
}

#[tokio::test]
async fn a_large_file_is_downloaded_with_little_memory() {
    const BYTES: u64 = 512 << 20;
    let system = System::start().await;
    let ada = token("ada", "user");
    let id = with_files(&system, &["result.txt"]).await;
    let (large, _) = system.submit(&ada, "noop").await;
    let name = format!("default/ada/{large}/1/large.bin");
    let file = system.store().join(name);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::File::create(&file).unwrap().set_len(BYTES).unwrap();
    let artifact: Value = json!({
        "name": "large.bin", "mime": "application/octet-stream", "size": BYTES, "sha256": HELLO_SHA256,
    });
    system.scheduler.succeed_with(large.parse().unwrap(), &json!({"artifacts": [artifact]})).await;
    system.get(&at(&id, "result.txt"), &ada).await;

    let before = peak_memory(true);
    let request = system.request(Method::GET, &at(&large, "large.bin"), &ada);
    let mut answer = request.send().await.unwrap().error_for_status().unwrap();
    let mut bytes = 0;
    while let Some(chunk) = answer.chunk().await.unwrap() {
        bytes += chunk.len() as u64;
    }
    assert_eq!(bytes, BYTES);
    let grown = peak_memory(false).saturating_sub(before);
    assert!(grown < 48 << 20, "{grown} bytes more than {before}");
}
