//! What a body of `POST /jobs` says, checked member by member.

use axum::http::HeaderMap;
use nox_contract::{
    INPUTS_BYTES_MAX, INPUTS_TEXT_BYTES_MAX, JobId, ModuleName, NoMeaning, ProblemCode, RawJson,
    Resources, Timestamp,
    canonical::pointer_token,
    command::{PRIORITY_DEFAULT, PRIORITY_MAX},
};
use serde_json::{Value, value::RawValue};

use crate::{
    object::Object,
    problem::{ApiError, FieldError},
};

/// Most jobs that a job may wait for; each is looked up at submission.
pub const AFTER_MAX: usize = 100;

/// Longest `Idempotency-Key`, in bytes.
const KEY_BYTES_MAX: usize = 255;

/// The members that a body may have.
const MEMBERS: &str = "module, inputs, requested_resources, priority, run_at, after";

/// A job as its submitter describes it. Whether the module exists and likes the inputs is not
/// known yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRequest {
    pub module: ModuleName,
    /// As they were written.
    pub inputs: RawJson,
    /// What they mean, in the one text for it.
    canonical_inputs: RawJson,
    pub resources: AskedResources,
    pub priority: u8,
    pub run_at: Option<Timestamp>,
    /// A set: which of them ends first does not matter.
    pub after: Vec<JobId>,
}

/// What of the resources was asked for; the module says the rest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AskedResources {
    pub cpu: Option<u32>,
    pub mem_mb: Option<u32>,
    pub wall_time_s: Option<u32>,
    pub gpu: Option<u32>,
}

impl AskedResources {
    pub fn or(self, module: Resources) -> Resources {
        Resources {
            cpu: self.cpu.unwrap_or(module.cpu),
            mem_mb: self.mem_mb.unwrap_or(module.mem_mb),
            wall_time_s: self.wall_time_s.unwrap_or(module.wall_time_s),
            gpu: self.gpu.unwrap_or(module.gpu),
        }
    }
}

impl JobRequest {
    /// Reads one job. All that is wrong with it is named at once.
    pub fn parse(text: &str) -> Result<Self, ApiError> {
        let Object(members) = object(text)?;

        let mut errors = Vec::new();
        let mut module = None;
        let mut inputs = None;
        let mut request = Self {
            // Replaced below, or the request is refused.
            module: ModuleName::new("none").map_err(ApiError::internal)?,
            inputs: RawJson::default(),
            canonical_inputs: RawJson::default(),
            resources: AskedResources::default(),
            priority: PRIORITY_DEFAULT,
            run_at: None,
            after: Vec::new(),
        };
        for (name, value) in &members {
            let outcome = match name.as_str() {
                "module" => text_of(value)
                    .and_then(|text| text.parse().map_err(|e| format!("{e}")))
                    .map(|name| module = Some(name)),
                "inputs" => {
                    inputs = Some(value);
                    Ok(())
                }
                "requested_resources" => {
                    resources(value, &mut errors).map(|asked| request.resources = asked)
                }
                "priority" => integer(value, 0, u32::from(PRIORITY_MAX))
                    .map(|priority| request.priority = priority as u8),
                "run_at" => text_of(value)
                    .and_then(|text| text.parse().map_err(|error| format!("{error}")))
                    .map(|at| request.run_at = Some(at)),
                "after" => job_ids(value).map(|after| request.after = after),
                _ => Err(format!("is not known here; a job has {MEMBERS}")),
            };
            if let Err(detail) = outcome {
                let name: String = name.chars().take(64).collect();
                errors.push(FieldError::new(format!("/{}", pointer_token(&name)), detail));
            }
        }
        match module {
            Some(module) => request.module = module,
            None if errors.iter().any(|error| error.pointer == "/module") => {}
            None => errors.push(FieldError::new("/module", "is required")),
        }
        if !errors.is_empty() {
            return Err(ApiError::invalid(errors));
        }
        let inputs = inputs.map_or("{}", |raw| raw.get());
        (request.inputs, request.canonical_inputs) = self::inputs(inputs)?;
        Ok(request)
    }

