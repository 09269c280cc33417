//! Texts of other formats, and what stands after a molecule's atoms.

/// What begins a text that is no XYZ: a first line that has or begins with this, in lower case.
const FORMATS: [(&str, &str); 13] = [
    ("$coord", "Turbomole's format, which is in bohr"),
    ("$molden", "the Molden format"),
    ("[molden", "the Molden format"),
    ("atom ", "the PDB format"),
    ("hetatm", "the PDB format"),
    ("header", "the PDB format"),
    ("@<tripos>", "the MOL2 format"),
    ("data_", "the CIF format"),
    ("inchi=", "an InChI, which has no coordinates"),
    ("{", "JSON"),
    ("* xyz", "an input of ORCA"),
    ("%", "an input of ORCA or Gaussian"),
    ("#", "an input of another program, or begins with a remark"),
];

/// What a text is whose first line is no number.
pub(crate) fn format(first: &str, text: &str) -> Option<&'static str> {
    let first = first.trim().to_ascii_lowercase();
    let known = FORMATS.iter().find(|(start, _)| first.starts_with(start)).map(|(_, name)| *name);
    known
        .or_else(|| text.contains("V2000").then_some("a molfile"))
        .or_else(|| text.contains("V3000").then_some("a molfile"))
}

/// What stands after the last atom: `rest` are the lines that are not blank, at least one.
pub(crate) fn after_the_atoms(rest: &[&str], atoms: usize) -> String {
    let first = rest[0].trim();
    if rest.len() <= 3 && rest.last().is_some_and(|line| line.trim().starts_with("InChI=")) {
        return "QM9's lines follow the atoms (frequencies, SMILES, InChI): leave them out"
            .to_owned();
    }
    if first.parse::<usize>().is_ok() {
        return format!(
            "another molecule begins here, after the {atoms} atoms of the first: several frames are \
             several jobs; send the one that is meant"
        );
    }
    if first.starts_with('$') {
        return format!("`{first:.40}` is an instruction to a program, and not part of a molecule");
    }
    let lower = first.to_ascii_lowercase();
    if ["tv", "vec", "%pbc", "lattice", "cell"].iter().any(|word| lower.starts_with(word)) {
        return format!("`{first:.40}` is a periodic cell, and a molecule has none");
    }
    if first.split_whitespace().count() > 3 {
        let found =
            atoms + rest.iter().take_while(|line| line.split_whitespace().count() > 3).count();
        return format!(
            "the first line says {atoms} atoms, and {found} lines follow that look like atoms"
        );
    }
    format!("`{first:.40}` follows the {atoms} atoms: nothing but blank lines may")
}
