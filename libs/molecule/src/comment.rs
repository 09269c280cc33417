//! What the second line says that matters: extended XYZ, and what people write there.
//!
//! `Lattice="…"` and `pbc="T T T"` make a crystal of a molecule, `Properties=…` says which columns are
//! which, `charge=…` may contradict the job, and the word bohr is another unit.

use crate::Stated;

/// Keys of a periodic cell, in lower case.
const CELLS: [&str; 6] = ["lattice", "cell", "unitcell", "unit_cell", "cell_vectors", "tv"];

/// Words for lengths that are no ångström, in lower case.
const OTHER_UNITS: [&str; 10] = [
    "bohr",
    "bohrs",
    "a.u.",
    "atomic_unit",
    "atomic_units",
    "nanometer",
    "nanometers",
    "nanometre",
    "picometer",
    "picometers",
];

/// What a comment says.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Comment {
    pub stated: Stated,
    /// Which columns are which, where it is said.
    pub layout: Option<Layout>,
    /// Whether programs that read extended XYZ would take anything from it.
    pub extended: bool,
}

/// Columns from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    pub label: usize,
    pub position: usize,
    pub columns: usize,
}

impl Comment {
    /// The error is what stands against computing the molecule, with the place in bytes.
    pub(crate) fn read(text: &str) -> Result<Self, (usize, String)> {
        if let Some(word) = words(text).find(|(_, word)| OTHER_UNITS.contains(&&**word)) {
            return Err((word.0, other_unit(&word.1)));
        }
        if let Some(at) = text.to_ascii_lowercase().find("cell(") {
            return Err((at, periodic()));
        }
        let mut comment = Self::default();
        let mut cell = None;
        let mut pbc = None;
        for Pair { at, key, value } in pairs(text) {
            match &*key.to_ascii_lowercase() {
                key if CELLS.contains(&key) => cell = cell.or(Some(at)),
                "pbc" => pbc = Some((at, is_periodic(&value))),
                "properties" => {
                    comment.layout = Some(Layout::read(&value).map_err(|reason| (at, reason))?);
                }
                "charge" | "total_charge" => comment.stated.charge = whole(&value),
                "multiplicity" | "mult" | "spin_multiplicity" => {
                    comment.stated.multiplicity = whole(&value);
                }
                "unit" | "units" if !value.to_ascii_lowercase().starts_with("ang") => {
                    return Err((at, other_unit(&value)));
                }
                _ => continue,
            }
            comment.extended = true;
        }
        match (cell, pbc) {
            (Some(at), Some((_, true)) | None) | (None, Some((at, true))) => Err((at, periodic())),
            (_, Some((_, false))) | (None, None) => Ok(comment),
        }
    }
}

impl Layout {
    /// Reads `species:S:1:pos:R:3:forces:R:3`.
    fn read(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`Properties={text}` does not say where an element and a position `pos:R:3` are"
            )
        };
        let parts: Vec<_> = text.split(':').collect();
        let (mut columns, mut label, mut position) = (0, None, None);
        for property in parts.chunks(3) {
            let [name, _, count] = property else { return Err(wrong()) };
            let count: usize = count.trim().parse().map_err(|_| wrong())?;
            match &*name.trim().to_ascii_lowercase() {
                "species" if count == 1 => label = Some(columns),
                "z" | "numbers" | "atomic_numbers" if count == 1 => label = label.or(Some(columns)),
                "pos" | "positions" if count == 3 => position = Some(columns),
                _ => {}
            }
            columns += count;
        }
        match (label, position) {
            (Some(label), Some(position)) => Ok(Self { label, position, columns }),
            _ => Err(wrong()),
        }
    }
}

fn periodic() -> String {
    "the comment has a periodic cell, and a molecule has none: computed as one, a crystal has \
     another energy; leave the cell out if the molecule alone is meant"
        .to_owned()
}

