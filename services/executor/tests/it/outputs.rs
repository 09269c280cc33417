//! What attempts leave: kept files stay beneath their folder, and values can be stored.

use nox_contract::RawJson;
use serde_json::json;

use crate::support::{Place, error, outputs};

#[tokio::test(flavor = "multi_thread")]
async fn kept_files_are_copied_and_described() {
    let mut place = Place::new();
    let module = place.script(
        "printf hello > result.txt; mkdir sub; printf x > sub/b.log; : > sub/a.log; touch no.txt",
        "[[keep]]\npath = 'result.txt'\n[[keep]]\npath = 'sub/*.log'\n\
         [[keep]]\npath = 'absent'\nrequired = false",
    );
    let finished = place.run(&module).await;
    let job = place.start.job_id;
    let outputs = outputs(&finished);
    let uri = |name: &str| format!("sandbox://ada/{job}/{name}");
    assert_eq!(outputs["files"], json!([uri("result.txt"), uri("sub/a.log"), uri("sub/b.log")]));
    let sha256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    assert_eq!(
        outputs["artifacts"][0],
        json!({"name": "result.txt", "bytes": 5, "sha256": sha256})
    );
    assert_eq!(outputs["artifacts"][1]["bytes"], 0);
    assert!(outputs["metrics"]["duration_s"].as_f64().unwrap() > 0.0);
    assert_eq!(outputs["scalars"], json!({}));
    assert_eq!(outputs.get("flags"), None);
    assert_eq!(place.kept("result.txt").unwrap(), "hello");
    assert_eq!(place.kept("sub/a.log").unwrap(), "");
    assert_eq!(place.kept("no.txt"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_file_from_outside_is_kept() {
    let mut place = Place::new();
    for (script, keep, code) in [
        ("ln -s /etc/passwd out", "out", "output_invalid"),
        ("ln -s sub/.. dir; mkdir sub; ln -s /etc sub/etc", "sub/etc/passwd", "output_invalid"),
        ("ln -s /proc/self/root out", "out/etc/passwd", "output_invalid"),
        ("cp /etc/passwd a; ln a out", "out", "output_invalid"),
        ("mkfifo out", "out", "output_invalid"),
        ("mkdir out", "out", "output_invalid"),
        ("ln -s /dev/zero out", "out", "output_invalid"),
        ("truncate -s 2M out", "out", "output_invalid"),
        ("true", "out", "output_missing"),
        // What a pattern matches by chance is left out, so nothing is there to keep.
        ("ln -s /etc/passwd a.txt; mkfifo b.txt; mkdir c.txt", "*.txt", "output_missing"),
        ("ln -s /etc sub", "sub/pass*", "output_missing"),
        ("ln -s .. sub", "sub/*/*", "output_missing"),
        ("printf x > \"$(printf 'a\\nb.txt')\"", "*.txt", "output_missing"),
    ] {
        let module =
            place.script(script, &format!("[[keep]]\npath = '{keep}'\nbytes_max = 1000000"));
        let finished = place.run(&module).await;
        assert_eq!(error(&finished).0.code, code, "{script}: {finished:?}");
    }
    assert!(!place.folder.path().join("artifacts/acme").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_files_that_a_pattern_means_are_counted() {
    let mut place = Place::new();
    let script =
        "mkdir tmp; i=0; while [ $i -lt 10100 ]; do : > f$i; i=$((i+1)); done; echo > out1";
    let module = place.script(script, "[[keep]]\npath = 'out*'");
    let outputs = outputs(&place.run(&module).await);
    assert_eq!(outputs["artifacts"][0]["name"], "out1");
    let module = place.script(script, "[[keep]]\npath = 'f*'\nrequired = false");
    let finished = place.run(&module).await;
    assert_eq!(error(&finished).0.code, "output_invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_file_from_outside_is_not_read() {
    let mut place = Place::new();
    let rule = "[[result]]\nname = 'x'\ntype = 'string'\nfile = 'out'\npattern = '(?<value>root)'";
    let module = place.script("ln -s /etc/passwd out", rule);
    let finished = place.run(&module).await;
    assert_eq!(error(&finished).0.code, "output_missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_that_postgres_cannot_store_are_replaced_and_flagged() {
    let mut place = Place::new();
    let rule = |name: &str| {
        format!(
            "[[result]]\nname = '{name}'\ntype = 'json'\nfile = 'o.json'\npointer = '/{name}'\n"
        )
    };
    let rules: String = ["nul", "half", "huge", "deep", "good"].map(rule).concat();
    let deep = format!("{}{}", "[".repeat(70), "]".repeat(70));
    let script = format!(
        "cat > o.json <<'END'\n{{\"nul\": \"a\\u0000\", \"half\": [\"\\ud800\"], \"huge\": 1e999999, \
         \"deep\": {deep}, \"good\": {{\"a\": [1.50, null]}}}}\nEND"
    );
    let module = place.script(&script, &rules);
    let finished = place.run(&module).await;
    let nox_contract::AttemptEnd::Succeeded { outputs: raw } = &finished.end else {
        panic!("{finished:?}");
    };
    assert_eq!(raw.check_storable(), Ok(()));
    let outputs = outputs(&finished);
    assert_eq!(outputs["flags"], json!(["unstorable_scalars"]));
    assert_eq!(
        outputs["scalars"],
        json!({"nul": null, "half": null, "huge": null, "deep": null, "good": {"a": [1.5, null]}})
    );
    // The control: what was replaced could indeed not be stored.
    let bad = RawJson::parse(r#"{"nul": "a\u0000"}"#.to_owned()).unwrap();
    assert!(bad.check_storable().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn scalars_that_break_their_promise_fail_the_attempt() {
    let mut place = Place::new();
    let rules = "output_schema = { properties = { x = { minimum = 0 } } }\n\
                 [[result]]\nname = 'x'\ntype = 'number'\nstream = 'stdout'\npattern = '(?<value>\\S+)'";
    let module = place.script("echo 1", rules);
    assert_eq!(outputs(&place.run(&module).await)["scalars"], json!({"x": 1.0}));
    let module = place.script("echo -1", rules);
    assert_eq!(error(&place.run(&module).await).0.code, "output_invalid");
}
