//! Molecules on their way to a real program: the odd ones are computed as what they mean, or not at all.

use std::collections::BTreeMap;

use nox_contract::{RawJson, Usage};
use nox_executor::manifest::Manifest;
use serde_json::{Value, json};

use crate::{
    corpus::{CORPUS, Expected, WATER},
    support::{Place, error, or_skipped, outputs, shipped_modules},
};

fn xtb() -> Option<(Manifest, std::path::PathBuf)> {
    let xtb = or_skipped("xtb", nox_devkit::tools::xtb())?;
    Some((Manifest::read(&shipped_modules().join("xtb")).unwrap(), xtb.path))
}

fn inputs(value: &Value) -> RawJson {
    RawJson::of(value).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_molecules_have_the_energy_of_the_one_that_is_meant() {
    let Some((module, xtb)) = xtb() else { return };
    let mut place = Place::new().await;
    place.start.resources.mem_mb = 512;
    let mut energy = async |name: &str, xyz: &str| {
        place.start.inputs = inputs(&json!({"xyz": xyz}));
        let finished = place.run_program(&module, &xtb).await;
        let energy = outputs(&finished)["scalars"]["E_total_hartree"].clone();
        energy.as_f64().unwrap_or_else(|| panic!("{name}: {finished:?}"))
    };
    let mut plain = BTreeMap::new();
    for (name, text, expected) in CORPUS {
        let Expected::Means(meant) = expected else { continue };
        if !plain.contains_key(meant) {
            plain.insert(*meant, energy(name, meant).await);
        }
        let found = energy(name, text).await;
        // xtb writes eight places after the point.
        assert!((found - plain[meant]).abs() < 2e-7, "{name}: {found}, not {}", plain[meant]);
    }
    // Each of the plain forms has an energy of its own, but for a mirror's.
    let mut energies: Vec<_> = plain.values().copied().collect();
    energies.sort_by(f64::total_cmp);
    energies.dedup_by(|a, b| (*a - *b).abs() < 1e-3);
    assert_eq!(energies.len(), plain.len() - 1, "{plain:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn molecules_that_mean_nothing_are_not_run() {
    let Some((module, xtb)) = xtb() else { return };
    let mut place = Place::new().await;
    for (name, text, expected) in CORPUS {
        let Expected::Refused(line, column, reason) = expected else { continue };
        // What no log and no row can hold is refused before there is a job.
        if text.contains('\0') {
            continue;
        }
        place.start.inputs = inputs(&json!({"xyz": text}));
        let finished = place.run_program(&module, &xtb).await;
        let error = error(&finished).0;
        assert_eq!(error.code, "input_invalid", "{name}: {error:?}");
        let words = format!("/xyz: line {line}, column {column}: ");
        assert!(error.message.starts_with(&words), "{name}: {error:?}");
        assert!(error.message.contains(reason), "{name}: {error:?}");
        assert_eq!(finished.usage, Usage { wall_ms: 0, cpu_seconds: 0 }, "{name}");
    }
    assert_eq!(place.printed(), "", "nothing ran");
}

#[tokio::test(flavor = "multi_thread")]
async fn electrons_that_cannot_be_are_refused_before_the_run() {
    let Some((module, xtb)) = xtb() else { return };
    let mut place = Place::new().await;
    let hydrogen = "1\n\nH 0 0 0\n";
    for (given, pointer, reason) in [
        (json!({"xyz": hydrogen, "charge": 100}), "/charge", "none are left"),
        (json!({"xyz": hydrogen, "charge": -2}), "/charge", "cannot bind"),
        (json!({"xyz": WATER, "multiplicity": 2}), "/multiplicity", "10 electrons"),
        (json!({"xyz": WATER, "charge": 1, "multiplicity": 3}), "/multiplicity", "9 electrons"),
        (json!({"xyz": "1\n\nU 0 0 0\n"}), "/xyz", "end at Rn"),
    ] {
        place.start.inputs = inputs(&given);
        let finished = place.run_program(&module, &xtb).await;
        let error = error(&finished).0;
        assert_eq!(error.code, "input_invalid", "{given}: {error:?}");
        assert!(error.message.starts_with(pointer) && error.message.contains(reason), "{error:?}");
    }
    assert_eq!(place.printed(), "", "nothing ran");
    // What fits is computed so: the multiplicity that is asked for, and the lowest where none is.
    for (given, electrons, unpaired) in [
        (json!({"xyz": WATER}), 8, 0),
        (json!({"xyz": WATER, "charge": 1}), 7, 1),
        (json!({"xyz": WATER, "charge": 1, "multiplicity": 2}), 7, 1),
        (json!({"xyz": WATER, "multiplicity": 3}), 8, 2),
    ] {
        place.start.inputs = inputs(&given);
        let finished = place.run_program(&module, &xtb).await;
        let scalars = &outputs(&finished)["scalars"];
        assert_eq!(scalars["electrons"], electrons, "{given}");
        assert_eq!(scalars["unpaired_electrons"], unpaired, "{given}");
    }
}