fn other_unit(unit: &str) -> String {
    format!(
        "the comment says `{unit}`, and coordinates are in ångström: convert them, and leave it out"
    )
}

fn whole(text: &str) -> Option<i64> {
    text.trim().trim_start_matches('+').parse().ok()
}

fn is_periodic(value: &str) -> bool {
    value
        .split(|c: char| !c.is_alphanumeric())
        .any(|word| matches!(&*word.to_ascii_lowercase(), "t" | "true" | "1"))
}

/// Words with their places in bytes, in lower case.
fn words(text: &str) -> impl Iterator<Item = (usize, String)> {
    let breaks = |c: char| c.is_whitespace() || "=\"'(){}[],;:".contains(c);
    text.split(breaks).map(move |word| {
        (word.as_ptr() as usize - text.as_ptr() as usize, word.to_ascii_lowercase())
    })
}

struct Pair<'t> {
    /// Where the key begins, in bytes.
    at: usize,
    key: &'t str,
    value: String,
}

/// What looks like `key=value`; values may be quoted and have blanks around the sign.
fn pairs(text: &str) -> impl Iterator<Item = Pair<'_>> {
    text.match_indices('=').filter_map(|(sign, _)| {
        let before = text[..sign].trim_end();
        let key = before.rsplit(|c: char| c.is_whitespace() || "\"',;".contains(c)).next()?;
        let after = text[sign + 1..].trim_start();
        let value = match after.chars().next() {
            Some(quote @ ('"' | '\'')) => after[1..].split(quote).next(),
            Some('[') => after[1..].split(']').next(),
            Some('{') => after[1..].split('}').next(),
            _ => after.split(|c: char| c.is_whitespace() || c == ',' || c == ';').next(),
        };
        (!key.is_empty()).then(|| Pair {
            at: before.len() - key.len(),
            key,
            value: value.unwrap_or_default().to_owned(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_noticed_and_none_is_no_cell() {
        for periodic in [
            "Lattice=\"5 0 0 0 5 0 0 0 5\" Properties=species:S:1:pos:R:3 pbc=\"T T T\"",
            "lattice='5 0 0 0 5 0 0 0 5'",
            "pbc = \"F F T\"",
            "pbc=[False, False, True]",
            "pbc=\"1 0 0\"",
            "# CELL(abcABC): 10 10 10 90 90 90",
        ] {
            assert!(Comment::read(periodic).unwrap_err().1.contains("periodic cell"), "{periodic}");
        }
        for molecule in
            ["", "water", "pbc=\"F F F\"", "Lattice=\"5 0 0 0 5 0 0 0 5\" pbc=\"F F F\""]
        {
            assert!(Comment::read(molecule).is_ok(), "{molecule}");
        }
    }

    #[test]
    fn columns_are_where_the_properties_say() {
        let layout = |text: &str| Comment::read(text).map(|comment| comment.layout);
        let usual = Layout { label: 0, position: 1, columns: 7 };
        assert_eq!(
            layout("Properties=species:S:1:pos:R:3:forces:R:3 energy=-5.1"),
            Ok(Some(usual))
        );
        let odd = Layout { label: 4, position: 1, columns: 5 };
        assert_eq!(layout("Properties=id:I:1:pos:R:3:species:S:1"), Ok(Some(odd)));
        for wrong in ["species:S:1", "pos:R:3", "species:S:1:pos:R", "species:S:x:pos:R:3"] {
            assert!(layout(&format!("Properties={wrong}")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn units_and_charges_are_noticed() {
        for other in ["coordinates in Bohr", "units=bohr", "positions{atomic_unit}", "unit: a.u."] {
            assert!(Comment::read(other).unwrap_err().1.contains("ångström"), "{other}");
        }
        let stated = Comment::read("energy=-1 charge=+1 multiplicity = 2").unwrap().stated;
        assert_eq!(stated, Stated { charge: Some(1), multiplicity: Some(2) });
        assert!(Comment::read("Au cluster, units=Angstrom").is_ok());
    }
}
