//! What attempts leave beside files: values that can be stored.

use nox_contract::RawJson;
use serde_json::json;

use crate::support::{Place, error, outputs};

#[tokio::test(flavor = "multi_thread")]
async fn a_result_file_from_outside_is_not_read() {
    let mut place = Place::new().await;
    let rule = "[[result]]\nname = 'x'\ntype = 'string'\nfile = 'out'\npattern = '(?<value>root)'";
    let module = place.script("ln -s /etc/passwd out", rule);
    let finished = place.run(&module).await;
    assert_eq!(error(&finished).0.code, "output_missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_that_postgres_cannot_store_are_replaced_and_flagged() {
    let mut place = Place::new().await;
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
    let mut place = Place::new().await;
    let rules = "output_schema = { properties = { x = { minimum = 0 } } }\n\
                 [[result]]\nname = 'x'\ntype = 'number'\nstream = 'stdout'\npattern = '(?<value>\\S+)'";
    let module = place.script("echo 1", rules);
    assert_eq!(outputs(&place.run(&module).await)["scalars"], json!({"x": 1}));
    let module = place.script("echo -1", rules);
    assert_eq!(error(&place.run(&module).await).0.code, "output_invalid");
}
