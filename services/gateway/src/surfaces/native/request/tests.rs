use nox_contract::{INPUTS_BYTES_MAX, INPUTS_TEXT_BYTES_MAX, Resources};

use super::*;
use crate::use_cases::job_request::POINTER_CHARS_MAX;

fn parse(text: &str) -> Result<JobRequest, ApiError> {
    Asked::parse(text).map(|asked| asked.job)
}

fn refused(text: &str) -> (ProblemCode, Vec<String>) {
    let error = parse(text).expect_err(text);
    let document = error.shown();
    let pointers = document["errors"].as_array().cloned().unwrap_or_default();
    let pointers = pointers.iter().map(|e| e["pointer"].as_str().unwrap().to_owned());
    (error.code(), pointers.collect())
}

fn invalid(pointer: &str) -> (ProblemCode, Vec<String>) {
    (ProblemCode::InvalidRequest, vec![pointer.to_owned()])
}

#[test]
fn the_request_of_the_first_users_is_understood() {
    let request = parse(
        r#"{"module":"xtb_hello", "inputs":{"text":"hello from M9"},
            "requested_resources":{"cpu":1,"mem_mb":256,"wall_time_s":60}}"#,
    )
    .unwrap();
    assert_eq!(request.module.as_str(), "xtb_hello");
    assert_eq!(request.inputs.get(), r#"{"text":"hello from M9"}"#);
    let module = Resources { cpu: 9, mem_mb: 9, wall_time_s: 9, gpu: 2 };
    let resources = Resources { cpu: 1, mem_mb: 256, wall_time_s: 60, gpu: 2 };
    assert_eq!(request.resources.or(module), resources);
    assert_eq!(request.priority, PRIORITY_DEFAULT);
}

