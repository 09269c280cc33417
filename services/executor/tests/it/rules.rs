//! Rules of manifests for series and for what a program's own words mean.

use nox_contract::AttemptEnd;
use serde_json::{Value, json};

use crate::support::{Place, error, outputs};

#[tokio::test(flavor = "multi_thread")]
async fn series_are_all_matches_with_their_digits() {
    let mut place = Place::new().await;
    let script = r#"echo "step -1.50 step 2.5D+00 row: 1 2.0 3"; printf '{"a": [1, 1e400, -0.10]}' > out.json"#;
    let rules = "[[series]]\nname = 'steps'\nstream = 'stdout'\npattern = 'step (?<value>\\S+)'\n\
                 [[series]]\nname = 'row'\nstream = 'stdout'\npattern = 'row: (?<value>.*)'\nsplit = true\n\
                 [[series]]\nname = 'array'\nfile = 'out.json'\npointer = '/a'\n\
                 [[series]]\nname = 'scaled'\nfile = 'out.json'\npointer = '/a'\nscale = 2\nrequired = false\n\
                 [[series]]\nname = 'none'\nstream = 'stdout'\npattern = 'x(?<value>)'\nrequired = false\n";
    let module = place.script(script, rules);
    let finished = place.run(&module).await;
    let AttemptEnd::Succeeded { outputs } = &finished.end else { panic!("{finished:?}") };
    let text = outputs.get();
    for series in ["\"steps\":[-1.50,2.5e+00]", "\"row\":[1,2.0,3]", "\"array\":[1,1e400,-0.10]"] {
        assert!(text.contains(series), "{text}");
    }
    assert!(!text.contains("scaled") && !text.contains("none"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_series_that_is_no_numbers_fails_the_attempt() {
    let mut place = Place::new().await;
    let rule = "[[series]]\nname = 's'\nstream = 'stdout'\npattern = '= (?<value>\\S+)'\n";
    for (script, code) in [
        ("echo '= NaN'", "output_invalid"),
        ("echo '= ****'", "output_invalid"),
        ("echo", "output_missing"),
    ] {
        let module = place.script(script, rule);
        assert_eq!(error(&place.run(&module).await).0.code, code, "{script}");
    }
    let module = place.script("echo '= 1'", rule);
    assert_eq!(outputs(&place.run(&module).await)["series"]["s"], json!([1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn long_series_are_kept_in_a_file() {
    let mut place = Place::new().await;
    let rules = "[[series]]\nname = 'long'\nstream = 'stdout'\npattern = '(?m)^(?<value>\\d+)$'\n\
                 [[series]]\nname = 'short'\nstream = 'stdout'\npattern = '(?m)^(?<value>7)$'\n";
    // What the program left under the name is not what is kept.
    let module = place.script("seq 5000; ln -s /etc/passwd nox-series.json", rules);
    let outputs = outputs(&place.run(&module).await);
    assert_eq!(outputs["series"]["short"], json!([7]));
    assert_eq!(outputs["series"]["long"], json!({"file": "nox-series.json", "count": 5000}));
    assert!(outputs["files"][0].as_str().unwrap().ends_with("/nox-series.json"), "{outputs}");
    let kept: Value = serde_json::from_str(&place.kept("nox-series.json").unwrap()).unwrap();
    assert_eq!(kept["long"].as_array().unwrap().len(), 5000);
    assert_eq!(kept["long"][4999], 5000);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engines_words_become_a_sentence_and_stay() {
    let mut place = Place::new().await;
    let rules = "retry = { attempts_max = 3 }\n\
                 [[problem]]\nstream = 'stderr'\npattern = 'no basis for (?<value>\\S+)'\nmessage = 'take another basis than {value}'\n\
                 [[problem]]\nstream = 'stdout'\npattern = 'NOT CONVERGED'\nfails = true\nmessage = 'it did not converge'\n\
                 [[problem]]\nsignal = 11\nmessage = 'its stack is too small'\n\
                 [[problem]]\nexit_status = 9\nretry = true\nmessage = 'the licence server is busy'\n";
    for (script, code, sentence, words, retryable) in [
        (
            "echo no basis for X >&2; exit 3",
            "exit_status",
            "take another basis than X; exit status 3",
            "no basis for X",
            false,
        ),
        ("echo NOT CONVERGED", "output_invalid", "it did not converge", "NOT CONVERGED", false),
        (
            "echo deep; kill -11 $$",
            "crashed",
            "its stack is too small; ended by signal 11",
            "deep",
            false,
        ),
        (
            "echo wait; exit 9",
            "exit_status",
            "the licence server is busy; exit status 9",
            "wait",
            true,
        ),
        ("echo other; exit 4", "exit_status", "exit status 4", "other", true),
    ] {
        let module = place.script(script, rules);
        let AttemptEnd::Failed { error, retryable: may, .. } = place.run(&module).await.end else {
            panic!("{script} succeeds");
        };
        assert_eq!(error.code, code, "{script}: {error:?}");
        assert!(error.message.starts_with(sentence) && error.message.contains(words), "{error:?}");
        assert_eq!(may, retryable, "{script}");
    }
    let module = place.script("echo all is well", rules);
    outputs(&place.run(&module).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_energy_that_is_none_is_a_failure_that_keeps_the_engines_text() {
    let mut place = Place::new().await;
    let rule = "[[result]]\nname = 'E'\ntype = 'number'\nstream = 'stdout'\npattern = 'energy (?<value>\\S+)'\n";
    for (script, code, reason) in [
        ("echo 'SCF diverged'; echo energy NaN", "output_invalid", "`E`: `NaN` is no number"),
        ("echo 'SCF diverged'", "output_missing", "no `E`"),
    ] {
        let module = place.script(script, rule);
        let finished = place.run(&module).await;
        let (error, _) = error(&finished);
        assert_eq!(error.code, code);
        assert!(error.message.starts_with(reason), "{error:?}");
        assert!(error.message.contains("SCF diverged"), "{error:?}");
    }
}
