//! Molecules in the XYZ format: what means one thing is normalised, what a program would silently
//! misread is refused.
//!
//! Programs read XYZ each in its own way: `1,16` is 1 to one and an error to another, a fifth column is
//! ignored or a charge. So a molecule is read here, once, and programs get [`Molecule::to_xyz`].
//! The crates for the format (`chemfiles`, `xyz`) read what they can and guess the rest.
//!
//! | file | what it does |
//! |---|---|
//! | `xyz` | lines, counts, columns |
//! | `comment` | what the second line says of cells, columns, charges and units |
//! | `label` | the first column: an element, or why it is none |
//! | `coordinate` | a number as programs write them, with all its digits |
//! | `columns` | numbers that may not be the coordinates |
//! | `foreign` | texts of other formats, and what stands after the atoms |
//! | `nearness` | atoms on top of each other |
//! | `electrons` | charge and multiplicity |

mod columns;
mod comment;
mod coordinate;
mod electrons;
mod element;
mod foreign;
mod label;
mod nearness;
mod xyz;

use std::{collections::BTreeMap, fmt::Write};

pub use coordinate::Coordinate;
pub use electrons::{Electrons, Impossible};
pub use element::Element;
pub use xyz::ATOMS_MAX;

/// Longest comment that is passed on, in characters.
const COMMENT_CHARS_MAX: usize = 200;

/// Nuclei without bonds, in the order in which they were given.
#[derive(Debug, Clone, PartialEq)]
pub struct Molecule {
    pub atoms: Vec<Atom>,
    /// One line without control characters.
    pub comment: String,
    /// What the comment says of the charge, in words that programs read.
    stated: Stated,
}

/// A nucleus.
#[derive(Debug, Clone, PartialEq)]
pub struct Atom {
    pub element: Element,
    /// x, y and z in ångström.
    pub position: [Coordinate; 3],
}

/// What an extended comment states beside the atoms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Stated {
    charge: Option<i64>,
    multiplicity: Option<i64>,
}

/// Why a text is not taken for a molecule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {reason}")]
pub struct Refusal {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    pub reason: String,
}

impl Molecule {
    /// Reads a text in the XYZ format.
    ///
    /// # Errors
    /// The first thing in it that has no meaning, or more than one.
    pub fn read(text: &str) -> Result<Self, Refusal> {
        xyz::read(text)
    }

    /// The molecule as every program reads it: a number, a comment, and four columns.
    pub fn to_xyz(&self) -> String {
        format!("{}\n{}\n{}", self.atoms.len(), self.comment, self.atom_lines())
    }

    /// The lines of the atoms alone, each with its end.
    pub fn atom_lines(&self) -> String {
        let mut text = String::new();
        for Atom { element, position: [x, y, z] } in &self.atoms {
            let _ = writeln!(text, "{:<2} {x} {y} {z}", element.symbol());
        }
        text
    }

    /// The same with the element last, as Turbomole has them.
    pub fn coord_lines(&self) -> String {
        let mut text = String::new();
        for Atom { element, position: [x, y, z] } in &self.atoms {
            let _ = writeln!(text, "{x} {y} {z} {}", element.symbol().to_ascii_lowercase());
        }
        text
    }

    /// The formula in Hill's order: carbon, hydrogen, then the alphabet.
    pub fn formula(&self) -> String {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for atom in &self.atoms {
            *counts.entry(atom.element.symbol()).or_default() += 1;
        }
        let organic = counts.contains_key("C");
        let first = if organic { &["C", "H"][..] } else { &[] };
        let ordered: Vec<_> =
            first.iter().filter_map(|symbol| counts.remove_entry(symbol)).collect();
        let mut formula = String::new();
        for (symbol, count) in ordered.into_iter().chain(counts) {
            formula.push_str(symbol);
            if count > 1 {
                let _ = write!(formula, "{count}");
            }
        }
        formula
    }

    /// The sum of the atomic numbers.
    pub fn protons(&self) -> i64 {
        self.atoms.iter().map(|atom| i64::from(atom.element.number())).sum()
    }

    /// The element with the largest atomic number.
    pub fn heaviest(&self) -> Option<Element> {
        self.atoms.iter().map(|atom| atom.element).max()
    }
}

/// A comment as it is passed on.
fn plain(comment: &str) -> String {
    let plain = comment.trim().chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(COMMENT_CHARS_MAX).collect()
}
