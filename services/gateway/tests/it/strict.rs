//! What a request says is heeded or refused, and never passed over.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::system::{System, send, token};

#[tokio::test]
async fn a_parameter_that_nobody_heeds_is_refused_by_its_name() {
    let system = System::start().await;
    let ada = token("ada", "admin");
    let (id, n) = system.submit(&ada, "noop").await;
    system.get(&format!("/jobs/{id}?n={n}"), &ada).await.expect(200);
    let reads = [
        ("/jobs", "n=1&limit=5"),
        (&*format!("/jobs/{id}"), "n=1"),
        (&*format!("/jobs/{id}/logs"), "n=1&after=0"),
        (&*format!("/jobs/{id}/events"), "n=1&after=0"),
        ("/modules", "n=1"),
        ("/modules/noop", "n=1"),
        ("/quotas/my/quotas", ""),
        ("/quotas/my/usage", ""),
        ("/quotas/my/violations", "limit=5"),
    ];
    for (path, known) in reads {
        system.get(&format!("{path}?{known}"), &ada).await.expect(200);
        for wrong in ["verbose=1", "N=1", "aftr=7", "limit=5&limt=5"] {
            let refused = system.get(&format!("{path}?{wrong}"), &ada).await;
            let refused = refused.expect_problem(422, "invalid_request");
            assert!(
                refused["errors"][0]["pointer"].as_str().unwrap().starts_with('?'),
                "{refused}"
            );
        }
    }
    let writes = [
        ("/jobs".to_owned(), json!({"module": "noop"})),
        ("/jobs/batch".to_owned(), json!({"jobs": [{"module": "noop"}], "atomic": false})),
        (format!("/jobs/{id}/cancel"), json!({})),
        ("/modules/noop/disable".to_owned(), json!({})),
        ("/modules/noop/enable".to_owned(), json!({})),
    ];
    for (path, body) in writes {
        let refused = system.post(&format!("{path}?dry_run=1"), &ada, &body).await;
        refused.expect_problem(422, "invalid_request");
    }
    let job = system.get(&format!("/jobs/{id}"), &ada).await.expect(200);
    assert_eq!(job["status"], "queued");
}

#[tokio::test]
async fn a_body_that_nobody_heeds_is_refused() {
    let system = System::start().await;
    let ada = token("ada", "admin");
    let (id, n) = system.submit(&ada, "noop").await;
    let cancel = format!("/jobs/{id}/cancel?n={n}");
    for path in [&*cancel, "/modules/noop/disable"] {
        let refused = system.post(path, &ada, &json!({"reason": "no longer wanted"})).await;
        let refused = refused.expect_problem(422, "invalid_request");
        assert_eq!(refused["errors"][0]["pointer"], "/reason", "{refused}");
        for body in ["[1]", "null", "x"] {
            let request = system.request(Method::POST, path, &ada).body(body);
            let refused = send(request.header("content-type", "application/json")).await;
            assert!(refused.status.is_client_error(), "{body}: {}", refused.text);
        }
    }
    let job = system.get(&format!("/jobs/{id}"), &ada).await.expect(200);
    assert_eq!(job["status"], "queued");
    // Nothing, and nothing in an object.
    let answer = send(system.request(Method::POST, "/modules/noop/disable", &ada)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    system.post(&cancel, &ada, &json!({})).await.expect(200);
}

#[tokio::test]
async fn what_is_an_object_is_no_array_of_its_members() {
    let system = System::start().await;
    let ada = token("ada", "admin");
    let numbers = [100, 10, 2, 4, 1_024, 5, 60];
    for (body, pointer) in [
        (json!({"limits": numbers, "reason": "x"}), "/limits"),
        (json!([numbers, "x"]), ""),
        (json!({"limits": {"cpu_seconds": "many"}, "reason": "x"}), "/limits/cpu_seconds"),
        (json!({"limits": {"cores": 1}, "reason": "x"}), "/limits/cores"),
    ] {
        let refused = system.put("/quotas/ada", &ada, &body).await;
        let refused = refused.expect_problem(422, "invalid_request");
        assert_eq!(refused["errors"][0]["pointer"], pointer, "{refused}");
    }
    // Members stand once, at any depth.
    let twice = r#"{"limits": {"cpu": 1, "cpu": 2}, "reason": "x"}"#;
    let request = system.request(Method::PUT, "/quotas/ada", &ada).body(twice);
    let refused = send(request.header("content-type", "application/json")).await;
    let refused = refused.expect_problem(422, "invalid_request");
    assert_eq!(refused["errors"][0]["pointer"], "/limits", "{refused}");
}

#[tokio::test]
async fn a_header_that_says_two_things_is_refused() {
    let system = System::start().await;
    let ada = token("ada", "user");
    let (id, n) = system.submit(&ada, "noop").await;
    let path = format!("/jobs/{id}");
    let read = |numbers: &[String]| {
        let request = system.request(Method::GET, &path, &ada);
        numbers.iter().fold(request, |request, n| request.header("nox-min-n", n))
    };
    send(read(&[n.to_string()])).await.expect(200);
    for twice in [[n.to_string(), "1".to_owned()], [n.to_string(), n.to_string()]] {
        send(read(&twice)).await.expect_problem(422, "invalid_request");
    }

    let submit = |kinds: &[&str]| {
        let request = system.request(Method::POST, "/jobs", &ada).body(r#"{"module":"noop"}"#);
        kinds.iter().fold(request, |request, kind| request.header("content-type", *kind))
    };
    for kind in [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON;charset=\"UTF-8\"",
        "application/json; profile=x; charset=utf8",
    ] {
        send(submit(&[kind])).await.expect(202);
    }
    for kinds in [
        &["application/json; charset=utf-16"][..],
        &["application/json; charset=\"latin1\""],
        &["application/json; charset=utf-8; charset=utf-16"],
        &["application/json", "application/json"],
        &["application/json", "text/plain"],
    ] {
        send(submit(kinds)).await.expect_problem(415, "unsupported_media_type");
    }
}
