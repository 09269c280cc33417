//! Named commands: what a parameter holds is never more than one argument, or the value of one variable.

use std::path::PathBuf;

use nox_contract::RawJson;
use nox_executor::{manifest::Manifest, modules::find_program};
use serde_json::{Value, json};

use crate::{
    sandbox::isolated,
    support::{Place, error, manifest, outputs},
};

const PAGE: &str = include_str!("../../../../modules/README.md");

/// The example on the page, as it stands there.
fn documented(place: &Place) -> (Manifest, PathBuf) {
    let section = PAGE.split("## Named commands").nth(1).expect("the section");
    let toml = section.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let module = manifest(&place.folder, toml);
    let nox_executor::manifest::Run::Program(program) = &module.file.run else {
        panic!("it has a program")
    };
    let program = find_program(program.program.as_ref()).unwrap();
    (module, program)
}

/// What a shell would heed, and a program must get as it is.
const METACHARACTERS: [&str; 12] = [
    "; touch pwned",
    "$(touch pwned)",
    "`touch pwned`",
    "a\ntouch pwned\n",
    "&& touch pwned",
    "| touch pwned",
    "> pwned",
    "' ; touch pwned ; '",
    "\" ; touch pwned ; \"",
    "${IFS}touch${IFS}pwned",
    "*",
    "--version",
];

#[tokio::test(flavor = "multi_thread")]
async fn the_example_of_the_page_takes_no_parameter_for_more_than_it_is() {
    let Some(mut place) = isolated().await else { return };
    let (module, program) = documented(&place);
    let mut ask = async |inputs: &Value| {
        place.start.inputs = RawJson::of(inputs).unwrap();
        let finished = place.run_program(&module, &program).await;
        (finished, place.printed())
    };
    let (finished, printed) = ask(&json!({"seconds": 0, "format": "%F"})).await;
    assert_eq!(outputs(&finished)["scalars"]["text"], "1970-01-01");
    assert_eq!(printed, "1970-01-01\n");
    for text in METACHARACTERS {
        let (finished, printed) = ask(&json!({"seconds": 0, "format": text})).await;
        outputs(&finished);
        assert_eq!(printed, format!("{text}\n"));
    }
    // What is no such parameter is refused before anything runs.
    for inputs in [
        json!({"seconds": "0; touch pwned"}),
        json!({"seconds": -1}),
        json!({"seconds": 0, "locale": "C; touch pwned"}),
        json!({"seconds": 0, "more": 1}),
        json!({"seconds": 0, "format": ["a", "b"]}),
        json!({}),
    ] {
        let (finished, printed) = ask(&inputs).await;
        assert_eq!(error(&finished).0.code, "input_invalid", "{inputs}");
        assert_eq!(printed, "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metacharacters_do_nothing_in_an_argument_or_a_variable() {
    let Some(mut place) = isolated().await else { return };
    // A script of the operator's own, which has parameters as $1 and as a variable.
    let toml = r#"name = 'm'
version = '1'
sandbox = 'isolated'
input_schema = {}
resources = { cpu = 1, mem_mb = 64, wall_time_s = 60 }

[run]
program = 'sh'
args = ['-c', 'printf "%s|%s|%s" "$#" "$1" "$WORD"; test -e pwned && echo PWNED; true', 'm', '{inputs.a}']
env = { WORD = '{inputs.a}' }
"#;
    let module = manifest(&place.folder, toml);
    for text in METACHARACTERS {
        place.start.inputs = RawJson::of(&json!({ "a": text })).unwrap();
        let finished = place.run(&module).await;
        if text.starts_with('-') {
            // By itself it would be an option, so it is none of the program's.
            let message = &error(&finished).0.message;
            assert!(message.contains("must not begin with '-'"), "{message}");
            assert_eq!(place.printed(), "");
            continue;
        }
        outputs(&finished);
        assert_eq!(place.printed(), format!("1|{text}|{text}"));
    }

    // The control: a shell that is told so does it, which is why no manifest may tell it.
    let text = "; touch pwned";
    let script = format!("printf '%s' {text}; test -e pwned && echo PWNED");
    let module = place.script(&script, "");
    outputs(&place.run(&module).await);
    assert!(place.printed().contains("PWNED"));
}
