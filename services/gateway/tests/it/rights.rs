//! Who may do what, as far as the policy's own test (`libs/testkit/tests/it/system/policy.rs`) does not ask.

use reqwest::Method;
use serde_json::json;

use crate::system::{System, in_an_hour, send, sign, tenant_token, token, until};

#[tokio::test]
async fn every_refusal_of_a_token_looks_the_same_but_that_it_has_ended() {
    let system = System::start().await;
    let ask = async |method: &str, path: &str, token: &str| {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        send(system.request(method, path, token).header("x-request-id", "same")).await
    };
    let expired = sign(&json!({"sub": "ada", "role": "user", "exp": in_an_hour() - 7_200}));
    let forged = format!("{}x", token("ada", "user"));
    let mut refusal = None;
    for (method, path) in [("GET", "/jobs"), ("POST", "/jobs"), ("PUT", "/uploads")] {
        for bad in ["", "x", &forged] {
            let reply = ask(method, path, bad).await;
            reply.expect_problem(401, "unauthenticated");
            assert_eq!(reply.headers["www-authenticate"], "Bearer");
            // One body for all reasons and all addresses.
            assert_eq!(*refusal.get_or_insert(reply.text.clone()), reply.text);
        }
        let reply = ask(method, path, &expired).await;
        reply.expect_problem(401, "token_expired");
        assert_eq!(reply.headers["www-authenticate"], "Bearer");
    }
    // Where nobody has to say who they are, what they say counts for nothing.
    for path in ["/livez", "/modules", "/metrics"] {
        assert_eq!(ask("GET", path, "nonsense").await.status, 200, "{path}");
    }

    // Tokens count in one place alone.
    let path = format!("/jobs?access_token={}", token("ada", "user"));
    assert_eq!(ask("GET", &path, "").await.status, 401);
    let twice = system
        .request(Method::GET, "/jobs", &token("ada", "user"))
        .header("authorization", format!("Bearer {}", token("eve", "user")));
    assert_eq!(send(twice).await.status, 401);
}

#[tokio::test]
async fn metrics_name_a_user_to_those_alone_who_may_see_its_jobs() {
    let system = System::start().await;
    let askers = [
        (String::new(), vec![]),
        ("nonsense".to_owned(), vec![]),
        (token("ada", "viewer"), vec![]),
        (token("ada", "user"), vec!["ada"]),
        (token("eve", "user"), vec![]),
        (tenant_token("acme", "bob", "user"), vec!["bob"]),
        (tenant_token("acme", "root", "admin"), vec!["bob", "carol"]),
        (tenant_token("acme", "ada", "user"), vec![]),
        // The operator.
        (token("root", "admin"), vec!["ada", "bob", "carol"]),
    ];
    system.submit(&token("ada", "user"), "noop").await;
    system.submit(&tenant_token("acme", "bob", "user"), "noop").await;
    let (_, n) = system.submit(&tenant_token("acme", "carol", "user"), "noop").await;
    system.get(&format!("/jobs?n={n}"), &token("ada", "user")).await.expect(200);

    let admin = nox_service::admin::serve("127.0.0.1:0".parse().unwrap(), system.runtime.clone());
    let admin = admin.await.unwrap();
    let names = ["ada", "bob", "carol", "root", "eve"];
    let check = |text: &str, named: &[&str]| {
        for name in names {
            assert_eq!(
                text.contains(&format!("\"{name}\"")),
                named.contains(&name),
                "{name}\n{text}"
            );
        }
        // Those without a name are counted as well, once.
        let line = format!(
            r#"nox_job_submitted_total{{module="noop",user_id="other"}} {}"#,
            3 - named.len()
        );
        assert_eq!(text.lines().any(|l| l == line), named.len() < 3, "{line} in\n{text}");
        assert!(text.lines().filter(|l| l.contains(r#"user_id="other""#)).count() <= 1, "{text}");
    };
    // The jobs' metrics are read at most once a second.
    until(async || system.get("/metrics", "").await.text.contains(r#"user_id="other"} 3"#)).await;
    for (token, named) in askers {
        check(&system.get("/metrics", &token).await.text, &named);
    }
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let told = send(client.get(format!("http://{admin}/metrics"))).await;
    check(&told.text, &["ada", "bob", "carol"]);
    // What else is told to everybody names nobody.
    for path in ["/health", "/livez", "/readyz", "/modules"] {
        let text = system.get(path, "").await.text;
        assert!(names.iter().all(|name| !text.contains(&format!("\"{name}\""))), "{text}");
    }
}

#[tokio::test]
async fn another_s_job_and_no_job_look_the_same() {
    let system = System::start().await;
    let (theirs, _) = system.submit(&token("ada", "user"), "noop").await;
    let nothing = "01930000-0000-7000-8000-000000000000";
    let eve = token("eve", "user");
    let ask = async |id: &str| {
        let request = system.request(Method::GET, &format!("/jobs/{id}"), &eve);
        send(request.header("x-request-id", "same")).await
    };
    let (their, no) = (ask(&theirs).await, ask(nothing).await);
    no.expect_problem(404, "job_not_found");
    assert_eq!(their.text, no.text);
    let names = |reply: &crate::system::Reply| {
        let mut names: Vec<_> = reply.headers.keys().map(|k| k.to_string()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&their), names(&no));
    let after = async |id: &str| {
        let body = json!({"module": "noop", "after": [id]});
        let request = system.request(Method::POST, "/jobs", &eve).json(&body);
        send(request.header("x-request-id", "same")).await
    };
    let (their, no) = (after(&theirs).await, after(nothing).await);
    no.expect_problem(422, "invalid_request");
    assert_eq!(their.text, no.text);
}