#[test]
fn a_module_alone_is_a_request() {
    let request = parse(r#"{"module":"noop"}"#).unwrap();
    assert_eq!(request.inputs.get(), "{}");
    let module = Resources { cpu: 2, mem_mb: 64, wall_time_s: 5, gpu: 0 };
    assert_eq!(request.resources.or(module), module);
}

#[test]
fn what_is_wrong_is_named_by_its_place() {
    assert_eq!(refused("{}"), invalid("/module"));
    assert_eq!(refused(r#"{"module": 5}"#), invalid("/module"));
    assert_eq!(refused(r#"{"module": "No Good"}"#), invalid("/module"));
    assert_eq!(refused(r#"{"module":"a","inpust":{}}"#), invalid("/inpust"));
    assert_eq!(refused(r#"{"module":"a","x/y~z":{}}"#), invalid("/x~1y~0z"));
    for priority in ["10", "-1", "1.5", "\"5\"", "null", "true", "1e1", "[1]", "1e99"] {
        let body = format!(r#"{{"module":"a","priority":{priority}}}"#);
        assert_eq!(refused(&body), invalid("/priority"));
    }
    for run_at in ["5", "\"tomorrow\"", "\"2026-11-21\"", "null"] {
        let body = format!(r#"{{"module":"a","run_at":{run_at}}}"#);
        assert_eq!(refused(&body), invalid("/run_at"));
    }
    let id = "0193d0a0-0000-7000-8000-000000000000";
    for after in ["5", "[5]", "[\"x\"]", &format!("[\"{id}\",\"{id}\"]"), "{}"] {
        let body = format!(r#"{{"module":"a","after":{after}}}"#);
        assert_eq!(refused(&body), invalid("/after"));
    }
    for (member, value) in [
        ("cpu", "-1"),
        ("cpu", "0"),
        ("cpu", "1.5"),
        ("cpu", "\"1\""),
        ("mem_mb", "4294967296"),
        ("wall_time_s", "1e30"),
        ("wall_time_s", "[]"),
        ("gpu", "-1"),
        ("disk", "1"),
    ] {
        let body = format!(r#"{{"module":"a","requested_resources":{{"{member}":{value}}}}}"#);
        assert_eq!(refused(&body), invalid(&format!("/requested_resources/{member}")));
    }
    for resources in ["5", "[]", "null", r#"{"cpu":1,"cpu":2}"#] {
        let body = format!(r#"{{"module":"a","requested_resources":{resources}}}"#);
        assert_eq!(refused(&body), invalid("/requested_resources"));
    }
}

#[test]
fn everything_wrong_is_named_at_once() {
    let body = r#"{"priority":11,"requested_resources":{"cpu":0,"gpu":-1},"who":1}"#;
    let (_, mut pointers) = refused(body);
    pointers.sort();
    let expected =
        ["/module", "/priority", "/requested_resources/cpu", "/requested_resources/gpu", "/who"];
    assert_eq!(pointers, expected);
}

#[test]
fn what_is_no_json_object_is_refused() {
    for text in ["", "{", "{\"module\":}", "{} {}", "\u{1}", "nul"] {
        assert_eq!(refused(text).0, ProblemCode::MalformedJson, "{text}");
    }
    for text in ["[]", "5", "null", "\"x\"", r#"{"module":"a","module":"b"}"#] {
        assert_eq!(refused(text).0, ProblemCode::InvalidRequest, "{text}");
    }
    let many: Vec<_> = (0..100_000).map(|i| format!("\"k{i}\":0")).collect();
    let many = format!("{{{}}}", many.join(","));
    assert_eq!(refused(&many).0, ProblemCode::InvalidRequest);
}

#[test]
fn inputs_that_no_store_keeps_are_refused() {
    let with = |inputs: &str| format!(r#"{{"module":"a","inputs":{inputs}}}"#);
    for inputs in [r#""\u0000""#, r#""\ud800""#, "1e99999", &"[".repeat(65)] {
        let closing = if inputs.starts_with('[') { "]".repeat(65) } else { String::new() };
        let body = with(&format!("{inputs}{closing}"));
        assert_eq!(refused(&body).0, ProblemCode::UnstorableJson, "{body}");
    }
    let deep = with(&format!("{}{}", "[".repeat(8_000), "]".repeat(8_000)));
    assert_eq!(refused(&deep).0, ProblemCode::UnstorableJson);
    let twice = with(r#"{"a":[{"b/c":1,"b\u002fc":1}]}"#);
    assert_eq!(refused(&twice), invalid("/inputs/a/0/b~1c"));
    let name = "n".repeat(10_000);
    let (_, pointers) = refused(&with(&format!(r#"{{"{name}":1,"{name}":1}}"#)));
    assert_eq!(pointers[0].len(), "/inputs".len() + POINTER_CHARS_MAX);
}

#[test]
fn inputs_may_say_so_much_however_they_are_written() {
    let most = INPUTS_BYTES_MAX - r#"["",0]"#.len();
    let with = |character: &str, count: usize, end: &str| {
        let text = character.repeat(count);
        parse(&format!(r#"{{"module":"a","inputs":["{text}",0{end}]}}"#))
    };
    let blanks = " \n".repeat(INPUTS_TEXT_BYTES_MAX);
    for (character, bytes) in [("x", 1), ("\\u0078", 1), ("\\u00e9", 2), ("é", 2)] {
        let plain = with(character, most / bytes, "").unwrap();
        let blank = with(character, most / bytes, &blanks).unwrap();
        assert_eq!(plain.fingerprint(), blank.fingerprint(), "{character}");
        let error = with(character, most / bytes + 1, &blanks).unwrap_err();
        assert_eq!(error.code(), ProblemCode::BodyTooLarge, "{character}");
        // They are kept as they were written, as far as that is no burden.
        assert!(plain.inputs.get().starts_with(&format!("[\"{character}")), "{character}");
        assert!(blank.inputs.get().len() <= INPUTS_BYTES_MAX, "{character}");
    }
}

#[test]
fn inputs_count_with_the_digits_of_their_numbers_and_are_kept_where_those_are_few() {
    let with = |number: &str, count: usize| {
        let numbers = vec![number; count].join(",");
        parse(&format!(r#"{{"module":"a","inputs":[{numbers}]}}"#))
    };
    for number in ["1e300", "1e-300", "-2.5e299"] {
        let error = with(number, 60).unwrap_err();
        assert_eq!(error.code(), ProblemCode::BodyTooLarge, "{number}");
        assert_eq!(error.shown()["errors"][0]["pointer"], "/inputs");
        assert!(with(number, 50).unwrap().inputs.get().contains(number));
    }
    // It says no more than 0, and rows would write a thousand digits.
    let zeros = with("0e-1000", 200).unwrap().inputs;
    assert_eq!(zeros.get(), format!("[{}]", vec!["0"; 200].join(",")));
    assert_eq!(with("0e-1000", 3).unwrap().inputs.get(), "[0e-1000,0e-1000,0e-1000]");
}

#[test]
fn a_fingerprint_tells_requests_apart_and_not_spellings_of_one() {
    let print = |text: &str| parse(text).unwrap().fingerprint();
    let one = print(r#"{"module":"a","inputs":{"x":1},"priority":3}"#);
    for same in [
        r#"{ "priority": 3.0, "inputs": {"x":1}, "module": "\u0061" }"#,
        r#"{"module":"a","inputs":{ "\u0078" : 1e0 },"priority":3e0,"after":[]}"#,
        r#"{"module":"a","inputs":{"x":1.00},"priority":3,"requested_resources":{}}"#,
    ] {
        assert_eq!(one, print(same), "{same}");
    }
    let (a, b) = ("0193d0a0-0000-7000-8000-00000000000a", "0193d0a0-0000-7000-8000-00000000000b");
    for (one, same) in [
        (r#"{"module":"a"}"#.to_owned(), r#"{"module":"a","inputs":{ },"priority":5}"#.to_owned()),
        (
            r#"{"module":"a","inputs":{"a":1,"b":"é"}}"#.to_owned(),
            r#"{"module":"a","inputs":{"b":"\u00E9","a":1}}"#.to_owned(),
        ),
        (
            r#"{"module":"a","run_at":"2026-11-21T22:00:00Z"}"#.to_owned(),
            r#"{"module":"a","run_at":"2026-11-22T00:00:00.000+02:00"}"#.to_owned(),
        ),
        (
            r#"{"module":"a","requested_resources":{"cpu":1,"mem_mb":100}}"#.to_owned(),
            r#"{"module":"a","requested_resources":{"mem_mb":1e2,"cpu":1.0}}"#.to_owned(),
        ),
        (
            format!(r#"{{"module":"a","after":["{a}","{b}"]}}"#),
            format!(r#"{{"module":"a","after":["{}","{a}"]}}"#, b.to_uppercase()),
        ),
    ] {
        assert_eq!(print(&one), print(&same), "{one} {same}");
    }
    for other in [
        r#"{"module":"a","inputs":{"x":1,"y":null},"priority":3}"#,
        r#"{"module":"a","inputs":{"x":"1"},"priority":3}"#,
        r#"{"module":"a","inputs":{"x":1.0000000000000000000001},"priority":3}"#,
        r#"{"module":"b","inputs":{"x":1},"priority":3}"#,
        r#"{"module":"a","inputs":{"x":2},"priority":3}"#,
        r#"{"module":"a","inputs":{"x":1},"priority":4}"#,
        r#"{"module":"a","inputs":{"x":1},"priority":3,"requested_resources":{"cpu":1}}"#,
        r#"{"module":"a","inputs":{"x":1},"priority":3,"requested_resources":{"gpu":1}}"#,
        r#"{"module":"a","inputs":{"x":1},"priority":3,"run_at":"2026-11-21T22:00:00Z"}"#,
    ] {
        assert_ne!(one, print(other), "{other}");
    }
}