    /// A hash of all that was asked for: tells a repetition from another request under the same
    /// key. What is meant counts and not how it is written. Resources that were left out are the
    /// module's, whatever these are by then, so they differ from all that are named.
    pub fn fingerprint(&self) -> String {
        let mut hasher = blake3::Hasher::new_derive_key("nox 2026-11 fingerprint of a job request");
        let mut add = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_be_bytes());
            hasher.update(bytes);
        };
        add(self.module.as_str().as_bytes());
        add(self.canonical_inputs.get().as_bytes());
        let AskedResources { cpu, mem_mb, wall_time_s, gpu } = self.resources;
        for asked in [cpu, mem_mb, wall_time_s, gpu] {
            add(asked.map(u32::to_be_bytes).as_ref().map_or(&[], |bytes| bytes.as_slice()));
        }
        add(&[self.priority]);
        let run_at = self.run_at.map(|at| at.as_micros().to_be_bytes());
        add(run_at.as_ref().map_or(&[], |bytes| bytes.as_slice()));
        let mut after = self.after.clone();
        after.sort_unstable();
        for job in after {
            add(job.0.as_bytes());
        }
        format!("b3:{}", hasher.finalize().to_hex())
    }
}

/// The one `Idempotency-Key` of a request, if it has any.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let wrong = |detail: &str| {
        Err(ApiError::new(ProblemCode::InvalidRequest, format!("Idempotency-Key {detail}")))
    };
    let mut keys = headers.get_all("idempotency-key").iter();
    let Some(key) = keys.next() else { return Ok(None) };
    if keys.next().is_some() {
        return wrong("stands there twice");
    }
    // A tab is the one control character that a header may carry.
    let plain = |key: &&str| {
        (1..=KEY_BYTES_MAX).contains(&key.len()) && !key.contains(|c: char| c.is_control())
    };
    match key.to_str().ok().map(str::trim).filter(plain) {
        Some(key) => Ok(Some(key)),
        None => wrong("must be 1 to 255 printable ASCII characters"),
    }
}

/// Reads an object; what is no JSON, and what is no object, are refused differently.
fn object(text: &str) -> Result<Object, ApiError> {
    serde_json::from_str(text).map_err(|error| {
        if error.is_data() {
            ApiError::invalid(vec![FieldError::new("", error.to_string())])
        } else {
            ApiError::new(ProblemCode::MalformedJson, error.to_string())
        }
    })
}

/// Checks inputs for size and for what no store keeps; returns them as they are kept, and what they
/// mean.
fn inputs(text: &str) -> Result<(RawJson, RawJson), ApiError> {
    let inputs = RawJson::parse(text.to_owned())
        .map_err(|error| ApiError::new(ProblemCode::MalformedJson, error.to_string()))?;
    let canonical = inputs.canonical().map_err(|error| match error {
        NoMeaning::Twice { ref pointer } => {
            ApiError::invalid(vec![FieldError::new(format!("/inputs{pointer}"), error.to_string())])
        }
        NoMeaning::Unstorable(error) => {
            ApiError::new(ProblemCode::UnstorableJson, format!("inputs: {error}"))
                .with_errors(vec![FieldError::new("/inputs", error.to_string())])
        }
    })?;
    let bytes = canonical.get().len();
    if bytes > INPUTS_BYTES_MAX {
        let detail =
            format!("inputs have {bytes} bytes; inline inputs have at most {INPUTS_BYTES_MAX}");
        return Err(ApiError::new(ProblemCode::BodyTooLarge, detail));
    }
    let kept = if text.len() > INPUTS_TEXT_BYTES_MAX { canonical.clone() } else { inputs };
    Ok((kept, canonical))
}

fn resources(raw: &RawValue, errors: &mut Vec<FieldError>) -> Result<AskedResources, String> {
    let Object(members) = serde_json::from_str(raw.get())
        .map_err(|_| "must be an object that has each member once".to_owned())?;
    let mut asked = AskedResources::default();
    for (name, value) in &members {
        let outcome = match name.as_str() {
            "cpu" => integer(value, 1, u32::MAX).map(|n| asked.cpu = Some(n)),
            "mem_mb" => integer(value, 1, u32::MAX).map(|n| asked.mem_mb = Some(n)),
            "wall_time_s" => integer(value, 1, u32::MAX).map(|n| asked.wall_time_s = Some(n)),
            "gpu" => integer(value, 0, u32::MAX).map(|n| asked.gpu = Some(n)),
            _ => Err("is not known here; resources are cpu, mem_mb, wall_time_s, gpu".to_owned()),
        };
        if let Err(detail) = outcome {
            let name: String = name.chars().take(64).collect();
            let pointer = format!("/requested_resources/{}", pointer_token(&name));
            errors.push(FieldError::new(pointer, detail));
        }
    }
    Ok(asked)
}

