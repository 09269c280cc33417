use std::fs::File;

use nox_schema::Exact;

use super::*;

fn molecule() -> Exact {
    let text = r#"{"formula": "H2O", "atoms": 3}"#;
    Exact::read(&RawJson::parse(text.to_owned()).unwrap()).unwrap()
}

#[derive(serde::Deserialize)]
struct Rules {
    result: Vec<ResultRule>,
}

fn rules(toml: &str) -> Rules {
    toml::from_str::<Rules>(toml).unwrap()
}

fn read_from(rules: &Rules, file: &str, stdout: &str) -> Result<Scalars, Failure> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("out.json"), file).unwrap();
    let work = File::open(folder.path()).unwrap().into();
    let written = Written { work: &work, stdout: stdout.as_bytes(), stderr: b"" };
    let mut texts = Texts::of(&written);
    let inputs = RawJson::parse(r#"{"opt": true, "hess": false}"#.to_owned()).unwrap();
    let inputs = Exact::read(&inputs).unwrap();
    let (molecule, resources) = (molecule(), Exact::Null);
    let values = Values {
        work_dir: "",
        program_dir: "",
        inputs: &inputs,
        molecule: &molecule,
        resources: &resources,
    };
    read(&rules.result, values, &mut texts)
}

fn value(toml: &str, file: &str, stdout: &str) -> Result<String, String> {
    let rules = rules(&format!("[[result]]\nname = 'x'\n{toml}"));
    let scalars = read_from(&rules, file, stdout).map_err(|failure| failure.error.code)?;
    let flags: String = scalars.flags.iter().copied().collect();
    let value = scalars.values.get("x").map_or("-", RawJson::get);
    Ok(format!("{value}{flags}"))
}

#[test]
fn pointers_find_values_of_their_type() {
    let file = r#"{"a b": {"c/d": [1, -2.50, "x"]}, "zero": 0.0, "n": null, "v": [3, 4]}"#;
    for (rule, expected) in [
        ("pointer = '/a b/c~1d/1'\ntype = 'number'", Ok("-2.50")),
        ("pointer = '/a b/c~1d/0'\ntype = 'integer'", Ok("1")),
        ("pointer = '/a b/c~1d/1'\ntype = 'integer'", Err("output_invalid")),
        ("pointer = '/a b/c~1d/2'\ntype = 'string'", Ok("\"x\"")),
        ("pointer = '/a b/c~1d/9'\ntype = 'string'", Err("output_missing")),
        ("pointer = '/zero'\ntype = 'number'", Ok("0.0")),
        ("pointer = '/n'\ntype = 'number'", Err("output_missing")),
        ("pointer = '/n'\ntype = 'number'\nrequired = false", Ok("-")),
        ("pointer = '/v'\ntype = 'number'\nnorm = true\nscale = 2.0", Ok("10.0")),
        ("pointer = '/v'\ntype = 'json'", Ok("[3, 4]")),
        ("pointer = '/zero'\ntype = 'string'", Err("output_invalid")),
    ] {
        let found = value(&format!("file = 'out.json'\n{rule}"), file, "");
        assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned), "{rule}");
    }
    let absent = value("file = 'none'\npointer = ''\ntype = 'json'", "", "");
    assert_eq!(absent, Err("output_missing".to_owned()));
    let broken = value("file = 'out.json'\npointer = ''\ntype = 'json'", "{", "");
    assert_eq!(broken, Err("output_invalid".to_owned()));
}

#[test]
fn patterns_find_the_last_match_unless_the_first_is_asked_for() {
    let stdout = "energy  1.5D+01\nenergy -2.0\nsteps 7\n";
    for (rule, expected) in [
        ("pattern = 'energy +(?<value>\\S+)'\ntype = 'number'", Ok("-2.0")),
        ("pattern = 'energy +(?<value>\\S+)'\ntype = 'number'\ntake = 'first'", Ok("1.5e+01")),
        ("pattern = 'steps (?<value>\\d+)'\ntype = 'integer'", Ok("7")),
        ("pattern = '(?<value>s\\w+)'\ntype = 'string'", Ok("\"steps\"")),
        ("pattern = '(?<value>s\\w+)'\ntype = 'number'", Err("output_invalid")),
        ("pattern = 'none(?<value>)'\ntype = 'number'", Err("output_missing")),
        ("pattern = '(?<value>energy)'\ntype = 'integer'\ntake = 'count'", Ok("2")),
        ("pattern = 'none(?<value>)'\ntype = 'integer'\ntake = 'count'", Ok("0")),
    ] {
        let found = value(&format!("stream = 'stdout'\n{rule}"), "", stdout);
        assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned), "{rule}");
    }
}

