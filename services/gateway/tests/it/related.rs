//! The jobs that a job has to do with, as far as the asker sees them.

use serde_json::{Value, json};

use crate::system::{System, tenant_token, token};

fn ids(jobs: &Value) -> Vec<&str> {
    jobs.as_array().unwrap().iter().map(|job| job["job_id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_job_names_those_it_repeats_follows_and_is_repeated_by() {
    let system = System::start().await;
    let (ada, root) = (token("ada", "user"), token("root", "admin"));
    let (first, _) = system.submit(&ada, "noop").await;
    let body = json!({"module": "noop", "after": [first]});
    let second = system.post("/jobs", &ada, &body).await.expect(202);
    let second = second["job_id"].as_str().unwrap();
    let related = async |id: &str, token: &str| {
        system.get(&format!("/jobs/{id}/related"), token).await.expect(200)
    };
    let of_second = related(second, &ada).await;
    assert_eq!(ids(&of_second["follows"]), [first.as_str()]);
    assert_eq!((&of_second["log_known"], &of_second["hidden"]), (&json!(true), &json!(0)));
    assert_eq!(ids(&of_second["retries"]), [""; 0]);

    system.post(&format!("/jobs/{second}/cancel"), &ada, &json!({})).await.expect(200);
    // One by herself, one by an admin, whose it is.
    let retry = format!("/jobs/{second}/retry");
    let own = system.post(&retry, &ada, &json!({})).await.expect(202);
    let theirs = system.post(&retry, &root, &json!({})).await.expect(202);
    let (own, theirs) = (own["job_id"].as_str().unwrap(), theirs["job_id"].as_str().unwrap());
    system.get(&format!("/jobs?n={}", 1), &ada).await.expect(200);
    system.get(&format!("/jobs/{theirs}"), &root).await.expect(200);
    assert_eq!(ids(&related(second, &ada).await["retries"]), [own]);
    assert_eq!(ids(&related(second, &root).await["retries"]), [own, theirs]);
    assert_eq!(related(second, &root).await["retries_complete"], true);
    assert_eq!(related(own, &ada).await["retry_of"]["job_id"], second);
    assert_eq!(related(own, &ada).await["retry_of"]["state"], "canceled");
    let listed = system.get(&format!("/jobs?retry_of={second}"), &root).await.expect(200);
    assert_eq!(listed["jobs"].as_array().unwrap().len(), 2);

    let path = format!("/jobs/{second}/related");
    for stranger in [token("eve", "user"), tenant_token("umbra", "ada", "admin")] {
        system.get(&path, &stranger).await.expect_problem(404, "job_not_found");
    }
    system.get("/jobs/x/related", &ada).await.expect_problem(400, "invalid_id");
}
