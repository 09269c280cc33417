use nox_contract::{INPUTS_BYTES_MAX, INPUTS_TEXT_BYTES_MAX, Resources, command::PRIORITY_DEFAULT};
use proptest::prelude::*;

use super::*;
use crate::use_cases::job_request::POINTER_CHARS_MAX;

fn parse(text: &str) -> Result<JobRequest, ApiError> {
    Asked::parse(text).map(|asked| asked.job)
}

/// What a module gives that is asked for nothing.
const MODULE: Resources = Resources { cpu: 2, mem_mb: 64, wall_time_s: 5, gpu: 0 };

fn print(text: &str) -> String {
    parse(text).unwrap().fingerprint(MODULE)
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
        assert_eq!(plain.fingerprint(MODULE), blank.fingerprint(MODULE), "{character}");
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
    let one = print(r#"{"module":"a","inputs":{"x":1},"priority":3}"#);
    for same in [
        r#"{ "priority": 3.0, "inputs": {"x":1}, "module": "\u0061" }"#,
        r#"{"module":"a","inputs":{ "\u0078" : 1e0 },"priority":3e0,"after":[]}"#,
        r#"{"module":"a","inputs":{"x":1.00},"priority":3,"requested_resources":{}}"#,
        r#"{"module":"a","inputs":{"x":1},"priority":3,"requested_resources":{"cpu":2,"gpu":0}}"#,
        r#"{"module":"a","inputs":{"x":1},"priority":3,"labels":{},"draft":false,"worker_labels":[]}"#,
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
            r#"{"module":"a","labels":{"a":"é","b":""},"concurrency":{"key":"k"}}"#.to_owned(),
            r#"{"concurrency":{"limit":1.0,"key":"\u006b"},"labels":{"b":"","\u0061":"\u00e9"},"module":"a"}"#
                .to_owned(),
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
        r#"{"module":"a","inputs":{"x":1},"priority":3,"draft":true}"#,
        r#"{"module":"a","inputs":{"x":1},"priority":3,"labels":{"a":""}}"#,
        r#"{"module":"a","inputs":{"x":1},"priority":3,"release_id":"1"}"#,
        r#"{"module":"a","inputs":{"x":1},"priority":3,"concurrency":{"key":"k"}}"#,
        r#"{"module":"a","inputs":{"x":1},"priority":3,"concurrency":{"key":"k","limit":2}}"#,
        r#"{"module":"a","inputs":{"x":1},"priority":3,"module_version":"1"}"#,
    ] {
        assert_ne!(one, print(other), "{other}");
    }
}

/// A value, to be spelled in many ways.
#[derive(Debug, Clone)]
enum Json {
    Word(&'static str),
    /// Digits and the power of ten behind them.
    Number(i64, u8),
    Text(String),
    Array(Vec<Json>),
    Object(BTreeMap<String, Json>),
}

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        prop::sample::select(vec!["null", "true", "false"]).prop_map(Json::Word),
        (any::<i64>(), 0..30_u8).prop_map(|(digits, power)| Json::Number(digits, power)),
        "[a-cé😀\"\\\\/ \n]{0,4}".prop_map(Json::Text),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::Array),
            prop::collection::btree_map("[a-cé\"]{0,3}", inner, 0..4).prop_map(Json::Object),
        ]
    })
}

/// Writes a value in one of its spellings.
struct Speller {
    choices: Vec<u8>,
    next: usize,
}

impl Speller {
    fn choose(&mut self, among: u8) -> u8 {
        self.next += 1;
        self.choices[self.next % self.choices.len()] % among
    }

    fn blank(&mut self) -> &'static str {
        ["", " ", "\n", "\t "][usize::from(self.choose(4))]
    }

    fn text(&mut self, text: &str) -> String {
        let mut written = String::from("\"");
        for character in text.chars() {
            let must = matches!(character, '"' | '\\' | '\n');
            if must || self.choose(3) == 0 {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    let upper = self.choose(2) == 0;
                    written +=
                        &if upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") };
                }
            } else {
                written.push(character);
            }
        }
        written + "\""
    }

    fn write(&mut self, value: &Json) -> String {
        let (before, behind) = (self.blank(), self.blank());
        let written = match value {
            Json::Word(word) => (*word).to_owned(),
            Json::Number(digits, power) => match self.choose(4) {
                0 => format!(
                    "{digits}{}",
                    if *digits == 0 { String::new() } else { "0".repeat((*power).into()) }
                ),
                1 => format!("{digits}e{power}"),
                2 => format!("{digits}.000E+{power}"),
                _ => format!("{digits}0e{}", i32::from(*power) - 1),
            },
            Json::Text(text) => self.text(text),
            Json::Array(items) => {
                let items: Vec<_> = items.iter().map(|item| self.write(item)).collect();
                format!("[{}]", items.join(","))
            }
            Json::Object(members) => {
                let mut members: Vec<_> = members.iter().collect();
                for place in (1..members.len()).rev() {
                    let other = usize::from(self.choose(255)) % (place + 1);
                    members.swap(place, other);
                }
                let members: Vec<_> = members
                    .into_iter()
                    .map(|(name, value)| format!("{}:{}", self.text(name), self.write(value)))
                    .collect();
                format!("{{{}}}", members.join(","))
            }
        };
        format!("{before}{written}{behind}")
    }
}

proptest! {
    #[test]
    fn a_fingerprint_is_one_for_all_spellings_of_a_request(
        inputs in prop::collection::btree_map("[a-c]{1,3}", json(), 0..4),
        label in "[a-cé\"]{0,4}",
        one in prop::collection::vec(any::<u8>(), 16..64),
        other in prop::collection::vec(any::<u8>(), 16..64),
    ) {
        let text = |text: &str| Json::Text(text.to_owned());
        let member = |name: &str, value| (name.to_owned(), value);
        let body = Json::Object(
            [
                member("module", text("a")),
                member("inputs", Json::Object(inputs)),
                member("priority", Json::Number(3, 0)),
                member("labels", Json::Object([member("team", Json::Text(label))].into())),
            ]
            .into(),
        );
        let [one, other] = [one, other].map(|choices| Speller { choices, next: 0 }.write(&body));
        prop_assert_eq!(print(&one), print(&other), "{} {}", one, other);
    }
}