#[test]
fn numbers_keep_their_digits() {
    let rule = |kind| format!("stream = 'stdout'\npattern = '= *(?<value>.*)'\ntype = '{kind}'");
    for (text, kind, json) in [
        ("= 18446744073709551616", "integer", Ok("18446744073709551616")),
        ("= -007", "integer", Ok("-7")),
        ("= 7.0", "integer", Err("output_invalid")),
        ("= 0.1000000000000000055", "number", Ok("0.1000000000000000055")),
        ("= -5.070543980446", "number", Ok("-5.070543980446")),
        ("= +.5", "number", Ok("0.5")),
        ("= 5.", "number", Ok("5.0")),
        ("= -1.0D-05", "number", Ok("-1.0e-05")),
        ("= 1e400", "number", Ok("1e400")),
        ("= NaN", "number", Err("output_invalid")),
        ("= -Infinity", "number", Err("output_invalid")),
        ("= ********", "number", Err("output_invalid")),
        ("= 1.0e", "number", Err("output_invalid")),
    ] {
        let found = value(&rule(kind), "", text);
        assert_eq!(found, json.map(str::to_owned).map_err(str::to_owned), "{text}");
    }
    for text in ["18446744073709551616", "1e400", "0.1000000000000000055"] {
        let rule = "file = 'out.json'\npointer = '/x'\ntype = 'number'";
        assert_eq!(value(rule, &format!("{{\"x\": {text}}}"), ""), Ok(text.to_owned()));
    }
    let rule = "file = 'out.json'\npointer = '/x'\ntype = 'number'";
    assert_eq!(value(rule, "{\"x\": NaN}", ""), Err("output_invalid".to_owned()));
}

#[test]
fn what_cannot_be_stored_is_replaced_and_flagged() {
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    for (kind, text) in [
        ("string", r#""a\u0000b""#),
        ("string", r#""\ud800""#),
        ("number", "1e99999"),
        ("json", r#"{"\u0000": 1}"#),
        ("json", &deep),
    ] {
        let rule = format!("file = 'out.json'\npointer = '/x'\ntype = '{kind}'");
        let found = value(&rule, &format!("{{\"x\": {text}, \"y\": \"\\ud800\"}}"), "");
        assert_eq!(found, Ok(format!("null{UNSTORABLE}")), "{text:.20}");
    }
    let rule = "stream = 'stdout'\npattern = '(?s)(?<value>.+)'\ntype = 'string'";
    assert_eq!(value(rule, "", "a\0"), Ok(format!("null{UNSTORABLE}")));
    let rule = "file = 'out.json'\npointer = ''\ntype = 'string'";
    let large = format!("\"{}\"", "x".repeat(SCALARS_BYTES_MAX));
    assert_eq!(value(rule, &large, ""), Ok(format!("-{TOO_LARGE}")));
}

#[test]
fn the_first_rule_that_applies_gives_the_value() {
    let rules = rules(
        "[[result]]\nname = 'x'\ntype = 'number'\nfile = 'out.json'\npointer = '/a'\nwhen = 'hess'\n\
         [[result]]\nname = 'x'\ntype = 'number'\nfile = 'out.json'\npointer = '/b'\nwhen = 'opt'\n\
         [[result]]\nname = 'x'\ntype = 'number'\nfile = 'out.json'\npointer = '/c'\n",
    );
    let scalars = read_from(&rules, r#"{"a": 1, "b": 2, "c": 3}"#, "").unwrap();
    assert_eq!(scalars.values["x"].get(), "2");
}

#[test]
fn what_is_known_of_the_molecule_is_a_result_like_others() {
    let of = |rule: &str| value(rule, "", "");
    assert_eq!(of("value = '{molecule.formula}'\ntype = 'string'"), Ok("\"H2O\"".to_owned()));
    assert_eq!(of("value = '{molecule.atoms}'\ntype = 'integer'"), Ok("3".to_owned()));
    assert_eq!(
        of("value = '{molecule.formula}'\ntype = 'integer'"),
        Err("output_invalid".to_owned())
    );
    assert_eq!(
        of("value = '{molecule.charge}'\ntype = 'integer'"),
        Err("output_missing".to_owned())
    );
}