fn text_of(raw: &RawValue) -> Result<String, String> {
    serde_json::from_str(raw.get()).map_err(|_| "must be a string".to_owned())
}

/// Reads a whole number, however it is written: 1.0 and 1e0 are 1.
fn integer(raw: &RawValue, min: u32, max: u32) -> Result<u32, String> {
    serde_json::from_str::<RawJson>(raw.get())
        .ok()
        .and_then(|raw| whole_number(raw.canonical().ok()?.get()))
        .filter(|number| (min..=max).contains(number))
        .ok_or_else(|| format!("must be a whole number from {min} to {max}"))
}

/// A number as its canonical text has it, which is the shorter of two: 100, but 1e3.
fn whole_number(canonical: &str) -> Option<u32> {
    let (digits, zeros) = canonical.split_once('e').unwrap_or((canonical, "0"));
    let power = 10_u32.checked_pow(zeros.parse().ok()?)?;
    digits.parse::<u32>().ok()?.checked_mul(power)
}

fn job_ids(raw: &RawValue) -> Result<Vec<JobId>, String> {
    let rule = || format!("must be an array of at most {AFTER_MAX} different job ids");
    let Ok(Value::Array(items)) = serde_json::from_str(raw.get()) else { return Err(rule()) };
    if items.len() > AFTER_MAX {
        return Err(rule());
    }
    let mut ids = Vec::with_capacity(items.len());
    for item in &items {
        let id: JobId = item.as_str().and_then(|text| text.parse().ok()).ok_or_else(rule)?;
        if ids.contains(&id) {
            return Err(rule());
        }
        ids.push(id);
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> (ProblemCode, Vec<String>) {
        let error = JobRequest::parse(text).expect_err(text);
        let document = error.document();
        let pointers = document["errors"].as_array().cloned().unwrap_or_default();
        let pointers = pointers.iter().map(|e| e["pointer"].as_str().unwrap().to_owned());
        (error.code(), pointers.collect())
    }

    fn invalid(pointer: &str) -> (ProblemCode, Vec<String>) {
        (ProblemCode::InvalidRequest, vec![pointer.to_owned()])
    }

    #[test]
    fn the_request_of_the_first_users_is_understood() {
        let request = JobRequest::parse(
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
        let request = JobRequest::parse(r#"{"module":"noop"}"#).unwrap();
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
        let expected = [
            "/module",
            "/priority",
            "/requested_resources/cpu",
            "/requested_resources/gpu",
            "/who",
        ];
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
    }

    #[test]
    fn inputs_may_say_so_much_however_they_are_written() {
        let most = INPUTS_BYTES_MAX - r#"["",0]"#.len();
        let with = |character: &str, count: usize, end: &str| {
            let text = character.repeat(count);
            JobRequest::parse(&format!(r#"{{"module":"a","inputs":["{text}",0{end}]}}"#))
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
    fn a_fingerprint_tells_requests_apart_and_not_spellings_of_one() {
        let print = |text: &str| JobRequest::parse(text).unwrap().fingerprint();
        let one = print(r#"{"module":"a","inputs":{"x":1},"priority":3}"#);
        for same in [
            r#"{ "priority": 3.0, "inputs": {"x":1}, "module": "\u0061" }"#,
            r#"{"module":"a","inputs":{ "\u0078" : 1e0 },"priority":3e0,"after":[]}"#,
            r#"{"module":"a","inputs":{"x":1.00},"priority":3,"requested_resources":{}}"#,
        ] {
            assert_eq!(one, print(same), "{same}");
        }
        let (a, b) =
            ("0193d0a0-0000-7000-8000-00000000000a", "0193d0a0-0000-7000-8000-00000000000b");
        for (one, same) in [
            (
                r#"{"module":"a"}"#.to_owned(),
                r#"{"module":"a","inputs":{ },"priority":5}"#.to_owned(),
            ),
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

    #[test]
    fn a_key_is_one_plain_text() {
        let mut headers = HeaderMap::new();
        assert_eq!(idempotency_key(&headers).unwrap(), None);
        headers.insert("idempotency-key", "order-1".parse().unwrap());
        assert_eq!(idempotency_key(&headers).unwrap(), Some("order-1"));
        headers.append("idempotency-key", "order-2".parse().unwrap());
        assert!(idempotency_key(&headers).is_err());
        for wrong in ["", "  ", "a\tb", &"x".repeat(256)] {
            headers.insert("idempotency-key", wrong.parse().unwrap());
            assert!(idempotency_key(&headers).is_err(), "{wrong}");
        }
    }
}
