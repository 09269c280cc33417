//! The modules `orca` and `gaussian`: what they hand to the program, and what they find in lines that it is known
//! to print. The programs themselves may not be passed on.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use nox_contract::RawJson;
use nox_executor::{manifest::Manifest, modules::Modules};
use serde_json::{Value, json};

use crate::{
    corpus::WATER,
    support::{Place, error, host_without, outputs, shipped_modules},
};

const ORCA: &str = r"
                         Program Version 5.0.4 -  RELEASE  -
-------------------------   --------------------
FINAL SINGLE POINT ENERGY       -76.321234567890
-------------------------   --------------------
FINAL SINGLE POINT ENERGY       -76.323464513190
Magnitude (Debye)      :      2.05412
VIBRATIONAL FREQUENCIES
   0:         0.00 cm**-1
   5:         0.00 cm**-1
   6:      1639.47 cm**-1
   7:      3791.81 cm**-1
   8:     -3889.02 cm**-1 ***imaginary mode***
 Mode   freq       eps      Int      T**2         TX        TY        TZ
  6:   1639.47   0.012938   65.38  0.002463  ( 0.000000  0.000000 -0.049624)
  7:   3791.81   0.000600    3.03  0.000049  (-0.000000 -0.000000 -0.007024)
  8:   3889.02   0.004893   24.73  0.000393  (-0.000000  0.019816  0.000000)
Zero point energy                ...      0.02123456 Eh      13.33 kcal/mol
Total Enthalpy                    ...    -76.29843210 Eh
Final Gibbs free energy         ...    -76.31987654 Eh
                             ****ORCA TERMINATED NORMALLY****
";

const GAUSSIAN: &str = r"
 Gaussian 16:  ES64L-G16RevC.01  3-Jul-2019
 SCF Done:  E(RB3LYP) =  -76.3582123456     A.U. after   10 cycles
 SCF Done:  E(RB3LYP) =  -76.3589533205     A.U. after    8 cycles
 Dipole moment (field-independent basis, Debye):
    X=              0.0000    Y=              0.0000    Z=             -2.0962  Tot=              2.0962
 Frequencies --   1665.8190              3799.6311              3912.2004
 IR Inten    --     67.4620                 2.4103                19.6312
 Zero-point correction=                           0.021361 (Hartree/Particle)
 Sum of electronic and thermal Enthalpies=            -76.333812
 Sum of electronic and thermal Free Energies=         -76.355275
 Normal termination of Gaussian 16 at Fri Nov 27 12:00:00 2026.
";

