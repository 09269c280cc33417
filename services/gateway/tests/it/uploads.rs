//! Uploads: whole, bounded, each user's own, and in a job's inputs as if they stood there.

use std::fs;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::system::{Reply, System, send, tenant_token, token};

async fn put(system: &System, token: &str, bytes: impl Into<reqwest::Body>) -> Reply {
    send(system.request(Method::PUT, "/uploads", token).body(bytes)).await
}

/// Sends bytes whose number is not said before.
async fn chunked(system: &System, token: &str, bytes: &[u8]) -> String {
    let (mut reader, mut writer) = TcpStream::connect(system.addr).await.unwrap().into_split();
    let head = format!(
        "PUT /uploads HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
         transfer-encoding: chunked\r\n\r\n"
    );
    let write = async {
        writer.write_all(head.as_bytes()).await?;
        for chunk in bytes.chunks(1 << 20) {
            writer.write_all(format!("{:x}\r\n", chunk.len()).as_bytes()).await?;
            writer.write_all(chunk).await?;
            writer.write_all(b"\r\n").await?;
        }
        writer.write_all(b"0\r\n\r\n").await
    };
    let mut answer = Vec::new();
    let read = async { reader.read_to_end(&mut answer).await };
    // Whoever has refused it reads no more.
    let _ = tokio::join!(write, read);
    String::from_utf8_lossy(&answer).into_owned()
}

fn refers(upload: &Value) -> Value {
    json!({"$upload": upload["id"], "sha256": upload["sha256"]})
}

#[tokio::test]
async fn an_upload_is_kept_once_under_its_hash_and_bounded() {
    let system = System::start().await;
    let ada = token("ada", "user");
    let first = put(&system, &ada, "hello").await.expect(201);
    let sha256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    assert_eq!((&first["sha256"], &first["size"]), (&json!(sha256), &json!(5)));
    assert_eq!(put(&system, &ada, "hello").await.expect(200), first);
    let eve = put(&system, &token("eve", "user"), "hello").await.expect(201);
    assert_ne!(eve["id"], first["id"]);
    let file = system.store().join("=uploads/default/ada").join(sha256);
    assert_eq!(fs::read(file).unwrap(), b"hello");

    // The largest there may be, and one byte more, announced and not.
    let large = vec![b'x'; 64 << 20];
    put(&system, &ada, large.clone()).await.expect(201);
    let more = [&large[..], b"x"].concat();
    let unannounced = chunked(&system, &ada, &more).await;
    assert!(unannounced.starts_with("HTTP/1.1 413 "), "{unannounced}");
    put(&system, &ada, more).await.expect_problem(413, "body_too_large");
    // 64 of 96 MiB are taken; what is there already takes nothing more.
    put(&system, &ada, vec![b'y'; 33 << 20]).await.expect_problem(403, "upload_quota");
    put(&system, &ada, large).await.expect(200);
    put(&system, &ada, vec![b'z'; 20 << 20]).await.expect(201);
    put(&system, &token("eve", "user"), vec![b'y'; 33 << 20]).await.expect(201);
    // Of what was refused nothing is left.
    let left = fs::read_dir(system.store().join("=uploads/default/ada")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "{left:?}");
    put(&system, "", "hello").await.expect_problem(401, "unauthenticated");
    let query = system.request(Method::PUT, "/uploads?name=x", &ada).body("x");
    send(query).await.expect_problem(422, "invalid_request");
    let packed = system.request(Method::PUT, "/uploads", &ada).header("content-encoding", "gzip");
    send(packed.body("x")).await.expect_problem(415, "unsupported_media_type");
}

