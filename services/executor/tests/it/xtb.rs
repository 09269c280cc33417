//! All that the module `xtb` offers, with the real xtb.

use std::path::PathBuf;

use nox_contract::{AttemptEnd, RawJson};
use nox_executor::manifest::Manifest;
use serde_json::{Value, json};

use crate::{
    corpus::WATER,
    support::{Place, or_skipped, outputs, shipped_modules},
    uploads::upload,
};

/// Runs inputs through xtb.
struct Xtb {
    place: Place,
    module: Manifest,
    program: PathBuf,
}

impl Xtb {
    async fn new() -> Option<Self> {
        let xtb = or_skipped("xtb", nox_devkit::tools::xtb())?;
        let module = Manifest::read(&shipped_modules().join("xtb")).unwrap();
        let mut place = Place::new().await;
        place.start.resources.mem_mb = 512;
        Some(Self { place, module, program: xtb.path })
    }

    async fn outputs(&mut self, inputs: &Value) -> Value {
        self.place.start.inputs = RawJson::of(inputs).unwrap();
        outputs(&self.place.run_program(&self.module, &self.program).await)
    }

    /// The code and the message of the failure.
    async fn failure(&mut self, inputs: &Value) -> (String, String) {
        self.place.start.inputs = RawJson::of(inputs).unwrap();
        let finished = self.place.run_program(&self.module, &self.program).await;
        let AttemptEnd::Failed { error, retryable, crashed } = finished.end else {
            panic!("no failure but {finished:?}");
        };
        assert!(!retryable && !crashed, "it would fail again: {error:?}");
        (error.code, error.message)
    }
}

fn water(params: &Value) -> Value {
    json!({"xyz": WATER, "params": params})
}

