use nox_contract::RawJson;

use super::*;

fn exact(text: &str) -> Exact {
    Exact::read(&RawJson::parse(text.to_owned()).unwrap()).unwrap()
}

fn text_of(template: &str, inputs: &Exact, as_argument: bool) -> Result<String, FillError> {
    let template = Template::try_from(template.to_owned()).unwrap();
    let molecule = exact(r#"{"formula": "H2O"}"#);
    let resources = resources(&Resources { cpu: 3, mem_mb: 1000, wall_time_s: 9, gpu: 0 });
    let values = Values {
        work_dir: "/w",
        program_dir: "/usr/bin",
        inputs,
        molecule: &molecule,
        resources: &resources,
    };
    if as_argument { template.argument(values) } else { template.text(values) }
}

fn argument(template: &str, inputs: &Exact) -> Result<String, FillError> {
    text_of(template, inputs, true)
}

#[test]
fn placeholders_are_replaced_and_all_else_stays() {
    let inputs = exact(
        r#"{"charge": -1, "multiplicity": 3, "name": "a b;$(c)", "p": {"q": true}, "big": 18446744073709551616,
            "small": 0.1000000000000000055}"#,
    );
    for (template, filled) in [
        ("{work_dir}/in.xyz", "/w/in.xyz"),
        ("{inputs.charge}", "-1"),
        ("{inputs.multiplicity - 1}", "2"),
        ("{inputs.charge + 5}", "4"),
        ("--name={inputs.name}", "--name=a b;$(c)"),
        ("{inputs.p.q}", "true"),
        ("{inputs.big} {inputs.big - 1}", "18446744073709551616 18446744073709551615"),
        ("{inputs.small}", "0.1000000000000000055"),
        ("{molecule.formula} {program_dir}", "H2O /usr/bin"),
        ("{resources.mem_mb_per_cpu * 3 / 4} {resources.cpu}", "249 3"),
        ("{{x}} {inputs.charge}{inputs.charge}", "{x} -1-1"),
        ("", ""),
    ] {
        assert_eq!(argument(template, &inputs).unwrap(), filled);
    }
}

#[test]
fn a_value_that_is_no_argument_is_named() {
    let inputs = exact(r#"{"n": null, "o": {}, "s": "--exec", "z": "a\u0000b", "f": 1.5}"#);
    for (template, error) in [
        ("{inputs.n}", FillError::Missing("inputs.n".to_owned())),
        ("{inputs.o.p}", FillError::Missing("inputs.o.p".to_owned())),
        ("{inputs.o}", FillError::NoScalar("inputs.o".to_owned())),
        ("{inputs.s}", FillError::Option("inputs.s".to_owned())),
        ("{inputs.z}", FillError::Nul("inputs.z".to_owned())),
        ("{inputs.f - 1}", FillError::NoInteger("inputs.f".to_owned())),
    ] {
        assert_eq!(argument(template, &inputs), Err(error));
    }
    assert_eq!(argument("x{inputs.s}", &inputs).unwrap(), "x--exec");
}

#[test]
fn a_file_may_hold_what_an_argument_may_not() {
    let inputs = exact(r#"{"o": {"a": [1, null]}, "s": "--x"}"#);
    let text = text_of("{inputs.o}\n{inputs.s}", &inputs, false);
    assert_eq!(text.unwrap(), "{\"a\":[1,null]}\n--x");
}

#[test]
fn a_template_that_means_nothing_is_refused() {
    for wrong in [
        "{",
        "}",
        "a{b",
        "{inputs}",
        "{inputs.}",
        "{inputs.a..b}",
        "{env.HOME}",
        "{}",
        "{molecule.mass}",
    ] {
        assert!(Template::try_from(wrong.to_owned()).is_err(), "{wrong}");
    }
    assert!(Template::try_from("{inputs.a - x}".to_owned()).is_err());
}
