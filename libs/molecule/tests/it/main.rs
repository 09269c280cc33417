//! The corpus of odd files, and what holds for every text.

mod corpus;

use std::collections::BTreeSet;

use corpus::{CORPUS, Expected};
use nox_molecule::Molecule;
use proptest::prelude::*;

/// Elements and where they are, from the first atom on.
fn shape(molecule: &Molecule) -> Vec<(&'static str, [i64; 3])> {
    let origin = molecule.atoms[0].position.clone().map(|x| x.value());
    let place = |position: &[nox_molecule::Coordinate; 3]| {
        std::array::from_fn(|axis| {
            // In 1e-9 ångström.
            ((position[axis].value() - origin[axis]) * 1e9).round() as i64
        })
    };
    molecule.atoms.iter().map(|atom| (atom.element.symbol(), place(&atom.position))).collect()
}

#[test]
fn every_odd_file_is_the_molecule_that_is_meant_or_refused_by_its_place() {
    assert!(CORPUS.len() >= 60, "{}", CORPUS.len());
    let names: BTreeSet<_> = CORPUS.iter().map(|(name, ..)| name).collect();
    assert_eq!(names.len(), CORPUS.len(), "each has a name of its own");
    for (name, text, expected) in CORPUS {
        match (Molecule::read(text), expected) {
            (Ok(molecule), Expected::Means(plain)) => {
                let meant = Molecule::read(plain).unwrap();
                assert_eq!(shape(&molecule), shape(&meant), "{name}");
            }
            (Err(refusal), Expected::Refused(line, column, reason)) => {
                assert_eq!((refusal.line, refusal.column), (*line, *column), "{name}: {refusal}");
                assert!(refusal.reason.contains(reason), "{name}: {refusal}");
            }
            (found, _) => panic!("{name}: {found:?}"),
        }
    }
}

#[test]
fn another_molecule_is_told_from_the_one_that_is_meant() {
    let of = |text: &str| shape(&Molecule::read(text).unwrap());
    assert_ne!(of(corpus::HCL), of("2\n\nH 0 0 0\nCl 0 0 1.276\n"));
    assert_ne!(of(corpus::HCL), of(corpus::HCL_DOWN));
    assert_ne!(of(corpus::HCL), of("2\n\nCl 0 0 0\nH 0 0 1.275\n"));
}

#[test]
fn formulas_are_in_hills_order() {
    for (text, formula) in [
        (corpus::WATER, "H2O"),
        (corpus::HCL, "ClH"),
        ("4\n\nCl 0 0 0\nC 0 0 2\nH 0 0 4\nBr 0 0 6\n", "CHBrCl"),
        ("1\n\nC 0 0 0\n", "C"),
    ] {
        assert_eq!(Molecule::read(text).unwrap().formula(), formula);
    }
}

#[test]
fn a_normalised_extended_file_says_nothing_of_columns_that_are_gone() {
    let text = "1\nProperties=pos:R:3:species:S:1 charge=1\n0 0 0 Li\n";
    assert_eq!(Molecule::read(text).unwrap().to_xyz(), "1\n\nLi 0.0 0.0 0.0\n");
    let text = "1\n  a\tcomment \nLi 0 0 1D-3 7\n";
    assert_eq!(Molecule::read(text).unwrap().to_xyz(), "1\na comment\nLi 0.0 0.0 0.001\n");
}

proptest! {
    /// What is accepted means the same when it is read again, and nothing panics.
    #[test]
    fn normalising_twice_changes_nothing(text in odd_text()) {
        if let Ok(molecule) = Molecule::read(&text) {
            let plain = molecule.to_xyz();
            let again = Molecule::read(&plain);
            prop_assert_eq!(again.as_ref().map(Molecule::to_xyz), Ok(plain));
            let again = again.unwrap();
            prop_assert_eq!(again.atoms, molecule.atoms);
        }
    }

    /// A number keeps its value, whatever its digits.
    #[test]
    fn digits_stay(whole in 0..1_000u32, fraction in "[0-9]{1,30}", negative: bool) {
        let sign = if negative { "-" } else { "" };
        let written = format!("{sign}{whole}.{fraction}");
        let molecule = Molecule::read(&format!("1\n\nHe 0 0 {written}\n")).unwrap();
        let zero = written.trim_matches(['-', '0', '.']).is_empty()
            || molecule.atoms[0].position[2].value() == 0.0;
        let kept = molecule.atoms[0].position[2].to_string();
        prop_assert!(kept == written || zero && kept == "0.0", "{} {}", written, kept);
    }
}

/// Texts that are nearly molecules.
fn odd_text() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        4 => "(C|H|O|Cl|cl|CO|6|17|C1|X)",
        6 => "-?[0-9]{1,2}\\.[0-9]{0,4}",
        1 => "[0-9]{1,2}",
        1 => "-?[0-9]\\.[0-9]{1,3}[dDeE][+-]?[0-9]{1,2}",
        1 => "\\PC{0,6}",
    ];
    let line = prop::collection::vec(word, 0..7).prop_map(|words| words.join(" "));
    (0..4usize, "\\PC{0,20}", prop::collection::vec(line, 0..5))
        .prop_map(|(count, comment, lines)| format!("{count}\n{comment}\n{}", lines.join("\n")))
}
