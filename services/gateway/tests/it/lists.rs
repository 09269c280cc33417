//! What all lists have: a tag, links, and one way to ask for a page.

use reqwest::Method;
use serde_json::json;

use crate::system::{System, send, token};

#[tokio::test]
async fn every_list_has_a_tag_and_links_and_judges_its_page_alike() {
    let system = System::start().await;
    let ada = token("ada", "admin");
    let (id, n) = system.submit(&ada, "noop").await;
    system.get(&format!("/jobs?n={n}"), &ada).await.expect(200);
    let paged = [
        "/jobs",
        "/workers",
        "/schedules",
        "/webhooks",
        "/keys",
        "/quotas",
        "/quotas/my/ledger",
        "/quotas/my/violations",
    ];
    let events = format!("/jobs/{id}/events");
    let whole = ["/modules", "/modules/noop/versions", &events];
    for path in paged.iter().chain(&whole) {
        let page = system.get(path, &ada).await;
        page.expect(200);
        let tag = &page.headers["etag"];
        assert!(
            page.headers["link"].to_str().unwrap().starts_with(&format!("<{path}>; rel=\"first\""))
        );
        assert_eq!(page.headers["cache-control"], "private, no-cache");
        for (tags, status) in [(tag.as_bytes(), 304), (b"*", 304), (b"\"another\"", 200)] {
            let asked = system.request(Method::GET, path, &ada).header("if-none-match", tags);
            let again = send(asked).await;
            assert_eq!(again.status, status, "{path}: {}", again.text);
            assert_eq!(&again.headers["etag"], tag, "{path}");
            assert_eq!(again.text.is_empty(), status == 304, "{path}: {}", again.text);
        }
    }
    for path in paged {
        for (asked, pointer) in [
            ("limit=0", "?limit"),
            ("limit=1001", "?limit"),
            ("limit=many", "?limit"),
            ("cursor=%00", "?cursor"),
            ("cursor=nonsense", "?cursor"),
            ("limit=1&limit=2", "?limit"),
            ("lmit=1", "?lmit"),
        ] {
            let refused = system.get(&format!("{path}?{asked}"), &ada).await;
            let refused = refused.expect_problem(422, "invalid_request");
            assert_eq!(refused["errors"][0]["pointer"], pointer, "{path}?{asked}: {refused}");
        }
        system.get(&format!("{path}?limit=&cursor="), &ada).await.expect(200);
    }
    // Where a list goes on, its links say so: behind what there is, nothing is yet.
    let page = system.get(&events, &ada).await;
    let next = format!("<{events}?after={}>; rel=\"next\"", page.expect(200)["next"]);
    assert!(page.headers["link"].to_str().unwrap().ends_with(&next), "{:?}", page.headers);
    let end = system.get(&format!("{events}?after={n}"), &ada).await;
    assert!(!end.headers["link"].to_str().unwrap().contains("next"), "{:?}", end.headers);
}

#[tokio::test]
async fn what_has_a_comma_in_its_name_is_found_behind_a_backslash() {
    let system = System::start().await;
    let ada = token("ada", "user");
    let mut n = 0;
    for release in ["1,5", "1", r"1\5"] {
        let job = json!({"module": "noop", "release_id": release, "labels": {"team": "a,b"}});
        n = system.post("/jobs", &ada, &job).await.expect(202)["n"].as_u64().unwrap();
    }
    for (asked, releases) in [
        (r"release_id=1\,5", &["1,5"][..]),
        (r"release_id=1%5C%2C5,1", &["1", "1,5"]),
        ("release_id=1,5", &["1"]),
        (r"release_id=1\\5", &[r"1\5"]),
        (r"release_id!=1\,5", &[r"1\5", "1"]),
        ("label=team=a,b", &[r"1\5", "1", "1,5"]),
    ] {
        let page = system.get(&format!("/jobs?n={n}&{asked}"), &ada).await.expect(200);
        let found = page["jobs"].as_array().unwrap().iter();
        let found: Vec<_> = found.map(|job| job["release_id"].as_str().unwrap()).collect();
        assert_eq!(found, releases, "{asked}");
    }
}
