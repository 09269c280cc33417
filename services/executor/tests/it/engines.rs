//! The shipped modules, for real.

use std::path::Path;

use nox_contract::RawJson;
use nox_executor::manifest::Manifest;
use serde_json::{Value, json};

use crate::support::{Place, error, or_skipped, outputs, shipped_modules};

const WATER: &str = "3\nwater\nO 0.0 0.0 0.117\nH 0.0 0.757 -0.471\nH 0.0 -0.757 -0.471\n";

fn inputs(value: &Value) -> RawJson {
    RawJson::of(value).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn xtb_hello_writes_its_text_to_a_file_and_to_the_log() {
    let module = Manifest::read(&shipped_modules().join("xtb_hello")).unwrap();
    for text in ["hello from M9", "", "two\nlines\n", "-n; $(reboot) {x} ü\u{1f600}"] {
        let mut place = Place::new().await;
        place.start.inputs = inputs(&json!({"text": text}));
        let finished = place.run_program(&module, Path::new("/bin/sed")).await;
        let outputs = outputs(&finished);
        let uri = format!("sandbox://ada/{}/result.txt", place.start.job_id);
        assert_eq!(outputs["files"], json!([uri]));
        assert!(outputs["metrics"]["duration_s"].as_f64().unwrap() > 0.0);
        assert_eq!(place.kept("result.txt").unwrap().trim_end(), text.trim_end());
        assert_eq!(place.printed().trim_end(), text.trim_end());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn xtb_computes_molecules() {
    let Some(xtb) = or_skipped("xtb", nox_devkit::tools::xtb()) else { return };
    let module = Manifest::read(&shipped_modules().join("xtb")).unwrap();
    let mut place = Place::new().await;
    place.start.resources.mem_mb = 512;

    // energy, gap, dipole, each with what it may be off by
    type Expected = [Option<(f64, f64)>; 3];
    let cases: [(Value, Expected); 5] = [
        (json!({"xyz": WATER}), [Some((-5.0704, 0.001)), Some((14.60, 0.05)), Some((2.275, 0.01))]),
        (
            json!({"xyz": WATER, "charge": 0, "multiplicity": 1, "params": {"gfn": 1}}),
            [Some((-5.7686, 0.001)), Some((9.32, 0.05)), Some((2.845, 0.01))],
        ),
        // The dipole of the geometry that came out, not of the one that went in.
        (
            json!({"xyz": WATER, "params": {"opt": true}}),
            [Some((-5.07054, 0.001)), Some((14.39, 0.05)), Some((2.216, 0.01))],
        ),
        (json!({"xyz": WATER, "charge": 1, "multiplicity": 2}), [Some((-4.5, 0.3)), None, None]),
        (
            json!({"xyz": WATER, "params": {"gfn": 1, "opt": true}}),
            [Some((-5.77, 0.01)), None, None],
        ),
    ];
    for (given, expected) in cases {
        place.start.inputs = inputs(&given);
        let finished = place.run_program(&module, &xtb.path).await;
        let outputs = outputs(&finished);
        let names = ["E_total_hartree", "gap_eV", "dipole_D"];
        for (name, expected) in names.into_iter().zip(expected) {
            let found = outputs["scalars"][name].as_f64().unwrap_or_else(|| panic!("{outputs}"));
            if let Some((value, tolerance)) = expected {
                assert!((found - value).abs() <= tolerance, "{name} of {given}: {found}");
            }
        }
        assert!(outputs["files"][0].as_str().unwrap().ends_with("/xtbout.json"));
        assert_eq!(outputs["files"].as_array().unwrap().len() == 2, given["params"]["opt"] == true);
    }
    assert!(place.printed().contains("normal termination of xtb"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_molecule_that_xtb_cannot_read_fails_with_its_exit_status() {
    let Some(xtb) = or_skipped("xtb", nox_devkit::tools::xtb()) else { return };
    let module = Manifest::read(&shipped_modules().join("xtb")).unwrap();
    let mut place = Place::new().await;
    place.start.inputs = inputs(&json!({"xyz": "1\n\nXx 0 0 0\n"}));
    let finished = place.run_program(&module, &xtb.path).await;
    assert_eq!(
        (&*error(&finished).0.code, error(&finished).0.exit_status),
        ("exit_status", Some(1))
    );
    assert!(error(&finished).0.message.contains("Xx"), "{finished:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_of_nothing_is_a_value() {
    let Some(xtb) = or_skipped("xtb", nox_devkit::tools::xtb()) else { return };
    let module = Manifest::read(&shipped_modules().join("xtb")).unwrap();
    let mut place = Place::new().await;
    place.start.inputs = inputs(&json!({"xyz": "1\nsinglet oxygen\nO 0 0 0\n"}));
    let finished = place.run_program(&module, &xtb.path).await;
    assert_eq!(outputs(&finished)["scalars"]["gap_eV"], 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn molecules_that_cannot_be_are_refused_and_not_computed_as_others() {
    let Some(xtb) = or_skipped("xtb", nox_devkit::tools::xtb()) else { return };
    let module = Manifest::read(&shipped_modules().join("xtb")).unwrap();
    let mut place = Place::new().await;
    for (given, reason) in [
        (json!({"xyz": WATER, "multiplicity": 2}), "(electrons: 8, unpaired_electrons: 1)"),
        (
            json!({"xyz": WATER, "charge": 1, "multiplicity": 3}),
            "(electrons: 7, unpaired_electrons: 2)",
        ),
        (json!({"xyz": WATER.replacen('3', "2", 1)}), "(atoms: 2, atom_lines: 3)"),
    ] {
        place.start.inputs = inputs(&given);
        let finished = place.run_program(&module, &xtb.path).await;
        let error = error(&finished).0;
        assert_eq!(error.code, "input_invalid", "{given}: {error:?}");
        assert!(error.message.ends_with(reason), "{error:?}");
    }
    // A comment that looks like an atom, and what some programs leave at the end; and a multiplicity of
    // 1, which xtb takes for the lowest that there is.
    let odd = WATER.replacen("water", "O 0 0 0", 1).replace('\n', "\r\n") + " \n\n";
    for (given, electrons, unpaired) in
        [(json!({"xyz": odd}), 8, 0), (json!({"xyz": WATER, "charge": 1}), 7, 1)]
    {
        place.start.inputs = inputs(&given);
        let finished = place.run_program(&module, &xtb.path).await;
        let scalars = &outputs(&finished)["scalars"];
        assert_eq!((&scalars["atoms"], &scalars["atom_lines"]), (&json!(3), &json!(3)));
        assert_eq!(scalars["electrons"], electrons);
        assert_eq!(scalars["unpaired_electrons"], unpaired);
    }
}