#[tokio::test]
async fn inputs_refer_to_an_upload_and_its_text_is_what_the_schema_judges() {
    let system = System::start().await;
    let schema = json!({
        "type": "object",
        "properties": {"xyz": {"type": "string", "minLength": 20_000, "pattern": "^[a-z\\n]+$"}},
        "required": ["xyz"],
        "additionalProperties": false,
    });
    system.scheduler.declare_module("large", schema).await;
    let ada = token("ada", "user");
    let text = "atom\n".repeat(10_000);
    let upload = put(&system, &ada, text).await.expect(201);
    let submit = async |asker: &str, xyz: Value| {
        system.post("/jobs", asker, &json!({"module": "large", "inputs": {"xyz": xyz}})).await
    };
    let taken = submit(&ada, refers(&upload)).await.expect(202);
    let (id, n) = (taken["job_id"].as_str().unwrap(), &taken["n"]);
    // The reference is what the log has, whatever its size.
    let job = system.get(&format!("/jobs/{id}?n={n}"), &ada).await.expect(200);
    assert_eq!(job["inputs"], json!({"xyz": refers(&upload)}));

    // A text that the schema refuses, by the place of the reference.
    for wrong in ["atom\n".repeat(100), "ATOM\n".repeat(10_000)] {
        let other = put(&system, &ada, wrong).await.expect(201);
        let refused = submit(&ada, refers(&other)).await.expect_problem(422, "invalid_inputs");
        assert_eq!(refused["errors"][0]["pointer"], "/inputs/xyz");
    }
    let sha256 = upload["sha256"].as_str().unwrap();
    let binary = put(&system, &ada, vec![0xff; 30_000]).await.expect(201);
    let unknown = "0".repeat(64);
    let strangers = put(&system, &token("eve", "user"), "eve\n".repeat(10_000)).await.expect(201);
    let huge = put(&system, &ada, "a".repeat((16 << 20) + 1)).await.expect(201);
    for (what, wrong) in [
        ("another's", refers(&strangers)),
        ("no hash", json!({"$upload": upload["id"]})),
        ("another hash", json!({"$upload": upload["id"], "sha256": unknown})),
        ("no id", json!({"$upload": "x", "sha256": sha256})),
        ("more", json!({"$upload": upload["id"], "sha256": sha256, "x": 1})),
        ("a path", json!({"$upload": upload["id"], "sha256": "../../etc/passwd"})),
        ("no text", refers(&binary)),
        ("too large", refers(&huge)),
    ] {
        let refused = submit(&ada, wrong).await;
        let refused = refused.expect_problem(422, "invalid_inputs");
        assert_eq!(refused["errors"][0]["pointer"], "/inputs/xyz", "{what}: {refused}");
    }
    // Named often, it counts as often.
    let megabyte = put(&system, &ada, "a".repeat(1 << 20)).await.expect(201);
    system.scheduler.declare_module("any", json!(true)).await;
    let many = async |count: usize| {
        let inputs: Vec<_> = std::iter::repeat_with(|| refers(&megabyte)).take(count).collect();
        system.post("/jobs", &ada, &json!({"module": "any", "inputs": inputs})).await
    };
    many(16).await.expect(202);
    many(17).await.expect_problem(422, "invalid_inputs");
    for asker in [token("eve", "user"), tenant_token("acme", "ada", "user")] {
        submit(&asker, refers(&upload)).await.expect_problem(422, "invalid_inputs");
    }
    // What was changed or has gone is noticed.
    let file = system.store().join("=uploads/default/ada").join(sha256);
    let uploaded = fs::metadata(&file).unwrap().modified().unwrap();
    let old = uploaded - std::time::Duration::from_secs(7 * 86_400 + 60);
    fs::File::options().write(true).open(&file).unwrap().set_modified(old).unwrap();
    let expired = submit(&ada, refers(&upload)).await.expect_problem(422, "invalid_inputs");
    assert!(expired["detail"].as_str().unwrap().contains("expired"), "{expired}");
    put(&system, &ada, "atom\n".repeat(10_000)).await.expect(200);
    submit(&ada, refers(&upload)).await.expect(202);
    fs::write(&file, "btom\n".repeat(10_000)).unwrap();
    submit(&ada, refers(&upload)).await.expect_problem(422, "invalid_inputs");
    fs::remove_file(&file).unwrap();
    submit(&ada, refers(&upload)).await.expect_problem(422, "invalid_inputs");
}