#[track_caller]
fn assert_near(found: &Value, expected: f64, tolerance: f64) {
    let number = found.as_f64().unwrap_or_else(|| panic!("{found}"));
    assert!((number - expected).abs() <= tolerance, "{number}, not {expected}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_gives_its_energy_and_says_what_was_computed() {
    let Some(mut xtb) = Xtb::new().await else { return };
    for (gfn, method, energy) in [
        (json!(2), "GFN2-xTB", -5.0704),
        (json!(1), "GFN1-xTB", -5.7686),
        (json!(0), "GFN0-xTB", -4.3669),
        (json!("ff"), "GFN-FF", -0.3273),
    ] {
        let outputs = xtb.outputs(&water(&json!({"gfn": gfn}))).await;
        let scalars = &outputs["scalars"];
        assert_near(&scalars["E_total_hartree"], energy, 0.001);
        assert_eq!(scalars["method"], method);
        assert_eq!(scalars["formula"], "H2O");
        assert_eq!((&scalars["charge"], &scalars["multiplicity"]), (&json!(0), &json!(1)));
        assert!(scalars["xtb_version"].as_str().unwrap().starts_with(|c: char| c.is_ascii_digit()));
        let electronic = ["gap_eV", "dipole_D", "E_electronic_hartree", "electrons"];
        for name in electronic {
            assert_eq!(scalars.get(name).is_some(), gfn != "ff", "{method}: {name}");
        }
        assert_eq!(outputs["series"]["partial_charges_e"].as_array().unwrap().len(), 3, "{method}");
    }
    // As printed, with more digits than its JSON has.
    let text = xtb.outputs(&water(&json!({}))).await["scalars"]["E_total_hartree"].to_string();
    assert!(text.len() >= "-5.070383095219".len() - 1, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_optimization_has_its_steps_and_the_values_of_the_geometry_that_came_out() {
    let Some(mut xtb) = Xtb::new().await else { return };
    for gfn in [json!(2), json!(1), json!(0), json!("ff")] {
        let outputs = xtb.outputs(&water(&json!({"gfn": gfn, "opt": true}))).await;
        let (scalars, series) = (&outputs["scalars"], &outputs["series"]);
        let energies = series["opt_energy_hartree"].as_array().unwrap();
        assert_eq!(scalars["opt_steps"], energies.len(), "{gfn}");
        assert!(energies.len() > 1, "{gfn}: {energies:?}");
        let (first, last) = (energies[0].as_f64().unwrap(), energies.last().unwrap());
        assert!(last.as_f64().unwrap() < first, "{gfn}: {energies:?}");
        assert_near(last, scalars["E_total_hartree"].as_f64().unwrap(), 1e-6);
        let files = outputs["files"].to_string();
        let geometry = if gfn == 0 { "/xtbopt.coord" } else { "/xtbopt.xyz" };
        assert!(files.contains(geometry) && files.contains("/xtbopt.log"), "{files}");
    }
    // An atom has nothing to optimize, and is computed all the same.
    for gfn in [json!(2), json!(1), json!(0), json!("ff")] {
        let params = json!({"gfn": gfn, "opt": true});
        let outputs = xtb.outputs(&json!({"xyz": "1\n\nHe 0 0 0\n", "params": params})).await;
        assert!(outputs["scalars"]["E_total_hartree"].is_number(), "{gfn}: {outputs}");
        assert_eq!(outputs["series"].get("opt_energy_hartree"), None, "{gfn}");
    }
    // Not those of xtbout.json, which are of the geometry that went in.
    let outputs = xtb.outputs(&water(&json!({"opt": true}))).await;
    assert_near(&outputs["scalars"]["dipole_D"], 2.216, 0.002);
    let number = |name: &str| outputs["scalars"][name].as_f64().unwrap();
    let sum = number("E_electronic_hartree") + number("E_repulsion_hartree");
    assert_near(&outputs["scalars"]["E_total_hartree"], sum, 1e-8);
}

#[tokio::test(flavor = "multi_thread")]
async fn vibrations_come_with_their_intensities_and_displacements() {
    let Some(mut xtb) = Xtb::new().await else { return };
    for (params, lowest) in [
        (json!({"opt": true, "hess": true}), 1538.0),
        (json!({"gfn": "ff", "opt": true, "hess": true}), 1500.0),
        (json!({"hess": true}), 1538.0),
    ] {
        let outputs = xtb.outputs(&water(&params)).await;
        let series = &outputs["series"];
        for name in ["frequencies_cm1", "ir_intensities_km_mol", "reduced_masses_amu"] {
            assert_eq!(series[name].as_array().unwrap().len(), 3, "{params}: {name}");
        }
        assert_near(&series["frequencies_cm1"][0], lowest, 200.0);
        let scalars = &outputs["scalars"];
        assert_eq!(scalars["imaginary_frequencies"], 0);
        assert!(scalars["G_total_hartree"].as_f64() > scalars["E_total_hartree"].as_f64());
        let files = outputs["files"].to_string();
        for name in ["/g98.out", "/vibspectrum", "/hessian"] {
            assert!(files.contains(name), "{files}");
        }
        let modes = xtb.place.kept("g98.out").unwrap();
        assert!(modes.contains("Atom AN      X      Y      Z"), "displacements");
    }
    // A saddle point, and an atom, which does not vibrate.
    let flat = "4\n\nN 0 0 0\nH 0.94 0 0\nH -0.47 0.814 0\nH -0.47 -0.814 0\n";
    let outputs = xtb.outputs(&json!({"xyz": flat, "params": {"hess": true}})).await;
    assert_eq!(outputs["scalars"]["imaginary_frequencies"], 1);
    assert!(outputs["series"]["frequencies_cm1"][0].as_f64().unwrap() < -1000.0);
    let helium = xtb.outputs(&json!({"xyz": "1\n\nHe 0 0 0\n", "params": {"hess": true}})).await;
    assert_eq!(helium["series"].get("frequencies_cm1"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn solvents_change_the_energy_and_are_named() {
    let Some(mut xtb) = Xtb::new().await else { return };
    for gfn in [json!(2), json!(1), json!("ff")] {
        let gas = xtb.outputs(&water(&json!({"gfn": gfn}))).await;
        let gas = gas["scalars"]["E_total_hartree"].as_f64().unwrap();
        let mut before = gas;
        for model in ["alpb", "gbsa"] {
            let params = json!({"gfn": gfn, "solvent": "water", "solvation": model});
            let outputs = xtb.outputs(&water(&params)).await;
            let scalars = &outputs["scalars"];
            let energy = scalars["E_total_hartree"].as_f64().unwrap();
            assert!(energy < gas && energy != before, "{params}: {energy}");
            assert_eq!(scalars["solvent"], format!("water ({model})"));
            before = energy;
        }
    }
    let (code, message) = xtb.failure(&water(&json!({"gfn": 0, "solvent": "water"}))).await;
    assert_eq!(code, "input_invalid");
    assert!(message.contains("/params"), "{message}");
    let params = json!({"solvent": "aniline", "solvation": "gbsa"});
    let (code, message) = xtb.failure(&water(&params)).await;
    assert_eq!(code, "exit_status");
    assert!(message.starts_with("there are no parameters for the solvent aniline"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_xtb_fails_at_is_said_in_a_sentence_and_its_own_words() {
    let Some(mut xtb) = Xtb::new().await else { return };
    let hydrogen = json!({"xyz": "2\n\nH 0 0 0\nH 0 0 0.74\n", "params": {"hess": true}});
    let (code, message) = xtb.failure(&hydrogen).await;
    assert_eq!(code, "crashed");
    assert!(message.starts_with("xtb aborted itself"), "{message}");
    assert!(
        message.contains("signal 6") && message.contains("stack smashing detected"),
        "{message}"
    );
    // Without vibrations it is computed.
    let energy = xtb.outputs(&json!({"xyz": hydrogen["xyz"]})).await;
    assert_near(&energy["scalars"]["E_total_hartree"], -0.9823, 0.001);
}

/// So many atoms of helium, 3 Å from each other.
fn helium(atoms: u32) -> String {
    let line = |n: u32| {
        format!("He {}.0000 {}.0000 {}.0000\n", 3 * (n % 9), 3 * (n / 9 % 9), 3 * (n / 81))
    };
    format!("{atoms}\n\n{}", (0..atoms).map(line).collect::<String>())
}

#[tokio::test(flavor = "multi_thread")]
async fn six_hundred_atoms_have_the_stack_that_they_need_or_the_limit_is_named() {
    let Some(mut xtb) = Xtb::new().await else { return };
    let hard = rustix::process::getrlimit(rustix::process::Resource::Stack).maximum;
    let resources = &mut xtb.place.start.resources;
    (resources.wall_time_s, resources.mem_mb) = (600, 4096);
    let inputs = json!({"xyz": helium(600)});
    if hard.is_none_or(|hard| hard >= 256 << 20) {
        let scalars = &xtb.outputs(&inputs).await["scalars"];
        assert_near(&scalars["E_total_hartree"], -1_045.931_140_7, 1e-5);
        assert_eq!(scalars["formula"], "He600");
    }
    // The control: with the customary 8 MiB it crashes, once, and says what to ask for.
    let manifest = std::fs::read_to_string(shipped_modules().join("xtb/module.toml")).unwrap();
    let small = xtb.place.folder.path().join("xtb");
    std::fs::create_dir(&small).unwrap();
    std::fs::copy(shipped_modules().join("xtb/inputs.json"), small.join("inputs.json")).unwrap();
    std::fs::write(small.join("module.toml"), manifest + "\n[limits]\nstack_mb = 8\n").unwrap();
    xtb.module = Manifest::read(&small).unwrap();
    let (code, message) = xtb.failure(&inputs).await;
    assert_eq!(code, "crashed");
    assert!(message.contains("stack") && message.contains("stack_mb"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_geometry_that_was_uploaded_reaches_xtb() {
    let Some(mut xtb) = Xtb::new().await else { return };
    let text = helium(700);
    assert!(text.len() > nox_contract::INPUTS_BYTES_MAX);
    let (id, sha256) = upload(&xtb.place, &text).await;
    let inputs = json!({"xyz": {"$upload": id, "sha256": sha256}, "params": {"gfn": "ff"}});
    let scalars = &xtb.outputs(&inputs).await["scalars"];
    assert_eq!((&scalars["atoms"], &scalars["formula"]), (&json!(700), &json!("He700")));
    assert_near(&scalars["E_total_hartree"], -0.068_15, 0.001);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_of_nothing_is_a_value() {
    let Some(mut xtb) = Xtb::new().await else { return };
    let singlet = json!({"xyz": "1\nsinglet oxygen\nO 0 0 0\n", "multiplicity": 1});
    assert_eq!(xtb.outputs(&singlet).await["scalars"]["gap_eV"], 0.0);
    let water = xtb.outputs(&water(&json!({"gfn": 1}))).await;
    assert_near(&water["scalars"]["gap_eV"], 9.32, 0.05);
    assert_near(&water["scalars"]["dipole_D"], 2.845, 0.01);
}