/// A program that shows its input and prints `said`, to `file` if there is one.
fn program(place: &Place, input: &str, said: &str, file: Option<&str>, status: i32) -> PathBuf {
    let folder = place.folder.path().join("engine");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("program");
    let to = file.map(|file| format!(" > {file}")).unwrap_or_default();
    let script = format!("#!/bin/sh\ncat {input}\ncat{to} <<'END'\n{said}\nEND\nexit {status}\n");
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn inputs(value: &Value) -> RawJson {
    RawJson::of(value).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn orca_gets_its_input_and_its_lines_are_understood() {
    let module = Manifest::read(&shipped_modules().join("orca")).unwrap();
    let mut place = Place::new().await;
    place.start.inputs = inputs(&json!({"xyz": WATER, "charge": 1, "task": "Opt Freq"}));
    place.start.resources.mem_mb = 4000;
    place.start.resources.cpu = 2;
    let orca = program(&place, "input.inp", ORCA, None, 0);
    let outputs = outputs(&place.run_program(&module, &orca).await);
    let printed = place.printed();
    let expected = "! B3LYP D4 def2-SVP Opt Freq\n%pal nprocs 2 end\n%maxcore 1500\n* xyz 1 2\nO  0.0 0.0 0.117\n";
    assert!(printed.contains(expected), "{printed}");
    let scalars = &outputs["scalars"];
    assert_eq!(scalars["E_total_hartree"].to_string(), "-76.32346451319");
    assert_eq!(scalars["orca_version"], "5.0.4");
    assert_eq!(scalars["dipole_D"], 2.05412);
    assert_eq!(scalars["G_total_hartree"], -76.319_876_54);
    assert_eq!(scalars["H_total_hartree"], -76.298_432_1);
    assert_eq!(scalars["zero_point_energy_hartree"], 0.021_234_56);
    assert_eq!((&scalars["formula"], &scalars["charge"]), (&json!("H2O"), &json!(1)));
    let series = &outputs["series"];
    assert_eq!(series["frequencies_cm1"], json!([1639.47, 3791.81, -3889.02]));
    assert_eq!(series["ir_intensities_km_mol"], json!([65.38, 3.03, 24.73]));
    assert_eq!(series["opt_energy_hartree"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn orca_fails_where_it_says_so_whatever_its_status() {
    let module = Manifest::read(&shipped_modules().join("orca")).unwrap();
    let mut place = Place::new().await;
    place.start.inputs = inputs(&json!({"xyz": WATER}));
    let short = ORCA.replace("****ORCA TERMINATED NORMALLY****", "");
    let unconverged = format!("{ORCA}\n   SCF NOT CONVERGED AFTER 125 CYCLES\n");
    let failed = format!("{short}\nORCA finished by error termination in SCF\n");
    for (said, code, reason) in [
        (&*short, "output_missing", "no `termination`"),
        (&unconverged, "output_invalid", "the SCF did not converge in 125 cycles"),
        (&failed, "output_invalid", "ORCA failed in SCF"),
    ] {
        let orca = program(&place, "input.inp", said, None, 0);
        let finished = place.run_program(&module, &orca).await;
        let error = error(&finished).0;
        assert_eq!(error.code, code, "{error:?}");
        assert!(error.message.starts_with(reason), "{error:?}");
    }
    for keywords in ["B3LYP\n%pal nprocs 64 end", "! HF", "%maxcore 1", ""] {
        place.start.inputs = inputs(&json!({"xyz": WATER, "keywords": keywords}));
        let finished = place.run_program(&module, "/bin/true".as_ref()).await;
        assert_eq!(error(&finished).0.code, "input_invalid", "{keywords}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gaussian_gets_its_input_and_its_lines_are_understood() {
    let module = Manifest::read(&shipped_modules().join("gaussian")).unwrap();
    let mut place = Place::new().await;
    place.start.inputs =
        inputs(&json!({"xyz": WATER, "keywords": "B3LYP/6-31G(d)", "task": "Freq"}));
    place.start.resources.mem_mb = 4000;
    let gaussian = program(&place, "input.gjf", GAUSSIAN, Some("input.log"), 0);
    let outputs = outputs(&place.run_program(&module, &gaussian).await);
    let printed = place.printed();
    let expected = "%nprocshared=1\n%mem=3000MB\n%chk=input.chk\n#p B3LYP/6-31G(d) Freq\n\nH2O\n\n0 1\nO  0.0 0.0 0.117\n";
    assert!(printed.contains(expected), "{printed}");
    assert!(printed.contains("-0.471\n\n\n"), "ends with a blank line: {printed:?}");
    let scalars = &outputs["scalars"];
    assert_eq!(scalars["E_scf_hartree"], -76.358_953_320_5);
    assert_eq!(scalars["method"], "RB3LYP");
    assert_eq!(scalars["gaussian_version"], "ES64L-G16RevC.01");
    assert_eq!(scalars["dipole_D"], 2.0962);
    assert_eq!(scalars["G_total_hartree"], -76.355_275);
    let series = &outputs["series"];
    assert_eq!(series["frequencies_cm1"], json!([1665.819, 3799.6311, 3912.2004]));
    assert_eq!(series["ir_intensities_km_mol"], json!([67.462, 2.4103, 19.6312]));

    let failed = " Convergence failure -- run terminated.\n Error termination via Lnk1e in /g16/l502.exe at Fri.";
    let gaussian = program(&place, "input.gjf", failed, Some("input.log"), 1);
    let finished = place.run_program(&module, &gaussian).await;
    let error = error(&finished).0;
    assert_eq!((&*error.code, error.exit_status), ("exit_status", Some(1)));
    assert!(error.message.starts_with("the SCF did not converge"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_installed_is_left_out_with_the_reason() {
    let modules = Modules::read(&shipped_modules(), &host_without(&[]).await).unwrap();
    for (name, program) in [("orca", "/opt/orca/orca"), ("gaussian", "g16")] {
        let declared = modules.iter().any(|module| module.manifest.file.name.as_str() == name);
        let left_out = modules.left_out().iter().find(|left_out| left_out.name.as_str() == name);
        match left_out {
            Some(left_out) => assert!(left_out.reason.contains(program), "{left_out:?}"),
            None => assert!(declared, "{name}"),
        }
    }
}
